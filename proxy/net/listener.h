/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Listening sockets: bound once at start, accepting on one loop. */
#include "net/address.h"

struct event;
struct loop;

#define LISTEN_FDS_MAX 2

/* The sockets that one listening address stands for: one per family it means. */
struct listen_set {
	int fds[LISTEN_FDS_MAX];
	union address addrs[LISTEN_FDS_MAX];
	int n;
};

/*
 * Binds and listens. host NULL is every address of both families, "localhost" both
 * loopbacks, else an IP literal; port 0 lets the kernel choose, the same for both
 * families. A family that the machine lacks is skipped. With `shared` several sockets may
 * be bound to the same address, one for each worker. 0 or -errno; then nothing is open.
 */
__attribute__((warn_unused_result)) int listen_set_open(
	struct listen_set *set, const char *host, uint16_t port, bool shared);

/* The same addresses once more, for another worker. */
__attribute__((warn_unused_result)) int listen_set_again(
	struct listen_set *set, const struct listen_set *first);

/* Whether a connection to this address would come in here, by whatever name of this
 * machine. The same port of another address may be somebody else's, such as the
 * application's on loopback where we listen on the pod's address alone. */
bool listen_set_hears(const struct listen_set *set, const union address *to);

void listen_set_close(struct listen_set *set);

struct listener {
	struct event *event;
	int fd;
	bool paused;
	/* Takes fd over. False: take no more for now, the listener is paused. */
	bool (*on_accept)(struct listener *listener, int fd, const union address *peer);
};

/* Takes fd over on success only. 0 or -errno. */
__attribute__((warn_unused_result)) int listener_start(struct listener *listener,
	struct loop *loop, int fd,
	bool (*on_accept)(struct listener *, int, const union address *));

/* Connections wait in the kernel's queue meanwhile. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);

/* Takes what waits in the queue, so that nobody is reset, then closes. */
void listener_close(struct listener *listener);
