/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints of a service are those of the topology snapshot, and follow it when it
 * changes.
 */
#include "flow/target_kinds.h"

#include <stdlib.h>

#include "base/text.h"

void target_service_follow(struct target *target)
{
	struct worker *worker = target->worker;
	const struct topo_service *service =
		topo_find(worker->topo, target->namespace_, target->service);
	const struct topo_port *port =
		service ? topo_service_port(service, target->port_text) : NULL;
	struct endpoints_wanted wanted = {0};
	struct topo *before = target->topo;

	/* Endpoints that may never be used stand behind all tiers and are left out. */
	for (uint32_t i = 0; port && i < port->n_tiers; i++)
		wanted.n = port->tiers[i].first + port->tiers[i].n_endpoints;
	if (wanted.n > 0)
		wanted.records = port->endpoints;
	if (!endpoints_replace(target, &wanted))
		return;
	target->n_tiers = 0;
	for (uint32_t i = 0; port && i < port->n_tiers && i < TARGET_TIERS_MAX; i++) {
		target->tiers[i].first = port->tiers[i].first;
		target->tiers[i].n = port->tiers[i].n_endpoints;
		target->n_tiers++;
	}
	target->topo = topo_ref(worker->topo);
	target->port = port;
	topo_unref(before);
}

struct target *target_service_find(struct worker *worker,
	const struct topo_service *service, const struct topo_port *port,
	const char *port_text)
{
	/* Ports that go by name share a target however they were asked for. */
	const char *name = port && port->name && *port->name ? port->name : port_text;
	char key[TARGET_KEY_MAX];
	struct text text = {.ptr = key, .cap = sizeof(key) - 1};
	struct topo_name asked = topo_name_of(service);
	struct target *target;

	text_add(&text, str_of(service->full_name));
	text_add(&text, STR(":"));
	text_add(&text, str_of(name));
	if (text.overflow)
		return NULL;
	key[text.len] = '\0';
	target = target_find(worker, OUTBOUND, key, text.len);
	if (target)
		return target;
	target = target_create(worker, OUTBOUND, key, service->full_name);
	if (!target)
		return NULL;
	target->namespace_ = strdup(service->namespace_);
	target->service = strdup(service->name);
	target->port_text = strdup(name);
	if (!target->namespace_ || !target->service || !target->port_text ||
		!discovery_begin(target, &asked)) {
		target_unlist(target);
		return NULL;
	}
	target_service_follow(target);
	return target;
}
