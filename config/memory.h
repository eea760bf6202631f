/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The memory of one configuration: many small blocks that live and end together, so that
 * no type of option needs a destructor. Running out ends the process with one line and
 * status 1, because it can only happen while starting.
 */
#include <stddef.h>

struct config_memory;

/* A zeroed block that lasts until config_free_all. *memory starts as NULL. */
void *config_alloc(struct config_memory **memory, size_t n_items, size_t item_size);

/* A copy of the first len bytes, terminated. */
char *config_strndup(struct config_memory **memory, const char *text, size_t len);

char *config_strdup(struct config_memory **memory, const char *text);

/* Free every block and set *memory to NULL. */
void config_free_all(struct config_memory **memory);

/* What running out does. */
_Noreturn void config_out_of_memory(void);
