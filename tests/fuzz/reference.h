/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A second reader of HTTP/1.1, written from RFC 9112 alone and as plainly as possible: it
 * sees all bytes at once and goes line by line. What nigh takes for a message, and what
 * it passes on, has to be the same message here.
 */
#include "base/str.h"

#define REFERENCE_FIELDS_MAX 512

enum reference_result {
	REFERENCE_DONE,
	REFERENCE_MORE, /* so far it may be one */
	REFERENCE_BAD,
};

struct reference_field {
	struct str name, value;
};

struct reference_message {
	bool is_response;
	struct str method, target;
	unsigned status, minor;
	struct reference_field fields[REFERENCE_FIELDS_MAX];
	size_t n_fields;
	size_t head_len; /* with the empty line, and those before the first line */
	size_t len;      /* of the whole message */
	bool head_done;
	bool until_close;    /* a response without a length: len is all there is */
	const char *content; /* of the body, without chunks */
	size_t n_content;
	char *owned; /* where it is no part of the bytes; for reference_fini */
};

/*
 * Reads the message at the beginning of `bytes`. What came of it is filled in also when
 * the result is not DONE: head_done says whether the head was right. request_method: of
 * the request that a response answers; NULL reads a request.
 */
enum reference_result reference_read(struct reference_message *message, struct str bytes,
	const struct str *request_method);

void reference_fini(struct reference_message *message);

/* The value of the only field of that name; false when there is none or more. */
bool reference_field(
	const struct reference_message *message, const char *name, struct str *value);

size_t reference_count(const struct reference_message *message, const char *name);

/* Whether one of the elements of all fields of that name is the word. */
bool reference_lists(
	const struct reference_message *message, const char *name, const char *word);
