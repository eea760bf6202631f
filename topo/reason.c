/* SPDX-License-Identifier: Apache-2.0 */
/* The decisions of a selection in words. */
#include <stdlib.h>

#include "topo/plan.h"

const char *plan_say(struct intern *strings, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_xvprintf(format, args);
	va_end(args);
	const char *kept = intern_string(strings, text);
	free(text);
	return kept;
}

const char *reason_in_tier(
	const struct plan *plan, const struct domain *domain, const char *nearest)
{
	const char *rest = "";
	const char *what = "any";
	if (plan->eligible == TOPO_SERVING)
		rest = plan->only_local
			       ? ", serving while it terminates, as nothing here is ready"
			       : ", serving while it terminates, as nothing is ready";
	if (domain->kind == DOMAIN_NODE_HINT || domain->kind == DOMAIN_ZONE_HINT)
		what = plan_say(plan->strings, "hinted for %s", domain->text);
	else if (domain->key)
		what = plan_say(plan->strings, "in %s", domain->text);
	if (!nearest)
		return plan_say(plan->strings, "%s%s", what, rest);
	return plan_say(plan->strings, "%s%s; only when none of %s can be connected",
		what, rest, nearest);
}

const char *reason_never(
	const struct plan *plan, const struct select_candidate *candidate)
{
	enum topo_state state = select_state(candidate->record);
	if (candidate->other_family)
		return "other address family than the one the service is reached by";
	if (state == TOPO_UNREADY)
		return "not ready";
	if (state == TOPO_TERMINATING)
		return "terminating and no longer serving";
	if (plan->only_local && !plan_is_local(plan->input->place, candidate->record))
		return "not on this node";
	if (state == TOPO_SERVING && plan->eligible == TOPO_READY)
		return plan->census.n_ready > 0
			       ? "terminating, and others are ready"
			       : "terminating, which topology keys do not fall back to";
	return "in none of the domains that the keys allow";
}

static const char *join_keys(const struct plan *plan)
{
	const char *text = "";
	for (size_t i = 0; i < plan->keys.n_items; i++)
		text = plan_say(plan->strings, "%s%s%s", text, i ? ", " : "",
			plan->keys.items[i]);
	return text;
}

/* The wording of the four cases is part of the product: users search for it. */
const char *reason_of_none(const struct plan *plan)
{
	const struct census *census = &plan->census;
	if (census->n_all == 0)
		return "service has no ready endpoint: it has no endpoints";
	if (plan->only_local && census->n_ready + census->n_serving > 0)
		return plan->input->place->node ? "no endpoint on this node "
						  "(internalTrafficPolicy is Local)"
						: "no endpoint on this node "
						  "(internalTrafficPolicy is Local): "
						  "the name of our node is not known";
	if (census->n_ready == 0 && (plan->mode == TOPO_MODE_KEYS || !census->n_serving))
		return "service has no ready endpoint";
	return plan_say(plan->strings, "no endpoint in these domains (keys %s)%s",
		join_keys(plan),
		plan->input->place->labels.n_items
			? ""
			: ": the labels of our node are not known");
}

static const char *reason_of_hints(const struct plan *plan)
{
	const struct place *place = plan->input->place;
	const struct census *census = &plan->census;
	switch (plan->domains[0].kind) {
	case DOMAIN_NODE_HINT:
		return "every ready endpoint has a node hint, some for our node";
	case DOMAIN_ZONE_HINT:
		return "every ready endpoint has a zone hint, some for our zone";
	default:
		break;
	}
	if (census->n_hinted == 0)
		return "no ready endpoint has a hint, so all are used";
	if (census->without_zone_hint)
		return plan_say(plan->strings,
			"ready endpoint %s has no zone hint, so all are used",
			census->without_zone_hint->address);
	if (!place->zone)
		return "our zone is not known, so all are used";
	return plan_say(plan->strings,
		"no ready endpoint is hinted for our zone %s, so all are used",
		place->zone);
}

const char *reason_of_domain(const struct plan *plan, const struct select_result *result)
{
	if (plan->eligible == TOPO_SERVING)
		return plan->only_local
			       ? "nothing on this node is ready: what serves while it "
				 "terminates"
			       : "nothing is ready: what serves while it terminates";
	switch (plan->mode) {
	case TOPO_MODE_LOCAL:
		return "internalTrafficPolicy is Local: endpoints on this node only";
	case TOPO_MODE_HINTS:
	case TOPO_MODE_DISTRIBUTION:
		return reason_of_hints(plan);
	case TOPO_MODE_KEYS:
	case TOPO_MODE_DEFAULT_KEYS:
		break;
	case TOPO_MODE_NONE:
		return "no preference";
	}
	return plan_say(plan->strings,
		"%s is the first of the keys %s that finds an endpoint%s",
		result->domains[0], join_keys(plan),
		plan->input->place->labels.n_items
			? ""
			: "; the labels of our node are not known");
}
