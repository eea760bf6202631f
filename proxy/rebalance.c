/* SPDX-License-Identifier: Apache-2.0 */
#include "rebalance.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/client.h"
#include "topo/memory.h"

#define ASK_TIMEOUT_MS 1000

struct call {
	struct letter letter;
	struct draw draw;
};

static void open_call(struct letter *letter, void *owner)
{
	struct call *call = container_of(letter, struct call, letter);

	clients_draw(owner, &call->draw);
	free(call);
}

static void set_timer(struct event *event, uint64_t at_ms)
{
	uint64_t now = clock_ms(), ms = at_ms > now ? at_ms - now : 0;
	struct timeval after = clock_timeval(ms);

	event_add(event, &after);
}

static size_t count_ready(const struct growth *growth)
{
	size_t n = 0;

	for (size_t i = 0; i < growth->n_services; i++)
		n += growth->services[i].n_ready;
	return n;
}

static void begin(struct rebalance *rebalance)
{
	const struct growth *growth = &rebalance->growth;
	uint64_t window_ms = rebalance->shared->config->rebalance_ms;

	log_at(LOG_INFO, NULL, "rebalance_begins",
		"new_addresses=%zu ready=%zu window_ms=%lu", growth->n_new,
		count_ready(growth), (unsigned long)window_ms);
	for (unsigned i = 0; i < rebalance->n_workers; i++) {
		struct call *call = memory_calloc(1, sizeof(*call));

		call->letter.open = open_call;
		/* Who came when the new ones were there may have found them itself. */
		call->draw = (struct draw){.from_ms = growth->begun_ms,
			.opened_before_ms = growth->seen_ms,
			.busy_from_ms = growth->busy_from_ms};
		mailbox_post(&rebalance->workers[i].mailbox, &call->letter);
	}
	set_timer(rebalance->end, growth->begun_ms + window_ms);
}

/* Now, or when it is time; not during a drain, which ends every connection anyway. */
static void begin_when_due(struct rebalance *rebalance)
{
	uint64_t due_ms;

	event_del(rebalance->begin);
	if (rebalance->shared->draining)
		return;
	if (growth_begins(&rebalance->growth, clock_ms()))
		begin(rebalance);
	due_ms = growth_due_ms(&rebalance->growth);
	if (due_ms > 0)
		set_timer(rebalance->begin, due_ms);
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_when_due(arg);
}

static void add_due(struct worker *worker, void *arg)
{
	*(unsigned *)arg += worker->gauges.due;
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct rebalance *rebalance = arg;
	unsigned n_due = 0;

	(void)fd;
	(void)what;
	if (rebalance->shared->draining)
		return;
	for (unsigned i = 0; i < rebalance->n_workers; i++)
		if (!worker_ask(&rebalance->workers[i], add_due, &n_due, ASK_TIMEOUT_MS))
			return;
	log_at(LOG_INFO, NULL, "rebalance_ends", "new_addresses=%zu still_due=%u",
		rebalance->growth.n_new, n_due);
}

int rebalance_init(struct rebalance *rebalance, struct event_base *base,
	struct shared *shared, struct worker *workers, unsigned n_workers)
{
	const struct config *config = shared->config;

	*rebalance = (struct rebalance){
		.shared = shared, .workers = workers, .n_workers = n_workers};
	if (config->rebalance_ms == 0 || config->service.n_items == 0)
		return 0;
	growth_init(&rebalance->growth, config->pod_ip, config->rebalance_interval_ms,
		config->rebalance_ms);
	for (size_t i = 0; i < config->service.n_items; i++) {
		const struct config_service *service = &config->service.items[i];

		growth_add_service(&rebalance->growth,
			service->namespace_ ? service->namespace_ : config->namespace_,
			service->name);
	}
	rebalance->begin = event_new(base, -1, 0, on_begin, rebalance);
	rebalance->end = event_new(base, -1, 0, on_end, rebalance);
	return rebalance->begin && rebalance->end ? 0 : -ENOMEM;
}

void rebalance_fini(struct rebalance *rebalance)
{
	if (rebalance->begin)
		event_free(rebalance->begin);
	if (rebalance->end)
		event_free(rebalance->end);
	growth_fini(&rebalance->growth);
	*rebalance = (struct rebalance){0};
}

void rebalance_follow(struct rebalance *rebalance, const struct topo *topo)
{
	if (!rebalance->begin)
		return;
	growth_follow(&rebalance->growth, topo, clock_ms());
	begin_when_due(rebalance);
}
