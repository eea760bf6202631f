/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The responses that nigh makes itself: short, plain text, with the reason. */
#include "flow/exchange.h"

/*
 * Writes the response of that outcome to the client, before anything else was. It sets
 * exchange->status and exchange->persist; the caller ends the exchange.
 */
void local_response_write(
	struct exchange *exchange, enum outcome outcome, const char *detail);
