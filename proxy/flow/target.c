/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kinds of target: a service (namespace_ is set) takes its endpoints from the
 * topology snapshot and is rebuilt when that changes; a host takes them from its literal
 * address or from DNS, looked up again when the answer is older than a few seconds, with
 * the old one in use until the new one is there.
 */
#include "flow/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "flow/upstream.h"
#include "net/resolve.h"

#define DNS_FRESH_MS    5000
#define DNS_RETRY_MS    1000
#define DISTRUST_MS     60000
#define TARGETS_MAX     4096
#define TARGET_SWEEP_MS 5000
#define PASSTHROUGH     "passthrough"

static uint32_t hash_bytes(const char *bytes, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * 16777619u;
	return hash;
}

static struct list *bucket_of(struct worker *worker, const char *key, size_t len)
{
	return &worker->targets[hash_bytes(key, len) %
				(sizeof(worker->targets) / sizeof(*worker->targets))];
}

static struct target *lookup(
	struct worker *worker, enum direction direction, const char *key, size_t len)
{
	struct list *bucket = bucket_of(worker, key, len);

	for (struct list *node = bucket->next; node != bucket; node = node->next) {
		struct target *target = container_of(node, struct target, node);

		if (target->direction == direction && strcmp(target->key, key) == 0)
			return target;
	}
	return NULL;
}

static void unlist(struct target *target);

/* Names come from requests: beyond the bound the one unused for longest makes room. */
static void make_room(struct worker *worker)
{
	struct target *oldest = NULL;

	if (worker->n_targets < TARGETS_MAX)
		return;
	for (size_t i = 0; i < sizeof(worker->targets) / sizeof(*worker->targets); i++) {
		list_each_safe (node, next, &worker->targets[i]) {
			struct target *target = container_of(node, struct target, node);

			if (target->n_refs == 0 && target->direction == OUTBOUND &&
				(!oldest || target->used_ms < oldest->used_ms))
				oldest = target;
		}
	}
	if (oldest)
		unlist(oldest);
}

static struct target *target_create(struct worker *worker, enum direction direction,
	const char *key, const char *service)
{
	size_t len = strlen(key);
	struct target *target = calloc(1, sizeof(*target) + len + 1);

	if (!target)
		return NULL;
	memcpy(target->key, key, len + 1);
	target->worker = worker;
	target->direction = direction;
	target->tally = tally_of(&worker->tallies, direction, service);
	target->used_ms = clock_ms();
	list_init(&target->waiters);
	if (!target->tally) {
		free(target);
		return NULL;
	}
	make_room(worker);
	worker->n_targets++;
	list_push(bucket_of(worker, key, len), &target->node);
	return target;
}

static void endpoint_free_if_unused(struct endpoint *endpoint)
{
	if (endpoint->gone && endpoint->n_refs == 0)
		free(endpoint);
}

static void endpoint_drop(struct endpoint *endpoint)
{
	endpoint->n_refs++;
	endpoint->gone = true;
	endpoint->topo = NULL;
	upstreams_close_idle(endpoint);
	endpoint_release(endpoint);
}

void endpoint_distrust(struct endpoint *endpoint)
{
	endpoint->distrusted_until_ms = clock_ms() + DISTRUST_MS;
}

void endpoint_answered(struct endpoint *endpoint)
{
	endpoint->n_answers++;
	balance_report_success(&endpoint->balance);
}

void endpoint_hold(struct endpoint *endpoint)
{
	endpoint->n_refs++;
}

void endpoint_release(struct endpoint *endpoint)
{
	endpoint->n_refs--;
	endpoint_free_if_unused(endpoint);
}

/* A table of the endpoints that a target has, by address, to find them again. */
struct index {
	struct endpoint **slots;
	size_t mask;
};

static size_t address_hash(const union address *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return hash_bytes((const char *)&addr->in.sin_addr, 4) ^
		       addr->in.sin_port;
	return hash_bytes((const char *)&addr->in6.sin6_addr, 16) ^ addr->in6.sin6_port;
}

static bool index_make(struct index *index, const struct target *target)
{
	size_t n = 4;

	while (n < (size_t)target->n_endpoints * 2)
		n *= 2;
	index->mask = n - 1;
	index->slots = calloc(n, sizeof(*index->slots));
	if (!index->slots)
		return false;
	for (uint32_t i = 0; i < target->n_endpoints; i++) {
		size_t at = address_hash(&target->endpoints[i]->addr) & index->mask;

		while (index->slots[at])
			at = (at + 1) & index->mask;
		index->slots[at] = target->endpoints[i];
	}
	return true;
}

static struct endpoint *index_find(const struct index *index, const union address *addr)
{
	size_t at = address_hash(addr) & index->mask;

	for (; index->slots[at]; at = (at + 1) & index->mask)
		if (address_equal(&index->slots[at]->addr, addr))
			return index->slots[at];
	return NULL;
}

static struct endpoint *endpoint_create(struct target *target, const union address *addr)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint)
		return NULL;
	endpoint->target = target;
	endpoint->addr = *addr;
	endpoint->proximity = TOPO_ELSEWHERE;
	list_init(&endpoint->idle);
	return endpoint;
}

/* What the endpoints of a target are to be: addresses in order, with their records. */
struct wanted {
	const struct topo_endpoint *records; /* or */
	const union address *addresses;
	uint32_t n;
};

static const union address *wanted_address(const struct wanted *wanted, uint32_t i)
{
	return wanted->records ? (const union address *)&wanted->records[i].addr
			       : &wanted->addresses[i];
}

static struct endpoint *adopt(struct target *target, const struct index *index,
	const struct wanted *wanted, uint32_t i)
{
	const union address *addr = wanted_address(wanted, i);
	struct endpoint *endpoint = index_find(index, addr);

	/* `gone` means here: not yet met again. */
	if (!endpoint)
		endpoint = endpoint_create(target, addr);
	if (!endpoint)
		return NULL;
	endpoint->gone = false;
	endpoint->topo = wanted->records ? &wanted->records[i] : NULL;
	if (endpoint->topo)
		endpoint->proximity = endpoint->topo->proximity;
	return endpoint;
}

/* Replaces the list of endpoints, keeping those that remain. Without memory it stays. */
static bool set_endpoints(struct target *target, const struct wanted *wanted)
{
	struct endpoint **endpoints = calloc(wanted->n + 1, sizeof(*endpoints));
	struct balance **members = calloc(wanted->n + 1, sizeof(*members));
	struct index index = {0};
	uint32_t n = 0;

	if (!endpoints || !members || !index_make(&index, target)) {
		free(endpoints);
		free(members);
		return false;
	}
	for (uint32_t i = 0; i < target->n_endpoints; i++)
		target->endpoints[i]->gone = true;
	for (uint32_t i = 0; i < wanted->n; i++) {
		struct endpoint *endpoint = adopt(target, &index, wanted, i);

		if (!endpoint)
			continue;
		members[n] = &endpoint->balance;
		endpoints[n++] = endpoint;
	}
	for (uint32_t i = 0; i < target->n_endpoints; i++)
		if (target->endpoints[i]->gone)
			endpoint_drop(target->endpoints[i]);
	free(index.slots);
	free(target->endpoints);
	free(target->members);
	target->endpoints = endpoints;
	target->members = members;
	target->n_endpoints = n;
	return true;
}

/* Makes the endpoints of a service from what the worker's topology says now. */
static void follow_topo(struct target *target)
{
	struct worker *worker = target->worker;
	const struct topo_service *service =
		topo_find(worker->topo, target->namespace_, target->service);
	const struct topo_port *port =
		service ? topo_service_port(service, target->port_text) : NULL;
	struct wanted wanted = {0};
	struct topo *before = target->topo;

	/* Endpoints that may never be used stand behind all tiers and are left out. */
	for (uint32_t i = 0; port && i < port->n_tiers; i++)
		wanted.n = port->tiers[i].first + port->tiers[i].n_endpoints;
	if (wanted.n > 0)
		wanted.records = port->endpoints;
	if (!set_endpoints(target, &wanted))
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

static void target_free(struct target *target)
{
	resolve_cancel(target->resolve);
	discovery_end(target);
	for (uint32_t i = 0; i < target->n_endpoints; i++)
		endpoint_drop(target->endpoints[i]);
	free(target->endpoints);
	free(target->members);
	topo_unref(target->topo);
	free(target->namespace_);
	free(target->service);
	free(target->port_text);
	free(target->host);
	free(target);
}

static struct target *service_target(struct worker *worker,
	const struct topo_service *service, const struct topo_port *port,
	const char *port_text)
{
	/* Ports that go by name share a target however they were asked for. */
	const char *name = port && port->name && *port->name ? port->name : port_text;
	char key[TARGET_KEY_MAX];
	struct text text = {.ptr = key, .cap = sizeof(key) - 1};
	struct target *target;

	text_add(&text, str_of(service->full_name));
	text_add(&text, STR(":"));
	text_add(&text, str_of(name));
	if (text.overflow)
		return NULL;
	key[text.len] = '\0';
	target = lookup(worker, OUTBOUND, key, text.len);
	if (target)
		return target;
	target = target_create(worker, OUTBOUND, key, service->full_name);
	if (!target)
		return NULL;
	target->namespace_ = strdup(service->namespace_);
	target->service = strdup(service->name);
	target->port_text = strdup(name);
	if (target->namespace_ && target->service && target->port_text) {
		struct topo_name asked = topo_name_of(service);

		discovery_begin(target, &asked);
		follow_topo(target);
	}
	return target;
}

static void host_address_known(
	struct target *target, const union address *addresses, int n)
{
	struct wanted wanted = {.addresses = addresses, .n = (uint32_t)n};

	if (!set_endpoints(target, &wanted))
		return;
	target->n_tiers = 1;
	target->tiers[0].first = 0;
	target->tiers[0].n = target->n_endpoints;
	target->problem = NULL;
}

static struct target *host_target(struct worker *worker, enum direction direction,
	struct str host, uint16_t port, const struct topo_name *may_be)
{
	bool is_ipv6 = memchr(host.ptr, ':', host.len) != NULL;
	char key[TARGET_KEY_MAX];
	struct text text = {.ptr = key, .cap = sizeof(key) - 1};
	struct target *target;
	union address literal;

	text_add(&text, is_ipv6 ? STR("[") : STR(""));
	text_add(&text, host);
	text_add(&text, is_ipv6 ? STR("]:") : STR(":"));
	text_add_u64(&text, port);
	if (text.overflow)
		return NULL;
	key[text.len] = '\0';
	for (size_t i = 0; i < text.len; i++)
		key[i] = ascii_lower(key[i]);
	target = lookup(worker, direction, key, text.len);
	if (target)
		return target;
	target = target_create(
		worker, direction, key, direction == INBOUND ? key : PASSTHROUGH);
	if (!target)
		return NULL;
	target->host = strndup(host.ptr, host.len);
	target->number = port;
	if (target->host && address_parse(target->host, port, &literal)) {
		target->resolved_ms = UINT64_MAX;
		host_address_known(target, &literal, 1);
	} else if (may_be) {
		discovery_begin(target, may_be);
	}
	return target;
}

struct target *target_for_host(struct worker *worker, enum direction direction,
	struct str host, uint16_t port, uint16_t default_port)
{
	const struct topo_service *service = NULL;
	const struct topo_port *service_port;
	struct topo_name name;
	bool may_be = topo_parse_host(host.ptr, host.len, &worker->shared->policy, &name);
	char digits[8];
	struct text text = {.ptr = digits, .cap = sizeof(digits) - 1};

	if (may_be && worker->topo)
		service = topo_find(worker->topo, name.namespace_, name.name);
	if (!service)
		return host_target(worker, direction, host, port ? port : default_port,
			may_be ? &name : NULL);
	text_add_u64(&text, port ? port : default_port);
	digits[text.len] = '\0';
	service_port = topo_service_port(service, digits);
	/* Who names no port means the one there is. */
	if (!service_port && port == 0 && service->n_ports == 1)
		service_port = &service->ports[0];
	return service_target(worker, service, service_port, digits);
}

static struct target *route_target(struct worker *worker, const struct front *front)
{
	const struct topo_service *service =
		worker->topo ? topo_find(worker->topo, front->namespace_, front->service)
			     : NULL;
	char host[TARGET_KEY_MAX];
	struct topo_name name;
	uint64_t number;
	bool may_be;
	int len;

	if (service)
		return service_target(worker, service,
			topo_service_port(service, front->service_port),
			front->service_port);
	/* Not known: to the name by DNS, which needs a port number. */
	len = snprintf(host, sizeof(host), "%s.%s.svc.%s", front->service,
		front->namespace_, worker->config->cluster_domain);
	if (!str_to_u64(str_of(front->service_port), &number))
		number = 0;
	may_be = topo_parse_host(host, (size_t)len, &worker->shared->policy, &name);
	return host_target(worker, OUTBOUND, (struct str){host, (size_t)len},
		(uint16_t)number, may_be ? &name : NULL);
}

struct target *target_for_front(struct worker *worker, const struct front *front)
{
	struct target **target = &worker->front_targets[front - worker->shared->fronts];

	if (front->service)
		return route_target(worker, front);
	if (!*target)
		*target = host_target(
			worker, INBOUND, str_of(front->host), front->port, NULL);
	return *target;
}

struct target *target_again(
	struct target *target, const struct front *front, bool names_port)
{
	struct target *again;

	if (!target->asked || target->namespace_)
		return target;
	if (front->service)
		again = route_target(target->worker, front);
	else
		again = target_for_host(target->worker, OUTBOUND, str_of(target->host),
			names_port ? target->number : 0, target->number);
	target->superseded = again && again != target;
	return again ? again : target;
}

void target_hold(struct target *target)
{
	target->n_refs++;
	target->used_ms = clock_ms();
}

void target_release(struct target *target)
{
	if (--target->n_refs > 0)
		return;
	if (target->unlisted)
		target_free(target);
	else if (target->superseded)
		unlist(target);
}

void target_wake(struct target *target)
{
	struct list *node;

	while ((node = list_pop(&target->waiters))) {
		struct deferred *waiter = container_of(node, struct deferred, node);

		loop_defer(&target->worker->loop, waiter, waiter->run);
	}
}

static void on_resolved(
	void *arg, const union address *addresses, int n, const char *problem)
{
	struct target *target = arg;

	target->resolve = NULL;
	target->resolved_ms = clock_ms();
	if (n > 0)
		host_address_known(target, addresses, n);
	else
		target->problem = problem;
	target_wake(target);
}

static enum target_state prepare_host(struct target *target)
{
	uint64_t now = clock_ms();
	uint64_t fresh_ms = target->problem ? DNS_RETRY_MS : DNS_FRESH_MS;

	if (target->number == 0) {
		target->problem = "a named port of a service that is not known";
		return TARGET_FAILED;
	}
	if (!target->resolve && (target->resolved_ms == 0 ||
					(target->resolved_ms != UINT64_MAX &&
						now - target->resolved_ms >= fresh_ms))) {
		target->resolve = resolve_start(&target->worker->loop, target->host,
			target->number, on_resolved, target);
		if (!target->resolve)
			target->problem = "no resolver";
	}
	if (target->n_endpoints > 0)
		return TARGET_READY;
	return target->resolve ? TARGET_WAIT : TARGET_FAILED;
}

enum target_state target_prepare(struct target *target)
{
	if (target->namespace_ || target->resolved_ms == UINT64_MAX)
		return TARGET_READY;
	if (target->awaits_service)
		return TARGET_WAIT;
	return prepare_host(target);
}

static struct balance *pick_in_tier(struct target *target, uint32_t tier,
	const struct balance_excluded *excluded, enum balance_scope scope,
	uint64_t now_ms)
{
	struct rng *rng = &target->worker->loop.rng;
	uint64_t random = (uint64_t)rng_next(rng) << 32 | rng_next(rng);

	return balance_pick(target->members + target->tiers[tier].first,
		target->tiers[tier].n, excluded, scope, now_ms, random);
}

bool target_affords_failure(const struct target *target)
{
	const struct worker *worker = target->worker;
	const struct gauges *gauges = &worker->gauges;

	return tally_retries_left(
		       target->tally, worker->config->retry_budget, clock_ms()) >
	       gauges->in_flight[target->direction] -
		       gauges->tunnels[target->direction][DOWNSTREAM];
}

/* So many that have failed already a call tries before it looks into the next tier. */
#define SECOND_CHANCES 2

/*
 * A tier is left for the next one only when nobody in it can be connected to: tried by
 * this request in vain, or known from a moment ago to cost a time-out. Who refuses is
 * asked every time that nobody better is left: that costs little, and a server that has
 * been started again is found at once, however long it was to be set aside. Others may
 * have found it while this request tried elsewhere.
 */
struct endpoint *target_pick(
	struct target *target, const struct balance_excluded *excluded)
{
	uint64_t now = clock_ms();
	struct balance *member = NULL;

	for (uint32_t i = 0; i < target->n_tiers && !member; i++) {
		member = pick_in_tier(target, i, excluded, BALANCE_GOOD, now);
		if (!member && excluded->n_items < SECOND_CHANCES &&
			target_affords_failure(target))
			member =
				pick_in_tier(target, i, excluded, BALANCE_REACHABLE, now);
		if (!member && excluded->n_items > 0)
			member = pick_in_tier(target, i, excluded, BALANCE_PROVEN, now);
	}
	for (uint32_t i = 0; i < target->n_tiers && !member; i++)
		member = pick_in_tier(target, i, excluded, BALANCE_ANY, now);
	if (!member)
		return NULL;
	return container_of(member, struct endpoint, balance);
}

bool target_has_other(
	const struct target *target, const struct balance_excluded *excluded)
{
	for (uint32_t i = 0; i < target->n_tiers; i++)
		if (balance_pick(target->members + target->tiers[i].first,
			    target->tiers[i].n, excluded, BALANCE_ANY, 0, 0))
			return true;
	return false;
}

static void each_target(
	struct worker *worker, void (*visit)(struct target *, uint64_t), uint64_t arg)
{
	for (size_t i = 0; i < sizeof(worker->targets) / sizeof(*worker->targets); i++)
		list_each_safe (node, next, &worker->targets[i])
			visit(container_of(node, struct target, node), arg);
}

static void follow_if_service(struct target *target, uint64_t unused)
{
	(void)unused;
	if (target->namespace_)
		follow_topo(target);
}

void targets_follow_topo(struct worker *worker)
{
	each_target(worker, follow_if_service, 0);
	discovery_follow_topo(worker);
}

static void unlist(struct target *target)
{
	list_unlink(&target->node);
	target->worker->n_targets--;
	target->unlisted = true;
	if (target->n_refs == 0)
		target_free(target);
}

static void sweep_one(struct target *target, uint64_t now_ms)
{
	if (target->n_refs == 0 && target->direction == OUTBOUND &&
		now_ms - target->used_ms >= target->worker->config->discovery_idle_ms)
		unlist(target);
}

void targets_sweep(struct worker *worker, uint64_t now_ms)
{
	if (now_ms < worker->sweep_targets_ms)
		return;
	worker->sweep_targets_ms = now_ms + TARGET_SWEEP_MS;
	each_target(worker, sweep_one, now_ms);
}

static void unlist_now(struct target *target, uint64_t unused)
{
	(void)unused;
	unlist(target);
}

void targets_destroy(struct worker *worker)
{
	each_target(worker, unlist_now, 0);
}
