/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to a snapshot. Services and slices are both walked in the order of their
 * names, so each service meets its slices without a search. Per service port, the union
 * of the endpoints over all slices goes through a hash table (linear in endpoints), then
 * selection decides, then the endpoints are laid down tier by tier.
 *
 * Ports are keyed by name, as kube-proxy does: one port name can stand for different
 * numbers in different slices, when pods resolve a named target port differently.
 */
#include <stdlib.h>
#include <string.h>

#include "topo/select.h"
#include "topo/snapshot.h"
#include "topo/store.h"
#include "topo/union.h"

struct build {
	struct topo *topo;
	const struct topo_store *store;
	const struct topo_policy *policy;
	struct intern strings;
	struct union_set endpoints;
};

static int compare_owner(const struct record_slice *a, const struct record_slice *b)
{
	int order = strcmp(a->head.namespace_, b->head.namespace_);
	return order ? order : strcmp(a->service, b->service);
}

static int compare_slices(const void *left, const void *right)
{
	const struct record_slice *a = *(const struct record_slice *const *)left;
	const struct record_slice *b = *(const struct record_slice *const *)right;
	int order = compare_owner(a, b);
	return order ? order : strcmp(a->head.name, b->head.name);
}

static enum topo_proximity find_proximity(
	const struct build *build, const struct record_endpoint *endpoint)
{
	const struct place *place = &build->topo->place;
	const char *our_region = label_map_find(&place->labels, TOPO_LABEL_REGION);
	if (place->node && endpoint->node && !strcmp(place->node, endpoint->node))
		return TOPO_SAME_NODE;
	if (place->zone && endpoint->zone && !strcmp(place->zone, endpoint->zone))
		return TOPO_SAME_ZONE;
	if (!our_region)
		return TOPO_ELSEWHERE;
	const char *region =
		select_endpoint_label(build->store, endpoint, TOPO_LABEL_REGION);
	return region && !strcmp(region, our_region) ? TOPO_SAME_REGION : TOPO_ELSEWHERE;
}

static void fill_address(struct topo_endpoint *out, const uint8_t ip[16], int family)
{
	if (family == AF_INET) {
		out->addr.in.sin_family = AF_INET;
		out->addr.in.sin_port = htons(out->port);
		memcpy(&out->addr.in.sin_addr, ip, sizeof(out->addr.in.sin_addr));
	} else {
		out->addr.in6.sin6_family = AF_INET6;
		out->addr.in6.sin6_port = htons(out->port);
		memcpy(&out->addr.in6.sin6_addr, ip, sizeof(out->addr.in6.sin6_addr));
	}
}

static void fill_endpoint(struct build *build, const struct select_candidate *candidate,
	int family, struct topo_endpoint *out)
{
	const struct record_endpoint *record = candidate->record;
	*out = (struct topo_endpoint){
		.port = candidate->port,
		.state = (uint8_t)select_state(record),
		.proximity = (uint8_t)find_proximity(build, record),
		.tier = candidate->tier,
		.address = arena_strdup(&build->topo->arena, record->address),
		.node = intern_string(&build->strings, record->node),
		.zone = intern_string(&build->strings, record->zone),
		.why = candidate->why,
	};
	fill_address(out, record->ip, family);
}

/* Lay down the candidates of one tier behind those that are there; how many. */
static uint32_t append_tier(
	struct build *build, int tier, struct topo_endpoint *endpoints, uint32_t first)
{
	const struct union_set *collection = &build->endpoints;
	int other = collection->family == AF_INET ? AF_INET6 : AF_INET;
	uint32_t n_added = 0;
	for (size_t i = 0; i < collection->n_candidates; i++) {
		const struct select_candidate *candidate = &collection->candidates[i];
		if (candidate->tier != tier)
			continue;
		fill_endpoint(build, candidate,
			candidate->other_family ? other : collection->family,
			&endpoints[first + n_added++]);
	}
	return n_added;
}

static void build_port(struct build *build, const struct union_group *group,
	const struct record_port *port, struct topo_port *out)
{
	struct arena *arena = &build->topo->arena;
	struct union_set *collection = &build->endpoints;
	struct select_input input = {&build->topo->place, build->policy, build->store,
		group->service, group->headless};
	struct select_result result;

	union_collect(collection, group, port->name);
	select_endpoints(&input, collection->candidates, collection->n_candidates,
		&build->strings, &result);
	struct topo_tier *tiers = arena_alloc(arena, result.n_tiers, sizeof(*tiers));
	struct topo_endpoint *endpoints =
		arena_alloc(arena, collection->n_candidates, sizeof(*endpoints));
	uint32_t n_done = 0;
	for (size_t i = 0; i < result.n_tiers; i++) {
		tiers[i].domain = result.domains[i];
		tiers[i].first = n_done;
		tiers[i].n_endpoints = append_tier(build, (int)i, endpoints, n_done);
		n_done += tiers[i].n_endpoints;
	}
	n_done += append_tier(build, TOPO_TIER_NEVER, endpoints, n_done);
	*out = (struct topo_port){
		.name = intern_string(&build->strings, port->name),
		.target = union_common_port(collection),
		.mode = (uint8_t)result.mode,
		.n_tiers = (uint8_t)result.n_tiers,
		.domain = result.n_tiers ? result.domains[0] : NULL,
		.reason = result.reason,
		.tiers = tiers,
		.endpoints = endpoints,
		.n_endpoints = n_done,
	};
	out->number = port->number ? port->number : out->target;
}

static bool has_port_named(
	const struct record_port *ports, size_t n_ports, const char *name)
{
	for (size_t i = 0; i < n_ports; i++) {
		if (!strcmp(ports[i].name, name))
			return true;
	}
	return false;
}

/*
 * The ports of a service: those of its Service object, and those of its slices when there
 * is no such object or it is headless (its clients dial the slices' ports). The latter
 * have number 0 here. The caller frees the array.
 */
static struct record_port *list_ports(const struct union_group *group, size_t *n_ports)
{
	size_t n = group->service ? group->service->ports.n_items : 0;
	size_t n_most = n;
	for (size_t i = 0; i < group->n_slices; i++)
		n_most += group->slices[i]->ports.n_items;
	struct record_port *ports = arena_xrealloc(NULL, n_most, sizeof(*ports));
	if (n > 0)
		memcpy(ports, group->service->ports.items, n * sizeof(*ports));
	for (size_t i = 0; i < group->n_slices; i++) {
		const struct record_port_list *list = &group->slices[i]->ports;
		if (group->service && !group->headless)
			break;
		for (size_t p = 0; p < list->n_items; p++) {
			const char *name = list->items[p].name;
			if (!has_port_named(ports, n, name))
				ports[n++] = (struct record_port){.name = name};
		}
	}
	*n_ports = n;
	return ports;
}

static bool is_headless(const struct union_group *group)
{
	if (group->service)
		return group->service->headless;
	for (size_t i = 0; i < group->n_slices; i++) {
		if (group->slices[i]->headless)
			return true;
	}
	return false;
}

static void build_service(struct build *build, struct union_group *group)
{
	struct topo *topo = build->topo;
	size_t n_ports;
	/* A Service whose slices are not known is not one without endpoints. */
	const struct topo_watch *watch =
		topo_find_watch(topo, group->namespace_, group->name);
	if ((group->service && group->service->foreign) || (watch && !watch->has_slices))
		return;
	group->headless = is_headless(group);
	struct record_port *ports = list_ports(group, &n_ports);
	struct topo_port *out = arena_alloc(&topo->arena, n_ports, sizeof(*out));
	for (size_t i = 0; i < n_ports; i++)
		build_port(build, group, &ports[i], &out[i]);
	free(ports);
	topo->services[topo->n_services++] = (struct topo_service){
		.namespace_ = intern_string(&build->strings, group->namespace_),
		.name = arena_strdup(&topo->arena, group->name),
		.full_name = arena_printf(
			&topo->arena, "%s/%s", group->namespace_, group->name),
		.headless = group->headless,
		.has_object = group->service != NULL,
		.n_ports = (uint32_t)n_ports,
		.ports = out,
	};
}

/* Take the next service in order of name off both lists. */
static struct union_group next_group(struct record *const **services, size_t *n_services,
	const struct record_slice ***slices, size_t *n_slices)
{
	struct union_group group = {0};
	struct record owner = {0};
	int order = *n_services ? 1 : -1; /* > 0: only the Service, < 0: only slices */
	if (*n_slices) {
		owner.namespace_ = (**slices)->head.namespace_;
		owner.name = (**slices)->service;
		if (*n_services)
			order = record_compare(&owner, **services);
	}
	if (order >= 0) {
		owner = ***services;
		group.service = (const struct record_service *)**services;
		++*services;
		--*n_services;
	}
	group.namespace_ = owner.namespace_;
	group.name = owner.name;
	group.slices = *slices;
	while (order <= 0 && *n_slices && !strcmp((**slices)->service, owner.name) &&
		!strcmp((**slices)->head.namespace_, owner.namespace_)) {
		group.n_slices++;
		++*slices;
		--*n_slices;
	}
	return group;
}

static void build_index(struct topo *topo)
{
	topo->n_slots = 64;
	while (topo->n_slots < 2 * topo->n_services)
		topo->n_slots *= 2;
	topo->slots = arena_alloc(&topo->arena, topo->n_slots, sizeof(*topo->slots));
	for (size_t i = 0; i < topo->n_services; i++) {
		const struct topo_service *service = &topo->services[i];
		uint32_t hash = snapshot_hash(service->namespace_, service->name);
		while (topo->slots[hash & (topo->n_slots - 1)])
			hash++;
		topo->slots[hash & (topo->n_slots - 1)] = (uint32_t)i + 1;
	}
}

static void build_services(struct build *build)
{
	size_t n_services;
	size_t n_slices;
	struct record *const *services =
		topo_store_records(build->store, RECORD_SERVICE, &n_services);
	struct record *const *records =
		topo_store_records(build->store, RECORD_SLICE, &n_slices);
	const struct record_slice **sorted =
		arena_xrealloc(NULL, n_slices, sizeof(*sorted));
	const struct record_slice **slices = sorted;
	for (size_t i = 0; i < n_slices; i++)
		sorted[i] = (const struct record_slice *)records[i];
	qsort(sorted, n_slices, sizeof(*sorted), compare_slices);

	struct topo *topo = build->topo;
	topo->services =
		arena_alloc(&topo->arena, n_services + n_slices, sizeof(*topo->services));
	while (n_services || n_slices) {
		struct union_group group =
			next_group(&services, &n_services, &slices, &n_slices);
		build_service(build, &group);
	}
	free(sorted);
}

static void copy_watches(struct topo *topo, const struct topo_store *store)
{
	struct record *const *records = topo_store_watches(store, &topo->n_watches);
	topo->watches =
		arena_alloc(&topo->arena, topo->n_watches, sizeof(*topo->watches));
	for (size_t i = 0; i < topo->n_watches; i++) {
		struct topo_watch *out = &topo->watches[i];
		*out = ((const struct record_watch *)records[i])->watch;
		out->namespace_ = arena_strdup(&topo->arena, out->namespace_);
		out->name = arena_strdup(&topo->arena, out->name);
		out->problem = arena_strdup(&topo->arena, out->problem);
	}
}

struct topo *topo_build(const struct topo_store *store, const struct topo_self *self,
	const struct topo_policy *policy)
{
	struct topo *topo = arena_xrealloc(NULL, 1, sizeof(*topo));
	*topo = (struct topo){0};
	atomic_init(&topo->n_refs, 1);
	struct build build = {.topo = topo, .store = store, .policy = policy};
	build.strings.arena = &topo->arena;
	topo->place = place_resolve(self, store, &topo->arena);
	copy_watches(topo, store);
	build_services(&build);
	build_index(topo);
	intern_fini(&build.strings);
	union_fini(&build.endpoints);
	return topo;
}
