/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ceiling.h"

/*
 * The rest is for what goes on above the soft mark: heads, requests until they are sent,
 * the small pieces of bodies.
 */
#define SOFT_PARTS 3
#define HARD_PARTS 4

/* Chunks are mapped whole: the last one that fits may be as large as this. */
#define CHUNK_MAX (512 << 10)

void ceiling_init(struct ceiling *ceiling, size_t bytes)
{
	atomic_init(&ceiling->used, 0);
	ceiling->limit = bytes;
	ceiling->hard = bytes ? bytes - CHUNK_MAX : 0;
	ceiling->soft = bytes ? bytes / HARD_PARTS * SOFT_PARTS - CHUNK_MAX : 0;
}

void ceiling_take(struct ceiling *ceiling, size_t bytes)
{
	if (ceiling)
		atomic_fetch_add_explicit(&ceiling->used, bytes, memory_order_relaxed);
}

void ceiling_give(struct ceiling *ceiling, size_t bytes)
{
	if (ceiling)
		atomic_fetch_sub_explicit(&ceiling->used, bytes, memory_order_relaxed);
}
