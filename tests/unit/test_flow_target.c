/* SPDX-License-Identifier: Apache-2.0 */
/* Which target a host is: one for each name and port, whatever the letter case. */
#include <criterion/criterion.h>

#include "flow/target.h"

static void worker_begin(struct worker *worker)
{
	static const struct config config = {.cluster_domain = "cluster.local"};

	static struct shared shared = {
		.config = &config,
		.policy = {.namespace_ = "default", .cluster_domain = "cluster.local"},
	};

	*worker = (struct worker){.config = &config, .shared = &shared};
	for (size_t i = 0; i < sizeof(worker->targets) / sizeof(*worker->targets); i++)
		list_init(&worker->targets[i]);
	list_init(&worker->tallies);
	cr_assert(loop_init(&worker->loop, 100) == 0);
}

static void worker_end(struct worker *worker)
{
	targets_destroy(worker);
	tally_destroy_all(&worker->tallies);
	loop_fini(&worker->loop);
}

static struct target *target_of(struct worker *worker, const char *host, uint16_t port)
{
	return target_for_host(worker, OUTBOUND, str_of(host), port, 80);
}

/* Names of all lengths: many of them share a bucket. */
Test(flow_target, one_for_each_host)
{
	static struct worker worker;
	static struct target *targets[400];
	char host[512];

	worker_begin(&worker);
	for (size_t n = 1; n < 400; n++) {
		memset(host, 'a', n);
		host[n] = '\0';
		targets[n] = target_of(&worker, host, 80);
		cr_assert(targets[n]);
	}
	for (size_t n = 1; n < 400; n++) {
		memset(host, 'A', n);
		host[n] = '\0';
		cr_expect(target_of(&worker, host, 0) == targets[n], "%zu", n);
		cr_expect(target_of(&worker, host, 81) != targets[n], "%zu", n);
		cr_expect(n == 1 || targets[n - 1] != targets[n], "%zu", n);
	}
	worker_end(&worker);
}

Test(flow_target, too_long)
{
	static struct worker worker;
	char host[1024];

	worker_begin(&worker);
	memset(host, 'a', sizeof(host));
	for (size_t n = 500; n < sizeof(host); n++)
		cr_expect(!target_for_host(&worker, OUTBOUND, (struct str){host, n}, 80,
				  80) == (n > 508),
			"%zu", n);
	worker_end(&worker);
}

static void stop_when_resolved(void *arg)
{
	struct target *target = arg;

	target->worker->loop.stop = !target->resolve;
}

/* There was no memory for the addresses, and by the next look-up there are none: that is
 * an answer, and nobody waits for another. */
Test(flow_target, no_address_behind_a_lost_answer)
{
	static struct worker worker;
	struct target *target;
	char host[100] = {0};

	worker_begin(&worker);
	memset(host, 'a', 64); /* the DNS is not asked for so long a name */
	target = target_of(&worker, host, 80);
	cr_assert(target);
	target->is_stale = true;
	cr_expect(target_prepare(target) == TARGET_WAIT);
	worker.loop.on_tick = stop_when_resolved;
	worker.loop.arg = target;
	loop_run(&worker.loop);
	cr_expect(target->problem != NULL);
	cr_expect(target_prepare(target) == TARGET_FAILED);
	worker_end(&worker);
}
