/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/balance.h"

/* A single failure says nothing: a pod may have restarted a worker. */
#define FAILURES_BEFORE_ASIDE 3
#define ASIDE_FIRST_MS        500
#define ASIDE_MAX_MS          30000

static bool is_excluded(
	const struct balance *member, const struct balance_excluded *excluded)
{
	for (size_t i = 0; i < excluded->n_items; i++)
		if (excluded->items[i] == member)
			return true;
	return false;
}

static bool is_usable(const struct balance *member,
	const struct balance_excluded *excluded, enum balance_scope scope,
	uint64_t now_ms)
{
	if (excluded->n_items > 0 && is_excluded(member, excluded) &&
		(scope != BALANCE_PROVEN || member->n_failures > 0))
		return false;
	return scope == BALANCE_ANY || !balance_is_aside(member, now_ms) ||
	       (scope == BALANCE_REACHABLE && !member->unreachable);
}

static struct balance *less_loaded(struct balance *a, struct balance *b)
{
	/* The analyser cannot know that both walks of pick_walking find the same. */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	return b->in_flight < a->in_flight ? b : a;
}

static uint32_t below(uint32_t random, size_t n)
{
	return (uint32_t)(((uint64_t)random * n) >> 32);
}

/* The same choice where some members may not be used: one walk counts those who may, a
 * second one finds the two. */
static struct balance *pick_walking(struct balance *const *members, size_t n_members,
	const struct balance_excluded *excluded, enum balance_scope scope,
	uint64_t now_ms, uint64_t random)
{
	struct balance *first = NULL, *second = NULL;
	size_t n = 0, a, b, at = 0;

	for (size_t i = 0; i < n_members; i++)
		n += is_usable(members[i], excluded, scope, now_ms);
	if (n == 0)
		return NULL;
	a = below((uint32_t)random, n);
	b = n > 1 ? (a + 1 + below((uint32_t)(random >> 32), n - 1)) % n : a;
	for (size_t i = 0; i < n_members; i++) {
		if (!is_usable(members[i], excluded, scope, now_ms))
			continue;
		if (at == a)
			first = members[i];
		if (at == b)
			second = members[i];
		at++;
	}
	return less_loaded(first, second);
}

struct balance *balance_pick(struct balance *const *members, size_t n_members,
	const struct balance_excluded *excluded, enum balance_scope scope,
	uint64_t now_ms, uint64_t random)
{
	size_t a, b;

	if (n_members == 0)
		return NULL;
	a = below((uint32_t)random, n_members);
	b = n_members > 1
		    ? (a + 1 + below((uint32_t)(random >> 32), n_members - 1)) % n_members
		    : a;
	if (is_usable(members[a], excluded, scope, now_ms) &&
		is_usable(members[b], excluded, scope, now_ms))
		return less_loaded(members[a], members[b]);
	return pick_walking(members, n_members, excluded, scope, now_ms, random);
}

void balance_report_success(struct balance *member)
{
	member->n_failures = 0;
	member->unreachable = false;
	member->aside_until_ms = 0;
}

void balance_report_failure(
	struct balance *member, bool unreachable, uint64_t now_ms, uint64_t random)
{
	unsigned doublings;
	uint64_t aside_ms = ASIDE_FIRST_MS;

	member->unreachable = unreachable;
	/* Calls that were under way when it was set aside do not prolong that. */
	if (balance_is_aside(member, now_ms))
		return;
	if (member->n_failures < UINT16_MAX)
		member->n_failures++;
	if (member->n_failures < FAILURES_BEFORE_ASIDE)
		return;
	doublings = member->n_failures - FAILURES_BEFORE_ASIDE;
	aside_ms = doublings < 6 ? aside_ms << doublings : ASIDE_MAX_MS;
	if (aside_ms > ASIDE_MAX_MS)
		aside_ms = ASIDE_MAX_MS;
	/* Three quarters to five quarters, so that workers and pods do not come back as
	 * one. */
	aside_ms = aside_ms * 3 / 4 + below((uint32_t)random, (size_t)aside_ms / 2 + 1);
	member->aside_until_ms = now_ms + aside_ms;
}
