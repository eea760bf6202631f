/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address of a service:
 *
 *              seen                        a rebalance begins
 *   unknown ----------> waits ------------------------------------> counted
 *      ^                  | gone                                  gone | ^ back
 *      +------------------+                                            v |
 *      +------------------------- GROWTH_STEADY_MS later ----------- is missed
 *
 * Those of the first state, and our own, are counted at once.
 */
#include "topo/growth.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "topo/arena.h"
#include "topo/store.h"
#include "topo/topo.h"

struct growth_member {
	struct in6_addr ip;
	bool counted;
	bool present;
	uint64_t since_ms; /* it is present or not, as far as anybody asks */
};

/* Pods that become ready together are answered together: who waits is waited for, but
 * no longer than twice. */
#define GATHER_MS ((uint64_t)2 * GROWTH_STEADY_MS)

/* So much later a busy connection has had its next response. */
#define NEXT_REQUEST_MS 1000

static struct in6_addr map_ipv4(struct in_addr ip)
{
	struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	memcpy(&mapped.s6_addr[12], &ip, sizeof(ip));
	return mapped;
}

void growth_init(struct growth *growth, const char *pod_ip, uint64_t interval_ms,
	uint64_t window_ms)
{
	struct in_addr ipv4;

	*growth = (struct growth){.interval_ms = interval_ms, .window_ms = window_ms};
	if (pod_ip && inet_pton(AF_INET, pod_ip, &ipv4) == 1)
		growth->self = map_ipv4(ipv4);
	else if (pod_ip && inet_pton(AF_INET6, pod_ip, &growth->self) != 1)
		growth->self = in6addr_any;
}

void growth_fini(struct growth *growth)
{
	for (size_t i = 0; i < growth->n_services; i++)
		free(growth->services[i].members);
	free(growth->services);
	*growth = (struct growth){0};
}

void growth_add_service(struct growth *growth, const char *namespace_, const char *name)
{
	growth->services = arena_xrealloc(
		growth->services, growth->n_services + 1, sizeof(*growth->services));
	growth->services[growth->n_services++] =
		(struct growth_service){.namespace_ = namespace_, .name = name};
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct in6_addr));
}

static size_t sort_once(struct in6_addr *ips, size_t n)
{
	size_t n_kept = 0;

	if (n > 0)
		qsort(ips, n, sizeof(*ips), compare);
	for (size_t i = 0; i < n; i++)
		if (n_kept == 0 || compare(&ips[n_kept - 1], &ips[i]) != 0)
			ips[n_kept++] = ips[i];
	return n_kept;
}

static bool waits(const struct growth_member *member)
{
	return member->present && !member->counted;
}

/* Counted, and not gone for good. */
static bool is_certain(const struct growth_member *member, uint64_t now_ms)
{
	return member->counted &&
	       (member->present || now_ms - member->since_ms < GROWTH_STEADY_MS);
}

/* The service has no state now: what was certain stays. */
static void keep_certain(struct growth_service *service, uint64_t now_ms)
{
	size_t n_kept = 0;

	for (size_t i = 0; i < service->n_members; i++) {
		struct growth_member member = service->members[i];

		if (!is_certain(&member, now_ms))
			continue;
		member.present = true;
		service->members[n_kept++] = member;
	}
	service->n_members = n_kept;
}

/*
 * Our peers answer each new address, our own too, at once or when their interval is over,
 * and a connection that they send away comes here with its next request.
 */
static void note_growth(struct growth *growth, uint64_t now_ms)
{
	if (now_ms > growth->busy_until_ms)
		growth->busy_from_ms = now_ms;
	growth->busy_until_ms = now_ms + GATHER_MS + growth->interval_ms +
				growth->window_ms + NEXT_REQUEST_MS;
}

/* What an address of the new state is, by what it was. */
static struct growth_member arrive(struct growth *growth,
	const struct growth_service *service, const struct growth_member *before,
	const struct in6_addr *ip, uint64_t now_ms)
{
	struct growth_member member = {.ip = *ip, .present = true, .since_ms = now_ms};

	if (before && before->present)
		return *before;
	member.counted = !service->is_known || (before && is_certain(before, now_ms));
	if (!member.counted)
		note_growth(growth, now_ms);
	member.counted = member.counted || compare(ip, &growth->self) == 0;
	return member;
}

/* Whether one that is not in the new state is remembered. */
static bool is_missed(struct growth_member *member, uint64_t now_ms)
{
	if (member->present)
		member->since_ms = now_ms;
	member->present = false;
	return is_certain(member, now_ms);
}

void growth_see(struct growth *growth, struct growth_service *service,
	struct in6_addr *ready, size_t n_ready, uint64_t now_ms)
{
	struct growth_member *old = service->members;
	size_t n_old = service->n_members, i = 0, n = 0;
	struct growth_member *members;

	n_ready = sort_once(ready, n_ready);
	service->n_ready = n_ready;
	if (n_ready == 0) {
		keep_certain(service, now_ms);
		return;
	}
	members = arena_xrealloc(NULL, n_old + n_ready, sizeof(*members));
	for (size_t k = 0; i < n_old || k < n_ready;) {
		int order = i == n_old     ? 1
			    : k == n_ready ? -1
					   : compare(&old[i].ip, &ready[k]);

		if (order >= 0)
			members[n++] = arrive(growth, service,
				order == 0 ? &old[i] : NULL, &ready[k], now_ms);
		else if (is_missed(&old[i], now_ms))
			members[n++] = old[i];
		i += order <= 0;
		k += order >= 0;
	}
	free(old);
	service->members = members;
	service->n_members = n;
	service->is_known = true;
}

static bool is_family(const struct in6_addr *ip, const struct in6_addr *of)
{
	return IN6_IS_ADDR_V4MAPPED(ip) == IN6_IS_ADDR_V4MAPPED(of);
}

/* A pod of two families is one pod: those of our own family count where there are any. */
static size_t keep_family(struct in6_addr *ips, size_t n, const struct in6_addr *self)
{
	size_t n_kept = 0;

	if (IN6_IS_ADDR_UNSPECIFIED(self))
		return n;
	for (size_t i = 0; i < n; i++) {
		struct in6_addr ip = ips[i];

		if (!is_family(&ip, self))
			continue;
		ips[i] = ips[n_kept];
		ips[n_kept++] = ip;
	}
	return n_kept > 0 ? n_kept : n;
}

/* The ready addresses, over all ports, for free(). */
static struct in6_addr *list_ready(
	const struct topo *topo, const struct growth_service *of, size_t *n)
{
	const struct topo_watch *watch = topo_find_watch(topo, of->namespace_, of->name);
	const struct topo_service *service =
		watch && !watch->settled ? NULL
					 : topo_find(topo, of->namespace_, of->name);
	struct in6_addr *ips = NULL;

	*n = 0;
	for (uint32_t p = 0; service && p < service->n_ports; p++) {
		const struct topo_port *port = &service->ports[p];

		ips = arena_xrealloc(ips, *n + port->n_endpoints, sizeof(*ips));
		for (uint32_t i = 0; i < port->n_endpoints; i++) {
			const struct topo_endpoint *endpoint = &port->endpoints[i];

			if (endpoint->state != TOPO_READY)
				continue;
			ips[(*n)++] = endpoint->addr.sa.sa_family == AF_INET
					      ? map_ipv4(endpoint->addr.in.sin_addr)
					      : endpoint->addr.in6.sin6_addr;
		}
	}
	return ips;
}

void growth_follow(struct growth *growth, const struct topo *topo, uint64_t now_ms)
{
	for (size_t i = 0; i < growth->n_services; i++) {
		struct growth_service *service = &growth->services[i];
		size_t n;
		struct in6_addr *ips = list_ready(topo, service, &n);

		n = keep_family(ips, n, &growth->self);
		growth_see(growth, service, ips, n, now_ms);
		free(ips);
	}
}

uint64_t growth_due_ms(const struct growth *growth)
{
	uint64_t oldest = UINT64_MAX, youngest = 0, due;

	for (size_t i = 0; i < growth->n_services; i++) {
		const struct growth_service *service = &growth->services[i];

		for (size_t k = 0; k < service->n_members; k++) {
			uint64_t since = service->members[k].since_ms;

			if (!waits(&service->members[k]))
				continue;
			oldest = since < oldest ? since : oldest;
			youngest = since > youngest ? since : youngest;
		}
	}
	if (oldest == UINT64_MAX)
		return 0;
	due = youngest + GROWTH_STEADY_MS;
	due = due < oldest + GATHER_MS ? due : oldest + GATHER_MS;
	if (growth->n_begun > 0 && due < growth->begun_ms + growth->interval_ms)
		due = growth->begun_ms + growth->interval_ms;
	return due;
}

/* Whether a service before this one has the same address waiting. */
static bool is_repeated(
	const struct growth *growth, size_t n_before, const struct in6_addr *ip)
{
	for (size_t i = 0; i < n_before; i++) {
		const struct growth_service *service = &growth->services[i];
		const struct growth_member *member =
			service->n_members == 0
				? NULL
				: bsearch(ip, service->members, service->n_members,
					  sizeof(*member), compare);

		if (member && waits(member))
			return true;
	}
	return false;
}

/* The new addresses that have stayed since `until`; counts each once. */
static size_t count_new(const struct growth *growth, uint64_t until_ms, uint64_t *last_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < growth->n_services; i++) {
		const struct growth_service *service = &growth->services[i];

		for (size_t k = 0; k < service->n_members; k++) {
			const struct growth_member *member = &service->members[k];

			if (!waits(member) || member->since_ms > until_ms)
				continue;
			*last_ms =
				member->since_ms > *last_ms ? member->since_ms : *last_ms;
			n += !is_repeated(growth, i, &member->ip);
		}
	}
	return n;
}

bool growth_begins(struct growth *growth, uint64_t now_ms)
{
	uint64_t due = growth_due_ms(growth), until = now_ms - GROWTH_STEADY_MS;

	if (due == 0 || now_ms < due)
		return false;
	growth->seen_ms = 0;
	growth->n_new = count_new(growth, until, &growth->seen_ms);
	for (size_t i = 0; i < growth->n_services; i++) {
		struct growth_service *service = &growth->services[i];

		for (size_t k = 0; k < service->n_members; k++)
			if (waits(&service->members[k]))
				service->members[k].counted =
					service->members[k].since_ms <= until;
	}
	growth->n_begun++;
	growth->begun_ms = now_ms;
	return true;
}

size_t growth_n_waiting(const struct growth *growth)
{
	uint64_t unused = 0;

	return count_new(growth, UINT64_MAX, &unused);
}
