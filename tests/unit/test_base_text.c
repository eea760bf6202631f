/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed views and text of fixed size. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>

#include "base/str.h"
#include "base/text.h"

Test(base_str, compare)
{
	static const struct str none = {0};

	cr_expect(str_is(STR("abc"), STR("abc")));
	cr_expect(!str_is(STR("abc"), STR("abd")) && !str_is(STR("abc"), STR("abcd")));
	cr_expect(!str_is(STR("abc"), STR("ABC")));
	cr_expect(str_is_nocase(STR("aBc"), STR("AbC")));
	cr_expect(!str_is_nocase(STR("abc"), STR("abcd")));
	cr_expect(
		!str_is_nocase(STR("["), STR("{")) && !str_is_nocase(STR("@"), STR("`")));
	/* A view of nothing is an empty view. */
	cr_expect(str_is(none, none) && str_is(none, STR("")) && !str_is(none, STR("a")));
	cr_expect(str_is_nocase(none, STR("")));
	cr_expect(str_trim(none).len == 0);
	for (int c = 0; c < 256; c++)
		cr_expect(ascii_lower((char)c) ==
			  (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
}

Test(base_str, trim)
{
	static const struct {
		const char *text, *trimmed;
	} rows[] = {
		{"", ""},
		{" ", ""},
		{"\t \t", ""},
		{"a", "a"},
		{" a b\t", "a b"},
		{"\ra\n", "\ra\n"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect(str_is(str_trim(str_of(rows[i].text)), str_of(rows[i].trimmed)),
			"[%s]", rows[i].text);
}

Test(base_str, elements)
{
	static const struct {
		const char *list, *elements; /* in brackets */
	} rows[] = {
		{"", "[]"},
		{"a", "[a]"},
		{"a,b", "[a][b]"},
		{" a ,\tb c,", "[a][b c][]"},
		{",,", "[][][]"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct str list = str_of(rows[i].list), element;
		char out[64] = "";
		size_t len = 0;

		while (str_next_element(&list, &element))
			len += (size_t)snprintf(
				out + len, sizeof(out) - len, "[%.*s]", STR_ARG(element));
		cr_expect(
			strcmp(out, rows[i].elements) == 0, "%s: %s", rows[i].list, out);
		cr_expect(!str_next_element(&list, &element));
	}
}

Test(base_str, numbers)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} rows[] = {
		{"0", true, 0},
		{"007", true, 7},
		{"9223372036854775807", true, INT64_MAX},
		{"9223372036854775808", false, 0},
		{"9999999999999999999", false, 0},
		{"18446744073709551616", false, 0},
		{"00000000000000000000001", true, 1},
		{"00000000000000000000000", true, 0},
		{"09999999999999999999", false, 0},
		{"00000000000000000000000000000000000000000018446744073709551617", false,
			0},
		{"", false, 0},
		{"+1", false, 0},
		{"-1", false, 0},
		{" 1", false, 0},
		{"1 ", false, 0},
		{"0x1", false, 0},
		{"1e1", false, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t value = 42;
		bool good = str_to_u64(str_of(rows[i].text), &value);

		cr_expect(good == rows[i].good, "%s", rows[i].text);
		cr_expect(value == (good ? rows[i].value : 42), "%s", rows[i].text);
	}
}

Test(base_text, fits_or_is_left_out)
{
	char memory[8];
	struct text text = {.ptr = memory, .cap = sizeof(memory)};

	text_add(&text, STR("abc"));
	text_add(&text, (struct str){0});
	text_add_u64(&text, 0);
	text_add(&text, STR("defg"));
	cr_expect(!text.overflow && text.len == 8 && memcmp(memory, "abc0defg", 8) == 0);
	text_add(&text, STR("h"));
	cr_expect(text.overflow && text.len == 8);
	text = (struct text){.ptr = memory, .cap = sizeof(memory)};
	text_add(&text, STR("too long for it"));
	cr_expect(text.overflow && text.len == 0);
}

Test(base_text, numbers)
{
	static const uint64_t rows[] = {0, 9, 10, 200, 4294967296, INT64_MAX, UINT64_MAX};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char memory[32], expected[32];
		struct text text = {.ptr = memory, .cap = sizeof(memory)};

		snprintf(expected, sizeof(expected), "%ju", (uintmax_t)rows[i]);
		text_add_u64(&text, rows[i]);
		cr_expect(str_is((struct str){text.ptr, text.len}, str_of(expected)),
			"%s", expected);
	}
}
