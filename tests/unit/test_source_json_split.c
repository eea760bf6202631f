/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/source/json_split.h"

/* What was handed on: "key=text" and one ";" each, "items:" where they begin. */
struct heard {
	char text[4096];
	size_t len;
	unsigned n_left; /* until it has had enough */
};

static bool on_value(void *arg, const char *key, const char *text, size_t len)
{
	struct heard *heard = arg;
	int n;

	cr_assert(!text || strlen(text) == len);
	n = text ? snprintf(heard->text + heard->len, sizeof(heard->text) - heard->len,
			   "%s%s%.60s;", key ? key : "", key ? "=" : "", text)
		 : snprintf(heard->text + heard->len, sizeof(heard->text) - heard->len,
			   "%s:", key);
	heard->len += (size_t)n;
	cr_assert(heard->len < sizeof(heard->text));
	return --heard->n_left > 0;
}

struct row {
	enum json_split_form form;
	const char *json;
	const char *values;
	const char *fault; /* NULL: none */
	bool ended;
};

#define STREAM JSON_SPLIT_STREAM
#define LIST   JSON_SPLIT_LIST

static const struct row rows[] = {
	/* a stream of values, whatever stands between them */
	{STREAM, "", "", NULL, false},
	{STREAM, "{\"a\":1}{\"b\":2}", "{\"a\":1};{\"b\":2};", NULL, false},
	{STREAM, " {\"a\":1}\n\r\n\t{}\n", "{\"a\":1};{};", NULL, false},
	{STREAM, "[1,[2,{}]][]", "[1,[2,{}]];[];", NULL, false},
	{STREAM, "1 true\nnull,7 ", "1;true;null;7;", NULL, false},
	{STREAM, "\"a\"\"b\"", "\"a\";\"b\";", NULL, false},
	{STREAM, "{\"a\":{\"b\":[{\"c\":[]}]}}", "{\"a\":{\"b\":[{\"c\":[]}]}};", NULL,
		false},
	{STREAM, "{\"a}\":\"]}{[\"}{}", "{\"a}\":\"]}{[\"};{};", NULL, false},
	{STREAM, "{\"\\\"}\":\"\\\\\"}{\"\\u0022\":\"\\\\\\\"}\"}",
		"{\"\\\"}\":\"\\\\\"};{\"\\u0022\":\"\\\\\\\"}\"};", NULL, false},
	/* cut off */
	{STREAM, "{\"a\":1}{\"b\":", "{\"a\":1};", NULL, false},
	{STREAM, "{\"a\":1}\"b", "{\"a\":1};", NULL, false},
	/* brackets of the wrong kind are for the reader to see */
	{STREAM, "{]{}", "{];{};", NULL, false},
	{STREAM, "}", "", "a bracket that closes nothing", false},
	{STREAM, "{}]", "{};", "a bracket that closes nothing", false},
	{STREAM, "1:2", "", "a colon where none belongs", false},
	{STREAM, "garbage", "", NULL, false},
	{STREAM, "garbage ", "garbage;", NULL, false},

	/* a list: its members, and its items one by one */
	{LIST, "{}", "", NULL, true},
	{LIST, "{\"items\":[]}", "items:", NULL, true},
	{LIST, "{\"items\":null}", "items:", NULL, true},
	{LIST, "{\"items\" : null }", "items:", NULL, true},
	{LIST, " { \"items\" : [ { \"a\" : 1 } , {} ] } \n",
		"items:items={\"a\":1};items={};", NULL, true},
	{LIST,
		"{\"kind\":\"L\",\"n\":1,\"x\":{\"items\":[1]},\"items\":[{\"items\":[]}]"
		","
		"\"y\":true}",
		"kind=\"L\";n=1;x={\"items\":[1]};items:items={\"items\":[]};y=true;",
		NULL, true},
	{LIST, "{\"items\":[1,\"a,]}\",null,[2],{\"b\":\"\\\"]\"}]}",
		"items:items=1;items=\"a,]}\";items=null;items=[2];items={\"b\":\"\\\"]"
		"\"};",
		NULL, true},
	{LIST, "{\"items\":[1],\"items\":[2]}", "items:items=1;items:items=2;", NULL,
		true},
	{LIST, "{\"items\":[],\"items\":null}", "items:items:", NULL, true},
	{LIST, "{\"a\\\"items\":[]}", "a\\\"items=[];", NULL, true},
	{LIST, "{\"Items\":[1]}", "Items=[1];", NULL, true},
	/* broken off */
	{LIST, "", "", NULL, false},
	{LIST, "{\"items\":[{\"a\":1},{\"b\"", "items:items={\"a\":1};", NULL, false},
	{LIST, "{\"items\":[{\"a\":1}]", "items:items={\"a\":1};", NULL, false},
	{LIST, "{\"item", "", NULL, false},
	/* not a list */
	{LIST, "[]", "=[];", NULL, false},
	{LIST, "null", "", NULL, false},
	{LIST, "{\"items\":{}}", "", "items is no array", false},
	{LIST, "{\"items\":7}", "", "items is no array", false},
	{LIST, "{\"items\":\"null\"}", "", "items is no array", false},
	{LIST, "{\"items\":nul}", "", "items is no array", false},
	{LIST, "{\"items\":[1:2]}", "items:", "a colon where none belongs", false},
	{LIST, "{\"items\":[1}", "items:items=1;", "a bracket that closes nothing",
		false},
	{LIST, "{\"a\":1]", "a=1;", "a bracket that closes nothing", false},
	{LIST, "{\"a\"}", "", "a name without a value", false},
	{LIST, "{\"a\",", "", "a name without a value", false},
	{LIST, "{items:[]}", "", "a colon where none belongs", false},
	{LIST, "{:1}", "", "a colon where none belongs", false},
	{LIST, "{{}", "", "an object's member without a name", false},
	{LIST, "{[", "", "an object's member without a name", false},
	{LIST, "{}{}", "", "something behind the list", false},
	{LIST, "{} x", "", "something behind the list", false},
};

static void check(const struct row *row, const struct json_split *split,
	const struct heard *heard, const char *how, size_t at)
{
	cr_expect_str_eq(heard->text, row->values, "%s, %s %zu: %s", row->json, how, at,
		heard->text);
	cr_expect((split->fault != NULL) == (row->fault != NULL) &&
			  (!row->fault || strcmp(split->fault, row->fault) == 0),
		"%s, %s %zu: %s", row->json, how, at,
		split->fault ? split->fault : "no fault");
	cr_expect_eq(split->ended && !split->fault, row->ended, "%s, %s %zu", row->json,
		how, at);
}

/* Each piece in memory of its own, so that a sanitizer sees what reads beyond it. */
static bool feed(struct json_split *split, const char *bytes, size_t len)
{
	char *copy = malloc(len ? len : 1);
	bool goes_on;

	memcpy(copy, bytes, len);
	goes_on = json_split_feed(split, copy, len);
	free(copy);
	return goes_on;
}

Test(json_split, in_one_piece_and_cut_everywhere)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		size_t len = strlen(row->json);

		for (size_t at = 0; at <= len; at++) {
			struct heard heard = {.n_left = 99};
			struct json_split split;

			json_split_init(&split, row->form, on_value, &heard);
			if (feed(&split, row->json, at))
				cr_expect_eq(feed(&split, row->json + at, len - at),
					!row->fault);
			check(row, &split, &heard, "cut at", at);
			json_split_fini(&split);
		}
	}
}

Test(json_split, byte_by_byte)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		struct heard heard = {.n_left = 99};
		struct json_split split;

		json_split_init(&split, row->form, on_value, &heard);
		for (size_t at = 0; row->json[at]; at++)
			if (!feed(&split, row->json + at, 1))
				break;
		check(row, &split, &heard, "pieces of", 1);
		json_split_fini(&split);
	}
}

Test(json_split, who_listens_can_end_it)
{
	static const struct row ends[] = {
		{STREAM, "{}{}{}{}", "{};{};", "not wanted", false},
		{LIST, "{\"a\":1,\"items\":[7,8]}", "a=1;items:", "not wanted", false},
		{LIST, "{\"items\":[7,8]}", "items:items=7;", "not wanted", false},
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct heard heard = {.n_left = 2};
		struct json_split split;

		json_split_init(&split, ends[i].form, on_value, &heard);
		cr_expect_not(
			json_split_feed(&split, ends[i].json, strlen(ends[i].json)));
		check(&ends[i], &split, &heard, "ended", i);
		/* and it stays so */
		cr_expect_not(json_split_feed(&split, "{}", 2));
		check(&ends[i], &split, &heard, "ended again", i);
		json_split_fini(&split);
	}
}

/* `before`, `n` times `unit`, and what came of it. */
static const char *fault_of(
	enum json_split_form form, const char *before, const char *unit, size_t n)
{
	struct heard heard = {.n_left = 99};
	struct json_split split;
	const char *fault;

	json_split_init(&split, form, on_value, &heard);
	if (json_split_feed(&split, before, strlen(before)))
		for (size_t i = 0; i < n; i++)
			if (!json_split_feed(&split, unit, strlen(unit)))
				break;
	fault = split.fault ? split.fault : "";
	json_split_fini(&split);
	return fault;
}

Test(json_split, limits)
{
	static const struct {
		enum json_split_form form;
		const char *before, *unit;
		size_t n;
		const char *fault;
	} limits[] = {
		{STREAM, "{\"a\":\"", "0123456789", 400000, ""},
		{STREAM, "{\"a\":\"", "0123456789", 430000,
			"an object of more than 4 MiB"},
		{STREAM, "", "9", 5000000, "an object of more than 4 MiB"},
		{LIST, "{\"items\":[\"", "0123456789", 430000,
			"an object of more than 4 MiB"},
		{LIST, "{\"", "0123456789", 430000, "an object of more than 4 MiB"},
		{STREAM, "", "[", 64, ""},
		{STREAM, "", "[", 65, "nested too deep"},
		{STREAM, "", "{\"a\":", 65, "nested too deep"},
		{LIST, "{\"items\":", "[", 64, "nested too deep"},
		{STREAM, "[", "0,", 199000, ""},
		{STREAM, "[", "0,", 200001, "an object of too many values"},
		{LIST, "{\"items\":[[", "0,", 200001, "an object of too many values"},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		const char *fault = fault_of(
			limits[i].form, limits[i].before, limits[i].unit, limits[i].n);

		cr_expect_str_eq(fault, limits[i].fault, "%zu: %s", i, fault);
	}
}

static bool count_only(void *arg, const char *key, const char *text, size_t len)
{
	(void)key;
	(void)len;
	*(unsigned *)arg += text != NULL;
	return true;
}

/* What a list holds is not limited, only each of it; and memory is given back. */
Test(json_split, many_items_in_little_memory)
{
	unsigned n = 0;
	struct json_split split;

	json_split_init(&split, LIST, count_only, &n);
	cr_assert(json_split_feed(&split, "{\"items\":[\"", 11));
	for (unsigned i = 0; i < 1000; i++)
		cr_assert(
			json_split_feed(&split, "0123456789012345678901234567890", 31) &&
			json_split_feed(&split, "0123456789012345678901234567890", 31) &&
			json_split_feed(&split, "0123456789012345678901234567890", 31));
	cr_expect_geq(split.n_allocated, 93000u);
	cr_assert(json_split_feed(&split, "\"", 1));
	cr_expect_eq(split.n_allocated, 0u);
	for (unsigned i = 0; i < 300000; i++)
		cr_assert(json_split_feed(&split, ",{}", 3));
	cr_assert(json_split_feed(&split, "]}", 2));
	cr_expect_eq(n, 300001u);
	cr_expect(split.ended);
	cr_expect_leq(split.n_allocated, 2048u);
	json_split_fini(&split);
}
