/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which nodes' labels selection needs: EndpointSlices name the node and the zone of each
 * endpoint and nothing else, so any other key means a look at the Node object.
 */
#include <stddef.h>

struct topo_policy;
struct topo_store;

/* Names of nodes, each once, in order; they live as long as the store does not change.
 * The array is for free(); NULL when there are none. */
const char **topo_needed_nodes(
	const struct topo_store *store, const struct topo_policy *policy, size_t *n);
