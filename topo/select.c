/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three steps. A census of the endpoints settles which mode applies. The mode makes a
 * plan: which endpoints are eligible at all (the ready ones; where nothing is ready, and
 * the mode allows it, those that still serve while they terminate), and a list of
 * domains, nearest first. Each domain that takes at least one eligible endpoint becomes a
 * tier, so tier 0 is what kube-proxy would use and the later tiers are where it would go
 * next.
 *
 * The endpoints of the other address family take no part: kube-proxy selects for each
 * family by itself, and one family's missing hints do not concern the other.
 */
#include "topo/select.h"

#include <assert.h>
#include <string.h>

#include "topo/plan.h"
#include "topo/topo.h"

enum topo_state select_state(const struct record_endpoint *endpoint)
{
	if (endpoint->ready)
		return TOPO_READY;
	if (!endpoint->terminating)
		return TOPO_UNREADY;
	return endpoint->serving ? TOPO_SERVING : TOPO_TERMINATING;
}

/*
 * The topology map of old slices, made anew: hostname is the node's *name* and zone the
 * endpoint's own, as the controller would write them. Everything else, so the region too,
 * is no longer in a slice and is looked up in the Node object.
 */
const char *select_endpoint_label(const struct topo_store *store,
	const struct record_endpoint *endpoint, const char *key)
{
	if (!strcmp(key, TOPO_LABEL_HOSTNAME))
		return endpoint->node;
	if (!strcmp(key, TOPO_LABEL_ZONE))
		return endpoint->zone;
	const char *value = label_map_find(&endpoint->topology, key);
	if (value || !endpoint->node)
		return value;
	const struct record *node =
		topo_store_find(store, RECORD_NODE, "", endpoint->node);
	return node ? label_map_find(&((const struct record_node *)node)->labels, key)
		    : NULL;
}

static bool name_list_has(const struct name_list *list, const char *name)
{
	for (size_t i = 0; name && i < list->n_items; i++) {
		if (!strcmp(list->items[i], name))
			return true;
	}
	return false;
}

bool plan_is_local(const struct place *place, const struct record_endpoint *e)
{
	return place->node && e->node && !strcmp(place->node, e->node);
}

static void count_ready(const struct place *place, const struct record_endpoint *endpoint,
	struct census *census)
{
	bool has_zone = endpoint->zone_hints.n_items > 0;
	bool has_node = endpoint->node_hints.n_items > 0;
	census->n_ready++;
	census->n_ready_local += plan_is_local(place, endpoint);
	census->n_hinted += has_zone || has_node;
	census->n_with_zone_hint += has_zone;
	census->n_with_node_hint += has_node;
	census->n_for_our_zone += name_list_has(&endpoint->zone_hints, place->zone);
	census->n_for_our_node += name_list_has(&endpoint->node_hints, place->node);
	if (!has_zone && !census->without_zone_hint)
		census->without_zone_hint = endpoint;
}

static void count_serving(const struct record_endpoint *endpoint, struct census *census)
{
	census->n_serving++;
	census->n_serving_hinted +=
		endpoint->zone_hints.n_items > 0 || endpoint->node_hints.n_items > 0;
}

static struct census take_census(const struct place *place,
	const struct select_candidate *candidates, size_t n_candidates)
{
	struct census census = {0};
	for (size_t i = 0; i < n_candidates; i++) {
		const struct record_endpoint *endpoint = candidates[i].record;
		if (candidates[i].other_family)
			continue;
		census.n_all++;
		if (select_state(endpoint) == TOPO_READY)
			count_ready(place, endpoint, &census);
		if (select_state(endpoint) == TOPO_SERVING)
			count_serving(endpoint, &census);
	}
	return census;
}

static enum topo_mode choose_mode(
	const struct select_input *input, const struct census *census)
{
	const struct record_service *service = input->service;
	size_t n_hinted =
		census->n_ready > 0 ? census->n_hinted : census->n_serving_hinted;
	if (service && service->local)
		return TOPO_MODE_LOCAL;
	if (service && service->keys.n_items > 0)
		return TOPO_MODE_KEYS;
	if (!input->headless && service && service->distribution)
		return TOPO_MODE_DISTRIBUTION;
	if (!input->headless && n_hinted > 0)
		return TOPO_MODE_HINTS;
	return input->policy->n_keys > 0 ? TOPO_MODE_DEFAULT_KEYS : TOPO_MODE_NONE;
}

static void add_domain(
	struct plan *plan, enum domain_kind kind, const char *key, const char *value)
{
	assert(plan->n_domains < TOPO_KEYS_MAX);
	struct domain *domain = &plan->domains[plan->n_domains++];
	*domain = (struct domain){kind, key, value, "*"};
	if (key)
		domain->text = plan_say(plan->strings, "%s=%s", key, value);
}

/* Keys that our node lacks are passed over; with no label known at all only "*" is left,
 * which is what kube-proxy did then. */
static void plan_keys(struct plan *plan)
{
	for (size_t i = 0; i < plan->keys.n_items && i < TOPO_KEYS_MAX; i++) {
		const char *key = plan->keys.items[i];
		const char *ours = label_map_find(&plan->input->place->labels, key);
		if (!strcmp(key, "*")) {
			add_domain(plan, DOMAIN_ALL, NULL, NULL);
			break;
		}
		if (ours)
			add_domain(plan, DOMAIN_LABEL, key, ours);
	}
}

/* With nothing ready there is no hint to look at, and all are taken. */
static void plan_hints(struct plan *plan)
{
	const struct place *place = plan->input->place;
	const struct census *census = &plan->census;
	if (census->n_for_our_node > 0 && census->n_with_node_hint == census->n_ready)
		add_domain(plan, DOMAIN_NODE_HINT, TOPO_LABEL_HOSTNAME, place->node);
	if (census->n_for_our_zone > 0 && census->n_with_zone_hint == census->n_ready)
		add_domain(plan, DOMAIN_ZONE_HINT, TOPO_LABEL_ZONE, place->zone);
	add_domain(plan, DOMAIN_ALL, NULL, NULL);
}

static void plan_local(struct plan *plan)
{
	const char *node = plan->input->place->node;
	plan->only_local = true;
	if (plan->census.n_ready_local == 0)
		plan->eligible = TOPO_SERVING;
	if (node)
		add_domain(plan, DOMAIN_ALL, TOPO_LABEL_HOSTNAME, node);
}

static void make_plan(struct plan *plan)
{
	const struct topo_policy *policy = plan->input->policy;
	plan->eligible = plan->census.n_ready > 0 ? TOPO_READY : TOPO_SERVING;
	switch (plan->mode) {
	case TOPO_MODE_LOCAL:
		plan_local(plan);
		break;
	case TOPO_MODE_KEYS:
		/* Kubernetes 1.17 knew no fallback to terminating endpoints. */
		plan->eligible = TOPO_READY;
		plan->keys = plan->input->service->keys;
		plan_keys(plan);
		break;
	case TOPO_MODE_DEFAULT_KEYS:
		plan->keys =
			(struct name_list){(const char **)policy->keys, policy->n_keys};
		plan_keys(plan);
		break;
	case TOPO_MODE_HINTS:
	case TOPO_MODE_DISTRIBUTION:
		plan_hints(plan);
		break;
	case TOPO_MODE_NONE:
		add_domain(plan, DOMAIN_ALL, NULL, NULL);
		break;
	}
}

static bool is_eligible(const struct plan *plan, const struct select_candidate *candidate)
{
	return !candidate->other_family &&
	       select_state(candidate->record) == plan->eligible &&
	       (!plan->only_local ||
		       plan_is_local(plan->input->place, candidate->record));
}

static bool domain_takes(const struct plan *plan, const struct domain *domain,
	const struct record_endpoint *endpoint)
{
	const char *value;
	switch (domain->kind) {
	case DOMAIN_LABEL:
		value = select_endpoint_label(plan->input->store, endpoint, domain->key);
		return value && !strcmp(value, domain->value);
	case DOMAIN_NODE_HINT:
		return name_list_has(&endpoint->node_hints, domain->value);
	case DOMAIN_ZONE_HINT:
		return name_list_has(&endpoint->zone_hints, domain->value);
	case DOMAIN_ALL:
		break;
	}
	return true;
}

static void assign_tiers(struct plan *plan, struct select_candidate *candidates,
	size_t n_candidates, struct select_result *out)
{
	for (size_t d = 0; d < plan->n_domains; d++) {
		const struct domain *domain = &plan->domains[d];
		const char *nearest = out->n_tiers ? out->domains[0] : NULL;
		const char *why = reason_in_tier(plan, domain, nearest);
		bool is_empty = true;
		for (size_t i = 0; i < n_candidates; i++) {
			struct select_candidate *candidate = &candidates[i];
			if (candidate->tier != TOPO_TIER_NEVER ||
				!is_eligible(plan, candidate) ||
				!domain_takes(plan, domain, candidate->record))
				continue;
			candidate->tier = (int8_t)out->n_tiers;
			candidate->why = why;
			is_empty = false;
		}
		if (!is_empty)
			out->domains[out->n_tiers++] = domain->text;
	}
}

void select_endpoints(const struct select_input *input,
	struct select_candidate *candidates, size_t n_candidates, struct intern *strings,
	struct select_result *out)
{
	struct plan plan = {.input = input, .strings = strings};
	*out = (struct select_result){0};
	plan.census = take_census(input->place, candidates, n_candidates);
	plan.mode = choose_mode(input, &plan.census);
	make_plan(&plan);

	for (size_t i = 0; i < n_candidates; i++)
		candidates[i].tier = TOPO_TIER_NEVER;
	assign_tiers(&plan, candidates, n_candidates, out);
	for (size_t i = 0; i < n_candidates; i++) {
		if (candidates[i].tier == TOPO_TIER_NEVER)
			candidates[i].why = reason_never(&plan, &candidates[i]);
	}

	out->mode = plan.mode;
	out->reason = out->n_tiers ? reason_of_domain(&plan, out) : reason_of_none(&plan);
	if (input->service && input->service->keys_fault)
		out->reason = plan_say(
			strings, "%s; %s", out->reason, input->service->keys_fault);
}
