/* SPDX-License-Identifier: Apache-2.0 */
#include "config/option.h"

#include <assert.h>
#include <string.h>

#include "config/config.h"

const struct option config_options[] = {
#define HEADING(id, text) {.doc = text},
#define OPTION(field, type, name, default_text, min, max, unit, doc)                     \
	{name, &type_##type, offsetof(struct config, field), default_text, min, max,     \
		unit, doc},
#include "config/options.def"
};

static bool parse_choice(const struct option_type *type, const char *text, void *value)
{
	for (unsigned i = 0; type->choices[i]; i++) {
		if (strcmp(type->choices[i], text) == 0) {
			memcpy(value, &i, sizeof(i));
			return true;
		}
	}
	return false;
}

/* A comma after the last item is what templates leave behind: no mistake. */
static size_t count_items(const char *text)
{
	size_t n = 1;

	for (const char *comma = strchr(text, ','); comma; comma = strchr(comma + 1, ','))
		n += comma[1] != '\0';
	return n;
}

/* One item, up to the comma or the end. */
static bool parse_item(const struct option_type *type, struct option_parser *parser,
	const char *text, size_t len, void *item)
{
	size_t n_before = strspn(text, " \t\r\n");

	n_before = n_before < len ? n_before : len;
	text += n_before;
	len -= n_before;
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	parser->why = NULL;
	parser->item = config_strndup(parser->memory, text, len);
	if (len == 0)
		return option_fail(parser, "an item is empty");
	return type->parse(parser, config_strdup(parser->memory, parser->item), item);
}

static bool parse_list(const struct option_type *type, struct option_parser *parser,
	const char *text, void *value)
{
	struct option_list list = {.n_items = count_items(text)};
	struct option_parser bad = {0};
	char *item;

	if (list.n_items > type->max_items)
		return option_fail(parser, "too many items");
	list.items = config_alloc(parser->memory, list.n_items, type->item_size);
	item = list.items;
	for (size_t i = 0; i < list.n_items; i++, item += type->item_size) {
		const char *end = strchrnul(text, ',');

		if (!parse_item(type, parser, text, (size_t)(end - text), item)) {
			if (bad.item && bad.on_bad_item)
				bad.on_bad_item(&bad);
			bad = *parser;
		}
		text = end + 1;
	}
	if (bad.item) {
		*parser = bad;
		return false;
	}
	parser->item = NULL;
	memcpy(value, &list, sizeof(list));
	return !type->check || type->check(parser, &list);
}

/* A bound is text too, so that a row reads as a user would write it. */
static int compare_bound(const struct option *option, struct option_parser *parser,
	const void *value, const char *text)
{
	_Alignas(max_align_t) char bound[sizeof(uint64_t)];
	bool is_fine =
		option->type->parse(parser, config_strdup(parser->memory, text), bound);

	assert(is_fine);
	return option->type->compare(value, bound);
}

bool option_parse(const struct option *option, struct option_parser *parser,
	const char *text, void *value)
{
	const struct option_type *type = option->type;

	parser->why = NULL;
	parser->item = NULL;
	if (type->choices)
		return parse_choice(type, text, value);
	if (type->item_size > 0)
		return parse_list(type, parser, text, value);
	if (!type->parse(parser, config_strdup(parser->memory, text), value))
		return false;
	return (!option->min || compare_bound(option, parser, value, option->min) >= 0) &&
	       (!option->max || compare_bound(option, parser, value, option->max) <= 0);
}

static void print_list(const struct option_type *type, const void *value, FILE *out)
{
	struct option_list list;
	const char *item;

	memcpy(&list, value, sizeof(list));
	item = list.items;
	for (size_t i = 0; i < list.n_items; i++, item += type->item_size) {
		if (i > 0)
			fputc(',', out);
		type->print(item, out);
	}
}

void option_print(const struct option *option, const void *value, FILE *out)
{
	const struct option_type *type = option->type;
	unsigned choice;

	if (type->choices) {
		memcpy(&choice, value, sizeof(choice));
		fputs(type->choices[choice], out);
	} else if (type->item_size > 0) {
		print_list(type, value, out);
	} else {
		type->print(value, out);
	}
}

void option_print_want(const struct option *option, FILE *out)
{
	const struct option_type *type = option->type;

	if (type->want)
		fputs(type->want, out);
	if (option->min)
		fprintf(out, "%s%s..%s", type->want ? " or " : "", option->min,
			option->max);
	if (option->unit)
		fprintf(out, " %s", option->unit);
	for (size_t i = 0; type->choices && type->choices[i]; i++)
		fprintf(out, "%s%s", i > 0 ? "|" : "", type->choices[i]);
}
