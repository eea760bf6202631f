/* SPDX-License-Identifier: Apache-2.0 */
/* Picking within a domain and setting aside; time and chance are given. */
#include <criterion/criterion.h>
#include <stdint.h>

#include "topo/balance.h"

static const struct balance_excluded nobody;

/* Chance without a pattern that the picks could follow. */
static uint64_t chance(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

struct members {
	struct balance own[8];
	struct balance *ptrs[8];
	size_t n;
};

static void members_init(struct members *members, size_t n)
{
	*members = (struct members){.n = n};
	for (size_t i = 0; i < n; i++)
		members->ptrs[i] = &members->own[i];
}

static struct balance *pick(struct members *members,
	const struct balance_excluded *excluded, enum balance_scope scope,
	uint64_t now_ms)
{
	return balance_pick(members->ptrs, members->n, excluded, scope, now_ms, chance());
}

/* Gives the end of the time that it is set aside for. */
static uint64_t fail(struct balance *member, int n, bool unreachable, uint64_t now_ms)
{
	for (int i = 0; i < n; i++)
		balance_report_failure(member, unreachable, now_ms, chance());
	return member->aside_until_ms;
}

Test(topo_balance, spreads_evenly)
{
	for (size_t n = 1; n <= 8; n++) {
		struct members members;
		unsigned n_of[8] = {0};

		members_init(&members, n);
		for (int i = 0; i < 8000; i++)
			n_of[pick(&members, &nobody, BALANCE_GOOD, 0) - members.own]++;
		for (size_t i = 0; i < n; i++)
			cr_expect(n_of[i] > 8000 / n * 8 / 10 &&
					  n_of[i] < 8000 / n * 12 / 10 + 1,
				"%zu of %zu: %u", i, n, n_of[i]);
	}
}

Test(topo_balance, less_loaded_of_two)
{
	struct members members;
	unsigned n_busiest = 0;

	members_init(&members, 2);
	members.own[0].in_flight = 1;
	for (int i = 0; i < 100; i++)
		cr_expect(pick(&members, &nobody, BALANCE_GOOD, 0) == &members.own[1]);
	/* The two are never one: the busiest of three is never taken, */
	members_init(&members, 3);
	members.own[0].in_flight = 9;
	for (int i = 0; i < 1000; i++)
		n_busiest += pick(&members, &nobody, BALANCE_GOOD, 0) == &members.own[0];
	cr_expect(n_busiest == 0);
	/* unless the others may not be used. */
	fail(&members.own[1], 3, true, 0);
	fail(&members.own[2], 3, true, 0);
	cr_expect(pick(&members, &nobody, BALANCE_GOOD, 0) == &members.own[0]);
}

/* Whoever may be used is found, however few they are, and with the load in mind. */
Test(topo_balance, scopes)
{
	struct members members;
	struct balance_excluded excluded = {0};

	members_init(&members, 4);
	fail(&members.own[1], 3, false, 0);
	fail(&members.own[2], 3, true, 0);
	for (int i = 0; i < 500; i++) {
		struct balance *good = pick(&members, &nobody, BALANCE_GOOD, 0);
		struct balance *reachable = pick(&members, &nobody, BALANCE_REACHABLE, 0);

		cr_expect(good == &members.own[0] || good == &members.own[3]);
		cr_expect(reachable && reachable != &members.own[2]);
		cr_expect(pick(&members, &nobody, BALANCE_ANY, 0));
	}
	excluded = (struct balance_excluded){{&members.own[0], &members.own[3]}, 2};
	cr_expect(!pick(&members, &excluded, BALANCE_GOOD, 0));
	for (int i = 0; i < 100; i++) {
		struct balance *any = pick(&members, &excluded, BALANCE_ANY, 0);

		cr_expect(pick(&members, &excluded, BALANCE_REACHABLE, 0) ==
			  &members.own[1]);
		cr_expect(any == &members.own[1] || any == &members.own[2]);
	}
	excluded = (struct balance_excluded){
		{&members.own[0], &members.own[1], &members.own[2], &members.own[3]}, 4};
	cr_expect(!pick(&members, &excluded, BALANCE_ANY, 0));
	cr_expect(!balance_pick(NULL, 0, &nobody, BALANCE_ANY, 0, chance()));
}

/* A call that failed there may come back once somebody else was answered. */
Test(topo_balance, who_answers_again_is_proven)
{
	struct members members;
	struct balance_excluded both;

	members_init(&members, 2);
	both = (struct balance_excluded){
		.items = {&members.own[0], &members.own[1]}, .n_items = 2};
	fail(&members.own[0], 1, false, 1000);
	fail(&members.own[1], 1, false, 1000);
	cr_expect(!pick(&members, &both, BALANCE_PROVEN, 1000));
	balance_report_success(&members.own[1]);
	cr_expect(!pick(&members, &both, BALANCE_GOOD, 1000));
	for (int i = 0; i < 100; i++)
		cr_expect(pick(&members, &both, BALANCE_PROVEN, 1000) == &members.own[1]);
}

Test(topo_balance, extremes_of_chance)
{
	static const uint64_t rows[] = {
		0, UINT64_MAX, UINT32_MAX, (uint64_t)UINT32_MAX << 32};
	struct members members;

	for (size_t n = 1; n <= 8; n++) {
		members_init(&members, n);
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
			cr_expect(balance_pick(
				members.ptrs, n, &nobody, BALANCE_GOOD, 0, rows[i]));
			fail(&members.own[0], 3, true, 0);
			cr_expect(!balance_pick(members.ptrs, n, &nobody, BALANCE_GOOD, 0,
					  rows[i]) == (n == 1));
			balance_report_success(&members.own[0]);
		}
	}
}

Test(topo_balance, aside_from_the_third_failure)
{
	struct balance member = {0};

	cr_expect(fail(&member, 2, true, 1000) == 0 && !balance_is_aside(&member, 1000));
	balance_report_success(&member);
	cr_expect(fail(&member, 2, true, 1000) == 0);
	cr_expect(fail(&member, 1, true, 1000) > 1000 && balance_is_aside(&member, 1000));
	cr_expect(!balance_is_aside(&member, member.aside_until_ms));
	cr_expect(member.unreachable);
	balance_report_success(&member);
	cr_expect(!balance_is_aside(&member, 1000) && !member.unreachable);
	cr_expect(fail(&member, 2, false, 1000) == 0);
}

/* 500 ms, doubled each time to 30 s, a quarter more or less. */
Test(topo_balance, aside_grows)
{
	static const uint64_t steps[] = {
		500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};

	for (int round = 0; round < 200; round++) {
		struct balance member = {0};
		uint64_t now = 1000;

		fail(&member, 2, true, now);
		for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
			uint64_t until = fail(&member, 1, true, now);

			cr_expect(until - now >= steps[i] * 3 / 4 &&
					  until - now <= steps[i] * 5 / 4,
				"%zu: %ju", i, (uintmax_t)(until - now));
			/* Calls that were under way do not prolong it; whether a connect
			 * costs a time-out the latest of them knows best. */
			cr_expect(fail(&member, 5, false, until - 1) == until);
			cr_expect(!member.unreachable);
			cr_expect(fail(&member, 1, true, until - 1) == until);
			cr_expect(member.unreachable);
			now = until;
		}
	}
}

Test(topo_balance, failures_do_not_wrap)
{
	struct balance member = {.n_failures = UINT16_MAX - 1};
	uint64_t now = 1000;

	for (int i = 0; i < 4; i++) {
		uint64_t until = fail(&member, 1, true, now);

		cr_expect(until - now >= 22500);
		now = until;
	}
	cr_expect(member.n_failures == UINT16_MAX);
}
