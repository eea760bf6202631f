/* SPDX-License-Identifier: Apache-2.0 */
#include "config/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config_memory {
	struct config_memory *next;
	_Alignas(max_align_t) char bytes[];
};

void config_out_of_memory(void)
{
	fputs("nigh: out of memory while reading the configuration\n", stderr);
	exit(1);
}

void *config_alloc(struct config_memory **memory, size_t n_items, size_t item_size)
{
	struct config_memory *block = NULL;
	size_t size;

	if (!__builtin_mul_overflow(n_items, item_size, &size) &&
		!__builtin_add_overflow(size, sizeof(*block), &size))
		block = calloc(1, size);
	if (!block)
		config_out_of_memory();
	block->next = *memory;
	*memory = block;
	return block->bytes;
}

char *config_strndup(struct config_memory **memory, const char *text, size_t len)
{
	char *copy = config_alloc(memory, len + 1, 1);

	memcpy(copy, text, len);
	return copy;
}

char *config_strdup(struct config_memory **memory, const char *text)
{
	return config_strndup(memory, text, strlen(text));
}

void config_free_all(struct config_memory **memory)
{
	while (*memory) {
		struct config_memory *next = (*memory)->next;

		free(*memory);
		*memory = next;
	}
}
