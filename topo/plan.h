/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The inside of a selection, shared by what decides (select.c) and what puts the decision
 * into words (reason.c). */
#include "topo/select.h"
#include "topo/topo.h"

enum domain_kind { DOMAIN_ALL, DOMAIN_LABEL, DOMAIN_NODE_HINT, DOMAIN_ZONE_HINT };

struct domain {
	enum domain_kind kind;
	const char *key; /* of DOMAIN_LABEL */
	const char *value;
	const char *text; /* "KEY=VALUE" or "*" */
};

struct census {
	size_t n_all;
	size_t n_ready;
	size_t n_serving; /* while terminating */
	size_t n_ready_local;
	size_t n_serving_hinted; /* of those, with any hint */
	size_t n_hinted;         /* ready ones with any hint */
	size_t n_with_zone_hint; /* all of these are ready ones */
	size_t n_with_node_hint;
	size_t n_for_our_zone;
	size_t n_for_our_node;
	const struct record_endpoint *without_zone_hint; /* the first */
};

struct plan {
	const struct select_input *input;
	struct intern *strings;
	struct census census;
	enum topo_mode mode;
	enum topo_state eligible; /* TOPO_READY, or TOPO_SERVING in the fallback */
	bool only_local;
	struct name_list keys; /* of the two modes with keys */
	struct domain domains[TOPO_KEYS_MAX];
	size_t n_domains;
};

bool plan_is_local(const struct place *place, const struct record_endpoint *endpoint);

/* A text that lives with the strings. */
__attribute__((format(printf, 2, 3))) const char *plan_say(
	struct intern *strings, const char *format, ...);

/* Why an endpoint is in the tier of this domain; nearest is the domain of tier 0, or NULL
 * when this is it. */
const char *reason_in_tier(
	const struct plan *plan, const struct domain *domain, const char *nearest);

/* Why an endpoint is in no tier. */
const char *reason_never(
	const struct plan *plan, const struct select_candidate *candidate);

/* Why there is no tier at all, and why tier 0 is what it is. */
const char *reason_of_none(const struct plan *plan);
const char *reason_of_domain(const struct plan *plan, const struct select_result *result);
