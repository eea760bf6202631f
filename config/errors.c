/* SPDX-License-Identifier: Apache-2.0 */
#include "config/errors.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/option.h"

#define MAX_SHOWN 100 /* of a value, so that a line stays a line */

static void print_quoted(const char *text, FILE *out)
{
	size_t len = strnlen(text, MAX_SHOWN + 1);

	fputc('\'', out);
	for (size_t i = 0; i < len && i < MAX_SHOWN; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= ' ' && c <= '~')
			fputc(c, out);
		else
			fprintf(out, "\\x%02x", c);
	}
	fputs(len > MAX_SHOWN ? "...'" : "'", out);
}

/* Texts of any length; out of memory ends us as it does in config_alloc. */
static FILE *open_text(char **text, size_t *len)
{
	FILE *out = open_memstream(text, len);

	if (!out)
		config_out_of_memory();
	return out;
}

static void close_text(FILE *out, char **text)
{
	bool is_whole = !ferror(out);

	if (fclose(out) != 0 || !is_whole || !*text)
		config_out_of_memory();
}

void config_error(struct config_errors *errs, const char *name, const char *value,
	const char *format, ...)
{
	char *line;
	size_t len;
	FILE *out = open_text(&line, &len);
	va_list args;

	fprintf(out, "%s=", name);
	print_quoted(value, out);
	fputs(": ", out);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	close_text(out, &line);
	errs->lines = reallocarray(errs->lines, errs->n_lines + 1, sizeof(*errs->lines));
	if (!errs->lines)
		config_out_of_memory();
	errs->lines[errs->n_lines++] = line;
}

void config_error_want(struct config_errors *errs, const struct option *row,
	const char *value, const struct option_parser *parser)
{
	char *want;
	size_t len;
	FILE *out = open_text(&want, &len);

	option_print_want(row, out);
	if (parser->why) {
		fputs(" (", out);
		if (parser->item) {
			print_quoted(parser->item, out);
			fputs(": ", out);
		}
		fprintf(out, "%s)", parser->why);
	}
	close_text(out, &want);
	config_error(errs, row->name, value, "want %s", want);
	free(want);
}

void config_errors_fini(struct config_errors *errs)
{
	for (size_t i = 0; i < errs->n_lines; i++)
		free(errs->lines[i]);
	free(errs->lines);
	*errs = (struct config_errors){0};
}
