/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A request on its connection to the upstream: written, held for another try, pumped. */
#include "flow/exchange.h"

/* Writes the held request to the upstream connection, which is there. */
void http_upload_begin(struct exchange *exchange);

/* Moves body bytes on, as far as both sides go. False when the exchange has ended. */
bool http_upload_pump(struct exchange *exchange);

/*
 * Gives back the copies of all requests that were sent: they cannot be sent again then.
 * For when memory has run short: some may wait for their response for ever.
 */
void http_uploads_let_go(struct worker *worker);
