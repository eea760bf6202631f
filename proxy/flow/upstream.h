/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One connection to an endpoint. It carries an exchange, or waits in the endpoint's pool
 * for the next one; the last one used is the first one taken.
 */
#include "flow/recycle.h"
#include "flow/target.h"
#include "net/stream.h"

struct exchange;

struct upstream {
	struct stream stream;
	struct worker *worker;
	struct endpoint *endpoint;
	struct exchange *exchange; /* NULL while idle */
	struct list idle_node;
	struct deadline deadline; /* connect, response or pool idle */
	struct deferred deferred;
	struct lifetime life;
	struct buf *in; /* a response head that is not complete */
	struct head_scan scan;
	uint64_t idle_since_ms;
	uint64_t n_answers_before; /* the endpoint's, when this one was dialled */
	uint64_t n_written;        /* bytes, before those of the current exchange */
	bool connected;
	bool single;  /* for one request: nobody would use it again */
	bool reused;  /* it has carried a request before the current one */
	bool is_last; /* the current request says close */
};

/*
 * A new connection for the exchange; exchange_on_upstream is called when it is decided.
 * 0 or -errno; -ELOOP when the address is one of our own listeners'.
 */
__attribute__((warn_unused_result)) int upstream_dial(
	struct endpoint *endpoint, struct exchange *exchange, struct upstream **out);

/*
 * An idle connection for the exchange, or NULL. `careful` looks at the socket first even
 * where it was used a moment ago: for what may not be sent twice.
 */
struct upstream *upstream_take_idle(
	struct endpoint *endpoint, struct exchange *exchange, bool careful);

/* The exchange is over and the connection good for another: back to the pool, for at most
 * keep_ms. */
void upstream_keep(struct upstream *upstream, uint64_t keep_ms);

/* A deadline of the current exchange: exchange_on_upstream_timeout is called. */
void upstream_set_deadline(
	struct upstream *upstream, struct deadline_list *list, uint64_t after_ms);

/* For loop_defer: as if something had happened on the connection. */
void upstream_run_deferred(struct deferred *deferred);

/* Closes it, in any state; with reset the peer sees that too. */
void upstream_drop(struct upstream *upstream, bool reset);

void upstreams_close_idle(struct endpoint *endpoint);
