/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One limit for the memory of many owners on several threads, counted as it is taken from
 * the kernel and given back, not as it is used: so it holds for what the kernel charges
 * us, and costs nothing where memory only changes hands.
 *
 * It refuses nothing. Whoever would take more asks first: above the soft mark he takes
 * the little that he cannot do without, and at the hard mark nothing new begins.
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
