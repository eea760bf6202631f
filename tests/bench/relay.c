// SPDX-License-Identifier: Apache-2.0
//
// The physical limit the proxies are measured against: one thread, edge-triggered epoll,
// read then write, nothing parsed. What a proxy costs more than this is its own doing.
//
//	relay LISTEN_PORT BACKEND_PORT
//
// A pair is two ends that know each other. Bytes that the other end would not take are
// held by the end that waits for room; while it holds some, its peer is not read.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct end {
	int fd;        // -1 once the pair is closed
	bool finished; // we have read its FIN
	char *held;    // bytes for this fd that it would not take yet
	size_t n_held;
	struct end *peer;
	struct end *next_dead; // the first end of a closed pair links to the next pair
};

static int ep;
static struct end *dead; // pairs closed in this turn: later events may still name them
static char buffer[64 * 1024];

static struct sockaddr_in loopback(const char *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.sin_port = htons((uint16_t)atoi(port));
	return at;
}

static void close_pair(struct end *e)
{
	close(e->fd);
	close(e->peer->fd);
	e->fd = e->peer->fd = -1;
	e->next_dead = dead;
	dead = e;
}

static void free_dead(void)
{
	while (dead) {
		struct end *e = dead;
		dead = e->next_dead;
		free(e->held);
		free(e->peer->held);
		free(e->peer);
		free(e);
	}
}

static void hold(struct end *to, const char *bytes, size_t n)
{
	to->held = realloc(to->held, n);
	if (!to->held)
		abort();
	memmove(to->held, bytes, n);
	to->n_held = n;
}

// Read from one end and write to the other until there is nothing to read or no room.
static void pump(struct end *from, bool more_may_come)
{
	struct end *to = from->peer;

	while (!to->n_held && !from->finished) {
		ssize_t n = read(from->fd, buffer, sizeof(buffer));
		if (n < 0) {
			if (errno != EAGAIN)
				close_pair(from);
			return;
		}
		if (n == 0) {
			from->finished = true;
			shutdown(to->fd, SHUT_WR);
			if (to->finished)
				close_pair(from);
			return;
		}
		ssize_t w = write(to->fd, buffer, (size_t)n);
		if (w < 0 && errno != EAGAIN) {
			close_pair(from);
			return;
		}
		w = w < 0 ? 0 : w;
		if (w < n)
			hold(to, buffer + w, (size_t)(n - w));
		// A short read has emptied the socket, and the next byte is a new edge.
		if ((size_t)n < sizeof(buffer) && !more_may_come)
			return;
	}
}

static void flush(struct end *to)
{
	ssize_t w = write(to->fd, to->held, to->n_held);
	if (w < 0) {
		if (errno != EAGAIN)
			close_pair(to);
		return;
	}
	to->n_held -= (size_t)w;
	memmove(to->held, to->held + w, to->n_held);
	if (!to->n_held)
		pump(to->peer, true);
}

static void watch(int fd, struct end *e)
{
	struct epoll_event ev = {.data.ptr = e};
	ev.events = e ? EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET : EPOLLIN;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		abort();
}

// False when nobody waits.
static bool accept_pair(int listener, const struct sockaddr_in *backend)
{
	int one = 1;
	int down = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	if (down < 0)
		return false;
	int up = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (up < 0)
		abort();
	setsockopt(down, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(up, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	// A refusal comes back as an event with an error to read.
	(void)!connect(up, (const struct sockaddr *)backend, sizeof(*backend));

	struct end *d = calloc(1, sizeof(*d)), *u = calloc(1, sizeof(*u));
	if (!d || !u)
		abort();
	*d = (struct end){.fd = down, .peer = u};
	*u = (struct end){.fd = up, .peer = d};
	watch(down, d);
	watch(up, u);
	return true;
}

static void on_event(struct end *e, uint32_t events)
{
	if (e->fd >= 0 && (events & EPOLLOUT) && e->n_held)
		flush(e);
	if (e->fd >= 0 && (events & ~(uint32_t)EPOLLOUT))
		pump(e, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

int main(int argc, char **argv)
{
	struct epoll_event events[256];
	int one = 1;

	if (argc != 3) {
		fprintf(stderr, "usage: relay LISTEN_PORT BACKEND_PORT\n");
		return 2;
	}
	struct sockaddr_in at = loopback(argv[1]), backend = loopback(argv[2]);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		listen(listener, 4096) < 0) {
		perror("relay: listen");
		return 1;
	}
	ep = epoll_create1(0);
	watch(listener, NULL);
	for (;;) {
		int n = epoll_wait(ep, events, 256, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				on_event(events[i].data.ptr, events[i].events);
			else
				while (accept_pair(listener, &backend))
					;
		}
		free_dead();
	}
}
