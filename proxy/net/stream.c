/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edge-triggered: the kernel tells of a change once. A read that gives less than was
 * asked for has emptied the socket, and new bytes will be told anew; only the end of the
 * stream needs one more read, which `hung_up` asks for. In the same way a write that
 * takes everything proves nothing, and one that does not will be followed by an event.
 */
#include "net/stream.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "net/loop.h"

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;

	(void)fd;
	if (what & EV_CLOSED)
		stream->hung_up = stream->readable = true;
	if (what & EV_READ)
		stream->readable = true;
	if (what & EV_WRITE)
		stream->writable = true;
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
	int on = 1;

	*stream = (struct stream){.loop = loop, .on_ready = on_ready, .fd = fd};
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (event_assign(&stream->event, loop->base, fd,
		    EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_event,
		    stream) != 0 ||
		event_add(&stream->event, NULL) != 0) {
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
	int err;

	stream->fd = -1;
	if (fd < 0)
		return -errno;
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
	stream->readable = stream->writable = false;
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

static ssize_t send_pieces(int fd, const struct iovec *iov, int n_iov)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n_iov};
	char together[COALESCE_BYTES];
	size_t len = 0;

	if (n_iov == 1)
		return send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
	for (int i = 0; i < n_iov; i++) {
		if (sizeof(together) - len < iov[i].iov_len)
			return sendmsg(fd, &msg, MSG_NOSIGNAL);
		memcpy(together + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return send(fd, together, len, MSG_NOSIGNAL);
}

/* Writes once; gives what is left of the iovs. */
static ssize_t write_some(struct stream *stream, struct iovec **iov, int *n_iov)
{
	ssize_t n;
	size_t left;

	do {
		n = send_pieces(stream->fd, *iov, *n_iov);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno != EAGAIN)
			return failure(stream);
		n = 0;
	}
	left = (size_t)n;
	while (*n_iov > 0 && left >= (*iov)->iov_len) {
		left -= (*iov)->iov_len;
		(*iov)++;
		(*n_iov)--;
	}
	if (*n_iov > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + left;
		(*iov)->iov_len -= left;
		stream->writable = false;
	}
	return n;
}

int stream_write(struct stream *stream, struct iovec *iov, int n_iov)
{
	ssize_t n;

	if (!stream->out) {
		n = write_some(stream, &iov, &n_iov);
		if (n < 0)
			return (int)n;
	}
	for (; n_iov > 0; iov++, n_iov--)
		if (!buf_append(&stream->loop->bufs, &stream->out, iov->iov_base,
			    iov->iov_len))
			return -ENOMEM;
	return 0;
}

static void send_fin(struct stream *stream)
{
	stream->fin_sent = true;
	shutdown(stream->fd, SHUT_WR);
}

int stream_flush(struct stream *stream)
{
	struct buf *out = stream->out;

	if (out && stream->writable) {
		struct iovec one = {out->data + out->from, buf_len(out)}, *iov = &one;
		int n_iov = 1;
		ssize_t n = write_some(stream, &iov, &n_iov);

		if (n < 0)
			return (int)n;
		out->from += (uint32_t)n;
		if (buf_len(out) == 0) {
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

bool stream_peer_took_any(const struct stream *stream, uint64_t n_before)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
		len < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(uint64_t))
		return true;
	/* bytes_acked counts the SYN as one. */
	return info.tcpi_bytes_acked > n_before + 1;
}
