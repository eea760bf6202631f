/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The memory of libevent, whose resolver does not survive that there is none: it loses a
 * look-up, or crashes. A thread that can wait for memory does. One that serves requests
 * must not: it gets small blocks out of a reserve, and what it lacks then fails as usual.
 */
#include <stdbool.h>
#include <stddef.h>

typedef void reserve_wait_fn(unsigned *n_tries);

/* Before the first use of libevent. wait: pauses before the next try (topo/memory.h). */
void reserve_init(reserve_wait_fn *wait);

/* The calling thread is one that must not wait. */
void reserve_hurry(void);

/* The calling thread takes nothing out of the reserve, until it is open again. */
void reserve_close(bool closed);

/* As their namesakes of libc. */
void *reserve_malloc(size_t n_bytes);
void *reserve_realloc(void *old, size_t n_bytes);
void reserve_free(void *block);
