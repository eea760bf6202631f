/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory that is freed as a whole: one arena per record of the store, one per snapshot.
 * Also strings that are kept once, because thousands of endpoints share a few nodes and
 * zones. Memory is waited for (topo/memory.h), so nothing here returns NULL for want of
 * it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

/* Zeroed is empty. */
struct arena {
	struct arena_chunk *chunks;
};

/* Zeroed is empty. Its strings live in the arena, the table is freed by intern_fini. */
struct intern {
	struct arena *arena;
	const char **slots;
	size_t n_slots;
	size_t n_strings;
};

/* Plain memory for free(), never NULL. */
void *arena_xrealloc(void *old, size_t n_items, size_t item_bytes);
__attribute__((format(printf, 1, 2))) char *arena_xprintf(const char *format, ...);
__attribute__((format(printf, 1, 0))) char *arena_xvprintf(
	const char *format, va_list args);

/* Zeroed memory, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t n_items, size_t item_bytes);
/* NULL stays NULL. */
char *arena_strdup(struct arena *arena, const char *string);
__attribute__((format(printf, 2, 3))) char *arena_printf(
	struct arena *arena, const char *format, ...);
void arena_fini(struct arena *arena);

/* The one copy of this string; NULL stays NULL. */
const char *intern_string(struct intern *intern, const char *string);
void intern_fini(struct intern *intern);

/* FNV-1a, good enough for tables whose keys come from the cluster's own API. */
uint32_t topo_hash(uint32_t hash, const void *bytes, size_t n_bytes);
#define TOPO_HASH_START 2166136261u
