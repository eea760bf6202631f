/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bytes both ways between the client and the upstream connection of an exchange, as they
 * come: FIN stays FIN, a reset stays a reset, and a side that does not read stops the
 * other.
 */
#include "flow/exchange.h"

/* Moves what can be moved; called whenever something happened on either side. */
void relay_run(struct exchange *exchange);
