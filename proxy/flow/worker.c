/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/reserve.h"
#include "flow/client.h"
#include "flow/exchange.h"
#include "flow/http_response.h"
#include "flow/http_upload.h"
#include "flow/target.h"
#include "flow/upstream.h"
#include "topo/memory.h"

/* Beside the largest head: status line, Connection, X-Forwarded-*. */
#define EMIT_EXTRA 1024

#define TRIM_MS 2000

static void trim(struct worker *worker, uint64_t now)
{
	if (now < worker->trim_ms)
		return;
	worker->trim_ms = now + TRIM_MS;
	slab_trim(&worker->client_slab);
	slab_trim(&worker->exchange_slab);
	slab_trim(&worker->upstream_slab);
	buf_pool_trim(&worker->loop.bufs);
}

static void on_tick(void *arg)
{
	struct worker *worker = arg;
	uint64_t now = loop_ms(&worker->loop);

	targets_sweep(worker, now);
	trim(worker, now);
	if (ceiling_is_reached(worker->loop.bufs.ceiling)) {
		http_uploads_let_go(worker);
		http_responses_hurry(worker);
	}
	clients_resume_heads(worker);
	http_responses_resume(worker);
	worker_resume_accepting(worker);
}

static int open_doors(struct worker *worker)
{
	const struct shared *shared = worker->shared;

	worker->doors =
		calloc(shared->n_fronts * LISTEN_FDS_MAX + 1, sizeof(*worker->doors));
	worker->front_targets =
		calloc(shared->n_fronts + 1, sizeof(*worker->front_targets));
	if (!worker->doors || !worker->front_targets)
		return -ENOMEM;
	for (size_t i = 0; i < shared->n_fronts; i++) {
		struct listen_set set = shared->fronts[i].listen;
		int err = 0;

		if (worker->index > 0)
			err = listen_set_again(&set, &shared->fronts[i].listen);
		for (int k = 0; err == 0 && k < set.n; k++) {
			struct door *door = &worker->doors[worker->n_doors++];

			door->worker = worker;
			door->front = &shared->fronts[i];
			door->addr = set.addrs[k];
			err = listener_start(&door->listener, &worker->loop, set.fds[k],
				client_on_accept);
		}
		if (err != 0)
			return err;
	}
	return 0;
}

int worker_init(struct worker *worker, struct shared *shared, unsigned index)
{
	struct deadline_list *lists[] = {&worker->idle, &worker->header, &worker->linger,
		&worker->connect, &worker->pool_idle, &worker->response,
		&worker->response_head, &worker->discovery};
	size_t max_head = shared->config->max_header_bytes;
	int err;

	*worker = (struct worker){
		.shared = shared, .config = shared->config, .index = index};
	for (size_t i = 0; i < sizeof(worker->targets) / sizeof(*worker->targets); i++)
		list_init(&worker->targets[i]);
	list_init(&worker->tallies);
	list_init(&worker->clients);
	slab_init(&worker->client_slab, sizeof(struct client), 64 << 10);
	slab_init(&worker->exchange_slab, sizeof(struct exchange), 64 << 10);
	slab_init(&worker->upstream_slab, sizeof(struct upstream), 64 << 10);
	err = loop_init(&worker->loop, max_head + LOOP_READ_BYTES);
	if (err != 0)
		return err;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		deadline_list_init(lists[i], &worker->loop);
	buf_pool_limit(&worker->loop.bufs, &shared->ceiling);
	worker->loop.on_tick = on_tick;
	worker->loop.arg = worker;
	worker->emit_bytes = max_head + EMIT_EXTRA;
	worker->emit = malloc(worker->emit_bytes);
	if (!worker->emit)
		return -ENOMEM;
	err = mailbox_init(&worker->mailbox, worker->loop.base, worker);
	return err ? err : open_doors(worker);
}

static void close_everything(struct worker *worker)
{
	struct list *node;

	for (size_t i = 0; i < worker->n_doors; i++)
		listener_close(&worker->doors[i].listener);
	/* A reset for what is not complete; what is written still reaches its reader. */
	while ((node = worker->clients.next) != &worker->clients) {
		struct client *client = container_of(node, struct client, node);

		client_drop(client, client->exchange != NULL);
	}
	targets_destroy(worker);
}

void worker_fini(struct worker *worker)
{
	if (!worker->loop.base)
		return;
	close_everything(worker);
	worker->loop.stop = true;
	loop_run(&worker->loop);
	tally_destroy_all(&worker->tallies);
	topo_unref(worker->topo);
	mailbox_fini(&worker->mailbox);
	free(worker->emit);
	loop_fini(&worker->loop);
	slab_fini(&worker->client_slab);
	slab_fini(&worker->exchange_slab);
	slab_fini(&worker->upstream_slab);
	free(worker->doors);
	free(worker->front_targets);
}

static void *run(void *arg)
{
	struct worker *worker = arg;

	reserve_hurry();
	loop_run(&worker->loop);
	return NULL;
}

int worker_start(struct worker *worker)
{
	sigset_t all, before;
	int err;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker->thread_runs = err == 0;
	return -err;
}

static void stop(struct letter *letter, void *owner)
{
	struct worker *worker = owner;

	(void)letter;
	worker->loop.stop = true;
}

void worker_stop(struct worker *worker)
{
	if (!worker->thread_runs)
		return;
	worker->stop.open = stop;
	mailbox_post(&worker->mailbox, &worker->stop);
	pthread_join(worker->thread, NULL);
	worker->thread_runs = false;
}

enum ask_state { ASK_WAITS, ASK_RUNS, ASK_DONE, ASK_ABANDONED };

struct ask {
	struct letter letter;
	worker_fn *question;
	void *arg;
	bool keeps; /* runs also when nobody waits for it any more */
	enum ask_state state;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

static void ask_free(struct ask *ask)
{
	pthread_mutex_destroy(&ask->lock);
	pthread_cond_destroy(&ask->changed);
	free(ask);
}

static void ask_open(struct letter *letter, void *owner)
{
	struct ask *ask = container_of(letter, struct ask, letter);
	bool is_abandoned;

	pthread_mutex_lock(&ask->lock);
	is_abandoned = ask->state == ASK_ABANDONED;
	ask->state = ASK_RUNS;
	pthread_mutex_unlock(&ask->lock);
	if (!is_abandoned || ask->keeps)
		ask->question(owner, ask->arg);
	if (is_abandoned) {
		ask_free(ask);
		return;
	}
	pthread_mutex_lock(&ask->lock);
	ask->state = ASK_DONE;
	pthread_cond_signal(&ask->changed);
	pthread_mutex_unlock(&ask->lock);
}

/* A process that stood still has the other slices left, and its workers answer in them.
 */
#define ASK_SLICE_MS 100

static void ask_wait_slice(struct ask *ask)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ASK_SLICE_MS * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_clockwait(&ask->changed, &ask->lock, CLOCK_MONOTONIC, &until);
}

/* False when it had not begun in time. */
static bool ask_wait(struct ask *ask, unsigned timeout_ms)
{
	pthread_mutex_lock(&ask->lock);
	for (unsigned ms = 0; ask->state == ASK_WAITS && ms < timeout_ms;
		ms += ASK_SLICE_MS)
		ask_wait_slice(ask);
	if (ask->state == ASK_WAITS) {
		ask->state = ASK_ABANDONED;
		pthread_mutex_unlock(&ask->lock);
		return false;
	}
	/* It has begun, so arg is in use until it is done. */
	while (ask->state != ASK_DONE)
		pthread_cond_wait(&ask->changed, &ask->lock);
	pthread_mutex_unlock(&ask->lock);
	return true;
}

static bool ask(struct worker *worker, worker_fn *question, void *arg, bool keeps,
	unsigned timeout_ms)
{
	struct ask *ask = memory_calloc(1, sizeof(*ask));

	ask->letter.open = ask_open;
	ask->question = question;
	ask->arg = arg;
	ask->keeps = keeps;
	pthread_mutex_init(&ask->lock, NULL);
	pthread_cond_init(&ask->changed, NULL);
	mailbox_post(&worker->mailbox, &ask->letter);
	if (!ask_wait(ask, timeout_ms))
		return false;
	ask_free(ask);
	return true;
}

bool worker_ask(
	struct worker *worker, worker_fn *question, void *arg, unsigned timeout_ms)
{
	return ask(worker, question, arg, false, timeout_ms);
}

bool worker_order(struct worker *worker, worker_fn *order, void *arg, unsigned timeout_ms)
{
	return ask(worker, order, arg, true, timeout_ms);
}

struct new_topo {
	struct letter letter;
	struct topo *topo;
};

static void take_topo(struct letter *letter, void *owner)
{
	struct new_topo *news = container_of(letter, struct new_topo, letter);
	struct worker *worker = owner;
	struct topo *before = worker->topo;

	worker->topo = news->topo;
	free(news);
	targets_follow_topo(worker);
	topo_unref(before);
}

void worker_set_topo(struct worker *worker, struct topo *topo)
{
	struct new_topo *news;

	if (!worker->thread_runs) {
		topo_unref(worker->topo);
		worker->topo = topo;
		return;
	}
	news = memory_calloc(1, sizeof(*news));
	*news = (struct new_topo){.letter.open = take_topo, .topo = topo};
	mailbox_post(&worker->mailbox, &news->letter);
}

bool worker_may_accept(const struct worker *worker)
{
	struct shared *shared = worker->shared;

	return atomic_load_explicit(&shared->n_downstream, memory_order_relaxed) <
		       shared->max_downstream &&
	       !ceiling_is_reached(&shared->ceiling);
}

bool worker_head_waits(const struct worker *worker, const struct deadline_list *heads,
	const struct deadline *deadline, const struct buf *in)
{
	return ceiling_is_reached(worker->loop.bufs.ceiling) &&
	       buf_len(in) >= LOOP_SHORT_BYTES && heads->head.next != &deadline->node;
}

void worker_resume_accepting(struct worker *worker)
{
	if (!worker_may_accept(worker))
		return;
	for (size_t i = 0; i < worker->n_doors; i++)
		if (worker->doors[i].listener.paused)
			listener_resume(&worker->doors[i].listener);
}
