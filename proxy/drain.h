/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The drain as a whole: when each of its steps comes, and when the program may end.
 *
 *   SERVING -- SIGTERM or POST /drain --> DELAY -- time, or the application refuses -->
 *   FINISHING -- no inbound connection is left --> DONE -- (SIGTERM only) the application
 *   has stopped listening and makes no more calls --> exit
 */
#include "admin/admin.h"

struct event;

struct drain {
	struct event_base *base;
	struct event *tick;
	struct shared *shared;
	struct worker *workers;
	unsigned n_workers;
	enum drain_phase phase;
	bool terminating; /* SIGTERM has come */
	bool table_tells; /* whether the application listens */
	uint64_t began_ms, terminated_ms;
	uint64_t called_ms;     /* the last tick that saw an outbound call */
	uint64_t outbound_seen; /* what had come from the application by then, ever */
	uint64_t app_gone_ms;   /* the first tick that saw nobody listen; 0 = not yet */
	int exit_status;
};

/* 0 or -errno. */
__attribute__((warn_unused_result)) int drain_init(struct drain *drain,
	struct event_base *base, struct shared *shared, struct worker *workers,
	unsigned n_workers);
void drain_fini(struct drain *drain);

/* Begins to drain, or does nothing when it has begun. */
void drain_start(struct drain *drain);

/*
 * SIGTERM or SIGINT: begins, or goes on from where the drain is, and ends the loop when
 * it is over, with drain->exit_status. The second time it ends at once.
 */
void drain_terminate(struct drain *drain);
