/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/needs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "topo/record.h"

static bool needs_node(const char *const *keys, size_t n_keys)
{
	static const char *const known[] = {TOPO_LABEL_HOSTNAME, TOPO_LABEL_ZONE, "*"};
	bool needs = false;

	for (size_t i = 0; i < n_keys && !needs; i++) {
		needs = true;
		for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++)
			needs = needs && strcmp(keys[i], known[k]) != 0;
	}
	return needs;
}

static bool slice_needs_nodes(const struct topo_store *store,
	const struct topo_policy *policy, const struct record_slice *slice)
{
	const struct record_service *service =
		(const struct record_service *)topo_store_find(
			store, RECORD_SERVICE, slice->head.namespace_, slice->service);

	if (service && service->keys.n_items > 0)
		return needs_node(
			(const char *const *)service->keys.items, service->keys.n_items);
	return needs_node(policy->keys, policy->n_keys);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t sort_once(const char **names, size_t n)
{
	size_t n_kept = 0;

	if (n > 0)
		qsort(names, n, sizeof(*names), compare);
	for (size_t i = 0; i < n; i++)
		if (n_kept == 0 || strcmp(names[n_kept - 1], names[i]) != 0)
			names[n_kept++] = names[i];
	return n_kept;
}

const char **topo_needed_nodes(
	const struct topo_store *store, const struct topo_policy *policy, size_t *n)
{
	size_t n_slices;
	struct record *const *slices = topo_store_records(store, RECORD_SLICE, &n_slices);
	const char **names = NULL;

	*n = 0;
	for (size_t i = 0; i < n_slices; i++) {
		const struct record_slice *slice = (const struct record_slice *)slices[i];

		if (!slice_needs_nodes(store, policy, slice))
			continue;
		names = arena_xrealloc(names, *n + slice->n_endpoints, sizeof(*names));
		for (size_t k = 0; k < slice->n_endpoints; k++)
			if (slice->endpoints[k].node)
				names[(*n)++] = slice->endpoints[k].node;
	}
	*n = sort_once(names, *n);
	return names;
}
