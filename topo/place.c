/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first source that knows a label wins: the variables made for it, NIGH_NODE_LABELS,
 * our own endpoint record, our Node object. The hostname label is always the node's name,
 * because that is what endpoints are compared with; the label of the Node object may
 * differ from it (it does on some clouds) and is not read.
 */
#include "topo/place.h"

#include <netinet/in.h>
#include <string.h>

#include "topo/address.h"

/* A label that is there already stays. */
static void add_label(
	struct place *place, struct arena *arena, const char *key, const char *value)
{
	struct label_map *map = &place->labels;
	if (label_map_find(map, key))
		return;
	map->items[map->n_items].key = arena_strdup(arena, key);
	map->items[map->n_items++].value = arena_strdup(arena, value);
}

/* "" is what the downward API gives for a label that is not there. */
static void add_known(
	struct place *place, struct arena *arena, const char *key, const char *value)
{
	if (value && *value)
		add_label(place, arena, key, value);
}

static void find_in_slice(const struct record_slice *slice, const char *address,
	const struct record_endpoint **best)
{
	for (size_t i = 0; i < slice->n_endpoints; i++) {
		const struct record_endpoint *endpoint = &slice->endpoints[i];
		if (strcmp(endpoint->address, address) != 0)
			continue;
		/* A terminating record may be that of the address's last owner. */
		if (!*best || (*best)->terminating)
			*best = endpoint;
	}
}

static const struct record_endpoint *find_own_record(
	const struct topo_store *store, const char *pod_ip)
{
	const struct record_endpoint *best = NULL;
	uint8_t ip[16];
	char address[INET6_ADDRSTRLEN];
	size_t n_slices;
	struct record *const *slices = topo_store_records(store, RECORD_SLICE, &n_slices);
	if (!pod_ip || (!topo_address_parse(pod_ip, AF_INET, ip, address) &&
			       !topo_address_parse(pod_ip, AF_INET6, ip, address)))
		return NULL;
	for (size_t i = 0; i < n_slices; i++)
		find_in_slice((const struct record_slice *)slices[i], address, &best);
	return best;
}

struct place place_resolve(
	const struct topo_self *self, const struct topo_store *store, struct arena *arena)
{
	const struct record_endpoint *own = find_own_record(store, self->pod_ip);
	const struct record_node *node = NULL;
	struct place place = {0};
	/* Room for all but the Node object's labels: those come when the name is known.
	 */
	size_t n_most = 6 + self->n_labels + (own ? own->topology.n_items : 0);
	place.labels.items = arena_alloc(arena, n_most, sizeof(*place.labels.items));

	add_known(&place, arena, TOPO_LABEL_HOSTNAME, self->node_name);
	add_known(&place, arena, TOPO_LABEL_ZONE, self->zone);
	add_known(&place, arena, TOPO_LABEL_REGION, self->region);
	for (size_t i = 0; i < self->n_labels; i++)
		add_label(&place, arena, self->labels[i].key, self->labels[i].value);
	if (own) {
		add_known(&place, arena, TOPO_LABEL_HOSTNAME, own->node);
		add_known(&place, arena, TOPO_LABEL_ZONE, own->zone);
		for (size_t i = 0; i < own->topology.n_items; i++)
			add_known(&place, arena, own->topology.items[i].key,
				own->topology.items[i].value);
	}
	place.node = label_map_find(&place.labels, TOPO_LABEL_HOSTNAME);
	if (place.node && *place.node == '\0')
		place.node = NULL;
	if (place.node)
		node = (const struct record_node *)topo_store_find(
			store, RECORD_NODE, "", place.node);
	if (node) {
		struct label_map known = place.labels;
		place.labels.items = arena_alloc(arena,
			known.n_items + node->labels.n_items, sizeof(*known.items));
		memcpy(place.labels.items, known.items,
			known.n_items * sizeof(*known.items));
		for (size_t i = 0; i < node->labels.n_items; i++)
			add_label(&place, arena, node->labels.items[i].key,
				node->labels.items[i].value);
	}
	place.zone = label_map_find(&place.labels, TOPO_LABEL_ZONE);
	if (place.zone && *place.zone == '\0')
		place.zone = NULL;
	return place;
}
