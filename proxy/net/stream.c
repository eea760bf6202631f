/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edge-triggered: the kernel tells of a change once. A read that gives less than was
 * asked for has emptied the socket, and new bytes will be told anew; only the end of the
 * stream needs one more read, which `hung_up` asks for. In the same way a write that
 * takes everything proves nothing, and one that does not will be followed by an event.
 */
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/reserve.h"
#include "net/loop.h"

/*
 * Bytes that do not pass through our memory: from how far into a message, how many at
 * once, and how many the last time make the next one worth it. A copy is cheaper as long
 * as the caches hold what is under way, and for little more than the handling of pages.
 * Measured with the relay of tests/bench, CPU per byte, as it is: 1. By splice of up to
 * 256 KiB: messages of 1 MiB 0.9 to 1.4, of 100 MiB 0.6; of 64 KiB at once 0.8, of 1 MiB
 * 0.65.
 */
#define MOVE_FROM  (4 << 20)
#define MOVE_BYTES (256 << 10)
#define MOVE_WORTH (16 << 10)

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;

	(void)fd;
	if (what & EV_CLOSED)
		stream->hung_up = stream->readable = true;
	if (what & EV_READ)
		stream->readable = true;
	if (what & EV_WRITE) {
		stream->writable = true;
		stream->full = false;
	}
	stream->on_ready(stream);
}

/* -errno; a reset is kept for the next read, which would take it for the end. */
static int failure(struct stream *stream)
{
	if (errno == ECONNRESET)
		stream->was_reset = true;
	return -errno;
}

int stream_open(struct stream *stream, struct loop *loop, int fd, stream_fn *on_ready)
{
	bool failed;

	*stream = (struct stream){.loop = loop, .on_ready = on_ready, .fd = fd};
	/* What libevent keeps for a socket number, it keeps for ever. */
	reserve_close(true);
	failed = event_assign(&stream->event, loop->base, fd,
			 EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_event,
			 stream) != 0 ||
		 event_add(&stream->event, NULL) != 0;
	reserve_close(false);
	if (failed) {
		stream->fd = -1;
		return -ENOMEM;
	}
	return 0;
}

int stream_connect(struct stream *stream, struct loop *loop, const struct sockaddr *to,
	stream_fn *on_ready)
{
	socklen_t len = to->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						  : sizeof(struct sockaddr_in);
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, err;

	stream->fd = -1;
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, to, len) != 0 && errno != EINPROGRESS) {
		err = -errno;
		close(fd);
		return err;
	}
	err = stream_open(stream, loop, fd, on_ready);
	if (err != 0)
		close(fd);
	return err;
}

int stream_take_error(struct stream *stream)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		return -errno;
	/* For the next read, which would take it for the end. */
	if (err != 0)
		stream->was_reset = true;
	return -err;
}

void stream_close(struct stream *stream)
{
	if (stream->fd < 0)
		return;
	event_del(&stream->event);
	list_unlink(&stream->doubt);
	close(stream->fd);
	stream->fd = -1;
	buf_put(&stream->loop->bufs, stream->out);
	stream->out = NULL;
	stream->readable = stream->writable = stream->full = false;
}

void stream_reset(struct stream *stream)
{
	static const struct linger abort_now = {.l_onoff = 1, .l_linger = 0};

	if (stream->fd < 0)
		return;
	setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	stream_close(stream);
}

ssize_t stream_read(struct stream *stream, char *to, size_t cap)
{
	ssize_t n;

	do {
		n = recv(stream->fd, to, cap, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 || (n == 0 && stream->was_reset)) {
		stream->readable = false;
		return n < 0 ? failure(stream) : -ECONNRESET;
	}
	if (n == 0)
		stream->at_eof = true;
	if (n == 0 || ((size_t)n < cap && !stream->hung_up))
		stream->readable = false;
	stream->n_in_a_row += (size_t)n;
	stream->plenty = stream->n_in_a_row >= MOVE_FROM && (size_t)n == cap;
	return n;
}

void stream_expect_more(struct stream *stream)
{
	if (!list_linked(&stream->doubt) && !stream->readable)
		list_push(&stream->loop->doubted, &stream->doubt);
}

void streams_resolve_doubts(struct loop *loop)
{
	struct list batch;
	struct list *node;

	/* Who is in doubt again has to wait for the next tick: a peer that sends all the
	 * time could hold the loop. */
	list_init(&batch);
	while ((node = list_pop(&loop->doubted)))
		list_push(&batch, node);
	while ((node = list_pop(&batch))) {
		struct stream *stream = container_of(node, struct stream, doubt);

		if (stream->readable || stream_peek(stream) == -EAGAIN)
			continue;
		stream->readable = true;
		stream->on_ready(stream);
	}
}

ssize_t stream_peek(struct stream *stream)
{
	char byte;
	ssize_t n = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		stream->readable = false;
	return n < 0 ? failure(stream) : n;
}

/*
 * Small pieces are copied together: that costs less than the kernel's walk over a list of
 * them (measured: sendto of 1.2 KiB against sendmsg of two pieces).
 */
#define COALESCE_BYTES 4096

__attribute__((noinline)) static ssize_t send_pieces(
	int fd, const struct iovec *iov, int n_iov)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n_iov};
	char together[COALESCE_BYTES];
	size_t len = 0;

	for (int i = 0; i < n_iov; i++) {
		if (sizeof(together) - len < iov[i].iov_len)
			return sendmsg(fd, &msg, MSG_NOSIGNAL);
		memcpy(together + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return send(fd, together, len, MSG_NOSIGNAL);
}

/*
 * The kernel says that there is room when a third of the queue is free, which takes a
 * short read whole. When it says that there is none it has noted that somebody waits: the
 * event comes, though no write has failed. A broken connection is for the write to find.
 */
bool stream_has_room(struct stream *stream)
{
	struct pollfd room = {.fd = stream->fd, .events = POLLOUT};

	stream->full = poll(&room, 1, 0) == 0;
	return !stream->full;
}

/* How many bytes the socket has taken, or -errno. */
static ssize_t write_some(struct stream *stream, const struct iovec *iov, int n_iov)
{
	ssize_t n;

	do {
		n = n_iov == 1
			    ? send(stream->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
			    : send_pieces(stream->fd, iov, n_iov);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? 0 : failure(stream);
}

/* What is left behind the first n bytes waits for the socket. 0 or -ENOMEM. */
static int hold(struct stream *stream, const struct iovec *iov, int n_iov, size_t n)
{
	for (; n_iov > 0; iov++, n_iov--) {
		size_t done = n < iov->iov_len ? n : iov->iov_len;

		n -= done;
		if (!buf_append(&stream->loop->bufs, &stream->out,
			    (char *)iov->iov_base + done, iov->iov_len - done))
			return -ENOMEM;
	}
	return 0;
}

int stream_write(struct stream *stream, const struct iovec *iov, int n_iov)
{
	ssize_t n;
	int err;

	if (stream->out)
		return hold(stream, iov, n_iov, 0);
	n = write_some(stream, iov, n_iov);
	if (n < 0)
		return (int)n;
	if (n_iov == 1 && (size_t)n == iov->iov_len)
		return 0;
	err = hold(stream, iov, n_iov, (size_t)n);
	if (stream->out)
		stream->writable = false;
	return err;
}

static bool have_pipe(struct loop *loop)
{
	if (loop->pipe[0] >= 0)
		return true;
	if (loop->pipe[0] == PIPE_NEVER || pipe2(loop->pipe, O_NONBLOCK | O_CLOEXEC) != 0)
		return false;
	/* Where that is not allowed a move is a shorter one. */
	fcntl(loop->pipe[0], F_SETPIPE_SZ, MOVE_BYTES);
	return true;
}

/*
 * How much the socket takes now: what it leaves has to be held in our memory, and that is
 * no more than a read may bring.
 */
static size_t room_of(const struct stream *stream)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);
	int64_t room;

	if (getsockopt(stream->fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
		return LOOP_READ_BYTES;
	room = (int64_t)info[SK_MEMINFO_SNDBUF] - info[SK_MEMINFO_WMEM_QUEUED];
	return room < LOOP_READ_BYTES ? LOOP_READ_BYTES
	       : room > MOVE_BYTES    ? MOVE_BYTES
				      : (size_t)room;
}

/* What the socket has not taken of the pipe. */
static int hold_rest(struct stream *stream, size_t n)
{
	struct loop *loop = stream->loop;
	struct buf *buf = buf_get(&loop->bufs, n);

	stream->writable = false;
	if (!buf || read(loop->pipe[0], buf->data, n) != (ssize_t)n) {
		buf_put(&loop->bufs, buf);
		loop_close_pipe(loop);
		return -ENOMEM;
	}
	buf->to = (uint32_t)n;
	stream->out = buf;
	return 0;
}

static int pour(struct stream *stream, size_t n)
{
	struct loop *loop = stream->loop;

	while (n > 0) {
		ssize_t taken = splice(
			loop->pipe[0], NULL, stream->fd, NULL, n, SPLICE_F_NONBLOCK);

		if (taken > 0) {
			n -= (size_t)taken;
		} else if (taken == 0 || errno == EAGAIN) {
			return hold_rest(stream, n);
		} else if (errno != EINTR) {
			int err = failure(stream);

			loop_close_pipe(loop);
			return err;
		}
	}
	return 0;
}

/* A short splice proves nothing: the pipe may have been full. Only EAGAIN does. -EINVAL
 * when the kernel cannot: nothing has happened then, and it is not tried again. */
static ssize_t move_unseen(
	struct stream *from, struct stream *to, size_t max, int *write_error)
{
	struct loop *loop = from->loop;
	size_t room = room_of(to);
	ssize_t n;

	do {
		n = splice(from->fd, NULL, loop->pipe[1], NULL, max < room ? max : room,
			SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	from->plenty = n >= MOVE_WORTH;
	if (n > 0) {
		*write_error = pour(to, (size_t)n);
		return n;
	}
	if (n < 0 && errno == EINVAL) {
		loop_close_pipe(loop);
		loop->pipe[0] = PIPE_NEVER;
		return -EINVAL;
	}
	from->readable = false;
	if (n == 0 && !from->was_reset)
		from->at_eof = true;
	return n < 0 ? failure(from) : from->was_reset ? -ECONNRESET : 0;
}

ssize_t stream_move(struct stream *from, struct stream *to, size_t max, int *write_error)
{
	struct iovec iov = {from->loop->scratch, 0};
	size_t cap;
	ssize_t n;

	*write_error = 0;
	if (from->plenty && !loop_is_short(from->loop) && have_pipe(from->loop)) {
		n = move_unseen(from, to, max, write_error);
		if (n != -EINVAL)
			return n;
	}
	cap = loop_read_bytes(from->loop);
	n = stream_read(from, iov.iov_base, max < cap ? max : cap);
	if (n > 0) {
		iov.iov_len = (size_t)n;
		*write_error = stream_write(to, &iov, 1);
	}
	return n;
}

static void send_fin(struct stream *stream)
{
	stream->fin_sent = true;
	shutdown(stream->fd, SHUT_WR);
}

int stream_flush_now(struct stream *stream)
{
	struct buf *out = stream->out;

	if (out && stream->writable) {
		struct iovec iov = {out->data + out->from, buf_len(out)};
		ssize_t n = write_some(stream, &iov, 1);

		if (n < 0)
			return (int)n;
		out->from += (uint32_t)n;
		if (buf_len(out) > 0) {
			stream->writable = false;
		} else {
			buf_put(&stream->loop->bufs, out);
			stream->out = NULL;
		}
	}
	if (!stream->out && stream->fin_wanted && !stream->fin_sent)
		send_fin(stream);
	return 0;
}

void stream_finish(struct stream *stream)
{
	if (stream->fd < 0 || stream->fin_wanted)
		return;
	stream->fin_wanted = true;
	if (!stream->out)
		send_fin(stream);
}

static bool tcp_info_of(const struct stream *stream, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	return getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0 &&
	       len >= offsetof(struct tcp_info, tcpi_notsent_bytes) + sizeof(uint32_t);
}

bool stream_peer_took_any(const struct stream *stream, uint64_t n_before)
{
	struct tcp_info info;

	/* bytes_acked counts the SYN as one. */
	return !tcp_info_of(stream, &info) || info.tcpi_bytes_acked > n_before + 1;
}

bool stream_peer_has_all(const struct stream *stream)
{
	struct tcp_info info;

	return !stream->out && tcp_info_of(stream, &info) && info.tcpi_unacked == 0 &&
	       info.tcpi_notsent_bytes == 0;
}
