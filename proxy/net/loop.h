/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One event loop and what belongs to its thread: the clock, deadlines, the buffers, the
 * work that waits for the end of the turn. Nothing here is shared with another thread but
 * the mailbox (mailbox.h).
 *
 * A turn: libevent's callbacks, then what was deferred, then the dead are freed.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/rng.h"

struct event;
struct event_base;
struct evdns_base;

/* Bytes read from a socket at once: with this, 64 KiB is all a direction can hold. */
#define LOOP_READ_BYTES (60 << 10)

/* The same where memory is short, and the small buffer that holds so much. */
#define LOOP_SHORT_BYTES ((2 << 10) - sizeof(struct buf))

#define LOOP_TICK_MS 50

#define PIPE_NEVER (-2)

struct deadline;
typedef void deadline_fn(struct deadline *deadline);

/* Embedded in what waits. Zeroed it is not set. */
struct deadline {
	struct list node;
	uint64_t at_ms;
	deadline_fn *on_expiry;
};

struct deferred;
typedef void deferred_fn(struct deferred *deferred);

/* Embedded in what asks for a call at the end of the turn. */
struct deferred {
	struct list node;
	deferred_fn *run;
};

struct loop {
	struct event_base *base;
	struct evdns_base *dns; /* made when the first name is looked up */
	struct event *tick;
	void (*on_tick)(void *arg); /* each LOOP_TICK_MS, after the deadlines */
	void *arg;
	struct list deferred;
	struct list dead;
	struct list deadline_lists; /* deadline_list.node */
	struct list doubted;        /* streams whose last read may have hidden a reset */
	struct buf_pool bufs;
	struct rng rng;
	char *scratch; /* for reading: scratch_bytes, of whoever's callback runs */
	size_t scratch_bytes;
	uint64_t due_ms;  /* the time of the last tick: deadlines up to it are due in this
			   * one, for what the kernel had for us by then has come since
			   */
	uint64_t turn_us; /* 0 = nobody has asked in this turn: loop_us */
	int pipe[2];      /* bytes on their way from one socket to another; empty between
			   * moves. Made when first needed; -1 is none, and PIPE_NEVER that
			   * none can be
			   */
	bool stop;
};

/* 0, or -errno. head_bytes: room in the scratch beside one full read. */
__attribute__((warn_unused_result)) int loop_init(struct loop *loop, size_t head_bytes);
void loop_fini(struct loop *loop);

/*
 * The monotonic time of this turn, read when it is first asked for: one look at the clock
 * serves all that a turn does, and none of it is told that another is over before it has
 * begun. It lags behind by as long as the turn has lasted.
 */
static inline uint64_t loop_us(struct loop *loop)
{
	if (loop->turn_us == 0)
		loop->turn_us = clock_us();
	return loop->turn_us;
}

static inline uint64_t loop_ms(struct loop *loop)
{
	return loop_us(loop) / 1000;
}

/* Memory for bytes in flight is short: see ceiling.h, and stream_takes. */
static inline bool loop_is_short(const struct loop *loop)
{
	return ceiling_is_near(loop->bufs.ceiling);
}

/* How much to read from a socket at once now. */
static inline size_t loop_read_bytes(const struct loop *loop)
{
	return loop_is_short(loop) ? LOOP_SHORT_BYTES : LOOP_READ_BYTES;
}

/* With what is in it; the next move makes a new one. */
void loop_close_pipe(struct loop *loop);

/* Turns until loop->stop is set by somebody on this thread. */
void loop_run(struct loop *loop);

/* Calls run once, at the end of this turn. Asking twice is asking once. */
void loop_defer(struct loop *loop, struct deferred *deferred, deferred_fn *run);

/*
 * The object ends with this turn: run is called after everything else and may free it.
 * The deferred must not be asked for again; a pending call of it is taken back.
 */
void loop_reap(struct loop *loop, struct deferred *deferred, deferred_fn *run);

/*
 * Deadlines of one constant length wait in one list, in order, and cost nothing but two
 * pointers when they are set and cleared; the lists are swept once a tick, up to
 * loop->due_ms. So a deadline comes up to two ticks late, and a process that stood still
 * (a frozen pod, a throttled one) first hears what the kernel had for it meanwhile.
 */
struct deadline_list {
	struct list head;
	struct list node; /* in loop->deadline_lists */
	struct loop *loop;
};

void deadline_list_init(struct deadline_list *list, struct loop *loop);

/* Sets it anew when it was set already. `after_ms` may differ from the others' a little:
 * the list is kept in order from the end. */
void deadline_set(struct deadline_list *list, struct deadline *deadline,
	uint64_t after_ms, deadline_fn *on_expiry);

static inline void deadline_clear(struct deadline *deadline)
{
	list_unlink(&deadline->node);
}

/* Calls what has expired, unlinked before. */
void deadline_sweep(struct deadline_list *list, uint64_t now_ms);
