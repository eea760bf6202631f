/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The commands of nigh: each takes what follows its name and gives the exit status. */
#include "config/config.h"

int command_run(const struct config *config, int argc, char **argv);
int command_explain(const struct config *config, int argc, char **argv);
int command_drain(const struct config *config, int argc, char **argv);
int command_config(const struct config *config, int argc, char **argv);
int command_reference(const struct config *config, int argc, char **argv);
