/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside config/ only: a row of options.def at run time, and what makes a type of option.
 * A type is a single value (parse, print, compare), a choice of words, or a list whose
 * items are parsed and printed one by one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/memory.h"

/* What a parser works with: memory for what it keeps, a place to say what is wrong. */
struct option_parser {
	struct config_memory **memory;
	const char *why;  /* a constant text, NULL when there is nothing to add */
	const char *item; /* the item of a list that is wrong, else NULL */

	/* Several items can be wrong: called for each but the last, which is left in why
	 * and item. May be NULL. */
	void (*on_bad_item)(const struct option_parser *parser);
	void *arg; /* of on_bad_item */
};

/* The limit of a list that has no reason for another: more than anyone has, and few
 * enough to compare each item with each other. */
#define OPTION_MAX_ITEMS 256

/* Every list of types.h has this layout. */
struct option_list {
	void *items;
	size_t n_items;
};

struct option_type {
	const char *want; /* the form of the text, for messages and help */

	/* Read text, which it may cut up, into value. False: why says what is wrong. */
	bool (*parse)(struct option_parser *parser, char *text, void *value);

	/* Print what parse reads as the same value; nothing when there is none. */
	void (*print)(const void *value, FILE *out);

	/* Order of two values, as memcmp gives it; NULL when a row can have no bounds. */
	int (*compare)(const void *a, const void *b);

	/* Not NULL makes it a choice: the words by their enum, NULL at the end. */
	const char *const *choices;

	/* Not 0 makes it a list: parse and print then are those of one item. */
	size_t item_size;
	size_t max_items;

	/* Is a list of good items good as a whole? NULL when it always is. */
	bool (*check)(struct option_parser *parser, const struct option_list *list);
};

/* name is NULL in the row of a heading, whose text is in doc. */
struct option {
	const char *name;
	const struct option_type *type;
	size_t offset;
	const char *default_text;
	const char *min;
	const char *max;
	const char *unit;
	const char *doc;
};

/* The rows of options.def, by enum config_option. */
extern const struct option config_options[];

extern const struct option_type type_ACCESS_LOG, type_BYTES, type_CIDRS, type_DOMAIN,
	type_DURATION, type_ENDPOINTS, type_INBOUND, type_IP, type_LABELS,
	type_LABEL_VALUE, type_LISTEN, type_LOG_FORMAT, type_LOG_LEVEL, type_MEMORY,
	type_NAMESPACE, type_NODE_NAME, type_PATH, type_ROUTES, type_SERVICES,
	type_SWITCH, type_TOPOLOGY_KEYS, type_UINT, type_WORKERS;

/* Read text as a value of the row, its bounds included. */
bool option_parse(const struct option *option, struct option_parser *parser,
	const char *text, void *value);

void option_print(const struct option *option, const void *value, FILE *out);

/* What the row accepts: "0..1000000 requests", "text|json", "[ADDR:]PORT or off". */
void option_print_want(const struct option *option, FILE *out);

/* For the parsers: note what is wrong, and be false. */
static inline bool option_fail(struct option_parser *parser, const char *why)
{
	parser->why = why;
	return false;
}
