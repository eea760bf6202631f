/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One event loop with all that is on it: listeners, downstream and upstream connections,
 * targets, counters. A worker runs on a thread of its own and shares nothing with the
 * others but the immutable topology and a few atomics (struct shared). Other threads
 * reach it through its mailbox only.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/ceiling.h"
#include "base/slab.h"
#include "config/config.h"
#include "flow/outcome.h"
#include "flow/tally.h"
#include "http/head.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "topo/topo.h"

enum side { DOWNSTREAM, UPSTREAM, SIDES };

enum recycle_reason {
#define RECYCLE(name) RECYCLE_##name,
#include "flow/reasons.def"
	RECYCLE_REASONS,
};

enum retry_reason {
#define RETRY(name) RETRY_##name,
#include "flow/reasons.def"
	RETRY_REASONS,
};

struct discovery;

struct counters {
	uint64_t opened[DIRECTIONS][SIDES];
	uint64_t recycled[DIRECTIONS][SIDES][RECYCLE_REASONS];
	uint64_t retries[RETRY_REASONS];
	uint64_t local_responses[OUTCOMES];
	uint64_t ended[OUTCOMES];          /* requests and TCP connections */
	uint64_t bytes[DIRECTIONS][SIDES]; /* received from that side */
	uint64_t discovery_fallbacks; /* requests by DNS that may have had a service */
};

/* Open connections; idle are those with no request. */
struct gauges {
	uint32_t open[DIRECTIONS][SIDES];
	uint32_t idle[DIRECTIONS][SIDES];
	uint32_t tunnels[DIRECTIONS][SIDES];
	uint32_t in_flight[DIRECTIONS]; /* requests and tunnels */
	uint32_t due;                   /* to be recycled in a rebalance */
};

/*
 * One listening address of the configuration and what stands behind it: the application
 * (inbound), one service (route), or whatever the request names (outbound). Immutable.
 */
struct front {
	enum direction direction;
	enum protocol protocol;
	const char *side;    /* "inbound", "outbound", "route": for logs */
	const char *host;    /* inbound: the application's host */
	uint16_t port;       /* inbound */
	const char *service; /* route; NULL otherwise */
	const char *namespace_;
	const char *service_port; /* number or name */
	struct listen_set listen; /* of the first worker: for the addresses */
	atomic_bool app_refused;  /* inbound, while draining */
	atomic_bool closed;       /* takes no more connections */
};

/* What all workers and the main thread share. */
struct shared {
	const struct config *config;
	struct topo_policy policy;
	struct front *fronts;
	size_t n_fronts;
	struct listen_set admin_listen;    /* for the addresses */
	const struct discovery *discovery; /* NULL: services are not looked for */
	atomic_uint n_downstream;          /* open, against NIGH_MAX_CONNECTIONS */
	struct ceiling ceiling;            /* bytes in flight, against NIGH_MAX_MEMORY */
	atomic_ulong flow_ids;
	unsigned max_downstream;
	bool draining;    /* the main thread's: a drain has begun */
	bool is_confined; /* the main thread's: the kernel refuses unknown calls */
};

/* A listener of one worker. */
struct door {
	struct listener listener;
	struct worker *worker;
	struct front *front;
	union address addr;
};

struct worker {
	struct loop loop;
	struct mailbox mailbox;
	struct shared *shared;
	const struct config *config;
	struct topo *topo;
	struct door *doors;
	size_t n_doors;

	struct list targets[256];      /* by hash of their key */
	struct target **front_targets; /* of inbound fronts, which always have the same */
	size_t n_targets;
	struct list tallies;
	struct list clients; /* downstream connections */
	struct slab client_slab, exchange_slab, upstream_slab;

	struct deadline_list idle, header, linger, connect, pool_idle, response,
		response_head, discovery;
	uint64_t sweep_targets_ms; /* when unused targets are looked for next */
	uint64_t trim_ms;          /* when memory that nobody needs is given back next */

	struct counters counters;
	struct gauges gauges;
	struct head head; /* the one being parsed */
	char *emit;       /* where heads are put together */
	size_t emit_bytes;

	bool draining;   /* inbound responses say close */
	bool heads_wait; /* some client's, for memory */
	bool response_heads_wait;
	unsigned index;
	bool thread_runs;
	pthread_t thread;
	struct letter stop;
};

/* 0 or -errno. The doors of the first worker have the fronts' sockets, those of the
 * others sockets of their own. */
__attribute__((warn_unused_result)) int worker_init(
	struct worker *worker, struct shared *shared, unsigned index);
void worker_fini(struct worker *worker);

/* Starts the thread. 0 or -errno. */
__attribute__((warn_unused_result)) int worker_start(struct worker *worker);

/* Ends the loop from another thread and waits for it; everything still open is closed. */
void worker_stop(struct worker *worker);

/*
 * Runs `question` on the worker's thread and waits until it is done. False when it had
 * not begun after timeout_ms: it then never does.
 */
typedef void worker_fn(struct worker *worker, void *arg);
__attribute__((warn_unused_result)) bool worker_ask(
	struct worker *worker, worker_fn *question, void *arg, unsigned timeout_ms);

/* The same, but what had not begun in time runs later: arg has to live as long as the
 * worker. */
bool worker_order(
	struct worker *worker, worker_fn *order, void *arg, unsigned timeout_ms);

/* A new snapshot for the worker; takes over one reference. */
void worker_set_topo(struct worker *worker, struct topo *topo);

/* Not at a limit: of connections, or of memory. */
bool worker_may_accept(const struct worker *worker);

/*
 * Whether a head of which `in` has come has to wait: at the hard mark one that is longer
 * than one small buffer does, until there is memory again or it is the oldest of those
 * under way, whose deadlines are `heads`. So there is always one that goes on, and none
 * holds what it has for longer than NIGH_HEADER_TIMEOUT.
 */
__attribute__((cold)) bool worker_head_waits(const struct worker *worker,
	const struct deadline_list *heads, const struct deadline *deadline,
	const struct buf *in);

/* Accepting goes on after it had paused at a limit. */
void worker_resume_accepting(struct worker *worker);
