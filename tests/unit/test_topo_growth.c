/* SPDX-License-Identifier: Apache-2.0 */
/* When growth of our own services is answered by a rebalance: timelines. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "topo/growth.h"
#include "topo_fixture.h"

#define START_MS    1000
#define INTERVAL_MS 10000
#define WINDOW_MS   2000
#define END_MS      60000

/*
 * States of the service from a time on, "MS:ADDRESS,ADDRESS": last bytes of 10.0.0.N,
 * none for no state, twice a service with a slash between its two. We are 10.0.0.1. What
 * must come of it: "MS+NEW" for each rebalance. Times count from the start.
 */
static const struct {
	const char *name, *states, *begins;
} rows[] = {
	{"the first state is the baseline", "0:1,2,3", ""},
	{"our own start", "0:2,3 4000:1,2,3", ""},
	{"our own start and restart, alone", "0:1 2000: 5000:1", ""},
	{"not settled yet, then settled", "0: 5000:1,2,3", ""},
	{"2 to 4", "0:1,2 2000:1,2,3,4", "2250+2"},
	{"1 to 2", "0:1 2000:1,2", "2250+1"},
	{"who was alone without us", "0:2 2000:1,2 5000:1,2,3", "5250+1"},
	{"shrinking", "0:1,2,3,4 2000:1,2", ""},
	{"shrinking to us, then to nothing", "0:1,2,3 2000:1 9000:", ""},
	{"the same state again", "0:1,2 2000:2,1 3000:1,2", ""},
	{"twice in one state", "0:1,2,2 2000:1,2,3,3", "2250+1"},
	{"an outage", "0:1,2 2000: 9000:1,2", ""},
	{"it vanishes in parts and comes back in parts",
		"0:1,2,3,4 2000:1,2 2100: 9000:3 9100:3,4 9200:1,2,3,4", ""},
	{"it vanishes and comes back grown", "0:1,2 2000: 9000:1,2,3", "9250+1"},
	{"an outage in a growth", "0:1,2 2000:1,2,3 2100: 9000:1,2,3", "9250+1"},
	{"gone long before it vanished", "0:1,2,3 2000:1,2 5000: 8000:1,2,3", "8250+1"},
	{"a new one flaps", "0:1,2 2000:1,2,3 2249:1,2 2300:1,2,3 2549:1,2", ""},
	{"a new one flaps and stays", "0:1,2 2000:1,2,3 2200:1,2 2300:1,2,3", "2550+1"},
	{"an old one flaps", "0:1,2,3 2000:1,2 2249:1,2,3", ""},
	{"an old one flaps for long", "0:1,2,3 2000:1,2 2100:1,2,3 2200:1,2 2300:1,2,3",
		""},
	{"an old one was away", "0:1,2,3 2000:1,2 2250:1,2,3", "2500+1"},
	{"an old one was away, others change", "0:1,2,3,4 2000:1,2,4 2100:1,2 2300:1,2,3",
		"2550+1"},
	{"one for one", "0:1,2,3 2000:1,2,4", "2250+1"},
	{"a pod after the other is waited for", "0:1 2000:1,2 2100:1,2,3", "2350+2"},
	{"but not for ever", "0:1 2000:1,2 2200:1,2,3 2400:1,2,3,4", "2500+2 12500+1"},
	{"in the interval: once, at its end",
		"0:1,2 2000:1,2,3 4000:1,2,3,4 6000:1,2,3,4,5", "2250+1 12250+2"},
	{"in the interval, gone at its end", "0:1,2 2000:1,2,3 4000:1,2,3,4 9000:1,2,3",
		"2250+1"},
	{"at the end of the interval, not yet steady", "0:1,2 2000:1,2,3 12200:1,2,3,4",
		"2250+1 12450+1"},
	{"after the interval", "0:1,2 2000:1,2,3 20000:1,2,3,4", "2250+1 20250+1"},
	{"a rolling update: one for one, each two seconds",
		"0:1,2,3,4 2000:1,2,3,4,5 3000:1,3,4,5 4000:1,3,4,5,6 5000:1,4,5,6 "
		"6000:1,4,5,6,7 7000:1,5,6,7",
		"2250+1 12250+2"},
	{"scaled up, down and up", "0:1,2 2000:1,2,3 20000:1,2 40000:1,2,3",
		"2250+1 40250+1"},
	{"two services, one pod", "0:1,2/1,2 2000:1,2,3/1,2,3", "2250+1"},
	{"two services, two pods", "0:1,2/1 2000:1,2,3/1,4", "2250+2"},
	{"a pod of one becomes one of the other", "0:1,2/1 2000:1,2/1,2", "2250+1"},
	{"one is known later", "0:1,2/ 5000:1,2/1,3,4 9000:1,2/1,3,4,5", "9250+1"},
	{"the end of one is nothing to the other", "0:1,2/1,2 2000:/1,2 5000:1,2/1,2",
		""},
};

static void see(struct growth *growth, char *states, uint64_t now)
{
	for (size_t i = 0; i < growth->n_services; i++) {
		char *state = strsep(&states, "/"), *number;
		struct in6_addr ready[16];
		size_t n = 0;

		while (state && (number = strsep(&state, ","))) {
			if (!*number)
				continue;
			ready[n] = (struct in6_addr){
				.s6_addr = {[10] = 0xff, [11] = 0xff, [12] = 10}};
			ready[n++].s6_addr[15] = (uint8_t)atoi(number);
		}
		growth_see(growth, &growth->services[i], ready, n, now);
	}
}

/* What came of the states. */
static void run(const char *states, const char *self, char begins[256])
{
	struct growth growth;
	char *text = strdup(states), *rest = text, *next = strsep(&rest, " ");
	size_t len = 0;

	growth_init(&growth, self, INTERVAL_MS, WINDOW_MS);
	growth_add_service(&growth, "shop", "orders");
	if (strchr(states, '/'))
		growth_add_service(&growth, "shop", "prices");
	begins[0] = '\0';
	for (uint64_t ms = 0; ms < END_MS; ms++) {
		uint64_t due, now = START_MS + ms;

		if (next && strtoul(next, NULL, 10) == ms) {
			see(&growth, strchr(next, ':') + 1, now);
			next = strsep(&rest, " ");
		}
		due = growth_due_ms(&growth);
		if (!growth_begins(&growth, now)) {
			cr_assert(due == 0 || due > now, "%s: due at %ju", states,
				(uintmax_t)ms);
			continue;
		}
		cr_assert(due == now && growth.n_begun > 0 && growth.seen_ms < now);
		len += (size_t)snprintf(begins + len, 256 - len, "%s%ju+%zu",
			len > 0 ? " " : "", (uintmax_t)ms, growth.n_new);
	}
	cr_assert(growth_n_waiting(&growth) == 0);
	growth_fini(&growth);
	free(text);
}

Test(topo_growth, timelines)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char begins[256];

		run(rows[i].states, "10.0.0.1", begins);
		cr_expect(strcmp(begins, rows[i].begins) == 0, "%s: '%s', want '%s'",
			rows[i].name, begins, rows[i].begins);
	}
}

/* Without our own address our start looks like another pod's; nothing else changes. */
Test(topo_growth, no_address_of_our_own)
{
	char begins[256];

	run("0:2,3 4000:1,2,3", NULL, begins);
	cr_expect(strcmp(begins, "4250+1") == 0, "%s", begins);
}

/* Once every address of a rebalance was there, who connects may land on any of them. */
Test(topo_growth, seen_is_the_last_of_the_new_ones)
{
	struct growth growth;
	char first[] = "1,2", second[] = "1,2,3", third[] = "1,2,3,4";

	growth_init(&growth, "10.0.0.1", INTERVAL_MS, WINDOW_MS);
	growth_add_service(&growth, "shop", "orders");
	see(&growth, first, 1000);
	see(&growth, second, 2000);
	see(&growth, third, 2100);
	cr_expect(growth_n_waiting(&growth) == 2);
	cr_expect(!growth_begins(&growth, 2349) && growth_begins(&growth, 2350));
	cr_expect(growth.seen_ms == 2100 && growth.begun_ms == 2350 &&
		  growth.busy_from_ms == 2000);
	cr_expect(growth_due_ms(&growth) == 0 && growth_n_waiting(&growth) == 0);
	growth_fini(&growth);
}

/* A burst of growth begins with its first address, and is over when all pods have
 * answered its last one. Our own arrival is one to them. */
Test(topo_growth, busy_since_the_first_of_a_burst)
{
	static const struct {
		uint64_t at_ms;
		const char *state;
		uint64_t busy_from_ms;
	} steps[] = {
		{1000, "2,3", 0},
		{2000, "1,2,3", 2000},
		{9000, "1,2,3,4", 2000},
		{10000, "1,2,3", 2000},
		{20000, "1,2,3,5", 2000},
		{33501, "1,2,3,5,6", 33501},
		{33502, "1,2,3,5,6", 33501},
		{33503, "", 33501},
	};
	struct growth growth;

	growth_init(&growth, "10.0.0.1", INTERVAL_MS, WINDOW_MS);
	growth_add_service(&growth, "shop", "orders");
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		char state[16];

		snprintf(state, sizeof(state), "%s", steps[i].state);
		see(&growth, state, steps[i].at_ms);
		cr_expect(growth.busy_from_ms == steps[i].busy_from_ms, "%ju: %ju",
			(uintmax_t)steps[i].at_ms, (uintmax_t)growth.busy_from_ms);
	}
	growth_fini(&growth);
}

/* A snapshot of slices of these endpoints (see topo_fixture.h). */
static void follow(struct growth *growth, const char *const endpoints[2], uint64_t now)
{
	char *json;
	size_t len;
	FILE *out = open_memstream(&json, &len);
	struct topo *topo;

	for (int i = 0; i < 2; i++)
		if (endpoints[i])
			fixture_print_slice(out, i == 0 ? "a" : "b", endpoints[i]);
	fclose(out);
	topo = fixture_topo(json, "-/-");
	growth_follow(growth, topo, now);
	topo_unref(topo);
	free(json);
}

#define FOLLOW(now, ...) follow(&growth, (const char *const[2]){__VA_ARGS__}, now)

/* Ready is what counts, whichever slice says it and how often. */
Test(topo_growth, snapshots)
{
	struct growth growth;

	growth_init(&growth, "10.0.0.1", INTERVAL_MS, WINDOW_MS);
	growth_add_service(&growth, "shop", "orders");
	growth_add_service(&growth, "shop", "unknown");
	FOLLOW(1000, "1:u:-:- 3:t:-:-");
	cr_expect(!growth.services[0].is_known);
	FOLLOW(2000, "1:r:-:- 2:r:-:- 3:u:-:-");
	cr_expect(growth.services[0].is_known && growth.services[0].n_ready == 2);
	cr_expect(growth_due_ms(&growth) == 0);
	FOLLOW(3000, "1:r:-:-", "2:r:-:- 3:u:-:- 4:s:-:- 5:t:-:-");
	cr_expect(growth_due_ms(&growth) == 0);
	FOLLOW(4000, "1:r:-:- 2:r:-:-", "2:r:-:- 3:r:-:- 4:s:-:-");
	cr_expect(growth.services[0].n_ready == 3 && growth_due_ms(&growth) == 4250);
	cr_expect(growth_begins(&growth, 4250) && growth.n_new == 1);
	FOLLOW(5000, "1:u:-:- 2:u:-:-");
	FOLLOW(7000, "1:r:-:- 2:r:-:- 3:r:-:-");
	cr_expect(growth_due_ms(&growth) == 0);
	cr_expect(!growth.services[1].is_known);
	growth_fini(&growth);
}

static const char dual[] =
	"{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":"
	"{\"name\":\"%s\",\"namespace\":\"shop\",\"labels\":"
	"{\"kubernetes.io/service-name\":\"orders\"}},\"addressType\":\"%s\","
	"\"ports\":[{\"name\":\"http\",\"port\":80}],\"endpoints\":[%s]}";

static void follow_dual(
	struct growth *growth, const char *four, const char *six, uint64_t now)
{
	char json[4096];
	struct topo *topo;
	int len = 0;

	if (four)
		len = snprintf(json, sizeof(json), dual, "a", "IPv4", four);
	if (six)
		snprintf(json + len, sizeof(json) - len, dual, "b", "IPv6", six);
	topo = fixture_topo(json, "-/-");
	growth_follow(growth, topo, now);
	topo_unref(topo);
}

#define AT(address) "{\"addresses\":[\"" address "\"]}"

/* A pod of two families is one pod. */
Test(topo_growth, two_families)
{
	static const struct {
		const char *self;
		size_t n_ready, n_new;
	} selves[] = {{"10.0.0.1", 2, 1}, {"fd00::1", 2, 1}, {NULL, 4, 2}};

	for (size_t i = 0; i < 3; i++) {
		struct growth growth;

		growth_init(&growth, selves[i].self, INTERVAL_MS, WINDOW_MS);
		growth_add_service(&growth, "shop", "orders");
		follow_dual(&growth, AT("10.0.0.1"), AT("fd00::1"), 1000);
		follow_dual(&growth, AT("10.0.0.1") "," AT("10.0.0.2"),
			AT("fd00::1") "," AT("fd00::2"), 2000);
		cr_expect(growth_begins(&growth, 2250));
		cr_expect(growth.n_new == selves[i].n_new &&
				  growth.services[0].n_ready == selves[i].n_ready,
			"%s: %zu new, %zu ready", selves[i].self, growth.n_new,
			growth.services[0].n_ready);
		growth_fini(&growth);
	}
}

Test(topo_growth, only_the_other_family)
{
	struct growth growth;

	growth_init(&growth, "10.0.0.1", INTERVAL_MS, WINDOW_MS);
	growth_add_service(&growth, "shop", "orders");
	follow_dual(&growth, NULL, AT("fd00::1"), 1000);
	follow_dual(&growth, NULL, AT("fd00::1") "," AT("fd00::2"), 2000);
	cr_expect(growth_begins(&growth, 2250) && growth.n_new == 1);
	growth_fini(&growth);
}
