/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "net/loop.h"

#define BACKLOG          4096
#define ACCEPTS_PER_TURN 64

static int bind_one(union address *addr, bool shared)
{
	int on = 1, err;
	socklen_t len = sizeof(*addr);
	int fd =
		socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	/* What is accepted inherits it: a system call less for each connection. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (addr->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &addr->sa, address_len(addr)) != 0 || listen(fd, BACKLOG) != 0 ||
		getsockname(fd, &addr->sa, &len) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/*
 * SO_REUSEPORT would let a second nigh share the port in silence; so the first socket is
 * bound alone once, to hear of anybody who has it.
 */
static int bind_first(union address *addr, bool shared)
{
	int fd = bind_one(addr, false);

	if (fd < 0 || !shared)
		return fd;
	close(fd);
	return bind_one(addr, true);
}

static bool family_is_missing(int err)
{
	return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL || err == -EPROTONOSUPPORT;
}

static int open_both(
	struct listen_set *set, const char *const hosts[2], uint16_t port, bool shared)
{
	int err = -EAFNOSUPPORT;

	for (int i = 0; i < 2; i++) {
		union address *addr = &set->addrs[set->n];
		int fd;

		address_parse(hosts[i], port, addr);
		fd = bind_first(addr, shared);
		if (fd < 0) {
			err = fd;
			if (family_is_missing(fd))
				continue;
			return fd;
		}
		set->fds[set->n++] = fd;
		port = address_port(addr);
	}
	return set->n > 0 ? 0 : err;
}

int listen_set_open(struct listen_set *set, const char *host, uint16_t port, bool shared)
{
	static const char *const any[2] = {"0.0.0.0", "::"};
	static const char *const loopbacks[2] = {"127.0.0.1", "::1"};
	int err = 0;

	/* A port that the kernel chose for one family can be taken in the other. */
	for (int tries = 0; tries < 16; tries++) {
		*set = (struct listen_set){0};
		if (!host || strcmp(host, "localhost") == 0) {
			err = open_both(set, host ? loopbacks : any, port, shared);
		} else if (!address_parse(host, port, &set->addrs[0])) {
			err = -EINVAL;
		} else {
			err = bind_first(&set->addrs[0], shared);
			if (err >= 0) {
				set->fds[set->n++] = err;
				err = 0;
			}
		}
		if (err == 0)
			return 0;
		listen_set_close(set);
		if (port != 0 || err != -EADDRINUSE)
			break;
	}
	return err;
}

int listen_set_again(struct listen_set *set, const struct listen_set *first)
{
	*set = (struct listen_set){0};
	for (int i = 0; i < first->n; i++) {
		int fd;

		set->addrs[i] = first->addrs[i];
		fd = bind_one(&set->addrs[i], true);
		if (fd < 0) {
			listen_set_close(set);
			return fd;
		}
		set->fds[set->n++] = fd;
	}
	return 0;
}

bool listen_set_hears(const struct listen_set *set, const union address *to)
{
	union address dialled = *to;

	address_unmap(&dialled);
	if (address_is_any(&dialled))
		address_parse(dialled.sa.sa_family == AF_INET ? "127.0.0.1" : "::1",
			address_port(to), &dialled);
	for (int i = 0; i < set->n; i++) {
		const union address *here = &set->addrs[i];

		if (address_equal(here, &dialled))
			return true;
		if (here->sa.sa_family == dialled.sa.sa_family &&
			address_port(here) == address_port(&dialled) &&
			address_is_any(here) &&
			(address_is_loopback(&dialled) || address_is_local(&dialled)))
			return true;
	}
	return false;
}

void listen_set_close(struct listen_set *set)
{
	for (int i = 0; i < set->n; i++)
		close(set->fds[i]);
	set->n = 0;
}

/* False when there is nothing to take, or nothing to take it with. */
static bool accept_one(struct listener *listener)
{
	union address peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(listener->fd, &peer.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		/* The connection died in the queue: there may be others behind it. */
		if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO)
			return true;
		/* No descriptor or no memory: they wait in the queue until there is. */
		if (errno != EAGAIN)
			listener_pause(listener);
		return false;
	}
	address_unmap(&peer);
	if (!listener->on_accept(listener, fd, &peer))
		listener_pause(listener);
	return true;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN && !listener->paused; i++)
		if (!accept_one(listener))
			break;
}

int listener_start(struct listener *listener, struct loop *loop, int fd,
	bool (*on_accept)(struct listener *, int, const union address *))
{
	*listener = (struct listener){.fd = fd, .on_accept = on_accept};
	listener->event =
		event_new(loop->base, fd, EV_READ | EV_PERSIST, on_ready, listener);
	if (!listener->event || event_add(listener->event, NULL) != 0) {
		if (listener->event)
			event_free(listener->event);
		*listener = (struct listener){.fd = -1};
		return -ENOMEM;
	}
	return 0;
}

void listener_pause(struct listener *listener)
{
	if (listener->paused)
		return;
	listener->paused = true;
	event_del(listener->event);
}

void listener_resume(struct listener *listener)
{
	if (!listener->paused || listener->fd < 0)
		return;
	listener->paused = event_add(listener->event, NULL) != 0;
}

void listener_close(struct listener *listener)
{
	if (!listener->event)
		return;
	/* Also beyond a limit: what waits here would be reset. */
	while (accept_one(listener))
		;
	event_free(listener->event);
	listener->event = NULL;
	close(listener->fd);
	listener->fd = -1;
}
