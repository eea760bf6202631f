/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One address of a target, with its pool of idle connections; and the list of them that a
 * target has, replaced as a whole when its source says something new.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/address.h"
#include "topo/balance.h"

struct target;
struct topo_endpoint;

/* One address. It lives while it is in the target's list or a connection refers to it. */
struct endpoint {
	struct balance balance;
	struct target *target;
	struct list idle; /* struct upstream, most recently used first */
	union address addr;
	uint32_t n_refs;              /* connections */
	uint64_t distrusted_until_ms; /* it closes kept connections without a word */
	uint8_t proximity;
	bool gone; /* no longer in the target: its connections are not kept */
	uint64_t n_requests;
	uint64_t n_answers; /* responses that have begun */
	const struct topo_endpoint
		*topo; /* NULL when it comes from DNS; of target->topo */
};

/* A connection that it might have kept open ended; for a minute, or until it refuses a
 * connection, nothing that may not be sent twice goes on a kept one. */
void endpoint_distrust(struct endpoint *endpoint);

/* A response of it has begun. */
void endpoint_answered(struct endpoint *endpoint);

void endpoint_hold(struct endpoint *endpoint);
void endpoint_release(struct endpoint *endpoint);

/* No longer in the target; its connections under way go on and free it. */
void endpoint_drop(struct endpoint *endpoint);

/* What the endpoints of a target are to be: addresses in order, with their records. */
struct endpoints_wanted {
	const struct topo_endpoint *records; /* or */
	const union address *addresses;
	uint32_t n;
};

/* Makes them the target's, keeping those that remain. Without memory all stays as it was,
 * the target is stale, and it is false. */
bool endpoints_replace(struct target *target, const struct endpoints_wanted *wanted);
