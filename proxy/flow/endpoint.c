/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/endpoint.h"

#include <stdlib.h>

#include "flow/target.h"
#include "flow/upstream.h"

#define DISTRUST_MS 60000

static void endpoint_free_if_unused(struct endpoint *endpoint)
{
	if (endpoint->gone && endpoint->n_refs == 0)
		free(endpoint);
}

void endpoint_drop(struct endpoint *endpoint)
{
	endpoint->n_refs++;
	endpoint->gone = true;
	endpoint->topo = NULL;
	upstreams_close_idle(endpoint);
	endpoint_release(endpoint);
}

void endpoint_distrust(struct endpoint *endpoint)
{
	endpoint->distrusted_until_ms =
		loop_ms(&endpoint->target->worker->loop) + DISTRUST_MS;
}

void endpoint_answered(struct endpoint *endpoint)
{
	endpoint->n_answers++;
	balance_report_success(&endpoint->balance);
}

void endpoint_hold(struct endpoint *endpoint)
{
	endpoint->n_refs++;
}

void endpoint_release(struct endpoint *endpoint)
{
	endpoint->n_refs--;
	endpoint_free_if_unused(endpoint);
}

/* A table of the endpoints that a target has, by address, to find them again. */
struct index {
	struct endpoint **slots;
	size_t mask;
};

static size_t address_hash(const union address *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return str_hash((struct str){(const char *)&addr->in.sin_addr, 4}) ^
		       addr->in.sin_port;
	return str_hash((struct str){(const char *)&addr->in6.sin6_addr, 16}) ^
	       addr->in6.sin6_port;
}

static bool index_make(struct index *index, const struct target *target)
{
	size_t n = 4;

	while (n < (size_t)target->n_endpoints * 2)
		n *= 2;
	index->mask = n - 1;
	index->slots = calloc(n, sizeof(*index->slots));
	if (!index->slots)
		return false;
	for (uint32_t i = 0; i < target->n_endpoints; i++) {
		size_t at = address_hash(&target->endpoints[i]->addr) & index->mask;

		while (index->slots[at])
			at = (at + 1) & index->mask;
		index->slots[at] = target->endpoints[i];
	}
	return true;
}

static struct endpoint *index_find(const struct index *index, const union address *addr)
{
	size_t at = address_hash(addr) & index->mask;

	for (; index->slots[at]; at = (at + 1) & index->mask)
		if (address_equal(&index->slots[at]->addr, addr))
			return index->slots[at];
	return NULL;
}

static struct endpoint *endpoint_create(struct target *target, const union address *addr)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint)
		return NULL;
	endpoint->target = target;
	endpoint->gone = true; /* not in it yet */
	endpoint->addr = *addr;
	endpoint->proximity = TOPO_ELSEWHERE;
	list_init(&endpoint->idle);
	return endpoint;
}

static const union address *wanted_address(
	const struct endpoints_wanted *wanted, uint32_t i)
{
	return wanted->records ? (const union address *)&wanted->records[i].addr
			       : &wanted->addresses[i];
}

/* The endpoint of each wanted address: the one that is there, or a new one. False without
 * memory. */
static bool gather(struct target *target, const struct endpoints_wanted *wanted,
	struct endpoint **endpoints)
{
	struct index index;
	uint32_t n = 0;

	if (!index_make(&index, target))
		return false;
	for (; n < wanted->n; n++) {
		const union address *addr = wanted_address(wanted, n);

		endpoints[n] = index_find(&index, addr);
		if (!endpoints[n])
			endpoints[n] = endpoint_create(target, addr);
		if (!endpoints[n])
			break;
	}
	free(index.slots);
	if (n == wanted->n)
		return true;
	while (n > 0)
		endpoint_free_if_unused(endpoints[--n]);
	return false;
}

/* They are the target's from now on, and what it had besides is dropped. */
static void adopt(struct target *target, const struct endpoints_wanted *wanted,
	struct endpoint **endpoints, struct balance **members)
{
	for (uint32_t i = 0; i < target->n_endpoints; i++)
		target->endpoints[i]->gone = true;
	for (uint32_t i = 0; i < wanted->n; i++) {
		struct endpoint *endpoint = endpoints[i];

		endpoint->gone = false;
		endpoint->topo = wanted->records ? &wanted->records[i] : NULL;
		if (endpoint->topo)
			endpoint->proximity = endpoint->topo->proximity;
		members[i] = &endpoint->balance;
	}
	for (uint32_t i = 0; i < target->n_endpoints; i++)
		if (target->endpoints[i]->gone)
			endpoint_drop(target->endpoints[i]);
	free(target->endpoints);
	free(target->members);
	target->endpoints = endpoints;
	target->members = members;
	target->n_endpoints = wanted->n;
}

bool endpoints_replace(struct target *target, const struct endpoints_wanted *wanted)
{
	struct endpoint **endpoints = calloc(wanted->n + 1, sizeof(*endpoints));
	struct balance **members = calloc(wanted->n + 1, sizeof(*members));

	target->is_stale = !endpoints || !members || !gather(target, wanted, endpoints);
	if (target->is_stale) {
		free(endpoints);
		free(members);
		return false;
	}
	adopt(target, wanted, endpoints, members);
	return true;
}
