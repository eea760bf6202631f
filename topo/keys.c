/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/keys.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "topo/arena.h"

/* Lengths of a qualified label name, from the API conventions of Kubernetes. */
#define PREFIX_MAX_BYTES 253
#define NAME_MAX_BYTES   63

/* No <ctype.h>: label names are ASCII in every locale. */
static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alphanumeric(char c)
{
	return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool is_dns_subdomain(const char *text, size_t len)
{
	char before = '.'; /* as if a label had just ended */
	if (len > PREFIX_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; before = text[i++]) {
		if (text[i] == '.' && !is_lower_or_digit(before))
			return false;
		if (text[i] == '-' && before == '.')
			return false;
		if (!is_lower_or_digit(text[i]) && text[i] != '.' && text[i] != '-')
			return false;
	}
	return is_lower_or_digit(before);
}

static bool is_label_name(const char *text)
{
	size_t len = strlen(text);
	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alphanumeric(text[i]) && !strchr("-_.", text[i]))
			return false;
	}
	return is_alphanumeric(text[0]) && is_alphanumeric(text[len - 1]);
}

static bool is_qualified_name(const char *text)
{
	const char *slash = strchr(text, '/');
	if (!slash)
		return is_label_name(text);
	return is_dns_subdomain(text, (size_t)(slash - text)) && is_label_name(slash + 1);
}

static bool is_repeated(const char *const *items, size_t n_items)
{
	for (size_t i = 0; i + 1 < n_items; i++) {
		if (!strcmp(items[i], items[n_items - 1]))
			return true;
	}
	return false;
}

char *topo_keys_check(const char *const *items, size_t n_items)
{
	if (n_items > TOPO_KEYS_MAX)
		return arena_xprintf(
			"%zu keys, at most %d are allowed", n_items, TOPO_KEYS_MAX);
	for (size_t i = 0; i < n_items; i++) {
		bool is_any = !strcmp(items[i], "*");
		if (!is_any && !is_qualified_name(items[i]))
			return arena_xprintf("'%.300s' is no label name", items[i]);
		if (is_repeated(items, i + 1))
			return arena_xprintf("'%s' occurs twice", items[i]);
		if (is_any && i + 1 < n_items)
			return arena_xprintf("'*' may only be the last key");
	}
	return NULL;
}

/* One more than the limit is kept, so that the check can see that there are too many. */
static void add_key(struct topo_keys *keys, const char *text, size_t len)
{
	if (keys->n_items > TOPO_KEYS_MAX)
		return;
	keys->items =
		arena_xrealloc(keys->items, keys->n_items + 1, sizeof(*keys->items));
	keys->items[keys->n_items++] = arena_xprintf("%.*s", (int)len, text);
}

static char *read_array(const char *text, struct topo_keys *out)
{
	cJSON *array = cJSON_ParseWithOpts(text, NULL, true);
	char *error = NULL;
	if (!cJSON_IsArray(array))
		error = arena_xprintf("not a JSON array");
	const cJSON *item;
	cJSON_ArrayForEach(item, array)
	{
		if (!error && !cJSON_IsString(item))
			error = arena_xprintf("an entry is not a string");
		if (!error)
			add_key(out, item->valuestring, strlen(item->valuestring));
	}
	cJSON_Delete(array);
	return error;
}

static void read_comma_list(const char *text, struct topo_keys *out)
{
	for (;;) {
		text += strspn(text, " \t\r\n");
		size_t n_raw = strcspn(text, ",");
		size_t len = n_raw;
		while (len > 0 && strchr(" \t\r\n", text[len - 1]))
			len--;
		add_key(out, text, len);
		if (text[n_raw] == '\0')
			return;
		text += n_raw + 1;
	}
}

char *topo_keys_parse(const char *text, struct topo_keys *out)
{
	*out = (struct topo_keys){0};
	text += strspn(text, " \t\r\n");
	char *error = NULL;
	if (*text == '[')
		error = read_array(text, out);
	else if (*text != '\0')
		read_comma_list(text, out);
	if (!error)
		error = topo_keys_check((const char *const *)out->items, out->n_items);
	if (error)
		topo_keys_fini(out);
	return error;
}

void topo_keys_fini(struct topo_keys *keys)
{
	for (size_t i = 0; i < keys->n_items; i++)
		free(keys->items[i]);
	free(keys->items);
	*keys = (struct topo_keys){0};
}
