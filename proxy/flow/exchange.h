/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One request and its response, or one tunnel: from the moment the client's intent is
 * known to the moment the outcome is. It joins a client, a target and, one after the
 * other, the upstream connections that are tried.
 *
 * The request is held as it was sent until the response begins, so that it can be sent
 * again where the rules allow that (spec "Replays"; RFC 9110 section 9.2.2).
 */
#include "flow/client.h"
#include "flow/target.h"
#include "flow/upstream.h"
#include "http/framing.h"

/* Requests larger than this cannot be sent again once a part of them has gone. */
#define EXCHANGE_HELD_MAX (64 << 10)

/* Connections that one request may be tried on. */
#define EXCHANGE_ATTEMPTS_MAX 8

enum exchange_method { METHOD_OTHER, METHOD_HEAD, METHOD_CONNECT };

struct exchange {
	struct worker *worker;
	struct client *client;
	struct target *target;
	struct endpoint *endpoint; /* counted in flight there */
	struct upstream *upstream;
	struct deferred waiter; /* for addresses, or to go on with a tunnel */
	struct buf *request;    /* the head without its empty line, then body bytes */
	uint32_t head_len;
	struct body request_body, response_body;
	struct balance_excluded tried;
	uint64_t started_us;
	uint64_t bytes_up, bytes_down;
	uint64_t n_sent;           /* request bytes on the current connection */
	uint64_t response_keep_ms; /* how long the server lets us keep the connection */
	char *trace;               /* method and target for the access log */
	uint16_t status;           /* of the response that was forwarded or made */
	uint8_t direction;         /* enum direction */
	uint8_t method;            /* enum exchange_method */
	uint8_t failure;           /* enum outcome of the last attempt that failed */
	uint8_t n_attempts;

	bool ended; /* freed with this turn */
	bool is_tcp;
	bool tunnel;
	bool idempotent;            /* RFC 9110 section 9.2.2 */
	bool complete_request_held; /* request is all that was sent so far */
	bool sent;                  /* on the current upstream connection */
	bool upload_broken;         /* it takes no more of the body */
	bool client_is_1_0;
	bool client_keeps_alive;
	bool wants_upgrade;
	bool names_port;     /* the request says which, not the scheme */
	bool response_began; /* a byte of it has come on this connection */
	bool head_sent;      /* the final response head has gone to the client */
	bool persist;        /* the client connection stays after the response */
	bool upstream_persists;
	bool dechunk;    /* a chunked response goes to a HTTP/1.0 client */
	bool fresh_only; /* no pooled connection for the next attempt */
};

/* A new exchange of the client; NULL without memory. */
struct exchange *exchange_create(struct client *client);

/* A plain TCP connection: dials at once, whoever speaks first. */
void exchange_begin_tcp(struct client *client);

/* Finds an endpoint and a connection and sends the request; comes back when it has to
 * wait. */
void exchange_dispatch(struct exchange *exchange);

/*
 * The current attempt failed before a response byte: its connection, if any, is dropped.
 * Tries again where that is safe and within the budget, else answers.
 */
enum attempt_failure {
	ATTEMPT_NOT_CONNECTED, /* nothing could be sent */
	ATTEMPT_TIMED_OUT,     /* the same, after NIGH_CONNECT_TIMEOUT */
	ATTEMPT_CROWDED,       /* the same, but others were answered meanwhile */
	ATTEMPT_NO_RESOURCES,  /* our own lack */
	ATTEMPT_CLOSED_UNSEEN, /* a reused connection that the peer had closed before */
	ATTEMPT_DIED_REUSED, /* sent on a reused connection that then ended unanswered */
	ATTEMPT_DIED,        /* the same on a new one */
	ATTEMPT_NOT_PROCESSED, /* the peer's sidecar says so */
};
void exchange_attempt_failed(struct exchange *exchange, enum attempt_failure failure);

/* The current upstream connection ended before a response byte: decides how far the
 * request can have come, then as exchange_attempt_failed. */
void exchange_upstream_died(struct exchange *exchange);

/* Whether another endpoint could take the request if the current one refuses it. */
bool exchange_can_go_elsewhere(const struct exchange *exchange);

/* Answers in nigh's own name; detail may be NULL. Ends the exchange. */
void exchange_answer(struct exchange *exchange, enum outcome outcome, const char *detail);

/* What becomes of the client's connection when the exchange ends. */
enum client_fate {
	CLIENT_GOES_ON, /* as exchange->persist says: next request, or a lingering close
			 */
	CLIENT_CLOSES,
	CLIENT_RESETS,  /* so that it cannot take what it has for complete */
	CLIENT_IS_GONE, /* is being dropped already */
};

/* Ends it: counts, logs, frees; the upstream connection is kept if it is good for more.
 */
void exchange_end(struct exchange *exchange, enum outcome outcome, enum client_fate fate);

/* From here on bytes are relayed both ways. */
void exchange_start_tunnel(struct exchange *exchange);

/* Called by client.c and upstream.c when something happened on the connection. */
void exchange_on_client(struct exchange *exchange);
void exchange_on_client_lost(struct exchange *exchange);
void exchange_on_upstream(struct exchange *exchange);
void exchange_on_upstream_timeout(struct exchange *exchange);
