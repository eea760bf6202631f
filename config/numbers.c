/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts, sizes and durations. A number is decimal digits and nothing else: no sign, no
 * exponent, no fraction; what does not fit in the member is out of range, never wrapped.
 */
#include <errno.h>
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

/* Largest first. 60s and 90s are how people write them, so minutes begin at 2m. */
static const struct unit time_units[] = {
	{"h", 3600000, 3600000},
	{"m", 60000, 120000},
	{"s", 1000, 1000},
	{"ms", 1, 1},
	{NULL, 0, 0},
};

static const struct unit size_units[] = {
	{"GiB", 1u << 30, 1u << 30},
	{"MiB", 1u << 20, 1u << 20},
	{"KiB", 1u << 10, 1u << 10},
	{"", 1, 1},
	{NULL, 0, 0},
};

static bool parse_scaled(struct option_parser *parser, const char *text,
	const struct unit *units, uint64_t *out)
{
	size_t n_digits = strspn(text, "0123456789");
	uint64_t n;

	if (n_digits > 0 && n_digits == strlen(text) && strspn(text, "0") == n_digits) {
		*out = 0;
		return true;
	}
	while (units->suffix && strcmp(units->suffix, text + n_digits) != 0)
		units++;
	if (n_digits == 0 || !units->suffix)
		return option_fail(parser, NULL);
	if (!word_is_number(text, n_digits, UINT64_MAX, &n) ||
		__builtin_mul_overflow(n, units->factor, out))
		return option_fail(parser, "too large");
	return true;
}

static void print_scaled(uint64_t n, const struct unit *units, FILE *out)
{
	if (n == 0) {
		fputc('0', out);
		return;
	}
	while (n % units->factor != 0 || n < units->print_from)
		units++;
	fprintf(out, "%llu%s", (unsigned long long)(n / units->factor), units->suffix);
}

static bool duration_parse(struct option_parser *parser, char *text, void *value)
{
	if (parse_scaled(parser, text, time_units, value))
		return true;
	if (!parser->why)
		parser->why = "a whole number and ms, s, m or h";
	return false;
}

static void duration_print(const void *value, FILE *out)
{
	print_scaled(*(const uint64_t *)value, time_units, out);
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

	if (!parse_scaled(parser, text, size_units, &n)) {
		if (!parser->why)
			parser->why = "a whole number, alone or with KiB, MiB or GiB";
		return false;
	}
	if (n > SIZE_MAX)
		return option_fail(parser, "too large");
	*(size_t *)value = n;
	return true;
}

static void bytes_print(const void *value, FILE *out)
{
	print_scaled(*(const size_t *)value, size_units, out);
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

static bool uint_parse(struct option_parser *parser, char *text, void *value)
{
	uint64_t n;

	if (!word_is_number(text, strlen(text), UINT_MAX, &n))
		return option_fail(parser, NULL);
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
