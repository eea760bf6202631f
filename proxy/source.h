/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From the configured endpoints source to the workers: reads records into a store, builds
 * a snapshot from them and hands it to every worker. All of it on the main thread.
 */
#include "flow/worker.h"

struct event_base;
struct file_source;
struct topo_store;

struct source {
	const struct config *config;
	struct topo_policy policy;
	struct topo_store *store;
	struct topo *topo; /* the last one that was built; NULL without a source */
	struct file_source *file;
	struct worker *workers;
	unsigned n_workers;
	uint64_t updated_ms; /* 0: never */
	char problem[256];   /* of the last read; empty when it went well */
};

/* What selection needs of the configuration; borrows from it. */
void source_policy(struct topo_policy *policy, const struct config *config);

/*
 * Reads once and begins to watch. A source that cannot be read is no failure: it is
 * reported, and calls pass through until it can. 0 or -errno.
 */
__attribute__((warn_unused_result)) int source_start(struct source *source,
	struct event_base *base, const struct config *config, struct worker *workers,
	unsigned n_workers);
void source_stop(struct source *source);

/* One line for people: where endpoints come from and how that goes. */
const char *source_status(const struct source *source);

/* Reads a file into a snapshot once, for `nigh explain`: NULL when it cannot be used.
 * Says on stderr why, and unless quiet which parts of it were skipped. */
struct topo *source_read_once(const struct config *config, const char *path, bool quiet);
