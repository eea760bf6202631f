/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/relay.h"

#include <errno.h>

#define ROUNDS 8

enum relay_result { RELAY_IDLE, RELAY_AGAIN, RELAY_BROKEN };

/* At most ROUNDS reads, so that one fast pair does not hold the loop. */
static enum relay_result move(struct stream *from, struct stream *to, uint64_t *count)
{
	for (int i = 0; i < ROUNDS; i++) {
		int write_error;
		ssize_t n;

		if (!from->readable || from->at_eof || !stream_takes(to))
			return RELAY_IDLE;
		n = stream_move(from, to, SIZE_MAX, &write_error);
		if (n == -EAGAIN)
			return RELAY_IDLE;
		if (n == 0) {
			stream_finish(to);
			return RELAY_IDLE;
		}
		if (n < 0)
			return RELAY_BROKEN;
		*count += (uint64_t)n;
		stream_turn(to);
		if (write_error != 0)
			return RELAY_BROKEN;
		stream_expect_more(from);
	}
	return RELAY_AGAIN;
}

static void finish(struct exchange *exchange, enum outcome outcome, bool reset)
{
	if (reset)
		stream_reset(&exchange->upstream->stream);
	exchange_end(exchange, outcome, reset ? CLIENT_RESETS : CLIENT_CLOSES);
}

/* What the client sent behind its request is the first of the tunnel. */
static int send_early_bytes(struct client *client, struct stream *to)
{
	struct buf *in = client->in;
	struct iovec iov;
	int err;

	if (!in)
		return 0;
	iov = (struct iovec){in->data + in->from, buf_len(in)};
	err = stream_write(to, &iov, 1);
	buf_put(&client->worker->loop.bufs, in);
	client->in = NULL;
	return err;
}

/*
 * Who is not read, because the other side takes no more or its own FIN has come, could
 * reset the connection unnoticed, for as long as the other side likes.
 */
static bool is_gone_unread(struct stream *from, const struct stream *to)
{
	return (from->at_eof || stream_is_blocked(to)) && stream_take_error(from) != 0;
}

/* What came before the reset gets some time to be taken. */
static void pass_reset(struct exchange *exchange, const struct stream *to)
{
	if (stream_is_blocked(to))
		client_reset_soon(exchange->client);
	else
		finish(exchange, OUTCOME_completed, true);
}

void relay_run(struct exchange *exchange)
{
	struct worker *worker = exchange->worker;
	struct stream *down = &exchange->client->stream;
	struct stream *up = &exchange->upstream->stream;
	enum relay_result a, b;

	if (exchange->upload_broken || send_early_bytes(exchange->client, up) != 0) {
		finish(exchange, OUTCOME_client_closed, true);
		return;
	}
	a = move(down, up, &exchange->bytes_up);
	b = move(up, down, &exchange->bytes_down);
	if (a == RELAY_BROKEN || b == RELAY_BROKEN)
		finish(exchange, OUTCOME_completed, true);
	else if (down->fin_sent && up->fin_sent)
		finish(exchange, OUTCOME_completed, false);
	else if (a == RELAY_AGAIN || b == RELAY_AGAIN)
		loop_defer(&worker->loop, &exchange->waiter, exchange->waiter.run);
	else if (is_gone_unread(down, up))
		pass_reset(exchange, up);
	else if (is_gone_unread(up, down))
		pass_reset(exchange, down);
}
