/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory for what cannot be given up half way: the topology and its sources, and what
 * the libraries keep for them. A block that is not there now is asked for again, for
 * MEMORY_PATIENCE_MS; then the process ends with one line, because nothing of this can go
 * on without it. Whoever serves a request must not wait: it uses malloc, and answers 503.
 */
#include <stddef.h>

#define MEMORY_PATIENCE_MS 10000

/* As their namesakes of libc, but never NULL. */
void *memory_malloc(size_t n_bytes);
void *memory_calloc(size_t n_items, size_t item_bytes);
void *memory_realloc(void *old, size_t n_bytes);
char *memory_strdup(const char *text);

/* Waits a moment before the next try of something that failed for want of memory; each
 * such something has a count of its own that begins with 0. Does not return when it has
 * been too long. */
void memory_wait(unsigned *n_tries);

/* Has the JSON parser take its memory from here. Before its first use. */
void memory_init(void);
