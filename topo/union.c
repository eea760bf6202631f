/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/union.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Duplicates: an address can be used again while its last owner still terminates. The
 * rest of the order only makes the outcome the same each time. */
static int rank(const struct record_endpoint *endpoint)
{
	return (endpoint->terminating ? 0 : 4) + (endpoint->ready ? 2 : 0) +
	       (endpoint->serving ? 1 : 0);
}

static void set_start(struct union_set *set, size_t n_expected)
{
	set->n_candidates = 0;
	set->n_slots = 16;
	while (set->n_slots < 2 * n_expected)
		set->n_slots *= 2;
	if (set->n_slots > set->n_slots_allocated) {
		set->n_slots_allocated = set->n_slots;
		set->slots =
			arena_xrealloc(set->slots, set->n_slots, sizeof(*set->slots));
	}
	memset(set->slots, 0, set->n_slots * sizeof(*set->slots));
	if (n_expected > set->n_allocated) {
		set->n_allocated = n_expected;
		set->candidates = arena_xrealloc(
			set->candidates, n_expected, sizeof(*set->candidates));
	}
}

static void set_add(struct union_set *set, const struct select_candidate *candidate)
{
	const struct record_endpoint *endpoint = candidate->record;
	uint32_t hash = topo_hash(TOPO_HASH_START, endpoint->ip, sizeof(endpoint->ip));
	hash = topo_hash(hash, &candidate->port, sizeof(candidate->port));
	for (;; hash++) {
		uint32_t *slot = &set->slots[hash & (set->n_slots - 1)];
		if (*slot == 0) {
			set->candidates[set->n_candidates++] = *candidate;
			*slot = (uint32_t)set->n_candidates;
			return;
		}
		struct select_candidate *known = &set->candidates[*slot - 1];
		if (known->port != candidate->port ||
			known->other_family != candidate->other_family ||
			memcmp(known->record->ip, endpoint->ip, sizeof(endpoint->ip)) !=
				0)
			continue;
		if (rank(endpoint) > rank(known->record))
			*known = *candidate;
		return;
	}
}

static void collect_slice(
	struct union_set *set, const struct record_slice *slice, const char *port_name)
{
	for (size_t p = 0; p < slice->ports.n_items; p++) {
		if (strcmp(slice->ports.items[p].name, port_name) != 0)
			continue;
		for (size_t i = 0; i < slice->n_endpoints; i++) {
			struct select_candidate candidate = {
				.record = &slice->endpoints[i],
				.port = slice->ports.items[p].number,
				.other_family = slice->family != set->family,
			};
			set_add(set, &candidate);
		}
	}
}

static size_t count_endpoints(const struct record_slice *slice, const char *port_name)
{
	size_t n = 0;
	for (size_t p = 0; p < slice->ports.n_items; p++) {
		if (!strcmp(slice->ports.items[p].name, port_name))
			n += slice->n_endpoints;
	}
	return n;
}

/* The first that the Service object names, else IPv4, unless there are endpoints of the
 * other one only. */
static int choose_family(const struct union_group *group, const char *port_name)
{
	int first = group->service && group->service->first_family
			    ? group->service->first_family
			    : AF_INET;
	int family = first;
	for (size_t i = 0; i < group->n_slices; i++) {
		if (count_endpoints(group->slices[i], port_name) == 0)
			continue;
		family = group->slices[i]->family;
		if (family == first)
			break;
	}
	return family;
}

void union_collect(
	struct union_set *set, const struct union_group *group, const char *port_name)
{
	size_t n_most = 0;
	for (size_t i = 0; i < group->n_slices; i++)
		n_most += count_endpoints(group->slices[i], port_name);
	set_start(set, n_most);
	set->family = choose_family(group, port_name);
	for (size_t i = 0; i < group->n_slices; i++)
		collect_slice(set, group->slices[i], port_name);
}

uint16_t union_common_port(const struct union_set *set)
{
	if (set->n_candidates == 0)
		return 0;
	uint16_t port = set->candidates[0].port;
	for (size_t i = 1; i < set->n_candidates; i++) {
		if (set->candidates[i].port != port)
			return 0;
	}
	return port;
}

void union_fini(struct union_set *set)
{
	free(set->candidates);
	free(set->slots);
	*set = (struct union_set){0};
}
