/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The way of an HTTP request from the client's bytes to what can be sent (http_upload.h).
 */
#include "flow/exchange.h"

/*
 * A head was read, or something that is none (`result`); worker->head holds it, `bytes`
 * is everything that was read, in the worker's scratch. Makes the exchange and sends it
 * on its way, or answers.
 */
void http_request_begin(struct client *client, enum head_result result, struct str bytes);

/* NIGH_HEADER_TIMEOUT has passed within a head. */
void http_request_late(struct client *client);

/* Nothing more of the body came for NIGH_IDLE_TIMEOUT. */
void http_request_stalled(struct exchange *exchange);

/* Outbound CONNECT: the connection stands; answers 200 and relays. */
void http_connect_established(struct exchange *exchange);
