/* SPDX-License-Identifier: Apache-2.0 */
#include "config/rules.h"

#include <assert.h>
#include <string.h>

#include "config/errors.h"
#include "config/option.h"

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

void rules_derive(struct config *config)
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

/* What localhost stands for, whether one listens there or dials. */
static bool is_localhost(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
	       strcmp(host, "::1") == 0;
}

static bool is_wildcard(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* Whether who listens on a is reached through b. */
static bool covers(const char *a, const char *b)
{
	if (!a || (b && strcmp(a, b) == 0))
		return true;
	if (!b)
		return false;
	if (strcmp(a, "localhost") == 0)
		return is_localhost(b);
	if (strcmp(b, "localhost") == 0)
		return is_localhost(a) || is_wildcard(a);
	return strcmp(a, strchr(b, ':') ? "::" : "0.0.0.0") == 0;
}

struct listener {
	enum config_option option;
	struct listen_addr addr;
};

/* Everything that is to listen on a known port, at most max of them; how many there are.
 */
static size_t collect_listeners(
	const struct config_loading *loading, struct listener *listeners, size_t max)
{
	const struct config *config = loading->config;
	const struct inbound_list *inbound = &config->inbound;
	const struct route_list *routes = &config->routes;
	size_t n = 0, n_kept = 0;

	assert(inbound->n_items + routes->n_items + 2 <= max);
	for (size_t i = 0; i < inbound->n_items; i++)
		listeners[n++] = (struct listener){OPT_inbound, inbound->items[i].listen};
	for (size_t i = 0; i < routes->n_items; i++)
		listeners[n++] = (struct listener){OPT_routes, routes->items[i].listen};
	listeners[n++] = (struct listener){OPT_outbound, config->outbound};
	listeners[n++] = (struct listener){OPT_admin, config->admin};
	for (size_t i = 0; i < n; i++) {
		const struct listener *one = &listeners[i];

		if (!one->addr.off && one->addr.port != 0 &&
			!loading->is_bad[one->option])
			listeners[n_kept++] = *one;
	}
	return n_kept;
}

static void report(const struct config_loading *loading, enum config_option option,
	const char *want, enum config_option other)
{
	config_error(loading->errs, config_options[option].name, loading->texts[option],
		"want %s %s='%s'", want, config_options[other].name,
		loading->texts[other]);
}

static void report_port(const struct config_loading *loading, enum config_option option,
	const char *want, const struct listener *other)
{
	config_error(loading->errs, config_options[option].name, loading->texts[option],
		"want %s port %u of %s", want, other->addr.port,
		config_options[other->option].name);
}

/* The first of n listeners that what is sent to host and port may reach. */
static const struct listener *find_listener(
	const struct listener *listeners, size_t n, const char *host, uint16_t port)
{
	for (size_t i = 0; i < n; i++) {
		const struct listen_addr *addr = &listeners[i].addr;

		if (addr->port == port &&
			(covers(addr->host, host) || covers(host, addr->host)))
			return &listeners[i];
	}
	return NULL;
}

static void check_duplicates(const struct config_loading *loading,
	const struct listener *listeners, size_t n_listeners)
{
	for (size_t i = 1; i < n_listeners; i++) {
		const struct listen_addr *addr = &listeners[i].addr;
		const struct listener *other =
			find_listener(listeners, i, addr->host, addr->port);

		if (other)
			report_port(loading, listeners[i].option,
				"to listen elsewhere than on", other);
	}
}

/* A destination on which we listen ourselves would make a request go round for ever. */
static void check_circles(const struct config_loading *loading,
	const struct listener *listeners, size_t n_listeners)
{
	const struct inbound_list *inbound = &loading->config->inbound;
	const char *pod_ip = loading->config->pod_ip;

	for (size_t i = 0; i < inbound->n_items; i++) {
		const struct inbound_rule *rule = &inbound->items[i];
		const struct listener *other = NULL;

		if (is_localhost(rule->host) || is_wildcard(rule->host) ||
			(pod_ip && strcmp(rule->host, pod_ip) == 0))
			other = find_listener(
				listeners, n_listeners, rule->host, rule->port);
		if (other)
			report_port(loading, OPT_inbound,
				"the application behind it, not nigh's own", other);
	}
}

#define RULE(subject, other, holds, want)                                                \
	if (!loading->is_bad[OPT_##subject] && !loading->is_bad[OPT_##other] &&          \
		!(holds))                                                                \
	report(loading, OPT_##subject, want, OPT_##other)

void rules_check(const struct config_loading *loading)
{
	const struct config *config = loading->config;
	struct listener listeners[2 * OPTION_MAX_ITEMS + 2];
	size_t n_listeners = collect_listeners(
		loading, listeners, sizeof(listeners) / sizeof(*listeners));

	RULE(drain_delay_ms, drain_timeout_ms,
		config->drain_delay_ms <= config->drain_timeout_ms, "at most");
	RULE(zone, node_labels, is_same(config->zone, find_label(config, ZONE_LABEL)),
		"the zone of");
	RULE(region, node_labels,
		is_same(config->region, find_label(config, REGION_LABEL)),
		"the region of");
	check_duplicates(loading, listeners, n_listeners);
	check_circles(loading, listeners, n_listeners);
}
