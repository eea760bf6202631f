/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets, pipes and the clock: what __wrap_ stands before. */
#include "sim.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/slab.h"
#include "fuzz.h"

struct sim sim;

/* One pipe, which is empty between two moves. */
#define PIPE_FD    (SIM_FD + SIM_SOCKETS_MAX)
#define PIPE_BYTES (256 << 10)
static struct sim_bytes pipe_bytes;
static size_t pipe_from;
static bool pipe_is_open;

static void add_bytes(struct sim_bytes *to, const char *bytes, size_t len)
{
	if (to->cap - to->len < len) {
		to->cap = (to->len + len) * 2 + 2048;
		to->data = realloc(to->data, to->cap);
		if (!to->data)
			abort();
	}
	if (len > 0)
		memcpy(to->data + to->len, bytes, len);
	to->len += len;
}

void sim_reset(void)
{
	sim.n_sockets = sim.n_ready = sim.n_connects = sim.n_objects = 0;
	sim.name_mode = 0;
	sim.refuses = false;
	sim.now_us = 1000000000;
	pipe_bytes.len = pipe_from = 0;
	pipe_is_open = false;
}

struct sim_socket *sim_socket_of(int fd)
{
	size_t i = (size_t)(fd - SIM_FD);

	return fd >= SIM_FD && i < sim.n_sockets ? &sim.sockets[i] : NULL;
}

static struct sim_socket *create(enum sim_kind kind)
{
	struct sim_socket *socket;

	if (sim.n_sockets == SIM_SOCKETS_MAX)
		return NULL;
	socket = &sim.sockets[sim.n_sockets++];
	/* The memory of bytes is used again, run after run. */
	*socket = (struct sim_socket){.kind = kind,
		.room = SIM_ROOM,
		.in = {.data = socket->in.data, .cap = socket->in.cap},
		.out = {.data = socket->out.data, .cap = socket->out.cap}};
	return socket;
}

static struct sim_socket *ours(int fd)
{
	struct sim_socket *socket = sim_socket_of(fd);

	CHECK(socket && !socket->closed);
	return socket;
}

/* --- what peers do --- */

int sim_listen(uint16_t front)
{
	struct sim_socket *socket = create(SIM_LISTENER);

	socket->front = front;
	return sim_fd(socket);
}

struct sim_socket *sim_dial(uint16_t front)
{
	struct sim_socket *client;

	for (size_t i = 0; i < sim.n_sockets; i++) {
		struct sim_socket *listener = &sim.sockets[i];

		if (listener->kind != SIM_LISTENER || listener->front != front ||
			listener->closed || listener->n_backlog == 8 ||
			sim.n_sockets > SIM_SOCKETS_MAX / 2)
			continue;
		client = create(SIM_CLIENT);
		client->front = front;
		address_parse("10.1.1.1", 40000, &client->addr);
		listener->backlog[listener->n_backlog++] = (size_t)(client - sim.sockets);
		sim_wake(listener);
		return client;
	}
	return NULL;
}

static bool can_send(const struct sim_socket *socket)
{
	return !socket->connecting && !socket->fin_in && !socket->dead;
}

void sim_send(struct sim_socket *socket, const char *bytes, size_t len)
{
	if (!can_send(socket) || len == 0)
		return;
	if (socket->closed) { /* answered with a reset, which nobody here looks at */
		socket->dead = true;
		return;
	}
	add_bytes(&socket->in, bytes, len);
	sim_wake(socket);
}

void sim_send_fin(struct sim_socket *socket)
{
	if (!can_send(socket))
		return;
	socket->fin_in = true;
	sim_wake(socket);
}

void sim_send_reset(struct sim_socket *socket)
{
	if (socket->dead || socket->connecting)
		return;
	socket->error = socket->fin_in ? EPIPE : ECONNRESET;
	socket->dead = socket->was_reset = true;
	sim_wake(socket);
}

void sim_set_room(struct sim_socket *socket, size_t room)
{
	socket->room = room;
	if (room > 0 && socket->no_space) {
		socket->no_space = false;
		sim_wake(socket);
	}
}

void sim_set_acks(struct sim_socket *socket, bool held)
{
	/* Who has sent FIN before is taken to have closed: no more acks come. */
	if (socket->dead || socket->fin_in)
		return;
	socket->holds_acks = held;
	if (!held)
		socket->n_acked = socket->out.len;
}

void sim_decide_connects(void)
{
	for (size_t i = 0; i < sim.n_sockets; i++) {
		struct sim_socket *socket = &sim.sockets[i];

		if (!socket->connecting || socket->closed)
			continue;
		socket->connecting = false;
		sim_wake(socket);
	}
}

bool sim_has_data(const struct sim_socket *socket)
{
	return socket->in.len > socket->n_read;
}

/* tcp_poll, then epoll_dispatch of libevent. */
short sim_poll(struct sim_socket *socket)
{
	bool both_shut = socket->dead || (socket->fin_in && socket->fin_out);
	bool peer_shut = socket->dead || socket->fin_in;
	short what = 0;

	if (socket->kind == SIM_LISTENER)
		return socket->n_backlog > 0 ? EV_READ : 0;
	if (socket->kind == SIM_EVENTFD || socket->connecting)
		return 0;
	if (socket->error)
		return EV_READ | EV_WRITE;
	if (both_shut && !peer_shut)
		return EV_READ | EV_WRITE;
	if (sim_has_data(socket) || peer_shut)
		what |= EV_READ;
	if (socket->room > 0 || socket->fin_out || socket->dead)
		what |= EV_WRITE;
	else
		socket->no_space = true;
	if (peer_shut)
		what |= EV_CLOSED;
	return what;
}

/* --- what our code calls --- */

#define REAL(type, name, ...)                                                            \
	type __real_##name(__VA_ARGS__);                                                 \
	type __wrap_##name(__VA_ARGS__);                                                 \
	type __wrap_##name(__VA_ARGS__)

static int fail(int error)
{
	errno = error;
	return -1;
}

static enum sim_connect next_connect(void)
{
	enum sim_connect next = sim.refuses ? SIM_REFUSED : SIM_CONNECTS;

	if (sim.n_connects > 0) {
		next = sim.connects[0];
		memmove(sim.connects, sim.connects + 1,
			--sim.n_connects * sizeof(*sim.connects));
	}
	return next;
}

REAL(int, socket, int family, int type, int protocol)
{
	struct sim_socket *socket;

	if (!sim.runs)
		return __real_socket(family, type, protocol);
	if (sim.n_connects > 0 && sim.connects[0] == SIM_NO_FDS) {
		(void)next_connect();
		return fail(EMFILE);
	}
	socket = create(SIM_UPSTREAM);
	return socket ? sim_fd(socket) : fail(EMFILE);
}

REAL(int, connect, int fd, const struct sockaddr *to, socklen_t len)
{
	struct sim_socket *socket;

	if (!sim.runs)
		return __real_connect(fd, to, len);
	socket = ours(fd);
	memcpy(&socket->addr, to, len);
	switch (next_connect()) {
	case SIM_REFUSED:
		socket->error = ECONNREFUSED;
		socket->dead = true;
		break;
	case SIM_SILENT:
	case SIM_LATER:
		socket->connecting = true;
		break;
	default:
		break;
	}
	return fail(EINPROGRESS);
}

REAL(int, accept4, int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	struct sim_socket *listener, *socket;

	if (!sim.runs)
		return __real_accept4(fd, peer, len, flags);
	listener = ours(fd);
	if (listener->n_backlog == 0)
		return fail(EAGAIN);
	socket = &sim.sockets[listener->backlog[0]];
	memmove(listener->backlog, listener->backlog + 1,
		--listener->n_backlog * sizeof(*listener->backlog));
	*len = sizeof(socket->addr.in);
	memcpy(peer, &socket->addr, *len);
	return sim_fd(socket);
}

REAL(ssize_t, recv, int fd, void *to, size_t cap, int flags)
{
	struct sim_socket *socket;
	size_t n;

	if (!sim.runs)
		return __real_recv(fd, to, cap, flags);
	socket = ours(fd);
	n = socket->in.len - socket->n_read;
	if (n > 0) {
		n = n < cap ? n : cap;
		memcpy(to, socket->in.data + socket->n_read, n);
		if (!(flags & MSG_PEEK))
			socket->n_read += n;
		return (ssize_t)n;
	}
	if (!socket->fin_in && socket->error) {
		int error = socket->error;

		socket->error = 0;
		return fail(error);
	}
	if (!socket->fin_in && !socket->dead)
		return fail(EAGAIN);
	if (!(flags & MSG_PEEK))
		socket->fin_told = true;
	return 0;
}

static ssize_t send_bytes(
	struct sim_socket *socket, const struct iovec *iov, size_t n_iov)
{
	size_t taken = 0;

	if (socket->error) {
		int error = socket->error;

		socket->error = 0;
		return fail(error);
	}
	if (socket->dead || socket->fin_out)
		return fail(EPIPE);
	CHECK(!socket->connecting);
	for (size_t i = 0; i < n_iov; i++) {
		size_t n = iov[i].iov_len < socket->room ? iov[i].iov_len : socket->room;

		add_bytes(&socket->out, iov[i].iov_base, n);
		if (socket->room != SIM_ROOM)
			socket->room -= n;
		taken += n;
		if (n < iov[i].iov_len) {
			socket->no_space = true;
			break;
		}
	}
	if (socket->peer_gone)
		sim_send_reset(socket);
	else if (!socket->holds_acks)
		socket->n_acked = socket->out.len;
	return taken > 0 || !socket->no_space ? (ssize_t)taken : fail(EAGAIN);
}

REAL(ssize_t, send, int fd, const void *bytes, size_t len, int flags)
{
	struct iovec iov = {(void *)bytes, len};

	if (!sim.runs)
		return __real_send(fd, bytes, len, flags);
	return send_bytes(ours(fd), &iov, 1);
}

REAL(ssize_t, sendmsg, int fd, const struct msghdr *msg, int flags)
{
	if (!sim.runs)
		return __real_sendmsg(fd, msg, flags);
	return send_bytes(ours(fd), msg->msg_iov, msg->msg_iovlen);
}

REAL(int, shutdown, int fd, int how)
{
	struct sim_socket *socket;

	if (!sim.runs)
		return __real_shutdown(fd, how);
	socket = ours(fd);
	if (socket->dead)
		return fail(ENOTCONN);
	socket->fin_out = true;
	if (socket->end == SIM_OPEN)
		socket->end = SIM_FIN;
	return 0;
}

static int close_socket(struct sim_socket *socket)
{
	CHECK(!socket->closed);
	CHECK(!socket->event);
	socket->closed = true;
	/* Bytes that nobody has read make a reset of it. */
	if (!socket->dead && (socket->aborts || sim_has_data(socket)))
		socket->end = SIM_RESET;
	else if (socket->end == SIM_OPEN)
		socket->end = SIM_FIN;
	for (size_t i = 0; i < socket->n_backlog; i++)
		sim.sockets[socket->backlog[i]].closed = true;
	return 0;
}

REAL(int, close, int fd)
{
	if (fd < SIM_FD)
		return __real_close(fd);
	if (fd >= PIPE_FD) {
		pipe_is_open = false;
		pipe_bytes.len = pipe_from = 0;
		return 0;
	}
	return close_socket(ours(fd));
}

REAL(int, setsockopt, int fd, int level, int name, const void *value, socklen_t len)
{
	if (!sim.runs)
		return __real_setsockopt(fd, level, name, value, len);
	if (level == SOL_SOCKET && name == SO_LINGER)
		ours(fd)->aborts = true;
	return 0;
}

static int get_error(struct sim_socket *socket, void *value)
{
	memcpy(value, &socket->error, sizeof(socket->error));
	socket->error = 0;
	return 0;
}

static int get_meminfo(const struct sim_socket *socket, void *value, socklen_t *len)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};

	info[SK_MEMINFO_SNDBUF] =
		socket->room < (1 << 20) ? (uint32_t)socket->room : 1 << 20;
	memcpy(value, info, *len < sizeof(info) ? *len : sizeof(info));
	return 0;
}

static int get_tcp_info(const struct sim_socket *socket, void *value, socklen_t *len)
{
	struct tcp_info info = {.tcpi_bytes_acked = socket->n_acked + 1,
		.tcpi_unacked = socket->n_acked < socket->out.len};

	*len = *len < sizeof(info) ? *len : sizeof(info);
	memcpy(value, &info, *len);
	return 0;
}

REAL(int, getsockopt, int fd, int level, int name, void *value, socklen_t *len)
{
	struct sim_socket *socket;

	if (!sim.runs)
		return __real_getsockopt(fd, level, name, value, len);
	socket = ours(fd);
	if (level == SOL_SOCKET && name == SO_ERROR)
		return get_error(socket, value);
	if (level == SOL_SOCKET && name == SO_MEMINFO)
		return get_meminfo(socket, value, len);
	if (level == IPPROTO_TCP && name == TCP_INFO)
		return get_tcp_info(socket, value, len);
	return fail(ENOPROTOOPT);
}

REAL(int, eventfd, unsigned initial, int flags)
{
	if (!sim.runs)
		return __real_eventfd(initial, flags);
	return sim_fd(create(SIM_EVENTFD));
}

REAL(int, pipe2, int fds[2], int flags)
{
	if (!sim.runs)
		return __real_pipe2(fds, flags);
	CHECK(!pipe_is_open);
	pipe_is_open = true;
	fds[0] = PIPE_FD;
	fds[1] = PIPE_FD + 1;
	return 0;
}

REAL(int, fcntl, int fd, int command, ...)
{
	va_list args;
	long value;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	return fd >= SIM_FD ? 0 : __real_fcntl(fd, command, value);
}

REAL(ssize_t, splice, int from, off64_t *from_off, int to, off64_t *to_off, size_t len,
	unsigned flags)
{
	ssize_t n;

	if (!sim.runs)
		return __real_splice(from, from_off, to, to_off, len, flags);
	CHECK(pipe_is_open);
	if (to >= PIPE_FD) {
		static char bytes[PIPE_BYTES];

		CHECK(pipe_bytes.len == pipe_from);
		n = __wrap_recv(from, bytes, len < PIPE_BYTES ? len : PIPE_BYTES, 0);
		pipe_bytes.len = pipe_from = 0;
		if (n > 0)
			add_bytes(&pipe_bytes, bytes, (size_t)n);
		return n;
	}
	CHECK(len <= pipe_bytes.len - pipe_from);
	n = __wrap_send(to, pipe_bytes.data + pipe_from, len, 0);
	if (n > 0)
		pipe_from += (size_t)n;
	return n;
}

REAL(ssize_t, read, int fd, void *to, size_t len)
{
	if (fd < SIM_FD)
		return __real_read(fd, to, len);
	CHECK(fd == PIPE_FD && len == pipe_bytes.len - pipe_from);
	memcpy(to, pipe_bytes.data + pipe_from, len);
	pipe_from += len;
	return (ssize_t)len;
}

REAL(int, clock_gettime, clockid_t clock, struct timespec *ts)
{
	if (!sim.runs)
		return __real_clock_gettime(clock, ts);
	ts->tv_sec = (time_t)(sim.now_us / 1000000);
	ts->tv_nsec = (long)(sim.now_us % 1000000) * 1000;
	return 0;
}

/* --- memory of connections --- */

/*
 * Chunks of slabs are used again, run after run: to map them anew takes a third of the
 * time. One is cut out of twice its size; what would be cut off then is not there. Of
 * its bytes only the header has to be as the kernel gives them.
 */
static struct chunk_memory {
	char *at;
	size_t len;
} spare[64];
static size_t n_spare;
static const char *absent_half;

REAL(void *, mmap64, void *at, size_t len, int protection, int flags, int fd,
	off64_t offset)
{
	for (size_t i = 0; sim.runs && i < n_spare; i++) {
		char *found = spare[i].at;

		if (spare[i].len * 2 != len)
			continue;
		spare[i] = spare[--n_spare];
		absent_half = found + len / 2;
		memset(found, 0, 64);
		return found;
	}
	return __real_mmap64(at, len, protection, flags, fd, offset);
}

REAL(int, munmap, void *at, size_t len)
{
	bool is_chunk = len >= 64 << 10 && (len & (len - 1)) == 0 &&
			((uintptr_t)at & (len - 1)) == 0;

	if (absent_half && at == absent_half) {
		absent_half = NULL;
		return 0;
	}
	if (!sim.runs || !is_chunk || n_spare == sizeof(spare) / sizeof(*spare))
		return __real_munmap(at, len);
	spare[n_spare++] = (struct chunk_memory){at, len};
	return 0;
}

REAL(void *, slab_alloc, struct slab *slab)
{
	void *object = __real_slab_alloc(slab);

	sim.n_objects += object != NULL;
	return object;
}

REAL(void, slab_free, struct slab *slab, void *object)
{
	CHECK(!object || sim.n_objects > 0);
	sim.n_objects -= object != NULL;
	__real_slab_free(slab, object);
}
