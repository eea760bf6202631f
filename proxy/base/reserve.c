/* SPDX-License-Identifier: Apache-2.0 */
/* File scope, because libevent's hooks have no argument. */
#include "base/reserve.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The largest thing of a look-up, a request with its packet, has some 600 bytes; a
 * look-up has four at a time, and none is begun without memory. */
#define BLOCK_BYTES 1024
#define BLOCKS      64

static struct {
	_Alignas(max_align_t) char blocks[BLOCKS][BLOCK_BYTES];
	_Atomic uint64_t taken; /* a bit for each */
	reserve_wait_fn *wait;
} reserve;

static _Thread_local bool hurries, is_closed;

void reserve_init(reserve_wait_fn *wait)
{
	reserve.wait = wait;
}

void reserve_hurry(void)
{
	hurries = true;
}

void reserve_close(bool closed)
{
	is_closed = closed;
}

static bool is_ours(const void *block)
{
	return block &&
	       (uintptr_t)block - (uintptr_t)reserve.blocks < sizeof(reserve.blocks);
}

static void *take(size_t n_bytes)
{
	uint64_t taken = reserve.taken;

	while (n_bytes <= BLOCK_BYTES && ~taken) {
		int i = __builtin_ctzll(~taken);

		if (atomic_compare_exchange_weak(
			    &reserve.taken, &taken, taken | UINT64_C(1) << i))
			return reserve.blocks[i];
	}
	return NULL;
}

static void *resize(void *old, size_t n_bytes)
{
	void *block;

	if (!is_ours(old))
		return realloc(old, n_bytes);
	if (n_bytes <= BLOCK_BYTES)
		return old;
	block = malloc(n_bytes);
	if (block) {
		memcpy(block, old, BLOCK_BYTES);
		reserve_free(old);
	}
	return block;
}

void *reserve_realloc(void *old, size_t n_bytes)
{
	unsigned n_tries = 0;
	void *block;

	n_bytes = n_bytes > 0 ? n_bytes : 1;
	while (!(block = resize(old, n_bytes))) {
		if (hurries)
			return old || is_closed ? NULL : take(n_bytes);
		reserve.wait(&n_tries);
	}
	return block;
}

void *reserve_malloc(size_t n_bytes)
{
	return reserve_realloc(NULL, n_bytes);
}

void reserve_free(void *block)
{
	if (is_ours(block))
		atomic_fetch_and(&reserve.taken,
			~(UINT64_C(1) << ((uintptr_t)block - (uintptr_t)reserve.blocks) /
						 BLOCK_BYTES));
	else
		free(block);
}
