/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What all targets share. A target is one LLVMFuzzerTestOneInput: it throws bytes at code
 * of ours and checks what must hold whatever they are, beside what the sanitizers see.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Ends the process, so that the fuzzer keeps the input. */
#define CHECK(condition)                                                                 \
	((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

__attribute__((noreturn)) static inline void fuzz_fail(
	const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

/* A copy in memory of exactly its size: a read behind it is seen. For free(). */
static inline char *fuzz_copy(struct str bytes)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);

	if (!copy)
		abort();
	if (bytes.len > 0)
		memcpy(copy, bytes.ptr, bytes.len);
	return copy;
}

/* The same as a C string. */
static inline char *fuzz_string(struct str bytes)
{
	char *copy = malloc(bytes.len + 1);

	if (!copy)
		abort();
	if (bytes.len > 0)
		memcpy(copy, bytes.ptr, bytes.len);
	copy[bytes.len] = '\0';
	return copy;
}

/* Takes the first byte off; 0 when there is none. */
static inline uint8_t fuzz_byte(struct str *input)
{
	uint8_t byte;

	if (input->len == 0)
		return 0;
	byte = (uint8_t)*input->ptr++;
	input->len--;
	return byte;
}

/* Takes what stands before the next `mark`, or all, and the mark. */
static inline struct str fuzz_until(struct str *input, char mark)
{
	const char *end = input->len ? memchr(input->ptr, mark, input->len) : NULL;
	struct str part = {input->ptr, end ? (size_t)(end - input->ptr) : input->len};

	input->ptr += part.len + (end != NULL);
	input->len -= part.len + (end != NULL);
	return part;
}
