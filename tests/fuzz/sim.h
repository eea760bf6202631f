/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A kernel in memory for one loop: sockets, epoll (edge-triggered, through libevent's
 * names), the clock, the DNS. The calls of our code come here at link time, the code
 * itself is what ships. A peer is the fuzzer: it decides when bytes, ends and resets
 * come, how much a socket takes, how a connect ends.
 *
 * What the kernel tells and when is modelled after Linux: net/ipv4/tcp.c (tcp_poll,
 * tcp_recvmsg, tcp_sendmsg, tcp_reset, tcp_fin) and libevent's epoll.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

struct event;

#define SIM_SOCKETS_MAX 96
#define SIM_ROOM        (1u << 30)

enum sim_kind { SIM_NONE, SIM_LISTENER, SIM_EVENTFD, SIM_CLIENT, SIM_UPSTREAM };

/* How our side has ended the connection, as its peer sees it. */
enum sim_end { SIM_OPEN, SIM_FIN, SIM_RESET };

struct sim_bytes {
	char *data;
	size_t len, cap;
};

struct sim_socket {
	enum sim_kind kind;
	struct event *event;
	bool woken;           /* in the ready list of epoll */
	struct sim_bytes in;  /* all that the peer has sent */
	size_t n_read;        /* of that */
	struct sim_bytes out; /* all that we have written and the kernel has taken */
	size_t room;          /* it would take so many more */
	size_t n_acked;       /* the peer's kernel has taken so many */
	bool holds_acks;
	bool no_space;   /* SOCK_NOSPACE: wake up when there is room */
	bool connecting; /* not decided */
	bool fin_in;     /* the peer's FIN has come (SOCK_DONE) */
	bool fin_told;
	bool dead;      /* reset, by either side */
	bool peer_gone; /* it has closed: what comes now is answered with a reset */
	bool was_reset; /* by the peer */
	int error;      /* sk_err */
	bool fin_out;
	bool aborts; /* SO_LINGER of 0 */
	bool closed; /* by us */
	enum sim_end end;
	uint16_t front; /* SIM_CLIENT: which listener */
	bool is_raw;    /* SIM_UPSTREAM: a tunnel from its first byte */
	union address addr;
	size_t backlog[8]; /* SIM_LISTENER: sockets that wait */
	size_t n_backlog;
};

enum sim_connect {
	SIM_CONNECTS,
	SIM_REFUSED,
	SIM_SILENT,
	SIM_NO_FDS,
	SIM_LATER, /* sim_decide_connects */
};

struct sim {
	bool runs; /* the calls are ours */
	struct sim_socket sockets[SIM_SOCKETS_MAX];
	size_t n_sockets;
	size_t ready[SIM_SOCKETS_MAX]; /* epoll's list */
	size_t n_ready;
	uint64_t now_us;
	enum sim_connect connects[8]; /* of the next ones */
	size_t n_connects;
	bool refuses;     /* those behind them */
	int name_mode;    /* 0: names have an address, 1: none, 2: the answer waits */
	size_t n_objects; /* in slabs */
};

extern struct sim sim;

/* Everything as at the beginning. */
void sim_reset(void);

/* A listening socket's descriptor. */
int sim_listen(uint16_t front);

/* Descriptors of ours begin here. */
#define SIM_FD 1000000

static inline int sim_fd(const struct sim_socket *socket)
{
	return SIM_FD + (int)(socket - sim.sockets);
}

/* NULL when it is none of ours. */
struct sim_socket *sim_socket_of(int fd);

/* What peers do. sim_dial gives NULL when there are too many connections. */
struct sim_socket *sim_dial(uint16_t front);
void sim_send(struct sim_socket *socket, const char *bytes, size_t len);
void sim_send_fin(struct sim_socket *socket);
void sim_send_reset(struct sim_socket *socket);
void sim_set_room(struct sim_socket *socket, size_t room);
void sim_set_acks(struct sim_socket *socket, bool held);
void sim_decide_connects(void);
void sim_answer_names(void);

/* What a read or write would find. */
bool sim_has_data(const struct sim_socket *socket);

/* Events: whether anything waits to be told, and the clock. */
bool sim_is_idle(void);
void sim_advance(uint64_t ms);

/* For the event half: what epoll would report, in libevent's words; 0 is nothing. */
short sim_poll(struct sim_socket *socket);
void sim_wake(struct sim_socket *socket);
