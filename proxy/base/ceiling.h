/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One limit for the memory of many owners on several threads, counted as it is taken from
 * the kernel and given back, not as it is used: so it holds for what the kernel charges
 * us, and costs nothing where memory only changes hands.
 *
 * It refuses nothing. Whoever would take more asks first: above the soft mark he takes
 * the little that he cannot do without, and at the hard mark nothing new begins.
 *
 * Why nobody waits for ever: above the soft mark a direction waits for its own sink alone
 * (stream_takes), with its bytes in the kernel's queues; who is stalled adds nothing, and
 * keeps nobody from going on, however much of the memory below that mark is his. What
 * then fills the rest has an end: heads (NIGH_HEADER_TIMEOUT, and the oldest goes on),
 * requests until they are connected (NIGH_CONNECT_TIMEOUT), copies of those that were
 * sent (given back at the hard mark). What has none is small, 2 KiB of what a client
 * sends behind a request that nobody answers; or an upstream's doing, who begins the head
 * of a response and does not end it (NIGH_RESPONSE_TIMEOUT).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct ceiling {
	atomic_size_t used;
	size_t limit; /* bytes; 0 is none */
	size_t soft;  /* the same */
	size_t hard;
};

/* The marks for a limit of so many bytes; 0 is none. */
void ceiling_init(struct ceiling *ceiling, size_t bytes);

/* NULL counts nothing. */
void ceiling_take(struct ceiling *ceiling, size_t bytes);
void ceiling_give(struct ceiling *ceiling, size_t bytes);

static inline size_t ceiling_used(const struct ceiling *ceiling)
{
	return atomic_load_explicit(&ceiling->used, memory_order_relaxed);
}

static inline size_t ceiling_limit(const struct ceiling *ceiling)
{
	return ceiling->limit;
}

/* One less than "no limit" is more than there can be. */
static inline bool ceiling_is_near(const struct ceiling *ceiling)
{
	return ceiling && ceiling_used(ceiling) > ceiling->soft - 1;
}

static inline bool ceiling_is_reached(const struct ceiling *ceiling)
{
	return ceiling && ceiling_used(ceiling) > ceiling->hard - 1;
}
