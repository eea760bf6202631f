/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/*
 * A chunk is aligned to its own size, so the chunk of an object is found by masking the
 * object's address. Fresh objects are taken from the never-used tail first touched in
 * order, so that a chunk costs only the pages that were needed.
 */
struct chunk {
	struct list node;
	void *free; /* singly linked through the objects */
	uint32_t n_used;
	uint32_t n_fresh; /* objects cut so far */
	uint32_t n_max;
};

#define CHUNK_HEADER 64

#ifndef __has_feature
#define __has_feature(x) 0 /* gcc has a macro for it */
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SLAB_IS_MALLOC 1
#elif !defined(SLAB_IS_MALLOC) /* valgrind's build defines it */
#define SLAB_IS_MALLOC 0
#endif

void slab_init(struct slab *slab, size_t size, size_t chunk_bytes)
{
	assert((chunk_bytes & (chunk_bytes - 1)) == 0);
	*slab = (struct slab){
		.size = (size + 15) & ~(size_t)15, .chunk_bytes = chunk_bytes};
	assert(slab->size * 4 + CHUNK_HEADER <= chunk_bytes);
	list_init(&slab->open);
	list_init(&slab->full);
}

static struct chunk *chunk_map(const struct slab *slab)
{
	size_t bytes = slab->chunk_bytes;
	char *raw = mmap(NULL, bytes * 2, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *start;
	struct chunk *chunk;

	if (raw == MAP_FAILED)
		return NULL;
	start = raw + (-(uintptr_t)raw & (bytes - 1));
	if (start > raw)
		munmap(raw, (size_t)(start - raw));
	if (start + bytes < raw + bytes * 2)
		munmap(start + bytes, (size_t)(raw + bytes * 2 - (start + bytes)));
	ceiling_take(slab->ceiling, bytes);
	chunk = (struct chunk *)start;
	chunk->n_max = (uint32_t)((bytes - CHUNK_HEADER) / slab->size);
	return chunk;
}

__attribute__((noinline)) static void chunk_unmap(
	const struct slab *slab, struct chunk *chunk)
{
	munmap(chunk, slab->chunk_bytes);
	ceiling_give(slab->ceiling, slab->chunk_bytes);
}

/* In place of slabs, where that finds mistakes. */
static void *plain_alloc(const struct slab *slab)
{
	void *object = malloc(slab->size);

	if (object)
		ceiling_take(slab->ceiling, slab->size);
	return object;
}

static void plain_free(const struct slab *slab, void *object)
{
	free(object);
	ceiling_give(slab->ceiling, slab->size);
}

void *slab_alloc(struct slab *slab)
{
	struct chunk *chunk;
	void *object;

	if (SLAB_IS_MALLOC)
		return plain_alloc(slab);
	if (list_empty(&slab->open)) {
		chunk = chunk_map(slab);
		if (!chunk)
			return NULL;
		list_push(&slab->open, &chunk->node);
		slab->n_empty++;
	}
	chunk = container_of(slab->open.next, struct chunk, node);
	if (chunk->free) {
		object = chunk->free;
		chunk->free = *(void **)object;
	} else {
		object = (char *)chunk + CHUNK_HEADER + slab->size * chunk->n_fresh++;
	}
	if (chunk->n_used++ == 0) {
		slab->n_empty--;
		slab->needed_empty = true;
	}
	if (chunk->n_used == chunk->n_max) {
		list_unlink(&chunk->node);
		list_push(&slab->full, &chunk->node);
	}
	return object;
}

void slab_free(struct slab *slab, void *object)
{
	struct chunk *chunk;

	if (!object)
		return;
	if (SLAB_IS_MALLOC) {
		plain_free(slab, object);
		return;
	}
	chunk = (struct chunk *)((char *)object -
				 ((uintptr_t)object & (slab->chunk_bytes - 1)));
	*(void **)object = chunk->free;
	chunk->free = object;
	if (chunk->n_used-- == chunk->n_max) {
		list_unlink(&chunk->node);
		list_push(&slab->open, &chunk->node);
	}
	if (chunk->n_used > 0)
		return;
	if (slab->n_empty == 0) {
		slab->n_empty = 1;
		return;
	}
	list_unlink(&chunk->node);
	chunk_unmap(slab, chunk);
}

void slab_trim(struct slab *slab)
{
	bool keep = slab->needed_empty;

	slab->needed_empty = false;
	if (keep || slab->n_empty == 0)
		return;
	list_each_safe (node, next, &slab->open) {
		struct chunk *chunk = container_of(node, struct chunk, node);

		if (chunk->n_used > 0)
			continue;
		list_unlink(&chunk->node);
		chunk_unmap(slab, chunk);
	}
	slab->n_empty = 0;
}

void slab_fini(struct slab *slab)
{
	struct list *node;

	if (SLAB_IS_MALLOC || !slab->size)
		return;
	assert(list_empty(&slab->full));
	while ((node = list_pop(&slab->open))) {
		struct chunk *chunk = container_of(node, struct chunk, node);

		assert(chunk->n_used == 0);
		chunk_unmap(slab, chunk);
	}
}
