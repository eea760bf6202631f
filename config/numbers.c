/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts, sizes and durations. A number is decimal digits and nothing else: no sign, no
 * exponent, no fraction; what does not fit in the member is out of range, never wrapped.
 */
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "config/option.h"
#include "config/words.h"

/* A suffix and how many of the basic unit it stands for. */
struct unit {
	const char *suffix;
	uint64_t factor;
	uint64_t print_from; /* smaller values are printed in a smaller unit */
};

struct scale {
	const char *form;
	struct unit units[5]; /* largest first, then one without a suffix */
};

/* Minutes are printed from 2m on: 60s and 90s are how people write them. */
static const struct scale time_scale = {
	"a whole number and ms, s, m or h",
	{{"h", 3600000, 3600000}, {"m", 60000, 120000}, {"s", 1000, 1000}, {"ms", 1, 1}},
};

static const struct scale size_scale = {
	"a whole number, alone or with KiB, MiB or GiB",
	{{"GiB", 1 << 30, 1 << 30}, {"MiB", 1 << 20, 1 << 20}, {"KiB", 1 << 10, 1 << 10},
		{"", 1, 1}},
};

static bool parse_scaled(struct option_parser *parser, const char *text,
	const struct scale *scale, uint64_t *out)
{
	const struct unit *unit = scale->units;
	size_t n_digits = strspn(text, "0123456789");
	uint64_t n;

	if (text[0] && strspn(text, "0") == strlen(text)) {
		*out = 0; /* needs no unit */
		return true;
	}
	while (unit->suffix && strcmp(unit->suffix, text + n_digits) != 0)
		unit++;
	if (n_digits == 0 || !unit->suffix)
		return option_fail(parser, scale->form);
	if (!word_is_number(text, n_digits, UINT64_MAX, &n) ||
		__builtin_mul_overflow(n, unit->factor, out))
		return option_fail(parser, "too large");
	return true;
}

static void print_scaled(uint64_t n, const struct scale *scale, FILE *out)
{
	const struct unit *unit = scale->units;

	if (n == 0) {
		fputc('0', out);
		return;
	}
	while (n % unit->factor != 0 || n < unit->print_from)
		unit++;
	fprintf(out, "%llu%s", (unsigned long long)(n / unit->factor), unit->suffix);
}

static bool duration_parse(struct option_parser *parser, char *text, void *value)
{
	return parse_scaled(parser, text, &time_scale, value);
}

static void duration_print(const void *value, FILE *out)
{
	print_scaled(*(const uint64_t *)value, &time_scale, out);
}

static int duration_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

const struct option_type type_DURATION = {
	.parse = duration_parse,
	.print = duration_print,
	.compare = duration_compare,
};

static bool bytes_parse(struct option_parser *parser, char *text, void *value)
{
	uint64_t n;

	if (!parse_scaled(parser, text, &size_scale, &n))
		return false;
	if (n > SIZE_MAX)
		return option_fail(parser, "too large");
	*(size_t *)value = n;
	return true;
}

static void bytes_print(const void *value, FILE *out)
{
	print_scaled(*(const size_t *)value, &size_scale, out);
}

static int bytes_compare(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

const struct option_type type_BYTES = {
	.parse = bytes_parse,
	.print = bytes_print,
	.compare = bytes_compare,
};

/* 0 stands for "auto", so no number may be read as 0. */
static bool memory_parse(struct option_parser *parser, char *text, void *value)
{
	if (strcmp(text, "auto") == 0) {
		*(size_t *)value = 0;
		return true;
	}
	return bytes_parse(parser, text, value) && *(size_t *)value > 0;
}

static void memory_print(const void *value, FILE *out)
{
	if (*(const size_t *)value == 0)
		fputs("auto", out);
	else
		bytes_print(value, out);
}

/* "auto" is inside any bounds. */
static int memory_compare(const void *a, const void *b)
{
	return *(const size_t *)a == 0 ? 0 : bytes_compare(a, b);
}

const struct option_type type_MEMORY = {
	.want = "auto",
	.parse = memory_parse,
	.print = memory_print,
	.compare = memory_compare,
};

static bool uint_parse(struct option_parser *parser, char *text, void *value)
{
	uint64_t n;

	(void)parser;
	if (!word_is_number(text, strlen(text), UINT_MAX, &n))
		return false;
	*(unsigned *)value = (unsigned)n;
	return true;
}

static void uint_print(const void *value, FILE *out)
{
	fprintf(out, "%u", *(const unsigned *)value);
}

static int uint_compare(const void *a, const void *b)
{
	const unsigned *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

const struct option_type type_UINT = {
	.parse = uint_parse,
	.print = uint_print,
	.compare = uint_compare,
};

/* 0 stands for "auto", so the text "0" may not be read as 0. */
static bool workers_parse(struct option_parser *parser, char *text, void *value)
{
	if (strcmp(text, "auto") == 0) {
		*(unsigned *)value = 0;
		return true;
	}
	return uint_parse(parser, text, value) && *(unsigned *)value > 0;
}

static void workers_print(const void *value, FILE *out)
{
	if (*(const unsigned *)value == 0)
		fputs("auto", out);
	else
		uint_print(value, out);
}

/* "auto" is inside any bounds. */
static int workers_compare(const void *a, const void *b)
{
	return *(const unsigned *)a == 0 ? 0 : uint_compare(a, b);
}

const struct option_type type_WORKERS = {
	.want = "auto",
	.parse = workers_parse,
	.print = workers_print,
	.compare = workers_compare,
};
