/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which endpoints of one service port a new call may use: the rules of kube-proxy, past
 * and present, as one pure function, with a reason for each endpoint and for the whole.
 * Knows nothing of ports, slices or snapshots; topo_build asks it once per port.
 *
 * The first that applies decides:
 * - internalTrafficPolicy: Local: endpoints on our node, never others.
 * - The service's own topology keys: the first key with a match among ready endpoints.
 * - Hints, trafficDistribution: those hinted for our node, else for our zone, else all; a
 *   kind of hint counts only if every ready endpoint has one.
 * - Default keys: like the service's own.
 *
 * When nothing is ready (with Local: nothing on our node), those that still serve while
 * they terminate take the place of the ready ones; not with the service's own topology
 * keys, which never had that. Their hints show that hints are the mode but choose none of
 * them; default keys go on choosing.
 *
 * Where Kubernetes says nothing, or says it of something that we are not:
 * - On a headless service what Kubernetes has (internalTrafficPolicy, spec.topologyKeys,
 *   hints) is without effect, as with kube-proxy; what is ours (the annotation, default
 *   keys) applies, because we route by name and not by address.
 * - The annotation topology-mode is not read, as kube-proxy reads it no more.
 * - Invalid topology keys are ignored, and the reason says so.
 * - Keys other than hostname and zone are looked up in the Node objects that we have.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topo/keys.h"
#include "topo/place.h"
#include "topo/record.h"

struct select_input {
	const struct place *place;
	const struct topo_policy *policy;
	const struct topo_store *store;       /* for the labels of endpoints' nodes */
	const struct record_service *service; /* NULL when there is no Service object */
	bool headless;                        /* hints do not apply then */
};

struct select_candidate {
	const struct record_endpoint *record;
	uint16_t port;
	bool other_family; /* not of the family that the service is reached by */
	/* Filled by select_endpoints: */
	int8_t tier; /* 0, 1, … or TOPO_TIER_NEVER */
	const char *why;
};

struct select_result {
	enum topo_mode mode;
	const char *reason;
	const char *domains[TOPO_KEYS_MAX]; /* of the tiers */
	size_t n_tiers;
};

/* Texts are put into strings. */
void select_endpoints(const struct select_input *input,
	struct select_candidate *candidates, size_t n_candidates, struct intern *strings,
	struct select_result *out);

enum topo_state select_state(const struct record_endpoint *endpoint);

/* The value that the endpoint's node has for a label as far as it is known, or NULL. */
const char *select_endpoint_label(const struct topo_store *store,
	const struct record_endpoint *endpoint, const char *key);
