/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From the configured endpoints source to the workers: keeps records in a store, builds
 * a snapshot from them and hands it to every worker, and to the rebalance. All of it on
 * the main thread, to which workers post the names of services that somebody calls.
 */
#include "flow/discovery.h"
#include "flow/worker.h"
#include "rebalance.h"

struct event_base;
struct file_source;
struct kubernetes;
struct topo_store;

struct source {
	const struct config *config;
	struct shared *shared;
	struct topo_policy policy;
	struct topo_store *store;
	struct topo *topo; /* the last one that was built; NULL without a source */
	struct rebalance rebalance;
	struct file_source *file;
	struct worker *workers;
	unsigned n_workers;
	uint64_t updated_ms; /* 0: never */
	char problem[512];   /* of the last read; empty when it went well */

	/* With the Kubernetes API: */
	struct kubernetes *kubernetes;
	struct discovery discovery;
	struct mailbox mailbox; /* what workers ask for */
	struct event *publishing;
	uint64_t publish_from_ms;    /* not before */
	uint64_t updated_version;    /* of the store's objects at updated_ms */
	struct topo_name *explained; /* held for `nigh explain`, for as long as a call */
	struct event *explain_end;
};

/* What selection needs of the configuration; borrows from it. */
void source_policy(struct topo_policy *policy, const struct config *config);

/*
 * Reads once and begins to watch. A source that cannot be read is no failure: it is
 * reported, and calls pass through until it can. The services of fronts, and those that
 * our own pod serves, are looked for from now on. 0 or -errno.
 */
__attribute__((warn_unused_result)) int source_start(struct source *source,
	struct event_base *base, struct shared *shared, struct worker *workers,
	unsigned n_workers);

/* After the workers' threads have ended. */
void source_stop(struct source *source);

/* Requests sent to the API server so far. */
uint64_t source_n_requests(const struct source *source);

/*
 * Looks for a service, "NAME[:PORT]", that nobody has called yet. True when something
 * will be known of it soon.
 */
bool source_look_for(struct source *source, const char *service);

/* One line for people: where endpoints come from and how that goes. */
const char *source_status(struct source *source);

/* Reads a file into a snapshot once, for `nigh explain`: NULL when it cannot be used.
 * Says on stderr why, and unless quiet which parts of it were skipped. */
struct topo *source_read_once(const struct config *config, const char *path, bool quiet);
