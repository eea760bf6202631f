/* SPDX-License-Identifier: Apache-2.0 */
/*
 *            accept
 *              v
 *   +------> HEAD ---- a head is complete ----> EXCHANGE ----> TUNNEL
 *   |          | idle, end, error                  |  101, CONNECT
 *   |          v                                   |
 *   |        closed <--- LINGER <-- last response -+
 *   +------------------- the response says nothing of close
 */
#include "flow/client.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flow/exchange.h"
#include "flow/http_request.h"
#include "flow/relay.h"

#define LINGER_MS      5000
#define NEW_MS         1000
#define READS_PER_TURN 4

static void on_ready(struct stream *stream);
static void on_deferred(struct deferred *deferred);
static void on_deadline(struct deadline *deadline);

static void read_requests(struct client *client);

static void count_state(struct client *client, int change)
{
	struct gauges *gauges = &client->worker->gauges;
	enum direction direction = client_direction(client);

	if (client->state == CLIENT_HEAD)
		gauges->idle[direction][DOWNSTREAM] += (uint32_t)change;
	else if (client->state == CLIENT_TUNNEL)
		gauges->tunnels[direction][DOWNSTREAM] += (uint32_t)change;
}

/* It ends, or it is no keep-alive connection any more. */
static void forget_due(struct client *client)
{
	client->worker->gauges.due -= client->life.due_ms > 0;
	client->life.due_ms = 0;
}

void client_enter(struct client *client, enum client_state state)
{
	if (state == CLIENT_TUNNEL || state == CLIENT_LINGER)
		forget_due(client);
	count_state(client, -1);
	client->state = (uint8_t)state;
	count_state(client, 1);
}

bool client_on_accept(struct listener *listener, int fd, const union address *peer)
{
	struct door *door = container_of(listener, struct door, listener);
	struct worker *worker = door->worker;
	struct client *client = slab_alloc(&worker->client_slab);

	if (client)
		*client = (struct client){.worker = worker,
			.front = door->front,
			.peer = *peer,
			.recycled = RECYCLE_REASONS};
	if (!client || stream_open(&client->stream, &worker->loop, fd, on_ready) != 0) {
		slab_free(&worker->client_slab, client);
		close(fd);
		worker->counters.ended[OUTCOME_no_resources]++;
		return false;
	}
	atomic_fetch_add(&worker->shared->n_downstream, 1);
	client->peer_ip_len = (uint8_t)address_print_ip(peer, client->peer_ip);
	client->id = atomic_fetch_add(&worker->shared->flow_ids, 1);
	client->state = CLIENT_HEAD;
	count_state(client, 1);
	list_push(&worker->clients, &client->node);
	worker->gauges.open[door->front->direction][DOWNSTREAM]++;
	worker->counters.opened[door->front->direction][DOWNSTREAM]++;
	lifetime_begin(&client->life, worker);
	if (door->front->protocol == PROTOCOL_TCP) {
		client_enter(client, CLIENT_TUNNEL);
		exchange_begin_tcp(client);
	} else {
		deadline_set(&worker->idle, &client->deadline,
			worker->config->idle_timeout_ms, on_deadline);
	}
	return worker_may_accept(worker);
}

static void reap(struct deferred *deferred)
{
	struct client *client = container_of(deferred, struct client, deferred);

	slab_free(&client->worker->client_slab, client);
}

void client_drop(struct client *client, bool reset)
{
	struct worker *worker = client->worker;

	if (client->dropped)
		return;
	client->dropped = true;
	if (client->exchange)
		exchange_on_client_lost(client->exchange);
	forget_due(client);
	count_state(client, -1);
	worker->gauges.open[client_direction(client)][DOWNSTREAM]--;
	atomic_fetch_sub(&worker->shared->n_downstream, 1);
	list_unlink(&client->node);
	deadline_clear(&client->deadline);
	if (reset)
		stream_reset(&client->stream);
	else
		stream_close(&client->stream);
	buf_put(&worker->loop.bufs, client->in);
	client->in = NULL;
	loop_reap(&worker->loop, &client->deferred, reap);
	worker_resume_accepting(worker);
}

void client_refuse(struct client *client)
{
	client->worker->counters.ended[OUTCOME_no_resources]++;
	client_drop(client, true);
}

/* A peer that still has to take the response gets more time than one that only has to
 * close its side. */
static void wait_for_end(struct client *client)
{
	struct worker *worker = client->worker;

	if (stream_is_blocked(&client->stream))
		deadline_set(&worker->idle, &client->deadline,
			worker->config->idle_timeout_ms, on_deadline);
	else
		deadline_set(&worker->linger, &client->deadline, LINGER_MS, on_deadline);
}

void client_reset_soon(struct client *client)
{
	deadline_set(&client->worker->linger, &client->deadline, LINGER_MS, on_deadline);
}

void client_linger(struct client *client)
{
	struct worker *worker = client->worker;

	client_enter(client, CLIENT_LINGER);
	buf_put(&worker->loop.bufs, client->in);
	client->in = NULL;
	stream_finish(&client->stream);
	wait_for_end(client);
	loop_defer(&worker->loop, &client->deferred, on_deferred);
}

void client_await_body(struct client *client)
{
	struct worker *worker = client->worker;

	deadline_set(&worker->idle, &client->deadline, worker->config->idle_timeout_ms,
		on_deadline);
}

void client_exchange_done(struct client *client, bool persist)
{
	struct worker *worker = client->worker;

	client->exchange = NULL;
	if (atomic_load(&client->front->closed))
		persist = false;
	if (!persist) {
		client_linger(client);
		return;
	}
	client_enter(client, CLIENT_HEAD);
	deadline_set(&worker->idle, &client->deadline, worker->config->idle_timeout_ms,
		on_deadline);
	if (client->in || client->stream.readable)
		loop_defer(&worker->loop, &client->deferred, on_deferred);
}

bool client_retires(struct client *client)
{
	struct worker *worker = client->worker;
	enum recycle_reason reason = RECYCLE_drain;

	if (client_direction(client) != INBOUND)
		return false;
	if (!worker->draining &&
		!lifetime_is_over(&client->life, loop_ms(&worker->loop), &reason))
		return false;
	client->recycled = (uint8_t)reason;
	worker->counters.recycled[INBOUND][DOWNSTREAM][reason]++;
	forget_due(client);
	return true;
}

/* Who is due already keeps its moment: one recycle answers both. */
static bool may_draw(const struct client *client, uint64_t opened_before_ms)
{
	return client_direction(client) == INBOUND &&
	       (client->state == CLIENT_HEAD || client->state == CLIENT_EXCHANGE) &&
	       client->recycled == RECYCLE_REASONS && client->life.due_ms == 0 &&
	       client->life.opened_ms < opened_before_ms;
}

static uint64_t draw_moment(const struct client *client, const struct draw *draw)
{
	struct worker *worker = client->worker;
	const struct config *config = worker->config;
	uint64_t opened_ms = client->life.opened_ms,
		 rested_ms = opened_ms + config->rebalance_interval_ms,
		 due_ms = draw->from_ms + rng_below(&worker->loop.rng,
						  (uint32_t)config->rebalance_ms + 1);

	return opened_ms >= draw->busy_from_ms && rested_ms > due_ms ? rested_ms : due_ms;
}

void clients_draw(struct worker *worker, const struct draw *draw)
{
	if (worker->draining)
		return;
	list_each_safe (node, next, &worker->clients) {
		struct client *client = container_of(node, struct client, node);

		if (!may_draw(client, draw->opened_before_ms))
			continue;
		client->life.due_ms = draw_moment(client, draw);
		worker->gauges.due++;
	}
}

bool client_is_gone(struct client *client)
{
	ssize_t n = stream_peek(&client->stream);

	return n < 0 && n != -EAGAIN;
}

/* What the peer still sends is of no use, but unread bytes would make a reset of our
 * close, and the reset would take the response from the peer's hands. */
static void discard(struct client *client)
{
	struct loop *loop = &client->worker->loop;

	for (int i = 0; i < READS_PER_TURN && client->stream.readable; i++) {
		ssize_t n =
			stream_read(&client->stream, loop->scratch, loop->scratch_bytes);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			client_drop(client, false);
			return;
		}
	}
	if (client->stream.at_eof && client->stream.fin_sent)
		client_drop(client, false);
	else if (client->stream.readable && !client->stream.at_eof)
		loop_defer(loop, &client->deferred, on_deferred);
}

static void serve(struct client *client)
{
	switch ((enum client_state)client->state) {
	case CLIENT_HEAD:
		read_requests(client);
		break;
	case CLIENT_EXCHANGE:
	case CLIENT_TUNNEL:
		exchange_on_client(client->exchange);
		break;
	case CLIENT_LINGER:
		discard(client);
		break;
	}
}

static void on_ready(struct stream *stream)
{
	struct client *client = container_of(stream, struct client, stream);
	bool was_blocked = stream_is_blocked(stream);

	if (stream_flush(stream) != 0) {
		client_drop(client, false);
		return;
	}
	if (was_blocked && client->state == CLIENT_LINGER)
		wait_for_end(client);
	serve(client);
}

static void on_deferred(struct deferred *deferred)
{
	struct client *client = container_of(deferred, struct client, deferred);

	serve(client);
}

/*
 * Who has its last response needs no lingering. A request that crosses our FIN is then
 * better reset than taken and thrown away: its sender can prove that nobody has seen it,
 * and send it again.
 */
static void end_idle(struct client *client)
{
	if (stream_peer_has_all(&client->stream))
		client_drop(client, false);
	else
		client_linger(client);
}

static void on_deadline(struct deadline *deadline)
{
	struct client *client = container_of(deadline, struct client, deadline);

	if (client->state == CLIENT_HEAD && client->in_is_partial) {
		http_request_late(client);
		return;
	}
	if (client->state == CLIENT_EXCHANGE) {
		http_request_stalled(client->exchange);
		return;
	}
	/* Bytes that came this moment are a request, not idleness. */
	if (client->state == CLIENT_HEAD && stream_peek(&client->stream) > 0) {
		client->stream.readable = true;
		read_requests(client);
		return;
	}
	if (client->state == CLIENT_HEAD && !stream_is_blocked(&client->stream))
		end_idle(client);
	else
		client_drop(client, client->state == CLIENT_TUNNEL);
}

/* The bytes at hand: what was kept, then what the socket has. Gives their number, or 0 at
 * the end of the stream, or -errno. */
static ssize_t gather(struct client *client)
{
	struct loop *loop = &client->worker->loop;
	size_t kept = buf_len(client->in);
	ssize_t n = 0;

	if (kept > 0) {
		memcpy(loop->scratch, client->in->data + client->in->from, kept);
		buf_put(&loop->bufs, client->in);
		client->in = NULL;
		if (!client->in_is_partial)
			return (ssize_t)kept;
	}
	if (client->stream.readable && kept < loop->scratch_bytes) {
		size_t room = loop->scratch_bytes - kept, cap = loop_read_bytes(loop);

		n = stream_read(
			&client->stream, loop->scratch + kept, room < cap ? room : cap);
	} else {
		n = -EAGAIN;
	}
	if (n == -EAGAIN && kept > 0) {
		if (!buf_append(&loop->bufs, &client->in, loop->scratch, kept))
			return -ENOMEM;
		return n;
	}
	return n > 0 ? n + (ssize_t)kept : n;
}

/* Keeps what has come of a head; the clock runs from its first byte. */
static bool keep_partial(struct client *client, struct str bytes)
{
	struct worker *worker = client->worker;

	if (!buf_append(&worker->loop.bufs, &client->in, bytes.ptr, bytes.len))
		return false;
	if (!client->in_is_partial)
		deadline_set(&worker->header, &client->deadline,
			worker->config->header_timeout_ms, on_deadline);
	client->in_is_partial = true;
	stream_expect_more(&client->stream);
	return true;
}

static bool has_to_wait(struct client *client)
{
	struct worker *worker = client->worker;

	if (!worker_head_waits(worker, &worker->header, &client->deadline, client->in))
		return false;
	worker->heads_wait = true;
	return true;
}

void clients_resume_heads(struct worker *worker)
{
	if (!worker->heads_wait)
		return;
	worker->heads_wait = false;
	list_each_safe (node, next, &worker->header.head) {
		struct client *client =
			container_of(container_of(node, struct deadline, node),
				struct client, deadline);

		loop_defer(&worker->loop, &client->deferred, on_deferred);
	}
}

static void read_requests(struct client *client)
{
	struct worker *worker = client->worker;

	for (int i = 0; i < READS_PER_TURN; i++) {
		struct str bytes = {worker->loop.scratch, 0};
		enum head_result result;
		ssize_t n;

		/* The response before this has to go out first. */
		if (stream_is_blocked(&client->stream) ||
			(!client->in && !client->stream.readable) ||
			(client->in_is_partial && has_to_wait(client)))
			return;
		n = gather(client);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			client_drop(client, false);
			return;
		}
		bytes.len = (size_t)n;
		result = head_parse(&worker->head, &client->scan, HEAD_REQUEST, bytes,
			worker->config->max_header_bytes);
		if (result == HEAD_MORE) {
			if (keep_partial(client, bytes))
				continue;
			client_refuse(client);
			return;
		}
		client->scan = (struct head_scan){0};
		client->in_is_partial = false;
		deadline_clear(&client->deadline);
		client_enter(client, CLIENT_EXCHANGE);
		http_request_begin(client, result, bytes);
		return;
	}
	loop_defer(&worker->loop, &client->deferred, on_deferred);
}

/*
 * Who has just been accepted, maybe out of the closing listener's queue, has a request on
 * its way that it may not dare to send twice: it gets a moment.
 */
static bool is_new(const struct client *client)
{
	return client->life.n_requests == 0 &&
	       loop_ms(&client->worker->loop) - client->life.opened_ms < NEW_MS;
}

static bool is_between_requests(const struct client *client)
{
	return client->state == CLIENT_HEAD && !client->in && !client->stream.readable;
}

void clients_close_idle(struct worker *worker, const struct front *front)
{
	list_each_safe (node, next, &worker->clients) {
		struct client *client = container_of(node, struct client, node);

		if (client->front != front || !is_between_requests(client) ||
			stream_peek(&client->stream) > 0)
			continue;
		if (is_new(client))
			deadline_set(
				&worker->linger, &client->deadline, NEW_MS, on_deadline);
		else
			end_idle(client);
	}
}
