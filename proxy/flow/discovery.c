/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/discovery.h"

#include <stdlib.h>

#include "base/clock.h"
#include "flow/target.h"
#include "topo/store.h"

static void stop_waiting(struct target *target)
{
	if (!target->awaits_service)
		return;
	target->awaits_service = false;
	deadline_clear(&target->discovery_deadline);
	target_wake(target);
}

static void on_deadline(struct deadline *deadline)
{
	stop_waiting(container_of(deadline, struct target, discovery_deadline));
}

static bool tells_all(const struct worker *worker)
{
	return worker->topo && worker->shared->discovery &&
	       worker->shared->discovery->tells_all;
}

static void follow_topo(struct target *target)
{
	const struct topo_watch *watch = NULL;
	bool settled;

	if (!target->asked)
		return;
	if (target->worker->topo)
		watch = topo_find_watch(target->worker->topo,
			target->asked->name.namespace_, target->asked->name.name);
	settled = (watch && watch->settled) || tells_all(target->worker);
	target->is_blind = !settled || (watch && watch->problem);
	if (settled)
		stop_waiting(target);
}

static uint64_t time_to_wait(
	const struct discovery *discovery, const struct config *config)
{
	uint64_t wait_ms = config->discovery_wait_ms;
	uint64_t gone_ms = discovery->tells_all ? clock_ms() - discovery->began_ms : 0;

	return gone_ms < wait_ms ? wait_ms - gone_ms : 0;
}

bool discovery_begin(struct target *target, const struct topo_name *name)
{
	struct worker *worker = target->worker;
	const struct discovery *discovery = worker->shared->discovery;
	uint64_t wait_ms;

	if (!discovery || tells_all(worker))
		return true;
	target->asked = malloc(sizeof(*target->asked));
	if (!target->asked)
		return false;
	*target->asked = (struct hold){.name = *name};
	discovery->hold(discovery->arg, target->asked);
	wait_ms = time_to_wait(discovery, worker->config);
	target->awaits_service = wait_ms > 0;
	if (target->awaits_service)
		deadline_set(&worker->discovery, &target->discovery_deadline, wait_ms,
			on_deadline);
	follow_topo(target);
	return true;
}

void discovery_end(struct target *target)
{
	const struct discovery *discovery = target->worker->shared->discovery;

	if (!target->asked)
		return;
	deadline_clear(&target->discovery_deadline);
	if (discovery)
		discovery->release(discovery->arg, target->asked);
	else
		free(target->asked);
	target->asked = NULL;
}

void discovery_follow_topo(struct worker *worker)
{
	for (size_t i = 0; i < sizeof(worker->targets) / sizeof(*worker->targets); i++)
		list_each_safe (node, next, &worker->targets[i])
			follow_topo(container_of(node, struct target, node));
}
