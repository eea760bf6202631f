/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of options.def for people and programs: one loop over the rows for each form.
 * Values are printable ASCII (see strings.c), so quoting is all that JSON needs.
 */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/option.h"

static const char *const origin_words[] = {
	[CONFIG_FROM_DEFAULT] = "default",
	[CONFIG_FROM_ENVIRONMENT] = "environment",
	[CONFIG_FROM_SERVICE_ACCOUNT] = "service account",
	[CONFIG_FROM_OTHER] = "derived",
};

/* The text of a value or of what a row wants, for free(); NULL when out of memory. config
 * NULL stands for the latter. */
static char *row_text(const struct config *config, const struct option *row)
{
	bool is_whole;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (config)
		option_print(row, (const char *)config + row->offset, out);
	else
		option_print_want(row, out);
	is_whole = !ferror(out);
	if (fclose(out) == 0 && is_whole)
		return text;
	free(text);
	return NULL;
}

bool config_print_text(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const struct option *row = &config_options[i];
		char *value;

		if (!row->name)
			continue;
		value = row_text(config, row);
		if (!value)
			return false;
		fprintf(out, "%-24s %-16s %s", row->name, origin_words[config->origin[i]],
			*value ? value : "-");
		if (config->origin[i] != CONFIG_FROM_DEFAULT)
			fprintf(out, " (default %s)",
				row->default_text ? row->default_text : "-");
		fputc('\n', out);
		free(value);
	}
	return true;
}

static void print_json_string(const char *text, FILE *out)
{
	if (!text || !*text) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

bool config_print_json(const struct config *config, FILE *out)
{
	const char *separator = "[\n";

	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const struct option *row = &config_options[i];
		char *value;

		if (!row->name)
			continue;
		value = row_text(config, row);
		if (!value)
			return false;
		fprintf(out, "%s{\"name\":\"%s\",\"value\":", separator, row->name);
		print_json_string(value, out);
		fputs(",\"default\":", out);
		print_json_string(row->default_text, out);
		fprintf(out, ",\"origin\":\"%s\"}", origin_words[config->origin[i]]);
		separator = ",\n";
		free(value);
	}
	fputs("\n]\n", out);
	return true;
}

char *config_json(const struct config *config)
{
	bool is_whole;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	is_whole = config_print_json(config, out) && !ferror(out);
	if (fclose(out) == 0 && is_whole)
		return text;
	free(text);
	return NULL;
}

/* One cell of a table, in which a bare '|' would begin the next. */
static void print_cell(const char *text, FILE *out)
{
	for (; text && *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

bool config_print_markdown(FILE *out)
{
	fputs("| variable | default | value | meaning |\n|---|---|---|---|\n", out);
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const struct option *row = &config_options[i];
		char *want;

		if (!row->name) {
			fprintf(out, "| **%s** | | | |\n", row->doc);
			continue;
		}
		want = row_text(NULL, row);
		if (!want)
			return false;
		fprintf(out, "| `%s` | ", row->name);
		if (row->default_text)
			fprintf(out, "`%s`", row->default_text);
		fputs(" | ", out);
		print_cell(want, out);
		fputs(" | ", out);
		print_cell(row->doc, out);
		fputs(" |\n", out);
		free(want);
	}
	return true;
}

void config_print_help(FILE *out)
{
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const struct option *row = &config_options[i];

		if (!row->name) {
			fprintf(out, "%s%s:\n", i > 0 ? "\n" : "", row->doc);
			continue;
		}
		fprintf(out, "  %s: ", row->name);
		option_print_want(row, out);
		if (row->default_text)
			fprintf(out, "; default %s", row->default_text);
		fprintf(out, "\n      %s\n", row->doc);
	}
}
