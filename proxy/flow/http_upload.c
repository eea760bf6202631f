/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/http_upload.h"

#include <errno.h>

#define PUMP_ROUNDS 4

static void await_response(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;

	if (worker->config->response_timeout_ms > 0 && !exchange->head_sent)
		upstream_set_deadline(exchange->upstream, &worker->response,
			worker->config->response_timeout_ms);
}

/* The last request that the connection may carry says so. */
static bool is_last_request(struct upstream *upstream)
{
	enum recycle_reason reason;

	upstream->life.n_requests++;
	if (!lifetime_is_over(&upstream->life, loop_ms(&upstream->worker->loop), &reason))
		return false;
	upstream->worker->counters
		.recycled[upstream->endpoint->target->direction][UPSTREAM][reason]++;
	return true;
}

static void hold_no_more(struct exchange *exchange)
{
	exchange->complete_request_held = false;
	buf_put(&exchange->worker->loop.bufs, exchange->request);
	exchange->request = NULL;
}

/* What the upstream has not taken yet and the copy for another try are the same bytes
 * twice; a direction holds its bound in all. */
static void hold_within_bound(struct exchange *exchange)
{
	if (exchange->complete_request_held &&
		exchange->request->to + buf_len(exchange->upstream->stream.out) >
			EXCHANGE_HELD_MAX)
		hold_no_more(exchange);
}

void http_upload_begin(struct exchange *exchange)
{
	struct upstream *upstream = exchange->upstream;
	struct buf *request = exchange->request;
	struct str close = STR("Connection: close\r\n\r\n");
	struct iovec iov[3];
	int n_iov = 2, err;

	upstream->is_last = (is_last_request(upstream) || upstream->single) &&
			    !exchange->wants_upgrade;
	if (!upstream->is_last)
		close = STR("\r\n");
	iov[0] = (struct iovec){request->data, exchange->head_len};
	iov[1] = (struct iovec){(char *)close.ptr, close.len};
	iov[2] = (struct iovec){
		request->data + exchange->head_len, request->to - exchange->head_len};
	if (iov[2].iov_len > 0) {
		n_iov = 3;
	} else if (request->cap - request->to >= close.len) {
		/* Behind the head it is in nobody's way: the next try writes its own. */
		memcpy(request->data + request->to, close.ptr, close.len);
		iov[0].iov_len += close.len;
		n_iov = 1;
	}
	stream_turn(&exchange->client->stream);
	stream_turn(&upstream->stream);
	exchange->sent = true;
	exchange->n_sent = request->to + close.len;
	exchange->bytes_up = exchange->n_sent;
	err = stream_write(&upstream->stream, iov, n_iov);
	if (err != 0) {
		/* It had ended before: not a byte was taken. Only without memory can a
		 * part have gone. */
		exchange->upload_broken = err == -ENOMEM;
		exchange_attempt_failed(exchange, err == -ENOMEM ? ATTEMPT_DIED
						  : upstream->reused
							  ? ATTEMPT_CLOSED_UNSEEN
							  : ATTEMPT_NOT_CONNECTED);
		return;
	}
	hold_within_bound(exchange);
	/* A server may have said something and FIN before it was asked. */
	if (upstream->stream.readable)
		loop_defer(&exchange->worker->loop, &upstream->deferred,
			upstream_run_deferred);
	http_upload_pump(exchange);
}

void http_uploads_let_go(struct worker *worker)
{
	list_each_safe (node, next, &worker->clients) {
		struct exchange *exchange =
			container_of(node, struct client, node)->exchange;

		if (exchange && exchange->sent && exchange->request)
			hold_no_more(exchange);
	}
}

/* While all of the request is held it can be sent again. */
static void hold_more(struct exchange *exchange, struct str bytes)
{
	struct loop *loop = &exchange->worker->loop;
	size_t max = loop_is_short(loop) ? LOOP_SHORT_BYTES : EXCHANGE_HELD_MAX;

	if (!exchange->complete_request_held)
		return;
	if (exchange->request->to + bytes.len <= max &&
		buf_append(&loop->bufs, &exchange->request, bytes.ptr, bytes.len))
		return;
	hold_no_more(exchange);
}

/* The client broke the rules or went away within its body. A response that has begun ends
 * here too, and must not look like a whole one. */
static void abandon(struct exchange *exchange, const char *problem)
{
	if (problem && !exchange->head_sent)
		exchange_answer(exchange, OUTCOME_bad_request, problem);
	else
		client_drop(exchange->client, exchange->head_sent);
}

/* Bytes were read that have no place: nothing can follow them. */
static void lack_memory(struct exchange *exchange)
{
	exchange_end(exchange, OUTCOME_no_resources, CLIENT_RESETS);
}

/*
 * An upstream that takes no more of the body may have answered all the same, and then
 * tells its end. Who was not sent it for our own lack of memory would wait for it. False
 * when the exchange has ended.
 */
static bool body_sent(struct exchange *exchange, uint64_t n, int write_error)
{
	exchange->n_sent += n;
	exchange->bytes_up += n;
	if (write_error == 0)
		return true;
	exchange->upload_broken = true;
	exchange->upstream->stream.readable = true;
	if (write_error == -ENOMEM || write_error == -ENOBUFS)
		lack_memory(exchange);
	return !exchange->ended;
}

/* One read's worth. False when nothing more can be done now, or ever. */
static bool pump_once(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct client *client = exchange->client;
	struct iovec iov;
	size_t used;
	ssize_t n;

	n = stream_read(
		&client->stream, worker->loop.scratch, loop_read_bytes(&worker->loop));
	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		abandon(exchange, NULL);
		return false;
	}
	worker->counters.bytes[exchange->direction][DOWNSTREAM] += (uint64_t)n;
	struct str bytes = {worker->loop.scratch, (size_t)n};

	if (body_skim(&exchange->request_body, bytes, &used) == BODY_BAD) {
		abandon(exchange, exchange->request_body.problem);
		return false;
	}
	hold_more(exchange, (struct str){bytes.ptr, used});
	iov = (struct iovec){worker->loop.scratch, used};
	if (!body_sent(
		    exchange, used, stream_write(&exchange->upstream->stream, &iov, 1)))
		return false;
	hold_within_bound(exchange);
	if (!buf_append(&worker->loop.bufs, &client->in, bytes.ptr + used,
		    bytes.len - used)) {
		lack_memory(exchange);
		return false;
	}
	return true;
}

/* A large body in full flow, of which nothing is held any more. */
static bool can_move(const struct exchange *exchange)
{
	return exchange->client->stream.plenty && !exchange->complete_request_held &&
	       body_unseen(&exchange->request_body) >= LOOP_READ_BYTES;
}

static bool move_once(struct exchange *exchange)
{
	struct stream *up = &exchange->upstream->stream;
	int write_error;
	ssize_t n = stream_move(&exchange->client->stream, up,
		body_unseen(&exchange->request_body), &write_error);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		abandon(exchange, NULL);
		return false;
	}
	exchange->worker->counters.bytes[exchange->direction][DOWNSTREAM] += (uint64_t)n;
	body_pass(&exchange->request_body, (uint64_t)n);
	return body_sent(exchange, (uint64_t)n, write_error);
}

bool http_upload_pump(struct exchange *exchange)
{
	struct client *client = exchange->client;
	struct upstream *upstream = exchange->upstream;

	for (int i = 0; i < PUMP_ROUNDS; i++) {
		if (exchange->request_body.done || exchange->upload_broken ||
			!client->stream.readable || !stream_takes(&upstream->stream))
			break;
		if (!(can_move(exchange) ? move_once : pump_once)(exchange))
			break;
	}
	if (exchange->ended)
		return false;
	/* As long as nobody takes the body it is not read: a reset would go unnoticed. */
	if (stream_is_blocked(&upstream->stream) &&
		stream_take_error(&client->stream) != 0) {
		client_drop(client, false);
		return false;
	}
	if (exchange->request_body.done) {
		deadline_clear(&client->deadline);
	} else {
		stream_expect_more(&client->stream);
		client_await_body(client);
	}
	/* An upstream that takes no more of the body may answer all the same. */
	if (exchange->request_body.done || stream_is_blocked(&upstream->stream))
		await_response(exchange);
	else
		deadline_clear(&upstream->deadline);
	if (exchange->upload_broken ||
		(!exchange->request_body.done && client->stream.readable &&
			!stream_is_blocked(&upstream->stream)))
		loop_defer(&exchange->worker->loop, &upstream->deferred,
			upstream_run_deferred);
	return true;
}
