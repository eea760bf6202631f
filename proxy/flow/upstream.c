/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/upstream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "flow/exchange.h"

/* An idle connection younger than this is used without a look whether it is still there:
 * its end would most likely have been told by the loop. */
#define TRUST_IDLE_MS 10

static void on_ready(struct stream *stream)
{
	struct upstream *upstream = container_of(stream, struct upstream, stream);

	if (upstream->exchange) {
		exchange_on_upstream(upstream->exchange);
	} else if (stream->readable) { /* the end, or bytes that nobody asked for */
		endpoint_distrust(upstream->endpoint);
		upstream_drop(upstream, false);
	}
}

void upstream_run_deferred(struct deferred *deferred)
{
	on_ready(&container_of(deferred, struct upstream, deferred)->stream);
}

static void on_deadline(struct deadline *deadline)
{
	struct upstream *upstream = container_of(deadline, struct upstream, deadline);

	if (upstream->exchange)
		exchange_on_upstream_timeout(upstream->exchange);
	else
		upstream_drop(upstream, false);
}

void upstream_set_deadline(
	struct upstream *upstream, struct deadline_list *list, uint64_t after_ms)
{
	deadline_set(list, &upstream->deadline, after_ms, on_deadline);
}

/* Such a connection ends in our own hands: it would go round for ever, and the admin port
 * would take whoever called us for one on loopback. Only the application may call our
 * inbound ports: that is a call to its own service. */
static bool is_our_own(
	const struct shared *shared, enum direction direction, const union address *addr)
{
	if (listen_set_hears(&shared->admin_listen, addr))
		return true;
	for (size_t i = 0; i < shared->n_fronts; i++) {
		const struct front *front = &shared->fronts[i];

		if ((front->direction == OUTBOUND || direction == INBOUND) &&
			listen_set_hears(&front->listen, addr))
			return true;
	}
	return false;
}

int upstream_dial(
	struct endpoint *endpoint, struct exchange *exchange, struct upstream **out)
{
	struct worker *worker = endpoint->target->worker;
	struct upstream *upstream;
	int err;

	if (is_our_own(worker->shared, endpoint->target->direction, &endpoint->addr))
		return -ELOOP;
	upstream = slab_alloc(&worker->upstream_slab);
	if (!upstream)
		return -ENOMEM;
	*upstream = (struct upstream){.worker = worker,
		.exchange = exchange,
		.n_answers_before = endpoint->n_answers};
	err = stream_connect(
		&upstream->stream, &worker->loop, &endpoint->addr.sa, on_ready);
	if (err != 0) {
		slab_free(&worker->upstream_slab, upstream);
		return err;
	}
	upstream->endpoint = endpoint;
	endpoint_hold(endpoint);
	lifetime_begin(&upstream->life, worker);
	worker->gauges.open[endpoint->target->direction][UPSTREAM]++;
	deadline_set(&worker->connect, &upstream->deadline,
		worker->config->connect_timeout_ms, on_deadline);
	*out = upstream;
	return 0;
}

static void leave_pool(struct upstream *upstream)
{
	if (!list_linked(&upstream->idle_node))
		return;
	list_unlink(&upstream->idle_node);
	upstream->worker->gauges.idle[upstream->endpoint->target->direction][UPSTREAM]--;
}

struct upstream *upstream_take_idle(
	struct endpoint *endpoint, struct exchange *exchange, bool careful)
{
	uint64_t now = loop_ms(&exchange->worker->loop);

	while (!list_empty(&endpoint->idle)) {
		struct upstream *upstream =
			container_of(endpoint->idle.next, struct upstream, idle_node);
		bool look = careful || now - upstream->idle_since_ms > TRUST_IDLE_MS;

		if (upstream->deadline.at_ms <= now) { /* not swept yet */
			upstream_drop(upstream, false);
			continue;
		}
		if (look && stream_peek(&upstream->stream) != -EAGAIN) {
			endpoint_distrust(endpoint);
			upstream_drop(upstream, false);
			continue;
		}
		leave_pool(upstream);
		deadline_clear(&upstream->deadline);
		upstream->exchange = exchange;
		upstream->reused = true;
		return upstream;
	}
	return NULL;
}

/* Nothing is under way in either direction: no end that came with the response, nothing
 * of a request that was answered before it was read. */
static bool is_quiet(struct stream *stream)
{
	return !stream_is_blocked(stream) &&
	       (!stream->readable || stream_peek(stream) == -EAGAIN);
}

void upstream_keep(struct upstream *upstream, uint64_t keep_ms)
{
	struct worker *worker = upstream->worker;

	if (keep_ms == 0 || upstream->endpoint->gone || !is_quiet(&upstream->stream)) {
		upstream_drop(upstream, false);
		return;
	}
	upstream->exchange = NULL;
	upstream->idle_since_ms = loop_ms(&worker->loop);
	list_insert(&upstream->endpoint->idle, &upstream->idle_node);
	worker->gauges.idle[upstream->endpoint->target->direction][UPSTREAM]++;
	deadline_set(&worker->pool_idle, &upstream->deadline, keep_ms, on_deadline);
}

static void reap(struct deferred *deferred)
{
	struct upstream *upstream = container_of(deferred, struct upstream, deferred);

	slab_free(&upstream->worker->upstream_slab, upstream);
}

void upstream_drop(struct upstream *upstream, bool reset)
{
	struct worker *worker = upstream->worker;
	enum direction direction = upstream->endpoint->target->direction;

	leave_pool(upstream);
	deadline_clear(&upstream->deadline);
	if (reset)
		stream_reset(&upstream->stream);
	else
		stream_close(&upstream->stream);
	buf_put(&worker->loop.bufs, upstream->in);
	upstream->in = NULL;
	upstream->exchange = NULL;
	worker->gauges.open[direction][UPSTREAM]--;
	endpoint_release(upstream->endpoint);
	upstream->endpoint = NULL;
	loop_reap(&worker->loop, &upstream->deferred, reap);
}

void upstreams_close_idle(struct endpoint *endpoint)
{
	list_each_safe (node, next, &endpoint->idle)
		upstream_drop(container_of(node, struct upstream, idle_node), false);
}
