/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Loops that are turned by hand, and connected pairs of TCP sockets. */
#include "net/address.h"
#include "net/loop.h"

/* One turn: what is ready now, what was deferred, the dead. Waits for nothing. */
void turn(struct loop *loop);

/* Waits until the descriptor is readable, some seconds at most. */
void wait_readable(int fd);

/* fds[0] is non-blocking, fds[1] is the peer, which blocks. */
void tcp_pair(int fds[2]);

/* The lowest descriptor that is free: the same number after as before means no leak. */
int lowest_free_fd(void);

/* Closes so that the peer gets a reset. */
void close_with_reset(int fd);

/* Connects, waiting for it; or -errno. */
int connect_to(const union address *address);

/* A listening socket on the loopback, with a port of the kernel's choice. */
int listen_on_loopback(union address *address);
