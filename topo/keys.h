/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Topology keys: an ordered list of node label names, "*" for any endpoint. Reads and
 * validates them by the rules that Kubernetes 1.17 had for Service.spec.topologyKeys; the
 * same for that field, the annotation nigh/topology-keys and NIGH_TOPOLOGY_KEYS.
 */
#include <stddef.h>

/* Kubernetes' own limit. */
#define TOPO_KEYS_MAX 16

struct topo_keys {
	char **items;
	size_t n_items;
};

/*
 * Read a JSON array of strings or a comma list (blanks around the entries are dropped).
 * NULL when it is well-formed and valid; nothing at all, or [], is an empty list. Else
 * what is wrong, for free(), and out is empty. Call topo_keys_fini in both cases.
 */
char *topo_keys_parse(const char *text, struct topo_keys *out);

/* NULL when the keys are valid, else what is wrong with the first bad one, for free(). */
char *topo_keys_check(const char *const *items, size_t n_items);

void topo_keys_fini(struct topo_keys *keys);
