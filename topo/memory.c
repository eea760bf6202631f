/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#define PAUSE_MS 1

void memory_wait(unsigned *n_tries)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

	if (++*n_tries > MEMORY_PATIENCE_MS / PAUSE_MS) {
		fputs("nigh: out of memory\n", stderr);
		_Exit(1);
	}
	nanosleep(&pause, NULL);
}

void *memory_malloc(size_t n_bytes)
{
	return memory_realloc(NULL, n_bytes);
}

void *memory_calloc(size_t n_items, size_t item_bytes)
{
	unsigned n_tries = 0;
	void *block;

	while (!(block = calloc(n_items ? n_items : 1, item_bytes ? item_bytes : 1)))
		memory_wait(&n_tries);
	return block;
}

void *memory_realloc(void *old, size_t n_bytes)
{
	unsigned n_tries = 0;
	void *block;

	while (!(block = realloc(old, n_bytes ? n_bytes : 1)))
		memory_wait(&n_tries);
	return block;
}

char *memory_strdup(const char *text)
{
	size_t n_bytes = strlen(text) + 1;

	return memcpy(memory_malloc(n_bytes), text, n_bytes);
}

void memory_init(void)
{
	cJSON_InitHooks(&(cJSON_Hooks){memory_malloc, free});
}
