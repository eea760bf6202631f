/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   create -> dispatch -> (wait for addresses) -> dial or reuse -> send -> response ->
 * end ^                                   |       |
 *                +------- attempt failed, safe ------+-------+
 *
 * What a failed attempt may lead to is one table (retry_rules), consulted in one place.
 */
#include "flow/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/http_request.h"
#include "flow/http_response.h"
#include "flow/http_upload.h"
#include "flow/local_response.h"
#include "flow/relay.h"

struct exchange *exchange_create(struct client *client)
{
	struct worker *worker = client->worker;
	struct exchange *exchange = slab_alloc(&worker->exchange_slab);

	if (!exchange)
		return NULL;
	*exchange = (struct exchange){
		.worker = worker,
		.client = client,
		.direction = (uint8_t)client_direction(client),
		.started_us = loop_us(&worker->loop),
		.request_body.done = true,
	};
	client->exchange = exchange;
	worker->gauges.in_flight[exchange->direction]++;
	return exchange;
}

void exchange_begin_tcp(struct client *client)
{
	struct exchange *exchange = exchange_create(client);

	if (!exchange) {
		client_refuse(client);
		return;
	}
	exchange->is_tcp = true;
	exchange->complete_request_held = true;
	exchange->target = target_for_front(client->worker, client->front);
	if (!exchange->target) {
		exchange_answer(exchange, OUTCOME_no_resources, NULL);
		return;
	}
	target_hold(exchange->target);
	tally_count_request(exchange->target->tally, exchange->started_us / 1000);
	exchange_dispatch(exchange);
}

/* Whether the upstream was sent something and not all of it. */
static bool broke_off_upload(const struct exchange *exchange)
{
	const struct stream *stream = &exchange->upstream->stream;

	if (exchange->tunnel)
		return !stream->fin_sent;
	return exchange->sent &&
	       (!exchange->request_body.done || exchange->upload_broken || stream->out);
}

/* Takes the exchange off its endpoint and connection. */
static void detach(struct exchange *exchange, bool keep_upstream)
{
	struct upstream *upstream = exchange->upstream;
	bool broke_off = upstream && broke_off_upload(exchange);

	exchange->upstream = NULL;
	exchange->sent = exchange->response_began = exchange->upload_broken = false;
	if (upstream)
		upstream->n_written += exchange->n_sent;
	exchange->n_sent = 0;
	if (exchange->tunnel)
		exchange->worker->gauges.tunnels[exchange->direction][UPSTREAM]--;
	if (exchange->endpoint) {
		exchange->endpoint->balance.in_flight--;
		endpoint_release(exchange->endpoint);
		exchange->endpoint = NULL;
	}
	if (!upstream)
		return;
	if (keep_upstream)
		upstream_keep(upstream, exchange->response_keep_ms);
	else /* Many who read chunks take an end for that of the trailers, and all who
		read a tunnel for that of the message. */
		upstream_drop(upstream, broke_off);
}

static void attach(struct exchange *exchange, struct endpoint *endpoint)
{
	exchange->endpoint = endpoint;
	endpoint_hold(endpoint);
	endpoint->balance.in_flight++;
	endpoint->n_requests++;
	/* The application is always here: that would only blur the figures. */
	if (exchange->direction == OUTBOUND)
		exchange->target->tally->picks[endpoint->proximity]++;
}

static const char *why_no_endpoint(const struct target *target)
{
	if (target->port)
		return target->port->reason;
	return target->namespace_ ? "the service has no such port" : target->problem;
}

/* What it has waited for may have shown that the name is a service's. */
static void on_addresses(struct deferred *deferred)
{
	struct exchange *exchange = container_of(deferred, struct exchange, waiter);
	struct target *before = exchange->target;
	struct target *now =
		target_again(before, exchange->client->front, exchange->names_port);

	if (now != before) {
		target_hold(now);
		exchange->target = now;
		target_release(before);
	}
	exchange_dispatch(exchange);
}

/* Every endpoint that may be used has been tried, or there is none. */
static void answer_unreachable(struct exchange *exchange)
{
	if (exchange->failure != OUTCOME_completed)
		exchange_answer(exchange, (enum outcome)exchange->failure, NULL);
	else
		exchange_answer(
			exchange, OUTCOME_no_endpoint, why_no_endpoint(exchange->target));
}

static void answer_unresolved(struct exchange *exchange)
{
	const struct target *target = exchange->target;
	char detail[256];

	snprintf(detail, sizeof(detail), "%s: %s", target->host, target->problem);
	exchange_answer(exchange, OUTCOME_name_unresolved, detail);
}

static void send_or_relay(struct exchange *exchange)
{
	if (exchange->is_tcp)
		exchange_start_tunnel(exchange);
	else if (exchange->method == METHOD_CONNECT && exchange->direction == OUTBOUND)
		http_connect_established(exchange);
	else
		http_upload_begin(exchange);
}

static enum attempt_failure failure_of(int err)
{
	if (err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS ||
		err == -EADDRNOTAVAIL)
		return ATTEMPT_NO_RESOURCES;
	return err == -ETIMEDOUT ? ATTEMPT_TIMED_OUT : ATTEMPT_NOT_CONNECTED;
}

/*
 * A kept connection may end while the request is on its way. Where the server has been
 * seen to close without a word, a new one takes what may not be sent twice, and all the
 * rest too while there is no retry to spare for it.
 */
static bool trusts_kept(const struct exchange *exchange, const struct endpoint *endpoint)
{
	return loop_ms(&exchange->worker->loop) >= endpoint->distrusted_until_ms ||
	       (exchange->idempotent && target_affords_failure(exchange->target));
}

static bool may_reuse(const struct exchange *exchange)
{
	return !exchange->is_tcp && !exchange->fresh_only &&
	       exchange->method != METHOD_CONNECT;
}

/* It calls itself by way of a failed attempt: EXCHANGE_ATTEMPTS_MAX times at most. */
/* NOLINTNEXTLINE(misc-no-recursion) */
void exchange_dispatch(struct exchange *exchange)
{
	struct target *target = exchange->target;
	enum target_state state = target_prepare(target);
	struct endpoint *endpoint;
	int err;

	if (state == TARGET_WAIT) {
		exchange->waiter.run = on_addresses;
		list_push(&target->waiters, &exchange->waiter.node);
		return;
	}
	if (state == TARGET_FAILED) {
		answer_unresolved(exchange);
		return;
	}
	if (state == TARGET_NO_RESOURCES) {
		exchange_answer(exchange, OUTCOME_no_resources, NULL);
		return;
	}
	endpoint = target_pick(target, &exchange->tried);
	if (!endpoint) {
		answer_unreachable(exchange);
		return;
	}
	if (target->is_blind && !target->namespace_ && exchange->n_attempts == 0)
		exchange->worker->counters.discovery_fallbacks++;
	attach(exchange, endpoint);
	exchange->n_attempts++;
	if (may_reuse(exchange) && trusts_kept(exchange, endpoint))
		exchange->upstream =
			upstream_take_idle(endpoint, exchange, !exchange->idempotent);
	if (exchange->upstream) {
		send_or_relay(exchange);
		return;
	}
	err = upstream_dial(endpoint, exchange, &exchange->upstream);
	if (err == -ELOOP)
		exchange_answer(exchange, OUTCOME_misdirected, NULL);
	else if (err != 0)
		exchange_attempt_failed(exchange, failure_of(err));
	else
		exchange->upstream->single = !trusts_kept(exchange, endpoint);
}

/*
 * What may follow a failed attempt. any_method: also what is not idempotent, because the
 * application cannot have seen it. excludes: this request does not come back to the
 * endpoint. blames: the endpoint's standing suffers.
 */
static const struct retry_rule {
	bool any_method;
	bool excludes;
	bool blames;
	uint8_t outcome;
	uint8_t reason;
} retry_rules[] = {
	[ATTEMPT_NOT_CONNECTED] = {true, true, true, OUTCOME_connect_failed,
		RETRY_connect_failed},
	[ATTEMPT_TIMED_OUT] = {true, true, true, OUTCOME_connect_timeout,
		RETRY_connect_timeout},
	[ATTEMPT_CROWDED] = {true, false, false, OUTCOME_connect_timeout,
		RETRY_connect_timeout},
	[ATTEMPT_NO_RESOURCES] = {true, true, false, OUTCOME_no_resources,
		RETRY_connect_failed},
	[ATTEMPT_CLOSED_UNSEEN] = {true, false, false, OUTCOME_upstream_closed,
		RETRY_connection_was_closed},
	[ATTEMPT_DIED_REUSED] = {false, false, false, OUTCOME_upstream_closed,
		RETRY_connection_was_closed},
	[ATTEMPT_DIED] = {false, true, true, OUTCOME_upstream_closed,
		RETRY_upstream_died},
	[ATTEMPT_NOT_PROCESSED] = {true, true, true, OUTCOME_connect_failed,
		RETRY_not_processed},
};

static bool is_excluded(const struct exchange *exchange, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < exchange->tried.n_items; i++)
		if (exchange->tried.items[i] == &endpoint->balance)
			return true;
	return false;
}

static void exclude(struct exchange *exchange, const struct endpoint *endpoint)
{
	if (exchange->tried.n_items < BALANCE_EXCLUDED_MAX &&
		!is_excluded(exchange, endpoint))
		exchange->tried.items[exchange->tried.n_items++] = &endpoint->balance;
}

bool exchange_can_go_elsewhere(const struct exchange *exchange)
{
	struct balance_excluded tried = exchange->tried;

	if (!exchange->complete_request_held || !exchange->endpoint ||
		tried.n_items + 1 >= BALANCE_EXCLUDED_MAX)
		return false;
	tried.items[tried.n_items++] = &exchange->endpoint->balance;
	return target_has_other(exchange->target, &tried);
}

/* Whether the rule lets it be tried again, and there is somebody to try. */
static bool may_try_again(const struct exchange *exchange, enum attempt_failure failure)
{
	const struct retry_rule *rule = &retry_rules[failure];

	if (!exchange->complete_request_held || exchange->head_sent ||
		exchange->n_attempts >= EXCHANGE_ATTEMPTS_MAX ||
		!(rule->any_method || exchange->idempotent))
		return false;
	return !rule->excludes || target_has_other(exchange->target, &exchange->tried);
}

/* NOLINTNEXTLINE(misc-no-recursion): see exchange_dispatch */
void exchange_attempt_failed(struct exchange *exchange, enum attempt_failure failure)
{
	struct worker *worker = exchange->worker;
	const struct retry_rule *rule = &retry_rules[failure];
	struct endpoint *endpoint = exchange->endpoint;
	uint64_t now = loop_ms(&worker->loop);
	/* The budget guards servers: one that was known to refuse is not burdened. */
	bool is_free = failure == ATTEMPT_NOT_CONNECTED &&
		       balance_is_aside(&endpoint->balance, now);
	bool again;

	if (rule->blames)
		balance_report_failure(&endpoint->balance, failure == ATTEMPT_TIMED_OUT,
			now, rng_next(&worker->loop.rng));
	if (rule->excludes)
		exclude(exchange, endpoint);
	if (failure == ATTEMPT_CLOSED_UNSEEN || failure == ATTEMPT_DIED_REUSED)
		endpoint_distrust(endpoint);
	if (rule->outcome == OUTCOME_upstream_closed) /* after it was sent */
		exchange->fresh_only = true;
	/* Whatever it closed, it closed because it ended. */
	if (failure == ATTEMPT_NOT_CONNECTED)
		endpoint->distrusted_until_ms = 0;
	if (failure == ATTEMPT_NOT_CONNECTED && worker->draining &&
		exchange->direction == INBOUND)
		atomic_store(&exchange->client->front->app_refused, true);
	exchange->failure = rule->outcome;
	again = may_try_again(exchange, failure) &&
		(is_free || tally_take_retry(exchange->target->tally,
				    worker->config->retry_budget, now));
	if (!again) {
		exchange_answer(exchange, (enum outcome)exchange->failure, NULL);
		return;
	}
	worker->counters.retries[rule->reason]++;
	/* The attempt still counts while the next endpoint is chosen: of two that are
	 * equal it goes to the other. */
	endpoint_hold(endpoint);
	endpoint->balance.in_flight++;
	detach(exchange, false);
	exchange_dispatch(exchange);
	endpoint->balance.in_flight--;
	endpoint_release(endpoint);
}

void exchange_answer(struct exchange *exchange, enum outcome outcome, const char *detail)
{
	exchange->worker->counters.local_responses[outcome]++;
	if (!exchange->is_tcp)
		local_response_write(exchange, outcome, detail);
	exchange_end(
		exchange, outcome, exchange->is_tcp ? CLIENT_RESETS : CLIENT_GOES_ON);
}

static void log_access(struct exchange *exchange, enum outcome outcome, uint64_t took_us)
{
	const struct worker *worker = exchange->worker;
	const struct client *client = exchange->client;
	bool is_error = outcome_table[outcome].is_error;
	char peer[ADDRESS_TEXT_MAX], upstream[ADDRESS_TEXT_MAX], flow[24];

	if (worker->config->access_log == CONFIG_ACCESS_OFF ||
		(worker->config->access_log == CONFIG_ACCESS_ERRORS && !is_error))
		return;
	snprintf(flow, sizeof(flow), "%lu", (unsigned long)client->id);
	address_print(&client->peer, peer, sizeof(peer));
	if (exchange->endpoint)
		address_print(&exchange->endpoint->addr, upstream, sizeof(upstream));
	log_at(is_error ? LOG_WARN : LOG_INFO, flow, "access",
		"side=%s service=%s peer=%s upstream=%s request=%s status=%u outcome=%s "
		"duration_us=%lu bytes_up=%lu bytes_down=%lu recycled=%s",
		client->front->side, exchange->target ? exchange->target->key : NULL,
		peer, exchange->endpoint ? upstream : NULL, exchange->trace,
		(unsigned)exchange->status, outcome_table[outcome].name,
		(unsigned long)took_us, (unsigned long)exchange->bytes_up,
		(unsigned long)exchange->bytes_down, recycle_names[client->recycled]);
}

/* nginx's word for a client that did not wait for the answer. */
#define STATUS_CLIENT_CLOSED 499

static void count(struct exchange *exchange, enum outcome outcome)
{
	struct worker *worker = exchange->worker;
	uint64_t took_us = clock_us() - exchange->started_us;
	struct tally *tally = exchange->target ? exchange->target->tally
					       : tally_of(&worker->tallies,
							 exchange->direction, "none");
	uint16_t code = exchange->status;

	if (outcome == OUTCOME_client_closed && !exchange->head_sent)
		code = STATUS_CLIENT_CLOSED;
	if (tally && !exchange->is_tcp)
		tally_count(tally, code, took_us);
	worker->counters.ended[outcome]++;
	worker->gauges.in_flight[exchange->direction]--;
	log_access(exchange, outcome, took_us);
}

static void reap(struct deferred *deferred)
{
	struct exchange *exchange = container_of(deferred, struct exchange, waiter);

	slab_free(&exchange->worker->exchange_slab, exchange);
}

static void let_go(struct client *client, bool persist, enum client_fate fate)
{
	client->exchange = NULL;
	if (fate == CLIENT_GOES_ON)
		client_exchange_done(client, persist);
	else if (fate != CLIENT_IS_GONE)
		client_drop(client, fate == CLIENT_RESETS);
}

void exchange_end(struct exchange *exchange, enum outcome outcome, enum client_fate fate)
{
	struct worker *worker = exchange->worker;
	bool keep = outcome == OUTCOME_completed && exchange->upstream &&
		    exchange->upstream_persists && exchange->request_body.done &&
		    !exchange->upload_broken;

	count(exchange, outcome);
	detach(exchange, keep);
	if (exchange->target)
		target_release(exchange->target);
	buf_put(&worker->loop.bufs, exchange->request);
	free(exchange->trace);
	let_go(exchange->client, exchange->persist, fate);
	exchange->client = NULL;
	exchange->ended = true;
	loop_reap(&worker->loop, &exchange->waiter, reap);
}

static void keep_probing(const struct stream *stream)
{
	int on = 1;

	setsockopt(stream->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void on_relay_again(struct deferred *deferred)
{
	relay_run(container_of(deferred, struct exchange, waiter));
}

void exchange_start_tunnel(struct exchange *exchange)
{
	exchange->tunnel = true;
	exchange->worker->gauges.tunnels[exchange->direction][UPSTREAM]++;
	exchange->sent = true;
	exchange->waiter.run = on_relay_again;
	deadline_clear(&exchange->client->deadline);
	deadline_clear(&exchange->upstream->deadline);
	buf_put(&exchange->worker->loop.bufs, exchange->request);
	exchange->request = NULL;
	/* Nobody may be there any more, and nothing is sent that would tell. */
	keep_probing(&exchange->client->stream);
	keep_probing(&exchange->upstream->stream);
	if (exchange->client->state != CLIENT_TUNNEL)
		client_enter(exchange->client, CLIENT_TUNNEL);
	relay_run(exchange);
}

void exchange_on_client_lost(struct exchange *exchange)
{
	if (exchange->tunnel)
		stream_reset(&exchange->upstream->stream);
	exchange_end(exchange, OUTCOME_client_closed, CLIENT_IS_GONE);
}

void exchange_on_client(struct exchange *exchange)
{
	if (exchange->tunnel) {
		relay_run(exchange);
		return;
	}
	/* What was held back while the client took no more. */
	if (exchange->sent && exchange->upstream->stream.readable &&
		!stream_is_blocked(&exchange->client->stream))
		http_response_pump(exchange);
	/* The answer may have been 101 before the request was all there. */
	if (exchange->ended || exchange->tunnel)
		return;
	if (exchange->sent && !exchange->request_body.done && !exchange->upload_broken)
		http_upload_pump(exchange);
	else if (exchange->client->stream.readable && client_is_gone(exchange->client))
		client_drop(exchange->client, false);
}

void exchange_upstream_died(struct exchange *exchange)
{
	const struct upstream *upstream = exchange->upstream;
	bool seen = !upstream->reused || !upstream->stream.at_eof ||
		    stream_peer_took_any(&upstream->stream, upstream->n_written);

	exchange_attempt_failed(exchange, !seen              ? ATTEMPT_CLOSED_UNSEEN
					  : upstream->reused ? ATTEMPT_DIED_REUSED
							     : ATTEMPT_DIED);
}

static void on_connected(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;
	int err = stream_take_error(&upstream->stream);

	if (err != 0) {
		exchange_attempt_failed(exchange, failure_of(err));
		return;
	}
	upstream->connected = true;
	upstream->worker->counters.opened[exchange->target->direction][UPSTREAM]++;
	deadline_clear(&upstream->deadline);
	send_or_relay(exchange);
}

void exchange_on_upstream(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;

	if (!upstream->connected) {
		if (upstream->stream.writable || upstream->stream.readable)
			on_connected(exchange);
		return;
	}
	if (stream_flush(&upstream->stream) != 0)
		exchange->upload_broken = true;
	if (exchange->tunnel) {
		relay_run(exchange);
		return;
	}
	if (!exchange->sent)
		return;
	if (!exchange->request_body.done && !exchange->upload_broken &&
		!stream_is_blocked(&upstream->stream) &&
		exchange->client->stream.readable) {
		/* Ends the exchange when the body is bad or the client has gone. */
		if (!http_upload_pump(exchange))
			return;
	}
	http_response_pump(exchange);
}

void exchange_on_upstream_timeout(struct exchange *exchange)
{
	const struct upstream *upstream = exchange->upstream;

	if (!upstream->connected) {
		/* Who answers others only has a short queue: its kept connections serve.
		 */
		exchange_attempt_failed(exchange,
			exchange->endpoint->n_answers > upstream->n_answers_before
				? ATTEMPT_CROWDED
				: ATTEMPT_TIMED_OUT);
		return;
	}
	balance_report_failure(&exchange->endpoint->balance, false,
		loop_ms(&exchange->worker->loop), rng_next(&exchange->worker->loop.rng));
	exchange_answer(exchange, OUTCOME_response_timeout, NULL);
}
