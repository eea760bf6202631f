/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depth is counted over all brackets, base over those that are gone through: none in a
 * stream; in a list the object, then the array "items" in it. A value begins and ends at
 * the depth of the base.
 */
#include "topo/source/json_split.h"

#include <stdlib.h>
#include <string.h>

#include "topo/arena.h"

/* What etcd takes is 1.5 MiB as a rule; an object of more values than this is none of
 * ours, and each of them would cost cJSON 64 bytes. */
#define VALUE_MAX_BYTES  (4 << 20)
#define VALUE_MAX_VALUES 200000
#define DEPTH_MAX        64
#define KEEP_BYTES       (64 << 10)

void json_split_init(struct json_split *split, enum json_split_form form,
	json_split_fn *on_value, void *arg)
{
	*split = (struct json_split){.form = form, .on_value = on_value, .arg = arg};
}

void json_split_fini(struct json_split *split)
{
	free(split->text);
	*split = (struct json_split){0};
}

static bool fail(struct json_split *split, const char *fault)
{
	split->fault = fault;
	return false;
}

static bool add(struct json_split *split, const char *bytes, size_t len)
{
	if (split->len + len + 1 > split->n_allocated) {
		size_t n = split->n_allocated ? split->n_allocated : 1024;

		while (n < split->len + len + 1)
			n *= 2;
		if (n > VALUE_MAX_BYTES)
			return fail(split, "an object of more than 4 MiB");
		split->text = arena_xrealloc(split->text, n, 1);
		split->n_allocated = n;
	}
	memcpy(split->text + split->len, bytes, len);
	split->len += len;
	split->text[split->len] = '\0';
	return true;
}

static void forget(struct json_split *split)
{
	split->len = 0;
	split->n_values = 0;
	if (split->n_allocated <= KEEP_BYTES)
		return;
	free(split->text);
	split->text = NULL;
	split->n_allocated = 0;
}

static bool is_items(const struct json_split *split)
{
	return split->form == JSON_SPLIT_LIST && split->base == 1 &&
	       strcmp(split->key, "items") == 0;
}

static bool begin_items(struct json_split *split)
{
	return split->on_value(split->arg, "items", NULL, 0) || fail(split, "not wanted");
}

static bool hand_on(struct json_split *split)
{
	const char *key = split->form != JSON_SPLIT_LIST ? NULL
			  : split->base == 2             ? "items"
							 : split->key;
	bool is_null = split->len == 4 && memcmp(split->text, "null", 4) == 0;
	bool goes_on;

	if (is_items(split)) {
		forget(split);
		return is_null ? begin_items(split) : fail(split, "items is no array");
	}
	goes_on = split->on_value(split->arg, key, split->text, split->len);
	forget(split);
	return goes_on || fail(split, "not wanted");
}

static bool at_base(const struct json_split *split)
{
	return split->depth == split->base;
}

/* Member names are kept without their quotes; no name that matters is long. */
static bool take_key(struct json_split *split)
{
	size_t len = split->len;

	if (!split->is_key || len < 2 || *split->text != '"')
		return fail(split, "a colon where none belongs");
	len = len - 2 < sizeof(split->key) ? len - 2 : sizeof(split->key) - 1;
	memcpy(split->key, split->text + 1, len);
	split->key[len] = '\0';
	split->is_key = false;
	forget(split);
	return true;
}

/* Numbers, true, false and null end with what follows them. */
static bool end_scalar(struct json_split *split)
{
	if (!at_base(split) || split->len == 0)
		return true;
	return split->is_key ? fail(split, "a name without a value") : hand_on(split);
}

static bool open_bracket(struct json_split *split, char c)
{
	bool enters = split->form == JSON_SPLIT_LIST && at_base(split) &&
		      ((split->base == 0 && c == '{') || (is_items(split) && c == '['));

	if (at_base(split) && split->is_key)
		return fail(split, "an object's member without a name");
	if (split->depth == DEPTH_MAX)
		return fail(split, "nested too deep");
	split->depth++;
	if (!enters)
		return add(split, &c, 1);
	split->base++;
	split->is_key = split->base == 1;
	return split->base < 2 || begin_items(split);
}

static bool close_bracket(struct json_split *split, char c)
{
	if (split->depth > split->base) {
		split->depth--;
		if (!add(split, &c, 1))
			return false;
		return !at_base(split) || hand_on(split);
	}
	if (split->base == 0 || c != (split->base == 2 ? ']' : '}'))
		return fail(split, "a bracket that closes nothing");
	split->depth--;
	split->base--;
	split->ended = split->base == 0;
	return true;
}

/* Everything that has a meaning outside of strings. */
static bool take_mark(struct json_split *split, char c)
{
	switch (c) {
	case '{':
	case '[':
		return open_bracket(split, c);
	case '}':
	case ']':
		split->is_key = split->is_key && split->len > 0;
		return end_scalar(split) && close_bracket(split, c);
	case ':':
		return at_base(split) ? take_key(split) : add(split, &c, 1);
	case ',':
		if (!at_base(split))
			return add(split, &c, 1);
		if (!end_scalar(split))
			return false;
		split->is_key = split->form == JSON_SPLIT_LIST && split->base == 1;
		return true;
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		return split->form == JSON_SPLIT_LIST || end_scalar(split);
	default:
		split->in_string = c == '"';
		return add(split, &c, 1);
	}
}

/* Up to the end of the string, or of what there is; how many bytes. */
static size_t string_run(struct json_split *split, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (split->escaped) {
			split->escaped = false;
		} else if (bytes[i] == '\\') {
			split->escaped = true;
		} else if (bytes[i] == '"') {
			split->in_string = false;
			return i + 1;
		}
	}
	return len;
}

static bool take_string(struct json_split *split, const char *bytes, size_t len)
{
	if (!add(split, bytes, len))
		return false;
	if (split->in_string || !at_base(split) || split->is_key)
		return true;
	return hand_on(split);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool json_split_feed(struct json_split *split, const char *bytes, size_t len)
{
	while (len > 0 && !split->fault) {
		size_t n = 1;

		if (split->in_string) {
			n = string_run(split, bytes, len);
			if (!take_string(split, bytes, n))
				return false;
		} else if (split->ended && !is_space(*bytes)) {
			return fail(split, "something behind the list");
		} else {
			split->n_values +=
				*bytes == ',' || *bytes == '[' || *bytes == '{';
			if (split->n_values > VALUE_MAX_VALUES)
				return fail(split, "an object of too many values");
			if (!take_mark(split, *bytes))
				return false;
		}
		bytes += n;
		len -= n;
	}
	return !split->fault;
}
