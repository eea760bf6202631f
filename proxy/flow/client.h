/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One downstream connection: somebody who dialled us. Reads request heads one after the
 * other (pipelined ones wait), and ends without losing the peer the last response.
 */
#include "flow/recycle.h"
#include "net/stream.h"

struct exchange;

enum client_state {
	CLIENT_HEAD,     /* waits for a request head, or has a part of one */
	CLIENT_EXCHANGE, /* a request is being served */
	CLIENT_TUNNEL,   /* plain bytes: TCP, CONNECT, after an upgrade */
	CLIENT_LINGER,   /* FIN sent: reads until the peer has read too */
};

struct client {
	struct stream stream;
	struct worker *worker;
	struct front *front;
	struct list node;
	struct exchange *exchange;
	struct deadline deadline; /* idle, header, body or linger */
	struct deferred deferred;
	struct lifetime life;
	struct buf *in; /* bytes that came and were not used yet */
	struct head_scan scan;
	union address peer;
	uint64_t id;
	char peer_ip[INET6_ADDRSTRLEN]; /* as X-Forwarded-For says it */
	uint8_t peer_ip_len;
	uint8_t state;      /* enum client_state */
	uint8_t recycled;   /* enum recycle_reason; RECYCLE_REASONS: not */
	bool in_is_partial; /* `in` holds a part of a head: more must come */
	bool dropped;
};

/* For listener_start: takes a connection in. */
bool client_on_accept(struct listener *listener, int fd, const union address *peer);

/* Moves it to another state; the gauges follow. */
void client_enter(struct client *client, enum client_state state);

/* More of the request's body has to come before NIGH_IDLE_TIMEOUT. */
void client_await_body(struct client *client);

/* The exchange is over. With `persist` the next request is awaited, else the connection
 * ends behind what was written. */
void client_exchange_done(struct client *client, bool persist);

/* A tunnel: both of its connections are reset after a while, unless they end before. */
void client_reset_soon(struct client *client);

/* No more requests: FIN, then reading to the end of what the peer still sends. */
void client_linger(struct client *client);

/* Closes at once, in any state; with reset the peer cannot take it for a clean end. */
void client_drop(struct client *client, bool reset);

/* The same, because there is no memory for what it asks. */
void client_refuse(struct client *client);

/* Whether this connection is recycled with the current response; then it counts. */
bool client_retires(struct client *client);

/*
 * A rebalance: each inbound keep-alive connection that was opened before the new pods
 * were there draws a moment within NIGH_REBALANCE. One that was opened while the service
 * was growing already may have come by a rebalance of another pod: it is left alone for
 * NIGH_REBALANCE_INTERVAL, so that no client moves more often than that.
 */
struct draw {
	uint64_t from_ms;
	uint64_t opened_before_ms;
	uint64_t busy_from_ms;
};

void clients_draw(struct worker *worker, const struct draw *draw);

/* Partial heads that wait for memory look whether there is some. */
void clients_resume_heads(struct worker *worker);

/* While the exchange does not read: whether the peer has gone for good (not FIN alone).
 */
bool client_is_gone(struct client *client);

/* Ends the connections of a listener that are between two requests (drain). */
void clients_close_idle(struct worker *worker, const struct front *front);

static inline enum direction client_direction(const struct client *client)
{
	return client->front->direction;
}
