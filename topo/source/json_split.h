/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Takes a stream of JSON apart while it comes, so that only one object of it is held at a
 * time: the events of a watch, which follow one another without a separator, or the
 * members of a list, and each element of its "items" for itself. It finds only where
 * values begin and end; whether they are correct JSON is for their reader to say.
 */
#include <stdbool.h>
#include <stddef.h>

enum json_split_form {
	JSON_SPLIT_STREAM, /* values one after another */
	JSON_SPLIT_LIST,   /* one object with an array "items" */
};

/*
 * One value, valid until the return. key is NULL in a stream, else the member's name, and
 * "items" for each element of that array. NULL text: the array "items" begins. False
 * ends it.
 */
typedef bool json_split_fn(void *arg, const char *key, const char *text, size_t len);

/* Embedded; zeroed is nothing to undo. */
struct json_split {
	json_split_fn *on_value;
	void *arg;
	const char *fault; /* one sentence; NULL: none */
	char *text;        /* the value, or the key, that is being collected */
	size_t len, n_allocated;
	char key[64];
	unsigned n_values; /* in text */
	unsigned depth;    /* open brackets, also those that are gone through */
	unsigned base;     /* of them gone through: values at this depth are handed on */
	enum json_split_form form;
	bool in_string, escaped;
	bool is_key; /* what is collected stands before a colon */
	bool ended;  /* the list is complete */
};

void json_split_init(struct json_split *split, enum json_split_form form,
	json_split_fn *on_value, void *arg);
void json_split_fini(struct json_split *split);

/* False when the stream cannot be right (fault says why) or on_value has ended it. */
__attribute__((warn_unused_result)) bool json_split_feed(
	struct json_split *split, const char *bytes, size_t len);
