/* SPDX-License-Identifier: Apache-2.0 */
/* GET /endpoints and GET /connections: what each worker holds, put into one list. */
#include <string.h>

#include <cjson/cJSON.h>

#include "admin/stats.h"
#include "admin/views.h"
#include "base/clock.h"
#include "flow/client.h"
#include "flow/discovery.h"
#include "flow/exchange.h"
#include "flow/target.h"
#include "topo/store.h"

static void add_to_number(cJSON *object, const char *name, double more)
{
	cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (item)
		cJSON_SetNumberValue(item, item->valuedouble + more);
	else
		cJSON_AddNumberToObject(object, name, more);
}

static void add_text(cJSON *object, const char *name, const char *text)
{
	if (text)
		cJSON_AddStringToObject(object, name, text);
	else
		cJSON_AddNullToObject(object, name);
}

static cJSON *endpoint_json(const struct topo_endpoint *topo, const union address *addr)
{
	cJSON *json = cJSON_CreateObject();
	char address[ADDRESS_TEXT_MAX];

	address_print_ip(addr, address);
	cJSON_AddStringToObject(json, "address", address);
	cJSON_AddNumberToObject(json, "port", address_port(addr));
	add_text(json, "node", topo ? topo->node : NULL);
	add_text(json, "zone", topo ? topo->zone : NULL);
	add_text(json, "state", topo ? topo_state_name(topo->state) : NULL);
	cJSON_AddBoolToObject(json, "chosen", !topo || topo->tier == 0);
	add_text(json, "why", topo ? topo->why : "the name's address by DNS");
	return json;
}

static bool has_text(const cJSON *json, const char *name, const char *text)
{
	return strcmp(cJSON_GetObjectItemCaseSensitive(json, name)->valuestring, text) ==
	       0;
}

static bool is_same(const cJSON *json, const struct endpoint *endpoint)
{
	char address[ADDRESS_TEXT_MAX];

	address_print_ip(&endpoint->addr, address);
	return cJSON_GetObjectItemCaseSensitive(json, "port")->valueint ==
		       address_port(&endpoint->addr) &&
	       has_text(json, "address", address);
}

/* Workers have the same endpoints in the same order, unless an update is on its way. */
static cJSON *find_endpoint(cJSON *list, cJSON *likely, const struct endpoint *endpoint)
{
	if (likely && is_same(likely, endpoint))
		return likely;
	for (cJSON *one = list->child; one; one = one->next)
		if (is_same(one, endpoint))
			return one;
	return NULL;
}

static void add_endpoint(cJSON *json, const struct endpoint *endpoint)
{
	uint64_t now = clock_ms();
	unsigned n_idle = 0;

	for (const struct list *n = endpoint->idle.next; n != &endpoint->idle;
		n = n->next)
		n_idle++;
	add_to_number(json, "in_flight", endpoint->balance.in_flight);
	add_to_number(json, "idle_connections", n_idle);
	add_to_number(json, "requests", (double)endpoint->n_requests);
	add_to_number(json, "set_aside_ms",
		balance_is_aside(&endpoint->balance, now)
			? (double)(endpoint->balance.aside_until_ms - now)
			: 0);
}

static void add_unused(cJSON *list, const struct topo_port *port, uint32_t n_used)
{
	for (uint32_t i = n_used; port && i < port->n_endpoints; i++)
		cJSON_AddItemToArray(
			list, endpoint_json(&port->endpoints[i],
				      (const union address *)&port->endpoints[i].addr));
}

/* What the Kubernetes source says of it: nothing with other sources. */
static void add_discovery(cJSON *json, const struct target *target)
{
	const struct discovery *discovery = target->worker->shared->discovery;
	const struct topo_watch *watch;

	if (!target->asked || !target->worker->topo || !discovery || discovery->tells_all)
		return;
	watch = topo_find_watch(target->worker->topo, target->asked->name.namespace_,
		target->asked->name.name);
	add_text(json, "discovery",
		!watch || !watch->settled ? "pending"
		: watch->problem          ? watch->problem
					  : "settled");
}

/* An address may be both, the application's and a destination of its own calls. */
static cJSON *target_json(cJSON *targets, const struct target *target)
{
	const char *direction = direction_names[target->direction];
	cJSON *json;

	for (json = targets->child; json; json = json->next)
		if (has_text(json, "service", target->key) &&
			has_text(json, "direction", direction))
			return json;
	json = cJSON_CreateObject();
	cJSON_AddStringToObject(json, "service", target->key);
	cJSON_AddStringToObject(json, "direction", direction);
	add_text(json, "mode",
		target->port ? topo_mode_name(target->port->mode)
			     : (target->host ? "passthrough" : "none"));
	add_text(json, "domain", target->port ? target->port->domain : NULL);
	add_text(json, "reason", target->port ? target->port->reason : target->problem);
	add_discovery(json, target);
	cJSON_AddArrayToObject(json, "endpoints");
	cJSON_AddItemToArray(targets, json);
	return json;
}

static void add_target(cJSON *targets, const struct target *target)
{
	cJSON *json = target_json(targets, target);
	cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "endpoints");
	cJSON *likely = list->child;
	bool is_first = !likely;

	for (uint32_t i = 0; i < target->n_endpoints; i++) {
		const struct endpoint *endpoint = target->endpoints[i];
		cJSON *one = is_first ? NULL : find_endpoint(list, likely, endpoint);

		if (!one) {
			one = endpoint_json(endpoint->topo, &endpoint->addr);
			cJSON_AddItemToArray(list, one);
		}
		add_endpoint(one, endpoint);
		likely = one->next;
	}
	if (is_first)
		add_unused(list, target->port, target->n_endpoints);
}

static void add_targets(struct worker *worker, void *arg)
{
	for (size_t i = 0; i < sizeof(worker->targets) / sizeof(*worker->targets); i++)
		list_each_safe (node, next, &worker->targets[i])
			add_target(arg, container_of(node, struct target, node));
}

static cJSON *each_worker(const struct admin_host *host, struct reply *reply,
	const char *name, worker_fn *add)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(json, name);

	reply_ask_workers(host, reply, add, list);
	return json;
}

static void count_due(struct worker *worker, void *arg)
{
	*(unsigned *)arg += worker->gauges.due;
}

void view_endpoints(const struct admin_host *host, struct reply *reply)
{
	cJSON *json = each_worker(host, reply, "services", add_targets);
	unsigned n_due = 0;

	reply_ask_workers(host, reply, count_due, &n_due);
	cJSON_AddItemToObject(json, "rebalance", rebalance_json(host, n_due));
	reply_json(reply, json);
}

static const char *state_name(const struct client *client)
{
	static const char *const names[] = {
		[CLIENT_HEAD] = "idle",
		[CLIENT_EXCHANGE] = "active",
		[CLIENT_TUNNEL] = "tunnel",
		[CLIENT_LINGER] = "closing",
	};

	return names[client->state];
}

/* Until the moment that it has drawn in a rebalance; negative when that has passed, and
 * the next response says close. */
static void add_due(cJSON *json, const struct client *client, uint64_t now_ms)
{
	if (client->life.due_ms > 0)
		cJSON_AddNumberToObject(json, "rebalance_in_ms",
			(double)client->life.due_ms - (double)now_ms);
	else
		cJSON_AddNullToObject(json, "rebalance_in_ms");
}

static void add_client(cJSON *list, const struct client *client, uint64_t now_ms)
{
	cJSON *json = cJSON_CreateObject();
	char peer[ADDRESS_TEXT_MAX];

	cJSON_AddNumberToObject(json, "id", (double)client->id);
	cJSON_AddNumberToObject(json, "worker", client->worker->index);
	cJSON_AddStringToObject(json, "side", client->front->side);
	cJSON_AddStringToObject(
		json, "peer", address_print(&client->peer, peer, sizeof(peer)));
	cJSON_AddStringToObject(json, "state", state_name(client));
	cJSON_AddNumberToObject(
		json, "age_ms", (double)(now_ms - client->life.opened_ms));
	cJSON_AddNumberToObject(json, "requests", client->life.n_requests);
	/* Only inbound keep-alive connections have caps. */
	if (client_direction(client) == INBOUND && client->state != CLIENT_TUNNEL) {
		cJSON_AddNumberToObject(json, "max_requests", client->life.cap);
		cJSON_AddNumberToObject(json, "max_age_ms",
			client->life.retire_ms ? (double)(client->life.retire_ms -
							  client->life.opened_ms)
					       : 0);
		add_due(json, client, now_ms);
		add_text(json, "recycled", recycle_names[client->recycled]);
	}
	if (client->exchange && client->exchange->target)
		cJSON_AddStringToObject(json, "service", client->exchange->target->key);
	cJSON_AddItemToArray(list, json);
}

static void add_clients(struct worker *worker, void *arg)
{
	uint64_t now = clock_ms();

	list_each_safe (node, next, &worker->clients)
		add_client(arg, container_of(node, struct client, node), now);
}

void view_connections(const struct admin_host *host, struct reply *reply)
{
	reply_json(reply, each_worker(host, reply, "connections", add_clients));
}
