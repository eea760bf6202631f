/* SPDX-License-Identifier: Apache-2.0 */
/* The forms in which a configuration is shown. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/option.h"

#define ENV(...) ((char *[]){__VA_ARGS__, NULL})

static struct config config;

static void load(char *const *env)
{
	struct config_errors errs;

	cr_assert_eq(config_load_from(&config, env, "/nonexistent", &errs), 0);
	config_errors_fini(&errs);
}

typedef void print_fn(FILE *out);

static char *print(print_fn *fn)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fn(out);
	fclose(out);
	return text;
}

static void print_markdown(FILE *out)
{
	cr_expect(config_print_markdown(out));
}

static void print_text(FILE *out)
{
	config_print_text(&config, out);
}

static void expect_part(const char *text, const char *part)
{
	cr_expect(strstr(text, part), "no '%s' in\n%s", part, text);
}

static void expect_every_name(const char *text)
{
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		if (config_options[i].name)
			expect_part(text, config_options[i].name);
	}
}

Test(config_print, json_has_value_default_and_origin)
{
	char *json;

	load(ENV("NIGH_ENDPOINTS=file:/a\"b\\c",
		"NIGH_NODE_LABELS=topology.kubernetes.io/zone=z",
		"NIGH_IDLE_TIMEOUT=120s"));
	json = config_json(&config);
	expect_every_name(json);
	expect_part(json, "[\n{\"name\":\"NIGH_ADMIN\",");
	expect_part(json, "{\"name\":\"NIGH_ENDPOINTS\",\"value\":\"file:/a\\\"b\\\\c\","
			  "\"default\":\"auto\",\"origin\":\"environment\"},\n");
	expect_part(json, "{\"name\":\"NIGH_ZONE\",\"value\":\"z\",\"default\":null,"
			  "\"origin\":\"derived\"}");
	expect_part(json,
		"{\"name\":\"NIGH_IDLE_TIMEOUT\",\"value\":\"2m\",\"default\":\"60s\","
		"\"origin\":\"environment\"}");
	expect_part(json, "{\"name\":\"NIGH_POD_IP\",\"value\":null,\"default\":null,"
			  "\"origin\":\"default\"}");
	expect_part(json, "}\n]\n");
	free(json);
	config_fini(&config);
}

Test(config_print, text_shows_what_was_changed)
{
	char *text;

	load(ENV("NIGH_WORKERS=2", "NIGH_OUTBOUND=off"));
	text = print(print_text);
	expect_every_name(text);
	expect_part(text, "NIGH_WORKERS             environment      2 (default auto)\n");
	expect_part(text, "NIGH_OUTBOUND            environment      off (default "
			  "localhost:15001)\n");
	expect_part(text, "NIGH_ADMIN               default          :15020\n");
	expect_part(text, "NIGH_POD_IP              default          -\n");
	free(text);
	config_fini(&config);
}

Test(config_print, markdown_is_one_table)
{
	char *text = print(print_markdown);
	size_t n_lines = 0;

	expect_every_name(text);
	expect_part(text, "| `NIGH_LOG_FORMAT` | `text` | text\\|json | ");
	for (char *line = strtok(text, "\n"); line;
		line = strtok(NULL, "\n"), n_lines++) {
		size_t n_bars = 0;

		for (const char *c = line; *c; c++)
			n_bars += *c == '|' && (c == line || c[-1] != '\\');
		cr_expect_eq(n_bars, 5, "%s", line);
	}
	cr_expect_eq(n_lines, CONFIG_N_ROWS + 2);
	free(text);
}

Test(config_print, help_names_all_and_every_sentence_ends)
{
	char *text = print(config_print_help);

	expect_every_name(text);
	expect_part(text, "  NIGH_MAX_REQUESTS: 0..1000000 requests; default 1000\n");
	free(text);
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const struct option *row = &config_options[i];

		cr_expect(!row->name || row->doc[strlen(row->doc) - 1] == '.', "%s",
			row->doc);
	}
}
