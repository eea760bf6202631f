/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * xorshift64*: spread for balancing and jitter, one state per worker. Not for secrets.
 */
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* Any seed will do, zero too. */
static inline void rng_init(struct rng *r, uint64_t seed)
{
	r->state = (seed * 0x9e3779b97f4a7c15u + 0x1234567u) | 1; /* never zero */
}

static inline uint32_t rng_next(struct rng *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (uint32_t)((r->state * 0x2545f4914f6cdd1du) >> 32);
}

/* Uniform in 0 .. n-1; n is at least 1. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((uint64_t)rng_next(r) * n) >> 32);
}

/* Uniform between value less `percent` percent and value. */
static inline uint64_t rng_jitter_below(struct rng *r, uint64_t value, unsigned percent)
{
	uint64_t span = value * percent / 100;

	if (span > UINT32_MAX - 1)
		span = UINT32_MAX - 1;
	return value - rng_below(r, (uint32_t)span + 1);
}
