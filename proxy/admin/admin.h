/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The admin port: a small HTTP server (libevent's evhttp) on the main thread's loop, away
 * from the data path. What it shows it asks of the workers at that moment.
 */
#include <stdint.h>
#include <stdio.h>

#include "flow/worker.h"

struct event_base;
struct admin;
struct growth;

/* How far a drain is; nigh_drain_state and GET /drain say it. */
enum drain_phase {
	DRAIN_SERVING,
	DRAIN_DELAY,     /* still accepting */
	DRAIN_FINISHING, /* inbound listeners closed, requests in flight finish */
	DRAIN_DONE,      /* inbound is done; outbound goes on for the application */
};

/* What the admin port needs of the program. */
struct admin_host {
	struct shared *shared;
	struct worker *workers;
	unsigned n_workers;
	uint64_t started_ms; /* CLOCK_MONOTONIC */
	double started_at;   /* seconds since the epoch */
	void *arg;
	enum drain_phase (*drain_phase)(void *arg);
	void (*drain)(void *arg);
	/* One line on where endpoints come from and how that is. */
	const char *(*source_status)(void *arg);
	/* Seconds since the endpoints were last updated; negative when never. */
	double (*source_age_s)(void *arg);
	uint64_t (*source_requests)(void *arg);
	/* True: nobody has called that service yet, and what is to be known of it will be
	 * soon. */
	bool (*look_for)(void *arg, const char *service);
	struct topo *(*topo)(void *arg); /* borrowed; may be NULL */
	/* Of our own services; it has none where nothing is rebalanced. */
	const struct growth *(*growth)(void *arg);
};

/* Listens and serves. 0 or -errno. host is kept. */
__attribute__((warn_unused_result)) int admin_start(struct admin **out,
	struct event_base *base, const struct listen_set *listen,
	const struct admin_host *host);
void admin_stop(struct admin *admin);

/* Tables of README.md: the paths, the metric families with their reasons. */
void admin_print_paths(FILE *out);
void admin_print_metrics(FILE *out);

/*
 * Asks the running sidecar of this pod, by its NIGH_ADMIN address: gives the status and
 * the body for free(), or -errno when nobody answers within timeout_ms.
 */
__attribute__((warn_unused_result)) int admin_request(const struct listen_addr *admin,
	const char *method, const char *path, unsigned timeout_ms, char **body);
