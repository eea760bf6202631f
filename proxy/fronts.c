/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

void log_listening(const char *side, const struct listen_set *set, const char *target,
	const char *protocol)
{
	char addr[ADDRESS_TEXT_MAX];

	for (int i = 0; i < set->n; i++)
		log_at(LOG_INFO, NULL, "listening",
			"side=%s addr=%s target=%s protocol=%s", side,
			address_print(&set->addrs[i], addr, sizeof(addr)), target,
			protocol);
}

static const char *protocol_name(enum protocol protocol)
{
	return protocol == PROTOCOL_TCP ? "tcp" : "http";
}

static int open_one(struct front *front, const struct listen_addr *addr,
	bool shared_ports, const char *target)
{
	int err = listen_set_open(&front->listen, addr->host, addr->port, shared_ports);

	if (err != 0)
		log_at(LOG_ERROR, NULL, "listen_failed",
			"side=%s host=%s port=%u error=%s", front->side,
			addr->host ? addr->host : "*", (unsigned)addr->port,
			strerror(-err));
	else
		log_listening(front->side, &front->listen, target,
			protocol_name(front->protocol));
	return err;
}

static int open_inbound(
	struct front *front, const struct inbound_rule *rule, bool shared_ports)
{
	char target[300];

	*front = (struct front){
		.direction = INBOUND,
		.protocol = rule->protocol,
		.side = "inbound",
		.host = rule->host,
		.port = rule->port,
	};
	snprintf(target, sizeof(target), strchr(rule->host, ':') ? "[%s]:%u" : "%s:%u",
		rule->host, rule->port);
	return open_one(front, &rule->listen, shared_ports, target);
}

static int open_route(struct front *front, const struct route_rule *rule,
	const struct config *config, bool shared_ports)
{
	char target[300];

	*front = (struct front){
		.direction = OUTBOUND,
		.protocol = rule->protocol,
		.side = "route",
		.service = rule->service,
		.namespace_ = rule->namespace_ ? rule->namespace_ : config->namespace_,
		.service_port = rule->port,
	};
	snprintf(target, sizeof(target), "%s/%s:%s", front->namespace_, front->service,
		front->service_port);
	return open_one(front, &rule->listen, shared_ports, target);
}

static int open_outbound(
	struct front *front, const struct listen_addr *addr, bool shared_ports)
{
	*front = (struct front){
		.direction = OUTBOUND, .protocol = PROTOCOL_HTTP, .side = "outbound"};
	return open_one(front, addr, shared_ports, NULL);
}

int fronts_open(
	struct front **out, size_t *n, const struct config *config, bool shared_ports)
{
	size_t max = config->inbound.n_items + config->routes.n_items + 1;
	struct front *fronts = calloc(max, sizeof(*fronts));
	int err = 0;

	*out = fronts;
	*n = 0;
	if (!fronts)
		return -ENOMEM;
	for (size_t i = 0; err == 0 && i < config->inbound.n_items; i++)
		err = open_inbound(
			&fronts[(*n)++], &config->inbound.items[i], shared_ports);
	if (err == 0 && !config->outbound.off)
		err = open_outbound(&fronts[(*n)++], &config->outbound, shared_ports);
	for (size_t i = 0; err == 0 && i < config->routes.n_items; i++)
		err = open_route(
			&fronts[(*n)++], &config->routes.items[i], config, shared_ports);
	return err;
}

void fronts_close(struct front *fronts, size_t n, bool taken_over)
{
	for (size_t i = 0; !taken_over && i < n; i++)
		listen_set_close(&fronts[i].listen);
	free(fronts);
}
