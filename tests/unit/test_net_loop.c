/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, what waits for the end of a turn, and letters of other threads. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/mailbox.h"
#include "net_fixture.h"

struct job {
	struct deferred deferred;
	struct deadline deadline;
	char name;
	struct loop *loop;
	struct job *other;
};

/* What ran, in order. */
static char ran[64];

static void note(const struct job *job)
{
	size_t len = strlen(ran);

	cr_assert(len + 1 < sizeof(ran));
	ran[len] = job->name;
	ran[len + 1] = '\0';
}

static struct job *job_of(struct deferred *deferred)
{
	return container_of(deferred, struct job, deferred);
}

static void on_run(struct deferred *deferred)
{
	note(job_of(deferred));
}

static void on_run_again(struct deferred *deferred)
{
	struct job *job = job_of(deferred);

	note(job);
	loop_defer(job->loop, deferred, on_run_again);
}

static void on_free(struct deferred *deferred)
{
	note(job_of(deferred));
	free(job_of(deferred));
}

/* Ends another one, whose call may be waiting in the same turn. */
static void on_kill(struct deferred *deferred)
{
	struct job *job = job_of(deferred);

	note(job);
	loop_reap(job->loop, &job->other->deferred, on_free);
}

static void expect_ran(const char *expected)
{
	cr_expect(strcmp(ran, expected) == 0, "%s, not %s", ran, expected);
	ran[0] = '\0';
}

Test(net_loop, deferred)
{
	struct loop loop;
	struct job a = {.name = 'a'}, b = {.name = 'b'};

	cr_assert(loop_init(&loop, 100) == 0);
	a.loop = b.loop = &loop;
	loop_defer(&loop, &a.deferred, on_run);
	loop_defer(&loop, &b.deferred, on_run);
	loop_defer(&loop, &a.deferred, on_run);
	expect_ran("");
	turn(&loop);
	expect_ran("ab");
	turn(&loop);
	expect_ran("");
	/* Who asks anew within its call waits for the next turn. */
	loop_defer(&loop, &a.deferred, on_run_again);
	turn(&loop);
	expect_ran("a");
	turn(&loop);
	expect_ran("a");
	loop_fini(&loop);
}

Test(net_loop, reaped_last)
{
	struct loop loop;
	struct job a = {.name = 'a'}, b = {.name = 'b'}, *dead = calloc(1, sizeof(*dead));

	cr_assert(loop_init(&loop, 100) == 0);
	a.loop = b.loop = &loop;
	dead->name = 'x';
	/* Its own call was waiting between the two: it is taken back. */
	a.other = dead;
	loop_defer(&loop, &a.deferred, on_kill);
	loop_defer(&loop, &dead->deferred, on_run);
	loop_defer(&loop, &b.deferred, on_run);
	turn(&loop);
	expect_ran("abx");
	loop_fini(&loop);
}

Test(net_loop, zeroed)
{
	struct loop loop = {0};
	struct mailbox mailbox = {0};

	loop_fini(&loop);
	mailbox_fini(&mailbox);
}

static struct job *job_at(struct deadline *deadline)
{
	return container_of(deadline, struct job, deadline);
}

/* Far ahead, so that the time the test takes plays no part. */
#define HOUR 3600000

static struct deadline_list list;
static struct loop loop;

static void on_expiry(struct deadline *deadline)
{
	struct job *job = job_at(deadline);

	cr_expect(!list_linked(&deadline->node));
	note(job);
	if (job->other)
		deadline_clear(&job->other->deadline);
}

static void on_expiry_again(struct deadline *deadline)
{
	note(job_at(deadline));
	deadline_set(&list, deadline, 2 * HOUR, on_expiry_again);
}

Test(net_loop, deadlines_in_order)
{
	struct job jobs[5] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'},
		{.name = 'e'}};
	static const uint64_t hours[5] = {3, 5, 1, 4, 2};
	uint64_t now = clock_ms();

	cr_assert(loop_init(&loop, 100) == 0);
	deadline_list_init(&list, &loop);
	for (int i = 0; i < 5; i++)
		deadline_set(&list, &jobs[i].deadline, hours[i] * HOUR, on_expiry);
	deadline_sweep(&list, now);
	expect_ran("");
	deadline_sweep(&list, now + HOUR + HOUR / 2);
	expect_ran("c");
	/* The one is taken back, the other set anew, later. */
	deadline_clear(&jobs[4].deadline);
	deadline_clear(&jobs[4].deadline);
	deadline_set(&list, &jobs[0].deadline, 6 * HOUR, on_expiry);
	deadline_sweep(&list, now + 5 * HOUR + HOUR / 2);
	expect_ran("db");
	deadline_sweep(&list, now + 7 * HOUR);
	expect_ran("a");
	cr_expect(list_empty(&list.head));
	loop_fini(&loop);
}

Test(net_loop, deadline_takes_back_another)
{
	struct job a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};

	cr_assert(loop_init(&loop, 100) == 0);
	deadline_list_init(&list, &loop);
	a.other = &b;
	deadline_set(&list, &a.deadline, HOUR, on_expiry);
	deadline_set(&list, &b.deadline, HOUR, on_expiry);
	deadline_set(&list, &c.deadline, HOUR, on_expiry_again);
	deadline_sweep(&list, clock_ms() + HOUR);
	expect_ran("ac");
	cr_expect(list_linked(&c.deadline.node) && !list_linked(&b.deadline.node));
	loop_fini(&loop);
}

#define N_THREADS 4
#define N_LETTERS 500

struct numbered {
	struct letter letter;
	int thread, number;
};

struct office {
	struct loop loop;
	struct mailbox mailbox;
	pthread_t thread;
	int next[N_THREADS];
	int n_open;
};

static void on_open(struct letter *letter, void *owner)
{
	struct numbered *numbered = container_of(letter, struct numbered, letter);
	struct office *office = owner;

	cr_expect(pthread_equal(office->thread, pthread_self()));
	cr_expect(numbered->number == office->next[numbered->thread]++);
	office->loop.stop = ++office->n_open == N_THREADS * N_LETTERS;
	free(numbered);
}

struct writer {
	pthread_t thread;
	struct mailbox *mailbox;
	int number;
};

static void *write_letters(void *arg)
{
	struct writer *writer = arg;

	for (int i = 0; i < N_LETTERS; i++) {
		struct numbered *letter = calloc(1, sizeof(*letter));

		letter->letter.open = on_open;
		letter->thread = writer->number;
		letter->number = i;
		mailbox_post(writer->mailbox, &letter->letter);
	}
	return NULL;
}

Test(net_mailbox, each_letter_once_and_in_order)
{
	static struct office office;
	struct writer writers[N_THREADS];
	int fd = lowest_free_fd();

	office.thread = pthread_self();
	cr_assert(loop_init(&office.loop, 100) == 0);
	cr_assert(mailbox_init(&office.mailbox, office.loop.base, &office) == 0);
	for (int i = 0; i < N_THREADS; i++) {
		writers[i] = (struct writer){.mailbox = &office.mailbox, .number = i};
		cr_assert(pthread_create(&writers[i].thread, NULL, write_letters,
				  &writers[i]) == 0);
	}
	loop_run(&office.loop);
	for (int i = 0; i < N_THREADS; i++) {
		pthread_join(writers[i].thread, NULL);
		cr_expect(office.next[i] == N_LETTERS, "%d", office.next[i]);
	}
	mailbox_fini(&office.mailbox);
	mailbox_fini(&office.mailbox);
	loop_fini(&office.loop);
	cr_expect(lowest_free_fd() == fd);
}

/* When ticks came, until a deadline has. */
static uint64_t ticks_ms[4];
static size_t n_ticks;

static void on_tick(void *arg)
{
	(void)arg;
	cr_assert(n_ticks < 4);
	ticks_ms[n_ticks++] = loop_ms(&loop);
}

static void on_due(struct deadline *deadline)
{
	cr_expect(n_ticks > 0 && deadline->at_ms <= ticks_ms[n_ticks - 1]);
	cr_expect(n_ticks < 2 || deadline->at_ms > ticks_ms[n_ticks - 2]);
	loop.stop = true;
}

/* What the kernel had for us by the deadline has come before it. */
Test(net_loop, due_is_what_was_due_a_tick_before)
{
	struct deadline deadline = {0};

	cr_assert(loop_init(&loop, 100) == 0);
	deadline_list_init(&list, &loop);
	loop.on_tick = on_tick;
	deadline_set(&list, &deadline, LOOP_TICK_MS / 2, on_due);
	loop_run(&loop);
	loop_fini(&loop);
}
