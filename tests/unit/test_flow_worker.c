/* SPDX-License-Identifier: Apache-2.0 */
/* What another thread may ask of a worker, and what comes of it when that is busy. */
#include <criterion/criterion.h>
#include <semaphore.h>

#include "flow/worker.h"

#define LONG_MS 60000

static struct worker worker;
static sem_t is_busy, may_go_on;

static void worker_begin(void)
{
	static const struct config config = {.max_header_bytes = 1024};
	static struct shared shared = {.config = &config, .max_downstream = 1};

	sem_init(&is_busy, 0, 0);
	sem_init(&may_go_on, 0, 0);
	cr_assert_eq(worker_init(&worker, &shared, 0), 0);
	cr_assert_eq(worker_start(&worker), 0);
}

static void worker_end(void)
{
	worker_stop(&worker);
	worker_fini(&worker);
}

static void be_busy(struct letter *unused, void *owner)
{
	(void)unused;
	(void)owner;
	sem_post(&is_busy);
	sem_wait(&may_go_on);
}

static void count(struct worker *who, void *arg)
{
	cr_expect(who == &worker);
	++*(int *)arg;
}

Test(flow_worker, answers)
{
	int n_asked = 0, n_ordered = 0;

	worker_begin();
	cr_expect(worker_ask(&worker, count, &n_asked, LONG_MS));
	cr_expect(worker_order(&worker, count, &n_ordered, LONG_MS));
	cr_expect(n_asked == 1 && n_ordered == 1);
	worker_end();
}

/* A question is for now; an order stands. */
Test(flow_worker, is_busy)
{
	static struct letter letter = {.open = be_busy};
	int n_asked = 0, n_ordered = 0, n_later = 0;

	worker_begin();
	mailbox_post(&worker.mailbox, &letter);
	sem_wait(&is_busy);
	cr_expect_not(worker_ask(&worker, count, &n_asked, 1));
	cr_expect_not(worker_order(&worker, count, &n_ordered, 1));
	cr_expect(n_asked == 0 && n_ordered == 0);
	sem_post(&may_go_on);
	cr_expect(worker_ask(&worker, count, &n_later, LONG_MS));
	cr_expect(n_asked == 0 && n_ordered == 1 && n_later == 1);
	worker_end();
}
