/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/memory.h"

/* Chunks double from the first to the last size: a Service record fits in one of the
 * smallest, and a large snapshot takes few. */
#define CHUNK_MIN_BYTES ((size_t)512)
#define CHUNK_MAX_BYTES ((size_t)256 * 1024)
#define ALIGNMENT       _Alignof(max_align_t)

struct arena_chunk {
	struct arena_chunk *next;
	size_t n_used;
	size_t n_bytes;
	_Alignas(max_align_t) unsigned char bytes[];
};

static size_t size_of(size_t n_items, size_t item_bytes)
{
	size_t n_bytes;
	if (__builtin_mul_overflow(n_items, item_bytes, &n_bytes))
		abort();
	return n_bytes;
}

void *arena_xrealloc(void *old, size_t n_items, size_t item_bytes)
{
	return memory_realloc(old, size_of(n_items, item_bytes));
}

char *arena_xvprintf(const char *format, va_list args)
{
	char *text = NULL;
	unsigned n_tries = 0;
	int len;
	do {
		va_list again;
		va_copy(again, args);
		len = vasprintf(&text, format, again);
		va_end(again);
		if (len < 0)
			memory_wait(&n_tries);
	} while (len < 0);
	return text;
}

char *arena_xprintf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_xvprintf(format, args);
	va_end(args);
	return text;
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t n_wanted)
{
	size_t n_bytes = arena->chunks ? arena->chunks->n_bytes * 2 : CHUNK_MIN_BYTES;
	if (n_bytes > CHUNK_MAX_BYTES)
		n_bytes = CHUNK_MAX_BYTES;
	if (n_bytes < n_wanted)
		n_bytes = n_wanted;
	struct arena_chunk *chunk = memory_calloc(1, sizeof(*chunk) + n_bytes);
	chunk->n_bytes = n_bytes;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

static void *take_bytes(struct arena *arena, size_t n_bytes, size_t alignment)
{
	struct arena_chunk *chunk = arena->chunks;
	size_t start = 0;
	if (chunk)
		start = (chunk->n_used + alignment - 1) & ~(alignment - 1);
	if (!chunk || start > chunk->n_bytes || chunk->n_bytes - start < n_bytes) {
		chunk = add_chunk(arena, n_bytes);
		start = 0;
	}
	chunk->n_used = start + n_bytes;
	return chunk->bytes + start;
}

void *arena_alloc(struct arena *arena, size_t n_items, size_t item_bytes)
{
	return take_bytes(arena, size_of(n_items, item_bytes), ALIGNMENT);
}

char *arena_strdup(struct arena *arena, const char *string)
{
	if (!string)
		return NULL;
	size_t n_bytes = strlen(string) + 1;
	return memcpy(take_bytes(arena, n_bytes, 1), string, n_bytes);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_xvprintf(format, args);
	va_end(args);
	char *copy = arena_strdup(arena, text);
	free(text);
	return copy;
}

void arena_fini(struct arena *arena)
{
	struct arena_chunk *chunk = arena->chunks;
	arena->chunks = NULL;
	while (chunk) {
		struct arena_chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
}

uint32_t topo_hash(uint32_t hash, const void *bytes, size_t n_bytes)
{
	const unsigned char *p = bytes;
	for (size_t i = 0; i < n_bytes; i++)
		hash = (hash ^ p[i]) * 16777619u;
	return hash;
}

static const char **find_slot(const struct intern *intern, const char *string)
{
	size_t i = topo_hash(TOPO_HASH_START, string, strlen(string));
	for (;; i++) {
		const char **slot = &intern->slots[i & (intern->n_slots - 1)];
		if (!*slot || !strcmp(*slot, string))
			return slot;
	}
}

static void grow_slots(struct intern *intern)
{
	const struct intern old = *intern;
	intern->n_slots = old.n_slots ? old.n_slots * 2 : 64;
	intern->slots = arena_xrealloc(NULL, intern->n_slots, sizeof(*intern->slots));
	memset(intern->slots, 0, intern->n_slots * sizeof(*intern->slots));
	for (size_t i = 0; i < old.n_slots; i++) {
		if (old.slots[i])
			*find_slot(intern, old.slots[i]) = old.slots[i];
	}
	free(old.slots);
}

const char *intern_string(struct intern *intern, const char *string)
{
	if (!string)
		return NULL;
	if (intern->n_strings * 2 >= intern->n_slots)
		grow_slots(intern);
	const char **slot = find_slot(intern, string);
	if (!*slot) {
		*slot = arena_strdup(intern->arena, string);
		intern->n_strings++;
	}
	return *slot;
}

void intern_fini(struct intern *intern)
{
	free(intern->slots);
	*intern = (struct intern){0};
}
