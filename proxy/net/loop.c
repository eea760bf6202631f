/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/event.h>

#include "net/stream.h"

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	(void)fd;
	(void)what;
	loop->turn_us = 0; /* what is due now is not to wait for another tick */
	streams_resolve_doubts(loop);
	list_each_safe (node, next, &loop->deadline_lists)
		deadline_sweep(
			container_of(node, struct deadline_list, node), loop->due_ms);
	if (loop->on_tick)
		loop->on_tick(loop->arg);
	loop->due_ms = loop_ms(loop);
}

int loop_init(struct loop *loop, size_t head_bytes)
{
	static const struct timeval interval = {0, LOOP_TICK_MS * 1000L};

	*loop = (struct loop){
		.scratch_bytes = LOOP_READ_BYTES + head_bytes, .pipe = {-1, -1}};
	list_init(&loop->deferred);
	list_init(&loop->dead);
	list_init(&loop->doubted);
	list_init(&loop->deadline_lists);
	buf_pool_init(&loop->bufs);
	rng_init(&loop->rng, clock_us() ^ (uint64_t)(uintptr_t)loop);
	loop->scratch = malloc(loop->scratch_bytes);
	loop->base = event_base_new();
	if (loop->base)
		loop->tick = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
	if (!loop->scratch || !loop->tick || event_add(loop->tick, &interval) != 0) {
		loop_fini(loop);
		return -ENOMEM;
	}
	return 0;
}

void loop_close_pipe(struct loop *loop)
{
	for (int i = 0; i < 2; i++) {
		if (loop->pipe[i] >= 0)
			close(loop->pipe[i]);
		loop->pipe[i] = -1;
	}
}

void loop_fini(struct loop *loop)
{
	if (loop->dns)
		evdns_base_free(loop->dns, 0);
	if (loop->tick)
		event_free(loop->tick);
	if (loop->base)
		event_base_free(loop->base);
	free(loop->scratch);
	loop_close_pipe(loop);
	buf_pool_fini(&loop->bufs);
	*loop = (struct loop){0};
}

static void run_all(struct list *work)
{
	struct list batch;
	struct list *node;

	/* What is asked for meanwhile waits for the next turn: nobody can hold the loop.
	 */
	list_init(&batch);
	while ((node = list_pop(work)))
		list_push(&batch, node);
	while ((node = list_pop(&batch))) {
		struct deferred *deferred = container_of(node, struct deferred, node);

		deferred->run(deferred);
	}
}

void loop_run(struct loop *loop)
{
	while (!loop->stop) {
		loop->turn_us = 0;
		event_base_loop(loop->base,
			list_empty(&loop->deferred) ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
		run_all(&loop->deferred);
		run_all(&loop->dead);
	}
	/* What was cancelled at the end is told so by one more turn. */
	loop->turn_us = 0;
	event_base_loop(loop->base, EVLOOP_NONBLOCK);
	run_all(&loop->deferred);
	run_all(&loop->dead);
}

void loop_defer(struct loop *loop, struct deferred *deferred, deferred_fn *run)
{
	if (list_linked(&deferred->node))
		return;
	deferred->run = run;
	list_push(&loop->deferred, &deferred->node);
}

void loop_reap(struct loop *loop, struct deferred *deferred, deferred_fn *run)
{
	list_unlink(&deferred->node);
	deferred->run = run;
	list_push(&loop->dead, &deferred->node);
}

void deadline_list_init(struct deadline_list *list, struct loop *loop)
{
	list_init(&list->head);
	list->loop = loop;
	list_push(&loop->deadline_lists, &list->node);
}

void deadline_set(struct deadline_list *list, struct deadline *deadline,
	uint64_t after_ms, deadline_fn *on_expiry)
{
	struct list *after;

	list_unlink(&deadline->node);
	deadline->at_ms = loop_ms(list->loop) + after_ms;
	deadline->on_expiry = on_expiry;
	after = list->head.prev;
	while (after != &list->head &&
		container_of(after, struct deadline, node)->at_ms > deadline->at_ms)
		after = after->prev;
	list_insert(after, &deadline->node);
}

void deadline_sweep(struct deadline_list *list, uint64_t now_ms)
{
	while (!list_empty(&list->head)) {
		struct deadline *first =
			container_of(list->head.next, struct deadline, node);

		if (first->at_ms > now_ms)
			return;
		list_unlink(&first->node);
		first->on_expiry(first);
	}
}
