/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The way of an HTTP response from the upstream connection to the client. */
#include "flow/exchange.h"

/*
 * Reads what the upstream has sent and passes it on, as far as the client takes it. May
 * end the exchange.
 */
void http_response_pump(struct exchange *exchange);

/*
 * Memory has run short: heads that are under way get NIGH_HEADER_TIMEOUT to be complete,
 * as an upstream may stop within one for ever.
 */
void http_responses_hurry(struct worker *worker);

/* Those that waited for memory look again. */
void http_responses_resume(struct worker *worker);
