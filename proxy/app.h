/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The running program: its parts, started in order and stopped in reverse. */
#include "config/config.h"

/* Runs the sidecar until it is told to end; gives the exit status. */
int app_run(const struct config *config);
