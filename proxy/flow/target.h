/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where requests go: a service, or a host and port that is none. A target holds the
 * endpoints in order of preference (tiers), each with its pool of idle connections. It is
 * made at the first request and dropped when it has not been used for
 * NIGH_DISCOVERY_IDLE.
 */
#include "base/str.h"
#include "flow/discovery.h"
#include "flow/endpoint.h"
#include "flow/worker.h"

#define TARGET_KEY_MAX   512
#define TARGET_TIERS_MAX 18 /* sixteen topology keys and what may follow them */

struct resolve;

enum target_state { TARGET_READY, TARGET_WAIT, TARGET_FAILED, TARGET_NO_RESOURCES };

struct target {
	struct list node;
	struct worker *worker;
	struct tally *tally;
	enum direction direction;
	/* Services: the snapshot that the endpoints were made from, with a reference. */
	struct topo *topo;
	const struct topo_port *port;
	char *namespace_, *service, *port_text;
	/* Hosts. */
	char *host;
	uint16_t number;
	struct resolve *resolve;
	uint64_t resolved_ms; /* 0: never */
	const char *problem;  /* why the last look-up failed */
	struct list waiters;  /* struct deferred of exchanges that wait for addresses */

	struct hold *asked; /* the service that it may be, held at the source */
	struct deadline discovery_deadline;
	bool awaits_service; /* its first requests wait for the source's answer */
	bool is_blind;       /* nothing certain is known of that service */

	struct endpoint **endpoints;
	struct balance **members; /* the same, for balance_pick */
	uint32_t n_endpoints;
	struct {
		uint32_t first, n;
	} tiers[TARGET_TIERS_MAX];
	uint32_t n_tiers;
	uint32_t n_refs; /* exchanges */
	uint64_t used_ms;
	bool is_stale;   /* there was no memory for what its endpoints are now */
	bool superseded; /* its name turned out to be a service's */
	bool unlisted;   /* dropped from the worker; freed with the last reference */
	char key[];
};

/*
 * The target for a host and port as a request names them: a service when the topology
 * knows one of that name, else the host itself. default_port is the scheme's, used when
 * the request names none. NULL without memory. The target must be used or held in this
 * callback.
 */
struct target *target_for_host(struct worker *worker, enum direction direction,
	struct str host, uint16_t port, uint16_t default_port);

/*
 * The same for a request that has waited at this target: a service may be known by now.
 * names_port: the request named one.
 */
struct target *target_again(
	struct target *target, const struct front *front, bool names_port);

/* The target behind a front of one service or of the application. */
struct target *target_for_front(struct worker *worker, const struct front *front);

void target_hold(struct target *target);
void target_release(struct target *target);

/* Calls everybody who waits for addresses. */
void target_wake(struct target *target);

/* Whether there are endpoints to pick from; begins a look-up when one is due. */
enum target_state target_prepare(struct target *target);

/*
 * The endpoint for one more attempt: the best tier that has a member left, in good
 * standing if possible. NULL when every endpoint that may be used is in `excluded`.
 */
struct endpoint *target_pick(
	struct target *target, const struct balance_excluded *excluded);

/* Whether a try that is likely to fail may be made: half of the retry budget has enough
 * for it and for all other requests that are under way. */
bool target_affords_failure(const struct target *target);

/* Whether target_pick would find another one. */
bool target_has_other(
	const struct target *target, const struct balance_excluded *excluded);

/* After worker->topo has changed: the targets follow, keeping the endpoints that remain.
 */
void targets_follow_topo(struct worker *worker);

/* Drops what was not used for long. */
void targets_sweep(struct worker *worker, uint64_t now_ms);
void targets_destroy(struct worker *worker);
