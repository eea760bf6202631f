/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where we are: the labels of our own node, from what is configured and, for what is
 * not, from the endpoint record with our address and from our Node object.
 */
#include "topo/record.h"

/* Lives in the arena that it was resolved into. */
struct place {
	const char *node;        /* NULL when unknown */
	const char *zone;        /* NULL when unknown, never "" */
	struct label_map labels; /* node and zone too, under their label names */
};

struct place place_resolve(const struct topo_self *self, const struct topo_store *store,
	struct arena *arena);
