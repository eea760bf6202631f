/* SPDX-License-Identifier: Apache-2.0 */
/* Streams over TCP on the loopback; the test is the peer. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream.h"
#include "net_fixture.h"

struct end {
	struct loop loop;
	struct stream stream;
	int peer; /* -1 when closed */
	int n_ready;
	int flush_result;
};

static void on_ready(struct stream *stream)
{
	struct end *end = container_of(stream, struct end, stream);

	end->n_ready++;
	end->flush_result = stream_flush(stream);
}

static void end_init(struct end *end)
{
	int fds[2];

	*end = (struct end){0};
	tcp_pair(fds);
	end->peer = fds[1];
	cr_assert(loop_init(&end->loop, 100) == 0);
	cr_assert(stream_open(&end->stream, &end->loop, fds[0], on_ready) == 0);
	turn(&end->loop);
}

static void end_fini(struct end *end)
{
	stream_close(&end->stream);
	stream_close(&end->stream);
	if (end->peer >= 0)
		close(end->peer);
	loop_fini(&end->loop);
}

/* A small buffer on our side; the peer's holds more than a segment of the loopback, or
 * the kernel would wait for its timers. */
static void make_tight(struct end *end)
{
	int ours = 4096, theirs = 256 << 10;

	setsockopt(end->stream.fd, SOL_SOCKET, SO_SNDBUF, &ours, sizeof(ours));
	setsockopt(end->peer, SOL_SOCKET, SO_RCVBUF, &theirs, sizeof(theirs));
}

static int write_text(struct stream *stream, const char *text)
{
	struct iovec iov = {(char *)text, strlen(text)};

	return stream_write(stream, &iov, 1);
}

static void peer_says(const struct end *end, const char *text)
{
	cr_assert(write(end->peer, text, strlen(text)) == (ssize_t)strlen(text));
}

/* A read has nothing more; with a FIN under way the turn that follows has seen it. */
static void turn_when_readable(struct end *end)
{
	wait_readable(end->stream.fd);
	turn(&end->loop);
}

Test(net_stream, reads_to_the_end)
{
	struct end end;
	char text[16];

	end_init(&end);
	cr_expect(stream_peek(&end.stream) == -EAGAIN);
	peer_says(&end, "hello");
	turn_when_readable(&end);
	cr_expect(end.stream.readable && end.stream.writable && !end.stream.hung_up);
	cr_expect(stream_peek(&end.stream) == 1);
	/* As much as was asked for: there may be more. */
	cr_expect(stream_read(&end.stream, text, 2) == 2 && end.stream.readable);
	cr_expect(stream_read(&end.stream, text, 16) == 3 && !end.stream.readable);
	cr_expect(stream_read(&end.stream, text, 16) == -EAGAIN);
	/* The end stands behind the bytes, and asks for one more read. */
	peer_says(&end, "bye");
	shutdown(end.peer, SHUT_WR);
	turn_when_readable(&end);
	while (!end.stream.hung_up)
		turn(&end.loop);
	cr_expect(stream_read(&end.stream, text, 16) == 3 && end.stream.readable);
	cr_expect(!end.stream.at_eof);
	cr_expect(stream_read(&end.stream, text, 16) == 0 && end.stream.at_eof);
	cr_expect(!end.stream.readable && stream_peek(&end.stream) == 0);
	/* Half closed: the other way is open. */
	cr_expect(write_text(&end.stream, "x") == 0);
	cr_expect(read(end.peer, text, 16) == 1);
	end_fini(&end);
}

#define N_BYTES (3 << 20)

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i ^ i >> 8 ^ i >> 16);
}

/* Reads what is there now; gives how many bytes, -1 at the end. */
static ssize_t peer_takes(struct end *end, size_t *n_seen)
{
	unsigned char bytes[8192];
	ssize_t n = recv(end->peer, bytes, sizeof(bytes), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		cr_assert(bytes[i] == pattern(*n_seen + (size_t)i), "byte %zu", *n_seen);
	if (n == 0)
		return -1;
	n = n < 0 ? 0 : n;
	*n_seen += (size_t)n;
	return n;
}

/* A writer that stops while the stream is blocked, pieces of all sizes, a slow reader. */
Test(net_stream, back_pressure_keeps_order)
{
	static unsigned char bytes[N_BYTES];
	size_t n_written = 0, n_seen = 0, most = 0;
	int n_blocked = 0;
	struct end end;

	end_init(&end);
	make_tight(&end);
	for (size_t i = 0; i < N_BYTES; i++)
		bytes[i] = pattern(i);
	while (n_written < N_BYTES) {
		struct iovec iov[5];
		int n_iov = 1 + (int)rng_below(&end.loop.rng, 5);

		if (stream_is_blocked(&end.stream)) {
			n_blocked++;
			peer_takes(&end, &n_seen);
			turn(&end.loop);
			cr_assert(end.flush_result == 0);
			continue;
		}
		for (int i = 0; i < n_iov; i++) {
			size_t n = rng_below(&end.loop.rng,
				rng_below(&end.loop.rng, 4) ? 2000 : 20000);

			n = n < N_BYTES - n_written ? n : N_BYTES - n_written;
			iov[i] = (struct iovec){bytes + n_written, n};
			n_written += n;
		}
		cr_assert(stream_write(&end.stream, iov, n_iov) == 0);
		most = buf_len(end.stream.out) > most ? buf_len(end.stream.out) : most;
	}
	stream_finish(&end.stream);
	while (peer_takes(&end, &n_seen) >= 0)
		turn(&end.loop);
	cr_expect(n_seen == N_BYTES, "%zu", n_seen);
	cr_expect(n_blocked > 10 && most <= 5 * 20000, "%d, %zu", n_blocked, most);
	cr_expect(!end.stream.out && end.stream.fin_sent);
	end_fini(&end);
}

/* Both ways of moving, from a peer that has plenty to one that reads slowly. */
Test(net_stream, moves_all_in_order)
{
	static unsigned char bytes[2 * N_BYTES];
	size_t n_given = 0, n_seen = 0, most = 0;
	struct end from, to;
	int write_error, n_unseen = 0;
	bool ended = false;

	end_init(&from);
	end_init(&to);
	make_tight(&to);
	from.stream.loop = &to.loop; /* it is the reader's loop that matters */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = pattern(i);
	while (!ended) {
		ssize_t n = send(from.peer, bytes + n_given, sizeof(bytes) - n_given,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		n_given += n > 0 ? (size_t)n : 0;
		if (n_given == sizeof(bytes))
			shutdown(from.peer, SHUT_WR);
		from.stream.readable = true;
		n_unseen += from.stream.plenty;
		n = stream_is_blocked(&to.stream) ? -EAGAIN
						  : stream_move(&from.stream, &to.stream,
							    SIZE_MAX, &write_error);
		cr_assert(n == -EAGAIN || (n >= 0 && write_error == 0));
		ended = n == 0;
		most = buf_len(to.stream.out) > most ? buf_len(to.stream.out) : most;
		peer_takes(&to, &n_seen);
		turn(&to.loop);
	}
	stream_finish(&to.stream);
	while (peer_takes(&to, &n_seen) >= 0)
		turn(&to.loop);
	cr_expect(n_seen == sizeof(bytes), "%zu", n_seen);
	cr_expect(from.stream.at_eof && n_unseen > 0 && most <= 64 << 10, "%d, %zu",
		n_unseen, most);
	from.stream.loop = &from.loop;
	end_fini(&from);
	end_fini(&to);
}

/* Short of memory: who asks before he reads leaves nothing for us to hold, and hears of
 * it when he may go on. */
Test(net_stream, holds_little_where_memory_is_short)
{
	static unsigned char bytes[N_BYTES / 4];
	struct ceiling ceiling;
	size_t n_written = 0, n_seen = 0;
	int n_refused = 0;
	struct end end;

	end_init(&end);
	make_tight(&end);
	ceiling_init(&ceiling, 8 << 20);
	ceiling_take(&ceiling, 7 << 20);
	buf_pool_limit(&end.loop.bufs, &ceiling);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = pattern(i);
	while (n_written < sizeof(bytes)) {
		size_t n = sizeof(bytes) - n_written, cap = loop_read_bytes(&end.loop);
		struct iovec iov = {bytes + n_written, n < cap ? n : cap};

		if (stream_takes(&end.stream)) {
			n_written += iov.iov_len;
			cr_assert(stream_write(&end.stream, &iov, 1) == 0);
			/* Room is not always room for all of it. */
			cr_assert(buf_len(end.stream.out) < LOOP_SHORT_BYTES);
			continue;
		}
		n_refused++;
		end.n_ready = 0;
		cr_assert(stream_is_blocked(&end.stream));
		while (end.n_ready == 0) {
			peer_takes(&end, &n_seen);
			turn(&end.loop);
		}
		cr_assert(!stream_is_blocked(&end.stream));
	}
	stream_finish(&end.stream);
	while (peer_takes(&end, &n_seen) >= 0)
		turn(&end.loop);
	cr_expect(n_seen == sizeof(bytes) && n_refused > 3, "%zu, %d", n_seen, n_refused);
	cr_expect_eq(ceiling_used(&ceiling), 7 << 20);
	end_fini(&end);
}

Test(net_stream, fin_behind_what_waits)
{
	static char bytes[1 << 20];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct end end;
	size_t n_seen = 0;
	ssize_t n = 1;

	end_init(&end);
	make_tight(&end);
	cr_assert(stream_write(&end.stream, &iov, 1) == 0);
	cr_assert(stream_is_blocked(&end.stream));
	stream_finish(&end.stream);
	stream_finish(&end.stream);
	cr_expect(end.stream.fin_wanted && !end.stream.fin_sent);
	while (n != 0) {
		n = recv(end.peer, bytes, 4096, MSG_DONTWAIT);
		n_seen += n > 0 ? (size_t)n : 0;
		turn(&end.loop);
	}
	cr_expect(n_seen == sizeof(bytes) && end.stream.fin_sent, "%zu", n_seen);
	end_fini(&end);
}

Test(net_stream, fin_at_once)
{
	struct end end;
	char text[8];

	end_init(&end);
	cr_assert(write_text(&end.stream, "bye") == 0);
	stream_finish(&end.stream);
	cr_expect(end.stream.fin_sent);
	cr_expect(read(end.peer, text, 3) == 3 && read(end.peer, text, 8) == 0);
	/* The peer may go on. */
	peer_says(&end, "hello");
	turn_when_readable(&end);
	cr_expect(stream_read(&end.stream, text, 8) == 5);
	end_fini(&end);
}

/* One event tells of both; the bytes come first, and the reset is not lost. */
Test(net_stream, reset_together_with_bytes)
{
	struct end end;
	char text[16];
	int n_ready;

	end_init(&end);
	peer_says(&end, "hello");
	close_with_reset(end.peer);
	end.peer = -1;
	turn_when_readable(&end);
	cr_expect(stream_read(&end.stream, text, 16) == 5);
	if (end.stream.readable) /* it came a moment later, and was told */
		goto end;
	n_ready = end.n_ready;
	turn(&end.loop);
	streams_resolve_doubts(&end.loop);
	cr_expect(end.n_ready == n_ready, "nobody asked");
	stream_expect_more(&end.stream);
	stream_expect_more(&end.stream);
	streams_resolve_doubts(&end.loop);
	cr_expect(end.n_ready == n_ready + 1 && end.stream.readable);
end:
	cr_expect(stream_peek(&end.stream) == -ECONNRESET ||
		  stream_peek(&end.stream) == 0 /* the first peek took the error */);
	end_fini(&end);
}

/* It is seen behind bytes that nobody reads, and the read after them tells it again. */
Test(net_stream, reset_behind_unread_bytes)
{
	struct end end;
	char text[16];
	int err = 0;

	end_init(&end);
	peer_says(&end, "hello");
	turn_when_readable(&end);
	cr_expect(stream_take_error(&end.stream) == 0);
	close_with_reset(end.peer);
	end.peer = -1;
	while (err == 0)
		err = stream_take_error(&end.stream);
	cr_expect(err == -ECONNRESET);
	cr_expect(stream_take_error(&end.stream) == 0);
	cr_expect(stream_read(&end.stream, text, 16) == 5);
	cr_expect(stream_read(&end.stream, text, 16) == -ECONNRESET);
	end_fini(&end);
}

Test(net_stream, doubts_that_are_none)
{
	struct end end;
	char text[16];
	int n_ready;

	end_init(&end);
	peer_says(&end, "hello");
	turn_when_readable(&end);
	/* What is still to be read needs no second look. */
	stream_expect_more(&end.stream);
	cr_expect(list_empty(&end.loop.doubted));
	cr_expect(stream_read(&end.stream, text, 16) == 5);
	stream_expect_more(&end.stream);
	n_ready = end.n_ready;
	streams_resolve_doubts(&end.loop);
	cr_expect(end.n_ready == n_ready && list_empty(&end.loop.doubted));
	/* A stream that is closed meanwhile is forgotten. */
	stream_expect_more(&end.stream);
	stream_close(&end.stream);
	cr_expect(list_empty(&end.loop.doubted));
	streams_resolve_doubts(&end.loop);
	cr_expect(end.n_ready == n_ready);
	end_fini(&end);
}

static void on_ready_endlessly(struct stream *stream)
{
	struct end *end = container_of(stream, struct end, stream);
	char text[16];

	if (++end->n_ready < 100 && stream_read(stream, text, 16) > 0) {
		peer_says(end, "more");
		wait_readable(stream->fd);
		stream_expect_more(stream);
	}
}

/* Whoever always has more cannot keep the others waiting. */
Test(net_stream, doubts_do_not_hold_the_loop)
{
	struct end end;
	char text[16];

	end_init(&end);
	end.stream.on_ready = on_ready_endlessly;
	end.n_ready = 0;
	stream_expect_more(&end.stream);
	peer_says(&end, "hello");
	wait_readable(end.stream.fd);
	streams_resolve_doubts(&end.loop);
	cr_expect(end.n_ready == 1, "%d", end.n_ready);
	cr_expect(stream_read(&end.stream, text, 16) == 4);
	end_fini(&end);
}

Test(net_stream, reset_and_close)
{
	struct end end;
	char text[8];

	end_init(&end);
	cr_assert(write_text(&end.stream, "x") == 0);
	stream_reset(&end.stream);
	stream_reset(&end.stream);
	cr_expect(end.stream.fd == -1 && !stream_is_blocked(&end.stream));
	while (read(end.peer, text, 8) > 0)
		;
	cr_expect(errno == ECONNRESET, "%d", errno);
	end_fini(&end);

	end_init(&end);
	stream_close(&end.stream);
	cr_expect(read(end.peer, text, 8) == 0);
	stream_finish(&end.stream);
	end_fini(&end);
}

/* Bytes that wait are given up with the stream. */
Test(net_stream, close_while_blocked)
{
	static char bytes[1 << 20];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct end end;

	end_init(&end);
	make_tight(&end);
	cr_assert(stream_write(&end.stream, &iov, 1) == 0);
	cr_assert(stream_is_blocked(&end.stream));
	end_fini(&end);
}

Test(net_stream, write_to_nobody)
{
	struct end end;
	int err = 0;

	end_init(&end);
	close_with_reset(end.peer);
	end.peer = -1;
	turn_when_readable(&end);
	for (int i = 0; i < 2 && err == 0; i++)
		err = write_text(&end.stream, "x");
	cr_expect(err == -EPIPE || err == -ECONNRESET, "%d", err);
	end_fini(&end);
}

Test(net_stream, empty_writes)
{
	struct iovec iov[3] = {{"", 0}, {"a", 1}, {"", 0}};
	struct end end;
	char text[8];

	end_init(&end);
	cr_expect(stream_write(&end.stream, iov, 1) == 0);
	cr_expect(stream_write(&end.stream, iov, 0) == 0);
	cr_expect(stream_write(&end.stream, iov, 3) == 0);
	cr_expect(!stream_is_blocked(&end.stream));
	cr_expect(read(end.peer, text, 8) == 1);
	end_fini(&end);
}

Test(net_stream, connect)
{
	struct end end = {.peer = -1};
	union address address;
	int listening = listen_on_loopback(&address), fd = lowest_free_fd();

	cr_assert(loop_init(&end.loop, 100) == 0);
	cr_assert(stream_connect(&end.stream, &end.loop, &address.sa, on_ready) == 0);
	/* Before it is connected, bytes wait. */
	end.peer = accept(listening, NULL, NULL);
	while (!end.stream.writable)
		turn(&end.loop);
	cr_expect(stream_take_error(&end.stream) == 0);
	stream_close(&end.stream);
	close(end.peer);
	close(listening);
	/* Now nobody listens there. */
	if (stream_connect(&end.stream, &end.loop, &address.sa, on_ready) == 0) {
		while (!end.stream.writable)
			turn(&end.loop);
		cr_expect(stream_take_error(&end.stream) == -ECONNREFUSED);
	}
	end.peer = -1;
	end_fini(&end);
	cr_expect(lowest_free_fd() == fd - 1);
}

/* What the peer's kernel has taken before it closed. */
Test(net_stream, peer_took_any)
{
	struct end end;
	union address address;
	int listening = listen_on_loopback(&address);
	char text[8];

	end = (struct end){.peer = -1};
	cr_assert(loop_init(&end.loop, 100) == 0);
	for (int written = 0; written < 2; written++) {
		cr_assert(stream_connect(&end.stream, &end.loop, &address.sa, on_ready) ==
			  0);
		end.peer = accept(listening, NULL, NULL);
		while (!end.stream.writable)
			turn(&end.loop);
		if (written) {
			cr_assert(write_text(&end.stream, "hello") == 0);
			cr_assert(read(end.peer, text, 8) == 5);
		}
		close(end.peer); /* its FIN acknowledges */
		turn_when_readable(&end);
		cr_expect(stream_read(&end.stream, text, 8) == 0);
		/* This comes too late. */
		cr_expect(write_text(&end.stream, "again") == 0);
		cr_expect(stream_peer_took_any(&end.stream, 0) == written);
		cr_expect(stream_peer_took_any(&end.stream, 4) == written);
		cr_expect(!stream_peer_took_any(&end.stream, 5));
		stream_close(&end.stream);
	}
	close(listening);
	end.peer = -1;
	end_fini(&end);
}

/* Not while a byte waits here or on the way. */
Test(net_stream, peer_has_all)
{
	struct end end;
	char buf[65536] = {0};

	end_init(&end);
	make_tight(&end);
	cr_expect(stream_peer_has_all(&end.stream));
	while (!stream_is_blocked(&end.stream)) {
		struct iovec iov = {buf, sizeof(buf)};

		cr_assert(stream_write(&end.stream, &iov, 1) == 0);
	}
	cr_expect(!stream_peer_has_all(&end.stream));
	while (!stream_peer_has_all(&end.stream)) {
		(void)!recv(end.peer, buf, sizeof(buf), MSG_DONTWAIT);
		turn(&end.loop);
		cr_assert(stream_flush(&end.stream) == 0);
	}
	end_fini(&end);
}
