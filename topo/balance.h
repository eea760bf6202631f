/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which endpoint of a domain takes the next call: the one with fewer calls in flight of
 * two different ones drawn at random. One that fails again and again is set aside for a
 * growing time. Pure: time and chance are arguments. Each worker keeps its own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BALANCE_EXCLUDED_MAX 8

/* One member, embedded in the caller's endpoint. Zeroed it is fresh. */
struct balance {
	uint32_t in_flight;
	uint16_t n_failures; /* since the last success */
	bool unreachable;    /* the last failure: nobody even answered a connect */
	uint64_t aside_until_ms;
};

/* Members that this call has tried already. */
struct balance_excluded {
	const struct balance *items[BALANCE_EXCLUDED_MAX];
	size_t n_items;
};

/* What may be picked beside members in good standing. */
enum balance_scope {
	BALANCE_GOOD,      /* nobody who is set aside */
	BALANCE_REACHABLE, /* also who is set aside, unless asking costs a time-out */
	BALANCE_PROVEN,    /* good standing, and also who failed this call but has
			      answered another since */
	BALANCE_ANY,
};

/* The member to use, or NULL when the scope has none. `random` is any 64 bits. */
struct balance *balance_pick(struct balance *const *members, size_t n_members,
	const struct balance_excluded *excluded, enum balance_scope scope,
	uint64_t now_ms, uint64_t random);

/* A response came, or a connection that had been failing was made. */
void balance_report_success(struct balance *member);

/* It failed; `unreachable` when a connect was not even refused. */
void balance_report_failure(
	struct balance *member, bool unreachable, uint64_t now_ms, uint64_t random);

static inline bool balance_is_aside(const struct balance *member, uint64_t now_ms)
{
	return member->aside_until_ms > now_ms;
}
