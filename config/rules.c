/* SPDX-License-Identifier: Apache-2.0 */
#include "config/rules.h"

#include <string.h>

#include "config/errors.h"
#include "config/memory.h"

#define ZONE_LABEL   "topology.kubernetes.io/zone"
#define REGION_LABEL "topology.kubernetes.io/region"

/* The value of a label of the node, NULL when it is not there or empty. */
static char *find_label(const struct config *config, const char *key)
{
	const struct label_list *labels = &config->node_labels;

	for (size_t i = 0; i < labels->n_items; i++) {
		if (strcmp(labels->items[i].key, key) == 0)
			return labels->items[i].value[0] ? labels->items[i].value : NULL;
	}
	return NULL;
}

static void derive_from_label(
	struct config *config, char **value, enum config_option option, const char *key)
{
	if (*value)
		return;
	*value = find_label(config, key);
	if (*value)
		config->origin[option] = CONFIG_FROM_OTHER;
}

void config_derive(struct config *config)
{
	derive_from_label(config, &config->zone, OPT_zone, ZONE_LABEL);
	derive_from_label(config, &config->region, OPT_region, REGION_LABEL);

	/* Who only shortens the drain need not know that it has a delay. */
	if (config->origin[OPT_drain_delay_ms] == CONFIG_FROM_DEFAULT &&
		config->drain_delay_ms > config->drain_timeout_ms) {
		config->drain_delay_ms = config->drain_timeout_ms;
		config->origin[OPT_drain_delay_ms] = CONFIG_FROM_OTHER;
	}
}

static bool is_same(const char *value, const char *label)
{
	return !value || !label || strcmp(value, label) == 0;
}

static bool is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcmp(host, "::1") == 0;
}

/* Whether who listens on host a also gets what is sent to b. */
static bool covers(const char *a, const char *b)
{
	if (!a || (b && strcmp(a, b) == 0))
		return true;
	if (!b)
		return false;
	if (strcmp(a, "localhost") == 0)
		return strcmp(b, "127.0.0.1") == 0 || strcmp(b, "::1") == 0;
	if (strcmp(b, "localhost") == 0)
		return is_loopback(a) || strcmp(a, "0.0.0.0") == 0 ||
		       strcmp(a, "::") == 0;
	if (strchr(b, ':'))
		return strcmp(a, "::") == 0;
	return strcmp(a, "0.0.0.0") == 0;
}

struct listener {
	enum config_option option;
	struct listen_addr addr;
};

/* Everything that is to listen on a known port; the array belongs to memory. */
static struct listener *collect_listeners(const struct config *config,
	const bool is_bad[], struct config_memory **memory, size_t *n_out)
{
	const struct inbound_list *inbound = &config->inbound;
	const struct route_list *routes = &config->routes;
	struct listener *all = config_alloc(
		memory, inbound->n_items + routes->n_items + 2, sizeof(*all));
	size_t n = 0, n_kept = 0;

	for (size_t i = 0; i < inbound->n_items; i++)
		all[n++] = (struct listener){OPT_inbound, inbound->items[i].listen};
	for (size_t i = 0; i < routes->n_items; i++)
		all[n++] = (struct listener){OPT_routes, routes->items[i].listen};
	all[n++] = (struct listener){OPT_outbound, config->outbound};
	all[n++] = (struct listener){OPT_admin, config->admin};
	for (size_t i = 0; i < n; i++) {
		if (!all[i].addr.off && all[i].addr.port != 0 && !is_bad[all[i].option])
			all[n_kept++] = all[i];
	}
	*n_out = n_kept;
	return all;
}

static void check_duplicates(const struct config *config,
	const struct listener *listeners, size_t n_listeners, struct config_errors *errs)
{
	for (size_t i = 1; i < n_listeners; i++) {
		const struct listener *a = &listeners[i], *b = listeners;

		for (; b < a; b++) {
			if (a->addr.port == b->addr.port &&
				(covers(a->addr.host, b->addr.host) ||
					covers(b->addr.host, a->addr.host)))
				break;
		}
		if (b < a)
			config_error_rule(errs, a->option, b->option, config,
				"each listening port once, also counting");
	}
}

/* A destination on which we listen ourselves would make a request go round for ever. */
static void check_circles(const struct config *config, const struct listener *listeners,
	size_t n_listeners, struct config_errors *errs)
{
	const struct inbound_list *inbound = &config->inbound;

	for (size_t i = 0; i < inbound->n_items; i++) {
		const struct inbound_rule *rule = &inbound->items[i];
		bool is_here =
			is_loopback(rule->host) ||
			(config->pod_ip && strcmp(rule->host, config->pod_ip) == 0);

		for (size_t k = 0; is_here && k < n_listeners; k++) {
			if (rule->port == listeners[k].addr.port &&
				covers(listeners[k].addr.host, rule->host)) {
				config_error_rule(errs, OPT_inbound, listeners[k].option,
					config, "the application's port, not one of");
				break;
			}
		}
	}
}

#define RULE(subject, other, holds, want)                                                \
	do {                                                                             \
		if (!is_bad[OPT_##subject] && !is_bad[OPT_##other] && !(holds))          \
			config_error_rule(                                               \
				errs, OPT_##subject, OPT_##other, config, want);         \
	} while (0)

void config_check_rules(
	const struct config *config, const bool is_bad[], struct config_errors *errs)
{
	struct config_memory *memory = NULL;
	size_t n_listeners;
	struct listener *listeners =
		collect_listeners(config, is_bad, &memory, &n_listeners);

	RULE(drain_delay_ms, drain_timeout_ms,
		config->drain_delay_ms <= config->drain_timeout_ms, "at most");
	RULE(zone, node_labels, is_same(config->zone, find_label(config, ZONE_LABEL)),
		"the zone of");
	RULE(region, node_labels,
		is_same(config->region, find_label(config, REGION_LABEL)),
		"the region of");
	check_duplicates(config, listeners, n_listeners, errs);
	check_circles(config, listeners, n_listeners, errs);
	config_free_all(&memory);
}
