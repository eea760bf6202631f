/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads are put together anew in the worker's emit buffer, bodies go out of the buffer
 * they were read into; one writev carries both. The client's connection persists only
 * where its end of the message is certain.
 */
#include "flow/http_response.h"

#include <errno.h>

#include "flow/emit.h"

#define PUMP_ROUNDS 4
#define CHUNK_RUNS  64
#define ONE_FLIGHT  14600 /* bytes: ten segments */

/* Gone, or there is no memory for what it does not take: then it must not take what it
 * has for whole. */
static void client_lost(struct exchange *exchange)
{
	client_drop(exchange->client, true);
}

/* The response cannot be completed any more: the client must not take it for whole. */
static void cut(struct exchange *exchange, enum outcome outcome)
{
	const struct body *body = &exchange->response_body;
	/* Of what is malformed it is not known how much has gone on. */
	bool looks_whole = exchange->dechunk || body->problem || body_looks_whole(body);

	exchange->persist = false;
	exchange_end(exchange, outcome, looks_whole ? CLIENT_RESETS : CLIENT_GOES_ON);
}

static void fail(struct exchange *exchange, enum outcome outcome, const char *detail)
{
	if (exchange->head_sent)
		cut(exchange, OUTCOME_response_truncated);
	else
		exchange_answer(exchange, outcome, detail);
}

/* The upstream has closed, or reset, the connection. */
static void upstream_ended(struct exchange *exchange, bool clean)
{
	if (exchange->head_sent && exchange->response_body.kind == BODY_UNTIL_CLOSE &&
		clean) {
		exchange->upstream_persists = false;
		exchange_end(exchange, OUTCOME_completed, CLIENT_GOES_ON);
	} else if (exchange->head_sent) {
		cut(exchange, OUTCOME_response_truncated);
	} else if (exchange->upstream->in) {
		fail(exchange, OUTCOME_bad_response, "the head broke off");
	} else if (exchange->response_began) {
		fail(exchange, OUTCOME_upstream_closed, NULL);
	} else {
		exchange_upstream_died(exchange);
	}
}

/* `Keep-Alive: timeout=5` of the server: we stop a second before it does. */
static uint64_t keep_time(const struct worker *worker, const struct head *head)
{
	uint64_t keep_ms = worker->config->pool_idle_timeout_ms, seconds;
	struct str list, element;

	if (!head->n_of[FIELD_KEEP_ALIVE])
		return keep_ms;
	list = head_last(head, FIELD_KEEP_ALIVE)->value;
	while (str_next_element(&list, &element)) {
		struct str name = STR("timeout=");

		if (element.len <= name.len ||
			!str_is_nocase((struct str){element.ptr, name.len}, name) ||
			!str_to_u64((struct str){element.ptr + name.len,
					    element.len - name.len},
				&seconds))
			continue;
		if (seconds <= 1)
			return seconds * 500;
		if ((seconds - 1) * 1000 < keep_ms)
			return (seconds - 1) * 1000;
	}
	return keep_ms;
}

/* These have no body whatever their fields say, and may not speak of one (RFC 9110
 * section 8.6, RFC 9112 section 6.1). */
static bool may_speak_of_body(const struct exchange *exchange, const struct head *head)
{
	return head->status >= 200 && head->status != 204 &&
	       !(exchange->method == METHOD_CONNECT && head->status / 100 == 2);
}

static bool is_forwarded(const struct exchange *exchange, const struct head *head,
	const struct field *field)
{
	switch (field->id) {
	case FIELD_UPGRADE:
		return head->status == 101 || head->status == 426;
	case FIELD_TRANSFER_ENCODING:
		return !exchange->client_is_1_0 && may_speak_of_body(exchange, head);
	case FIELD_CONTENT_LENGTH:
		return may_speak_of_body(exchange, head);
	default:
		return !field->drop;
	}
}

static struct str connection_line(
	const struct exchange *exchange, const struct head *head)
{
	if (head->status == 101)
		return STR("Connection: Upgrade\r\n");
	if (head->status < 200)
		return STR("");
	if (!exchange->persist)
		return head->status == 426 ? STR("Connection: upgrade, close\r\n")
					   : STR("Connection: close\r\n");
	if (head->status == 426)
		return STR("Connection: upgrade\r\n");
	return exchange->client_is_1_0 ? STR("Connection: keep-alive\r\n") : STR("");
}

/* Ours where it differs; else the line is the first of those that go on as they are. */
static struct str emit_status_line(struct text *out, const struct head *head)
{
	if (head->minor == 1 && head->reason.len > 0)
		return (struct str){head->first_line.ptr, head->first_line.len + 2};
	text_add(out, STR("HTTP/1.1 "));
	text_add_u64(out, head->status);
	text_add(out, head->reason.len > 0 ? head->reason : STR(" "));
	text_add(out, STR("\r\n"));
	return STR("");
}

/* A head of which all goes on as it is stays where it is, before its body. */
static struct str emit_head(struct exchange *exchange, const struct head *head)
{
	struct worker *worker = exchange->worker;
	struct text out = {.ptr = worker->emit, .cap = worker->emit_bytes};
	struct str run = emit_status_line(&out, head);
	struct str connection = connection_line(exchange, head);
	const char *empty_line = head->base + head->len - 2;

	for (size_t i = 0; i < head->n_fields; i++)
		if (is_forwarded(exchange, head, &head->fields[i]))
			emit_field(&out, &run, &head->fields[i]);
	if (out.len == 0 && connection.len == 0 && run.ptr + run.len == empty_line)
		return (struct str){run.ptr, run.len + 2};
	text_add(&out, run);
	text_add(&out, connection);
	text_add(&out, STR("\r\n"));
	return (struct str){out.ptr, out.len};
}

/* A body that must not be may come all the same, into the next response. */
static bool threatens_body(const struct exchange *exchange, const struct head *head)
{
	return head->status == 204 &&
	       (head->n_of[FIELD_TRANSFER_ENCODING] || exchange->response_body.left > 0);
}

/* Decides how both connections go on after this response. */
static void decide_persistence(struct exchange *exchange, const struct head *head)
{
	exchange->upstream_persists = head_keeps_alive(head) &&
				      exchange->response_body.kind != BODY_UNTIL_CLOSE &&
				      !threatens_body(exchange, head) &&
				      !exchange->upstream->is_last;
	exchange->response_keep_ms = keep_time(exchange->worker, head);
	exchange->dechunk =
		exchange->response_body.kind == BODY_CHUNKED && exchange->client_is_1_0;
	/* A body of the request that is still under way ends with the connection. */
	exchange->persist = exchange->client_keeps_alive && exchange->request_body.done &&
			    exchange->response_body.kind != BODY_UNTIL_CLOSE &&
			    !exchange->dechunk;
	if (exchange->persist && client_retires(exchange->client))
		exchange->persist = false;
}

/* The peer's sidecar did not pass the request on: somebody else may take it. */
static bool goes_elsewhere(struct exchange *exchange, const struct head *head)
{
	if (!head->n_of[FIELD_NOT_PROCESSED] || exchange->direction != OUTBOUND ||
		!exchange_can_go_elsewhere(exchange))
		return false;
	exchange_attempt_failed(exchange, ATTEMPT_NOT_PROCESSED);
	return true;
}

static struct str method_of(const struct exchange *exchange)
{
	return exchange->method == METHOD_HEAD      ? STR("HEAD")
	       : exchange->method == METHOD_CONNECT ? STR("CONNECT")
						    : STR("");
}

/* A response that is not final (RFC 9110 section 15.2): passed on, unless the client is
 * too old for it. False when the exchange has ended. */
static bool forward_informational(struct exchange *exchange, const struct head *head)
{
	struct str out;
	struct iovec iov;

	if (exchange->client_is_1_0)
		return true;
	out = emit_head(exchange, head);
	iov = (struct iovec){(char *)out.ptr, out.len};
	if (stream_write(&exchange->client->stream, &iov, 1) != 0) {
		client_lost(exchange);
		return false;
	}
	return true;
}

static void switch_protocols(struct exchange *exchange, struct str rest)
{
	struct iovec iov[2];
	struct str out;

	exchange->head_sent = true;
	exchange->status = exchange->worker->head.status;
	exchange->persist = true; /* no Connection: close in the head of a tunnel */
	out = emit_head(exchange, &exchange->worker->head);
	iov[0] = (struct iovec){(char *)out.ptr, out.len};
	iov[1] = (struct iovec){(char *)rest.ptr, rest.len};
	if (stream_write(&exchange->client->stream, iov, 2) != 0) {
		client_lost(exchange);
		return;
	}
	exchange_start_tunnel(exchange);
}

/*
 * Who has said close sends nothing more (RFC 9112 section 9.6): no byte can cross the
 * response and make a reset of our end, and there is nothing to linger for. HTTP/1.0 does
 * not say it, and some behind it send another CRLF; behind CONNECT there may be anything.
 * What goes in one flight (RFC 6928) needs no acknowledgement first, so that even the end
 * of the pod takes nothing away.
 */
static bool is_last_word(const struct exchange *exchange)
{
	const struct client *client = exchange->client;

	return !exchange->client_keeps_alive && !exchange->client_is_1_0 &&
	       exchange->method != METHOD_CONNECT && exchange->request_body.done &&
	       exchange->bytes_down <= ONE_FLIGHT && !client->in &&
	       !client->stream.readable && !stream_is_blocked(&client->stream) &&
	       !exchange->worker->draining;
}

static void complete(struct exchange *exchange, bool has_extra_bytes)
{
	if (has_extra_bytes)
		exchange->upstream_persists = false;
	exchange_end(exchange, OUTCOME_completed,
		is_last_word(exchange) ? CLIENT_CLOSES : CLIENT_GOES_ON);
}

/* Content runs only, for a client that does not know chunks. */
static bool write_dechunked(struct exchange *exchange, struct iovec *iov, int n_iov,
	struct str bytes, size_t *used, enum body_result *result)
{
	*used = 0;
	do {
		struct str run;
		size_t step;

		*result = body_step(&exchange->response_body,
			(struct str){bytes.ptr + *used, bytes.len - *used}, &step, &run);
		if (*result == BODY_BAD)
			break;
		*used += step;
		if (run.len > 0)
			iov[n_iov++] = (struct iovec){(char *)run.ptr, run.len};
		if (n_iov == CHUNK_RUNS) {
			if (stream_write(&exchange->client->stream, iov, n_iov) != 0)
				return false;
			n_iov = 0;
		}
	} while (*result == BODY_MORE && *used < bytes.len);
	return n_iov == 0 || stream_write(&exchange->client->stream, iov, n_iov) == 0;
}

/* So many bytes have gone on, n_extra came behind the end. False when the exchange has
 * ended. */
static bool body_went(
	struct exchange *exchange, enum body_result result, uint64_t n, size_t n_extra)
{
	exchange->bytes_down += n;
	if (result == BODY_BAD)
		cut(exchange, OUTCOME_response_truncated);
	else if (result == BODY_DONE)
		complete(exchange, n_extra > 0);
	else
		stream_expect_more(&exchange->upstream->stream);
	return !exchange->ended;
}

/* Body bytes, behind a head if there is one. False when the exchange has ended. */
static bool forward_body(struct exchange *exchange, struct str head, struct str bytes)
{
	struct iovec iov[CHUNK_RUNS + 1];
	enum body_result result;
	size_t used;
	int n_iov = 0;
	bool written;

	if (head.len > 0)
		iov[n_iov++] = (struct iovec){(char *)head.ptr, head.len};
	if (exchange->dechunk) {
		written = write_dechunked(exchange, iov, n_iov, bytes, &used, &result);
	} else {
		result = body_skim(&exchange->response_body, bytes, &used);
		if (result == BODY_BAD)
			used = 0;
		if (n_iov > 0 && head.ptr + head.len == bytes.ptr)
			iov[0].iov_len += used;
		else if (used > 0)
			iov[n_iov++] = (struct iovec){(char *)bytes.ptr, used};
		written = n_iov == 0 ||
			  stream_write(&exchange->client->stream, iov, n_iov) == 0;
	}
	if (!written) {
		client_lost(exchange);
		return false;
	}
	return body_went(exchange, result, used + head.len, bytes.len - used);
}

/* What came with the head may show that the framing is broken before anything is sent. */
static bool body_begins_well(const struct exchange *exchange, struct str bytes)
{
	struct body trial = exchange->response_body;
	size_t used;

	return trial.kind != BODY_CHUNKED || body_skim(&trial, bytes, &used) != BODY_BAD;
}

static bool final_head(struct exchange *exchange, struct str rest)
{
	struct worker *worker = exchange->worker;
	struct head *head = &worker->head;

	if (goes_elsewhere(exchange, head))
		return false;
	if (framing_of_response(head, method_of(exchange), &exchange->response_body,
		    worker->config->max_header_bytes) != FRAMING_OK) {
		fail(exchange, OUTCOME_bad_response, head->problem);
		return false;
	}
	if (!body_begins_well(exchange, rest)) {
		fail(exchange, OUTCOME_bad_response, "a malformed chunked body");
		return false;
	}
	endpoint_answered(exchange->endpoint);
	deadline_clear(&exchange->upstream->deadline);
	buf_put(&worker->loop.bufs, exchange->request);
	exchange->request = NULL;
	exchange->complete_request_held = false;
	exchange->status = head->status;
	if (exchange->method == METHOD_CONNECT && head->status / 100 == 2) {
		switch_protocols(exchange, rest);
		return false;
	}
	decide_persistence(exchange, head);
	exchange->head_sent = true;
	return forward_body(exchange, emit_head(exchange, head), rest);
}

static bool answer_bad_head(struct exchange *exchange, enum head_result result)
{
	if (result == HEAD_LARGE)
		fail(exchange, OUTCOME_response_too_large, NULL);
	else if (result != HEAD_DONE)
		fail(exchange, OUTCOME_bad_response, exchange->worker->head.problem);
	return result != HEAD_DONE;
}

/* Heads until the final one. False when the exchange has ended or become a tunnel. */
static bool read_heads(struct exchange *exchange, struct str bytes)
{
	struct upstream *upstream = exchange->upstream;
	struct worker *worker = exchange->worker;
	struct head *head = &worker->head;

	while (bytes.len > 0) {
		enum head_result result = head_parse(head, &upstream->scan, HEAD_RESPONSE,
			bytes, worker->config->max_header_bytes);
		struct str rest;

		if (result == HEAD_MORE) {
			if (buf_append(&worker->loop.bufs, &upstream->in, bytes.ptr,
				    bytes.len))
				break;
			fail(exchange, OUTCOME_no_resources, NULL);
			return false;
		}
		upstream->scan = (struct head_scan){0};
		if (answer_bad_head(exchange, result))
			return false;
		rest = (struct str){bytes.ptr + head->len, bytes.len - head->len};
		if (head->status == 101) {
			if (!exchange->wants_upgrade) {
				fail(exchange, OUTCOME_bad_response,
					"an upgrade nobody asked for");
				return false;
			}
			endpoint_answered(exchange->endpoint);
			switch_protocols(exchange, rest);
			return false;
		}
		if (head->status >= 200)
			return final_head(exchange, rest);
		if (!forward_informational(exchange, head))
			return false;
		if (worker->config->response_timeout_ms == 0)
			deadline_clear(&upstream->deadline);
		bytes = rest;
	}
	stream_expect_more(&upstream->stream);
	return true;
}

/* A large body in full flow, which is not looked at. */
static bool can_move(const struct exchange *exchange)
{
	return exchange->head_sent && exchange->upstream->stream.plenty &&
	       body_unseen(&exchange->response_body) >= LOOP_READ_BYTES;
}

static bool move_once(struct exchange *exchange)
{
	struct body *body = &exchange->response_body;
	int write_error;
	ssize_t n = stream_move(&exchange->upstream->stream, &exchange->client->stream,
		body_unseen(body), &write_error);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		upstream_ended(exchange, n == 0);
		return false;
	}
	exchange->worker->counters.bytes[exchange->direction][UPSTREAM] += (uint64_t)n;
	if (write_error != 0) {
		client_lost(exchange);
		return false;
	}
	return body_went(exchange, body_pass(body, (uint64_t)n), (uint64_t)n, 0);
}

/* Not a byte of the request has left: what comes is no answer to it (RFC 9112 section
 * 9.2), and any other connection may still have it. */
static bool is_unasked(const struct exchange *exchange)
{
	return !exchange->response_began &&
	       buf_len(exchange->upstream->stream.out) == exchange->n_sent;
}

static bool pump_once(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;
	struct worker *worker = exchange->worker;
	struct loop *loop = &worker->loop;
	size_t kept = buf_len(upstream->in), room = loop->scratch_bytes - kept,
	       cap = loop_read_bytes(loop);
	ssize_t n;

	n = stream_read(&upstream->stream, loop->scratch + kept, cap < room ? cap : room);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		upstream_ended(exchange, n == 0);
		return false;
	}
	worker->counters.bytes[exchange->direction][UPSTREAM] += (uint64_t)n;
	if (is_unasked(exchange)) {
		exchange_attempt_failed(exchange, ATTEMPT_CLOSED_UNSEEN);
		return false;
	}
	if (kept > 0) {
		memcpy(loop->scratch, upstream->in->data + upstream->in->from, kept);
		buf_put(&loop->bufs, upstream->in);
		upstream->in = NULL;
	}
	struct str bytes = {loop->scratch, kept + (size_t)n};

	exchange->response_began = true;
	if (exchange->head_sent)
		return forward_body(exchange, STR(""), bytes);
	return read_heads(exchange, bytes);
}

static bool has_to_wait(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct upstream *upstream = exchange->upstream;

	if (!worker_head_waits(
		    worker, &worker->response_head, &upstream->deadline, upstream->in))
		return false;
	worker->response_heads_wait = true;
	return true;
}

/* Visits the connections on which a head is under way. */
static void each_partial_head(struct worker *worker, void (*visit)(struct upstream *))
{
	list_each_safe (node, next, &worker->clients) {
		struct exchange *exchange =
			container_of(node, struct client, node)->exchange;

		if (exchange && exchange->upstream && exchange->upstream->in)
			visit(exchange->upstream);
	}
}

/* NIGH_RESPONSE_TIMEOUT, where it is set, is an end too. */
static void hurry(struct upstream *upstream)
{
	struct worker *worker = upstream->worker;

	if (!list_linked(&upstream->deadline.node))
		upstream_set_deadline(upstream, &worker->response_head,
			worker->config->header_timeout_ms);
}

void http_responses_hurry(struct worker *worker)
{
	each_partial_head(worker, hurry);
}

static void resume(struct upstream *upstream)
{
	loop_defer(&upstream->worker->loop, &upstream->deferred, upstream_run_deferred);
}

void http_responses_resume(struct worker *worker)
{
	if (!worker->response_heads_wait)
		return;
	worker->response_heads_wait = false;
	each_partial_head(worker, resume);
}

void http_response_pump(struct exchange *exchange)
{
	for (int i = 0; i < PUMP_ROUNDS; i++) {
		if (!exchange->upstream->stream.readable ||
			!stream_takes(&exchange->client->stream) ||
			(exchange->upstream->in && has_to_wait(exchange)))
			return;
		if (!(can_move(exchange) ? move_once : pump_once)(exchange) ||
			exchange->ended)
			return;
	}
	loop_defer(&exchange->worker->loop, &exchange->upstream->deferred,
		upstream_run_deferred);
}
