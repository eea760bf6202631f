/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/target.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "flow/target_kinds.h"
#include "net/resolve.h"

#define TARGETS_MAX     4096
#define TARGET_SWEEP_MS 5000

static struct list *bucket_of(struct worker *worker, const char *key, size_t len)
{
	return &worker->targets[str_hash((struct str){key, len}) %
				(sizeof(worker->targets) / sizeof(*worker->targets))];
}

struct target *target_find(
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

void target_unlist(struct target *target)
{
	list_unlink(&target->node);
	target->worker->n_targets--;
	target->unlisted = true;
	if (target->n_refs == 0)
		target_free(target);
}

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
		target_unlist(oldest);
}

struct target *target_create(struct worker *worker, enum direction direction,
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
	target->used_ms = loop_ms(&worker->loop);
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
		return target_host_find(worker, direction, host,
			port ? port : default_port, may_be ? &name : NULL);
	text_add_u64(&text, port ? port : default_port);
	digits[text.len] = '\0';
	service_port = topo_service_port(service, digits);
	/* Who names no port means the one there is. */
	if (!service_port && port == 0 && service->n_ports == 1)
		service_port = &service->ports[0];
	return target_service_find(worker, service, service_port, digits);
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
		return target_service_find(worker, service,
			topo_service_port(service, front->service_port),
			front->service_port);
	/* Not known: to the name by DNS, which needs a port number. */
	len = snprintf(host, sizeof(host), "%s.%s.svc.%s", front->service,
		front->namespace_, worker->config->cluster_domain);
	if (!str_to_u64(str_of(front->service_port), &number))
		number = 0;
	may_be = topo_parse_host(host, (size_t)len, &worker->shared->policy, &name);
	return target_host_find(worker, OUTBOUND, (struct str){host, (size_t)len},
		(uint16_t)number, may_be ? &name : NULL);
}

struct target *target_for_front(struct worker *worker, const struct front *front)
{
	struct target **target = &worker->front_targets[front - worker->shared->fronts];

	if (front->service)
		return route_target(worker, front);
	if (!*target)
		*target = target_host_find(
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
	target->used_ms = loop_ms(&target->worker->loop);
}

void target_release(struct target *target)
{
	if (--target->n_refs > 0)
		return;
	if (target->unlisted)
		target_free(target);
	else if (target->superseded)
		target_unlist(target);
}

void target_wake(struct target *target)
{
	struct list *node;

	while ((node = list_pop(&target->waiters))) {
		struct deferred *waiter = container_of(node, struct deferred, node);

		loop_defer(&target->worker->loop, waiter, waiter->run);
	}
}

/* What there was no memory for before. */
static enum target_state catch_up(struct target *target)
{
	(target->namespace_ ? target_service_follow : target_host_follow)(target);
	return target->is_stale && target->n_endpoints == 0 ? TARGET_NO_RESOURCES
							    : TARGET_READY;
}

enum target_state target_prepare(struct target *target)
{
	if (target->namespace_ || target->resolved_ms == UINT64_MAX)
		return target->is_stale ? catch_up(target) : TARGET_READY;
	if (target->awaits_service)
		return TARGET_WAIT;
	return target_host_prepare(target);
}

static struct balance *pick_in_tier(struct target *target, uint32_t tier,
	const struct balance_excluded *excluded, enum balance_scope scope,
	uint64_t now_ms)
{
	struct rng *rng = &target->worker->loop.rng;
	uint64_t random = target->tiers[tier].n > 1
				  ? (uint64_t)rng_next(rng) << 32 | rng_next(rng)
				  : 0;

	return balance_pick(target->members + target->tiers[tier].first,
		target->tiers[tier].n, excluded, scope, now_ms, random);
}

bool target_affords_failure(const struct target *target)
{
	struct worker *worker = target->worker;
	const struct gauges *gauges = &worker->gauges;

	return tally_retries_to_spare(target->tally, worker->config->retry_budget,
		       loop_ms(&worker->loop)) >
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
	uint64_t now = loop_ms(&target->worker->loop);
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
		target_service_follow(target);
}

void targets_follow_topo(struct worker *worker)
{
	each_target(worker, follow_if_service, 0);
	discovery_follow_topo(worker);
}

static void sweep_one(struct target *target, uint64_t now_ms)
{
	if (target->n_refs == 0 && target->direction == OUTBOUND &&
		now_ms - target->used_ms >= target->worker->config->discovery_idle_ms)
		target_unlist(target);
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
	target_unlist(target);
}

void targets_destroy(struct worker *worker)
{
	each_target(worker, unlist_now, 0);
}
