/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Heads and bodies given to the parsers whole, cut in two at each place, and byte by
 * byte. Each piece lies in memory of exactly its size, so that ASan sees a read behind
 * it; what comes out is a text, so that the ways can be compared.
 */
#include "base/rng.h"
#include "http/framing.h"
#include "http/head.h"

/* The bytes of a literal, NULs included. */
#define BYTES(literal)                                                                   \
	{                                                                                \
		(literal), sizeof(literal) - 1                                           \
	}

/* What head_parse makes of the bytes, at once or with a piece of `cut` bytes before (0
 * for none). *result and the text, for free(). */
char *head_text(enum head_kind kind, struct str bytes, size_t max_bytes, size_t cut,
	enum head_result *result);

/* The same byte by byte. */
char *head_text_bytewise(enum head_kind kind, struct str bytes, size_t max_bytes,
	enum head_result *result);

/* Fails the test where cutting makes a difference; gives the result. */
enum head_result head_everyway(enum head_kind kind, struct str bytes, size_t max_bytes,
	const char *name, const char **problem);

/* A parsed head has to consist of its parts, with CRLF between them and nothing else. */
bool head_is_whole(const struct head *head, enum head_kind kind);

/* What a body's bytes came to. */
struct body_outcome {
	enum body_result result;
	const char *problem; /* when BODY_BAD */
	size_t used;         /* these are not comparable when BODY_BAD */
	size_t n_payload;
	char payload[512];
};

/* Feeds pieces of the lengths `first`, then `rest` each; `rest` 0 is all the rest. */
struct body_outcome body_fed(
	struct body body, struct str bytes, size_t first, size_t rest, bool skim);

bool body_outcome_equal(const struct body_outcome *a, const struct body_outcome *b);

/* Fails the test where cutting or skimming makes a difference. */
struct body_outcome body_everyway(struct body body, struct str bytes, const char *name);

/* Changes a text here and there: gives the new length, at most cap. */
size_t mutate(struct rng *rng, char *bytes, size_t len, size_t cap);
