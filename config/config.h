/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The configuration: environment variables in, one struct out, which nobody changes after
 * config_load. Each variable is one row of options.def; the members below, the parsing,
 * the help, the JSON and the table in README.md are made from the rows.
 *
 * Reads no file but the service account's namespace, logs nothing, and ends the process
 * only when memory runs out while loading.
 */
#include <stdio.h>

#include "config/types.h"

enum config_result { CONFIG_INVALID = 1 };

/* Where a value came from. */
enum config_origin {
	CONFIG_FROM_DEFAULT,
	CONFIG_FROM_ENVIRONMENT,
	CONFIG_FROM_SERVICE_ACCOUNT, /* the namespace only */
	CONFIG_FROM_OTHER,           /* derived from another variable */
};

/* OPT_inbound, OPT_outbound, …: index of a row. Headings are rows too. */
enum config_option {
#define HEADING(id, text)  HEADING_##id,
#define OPTION(field, ...) OPT_##field,
#include "config/options.def"
	CONFIG_N_ROWS
};

struct config {
#define HEADING(id, text)
#define OPTION(field, type, ...) C_TYPE_##type field;
#include "config/options.def"
	enum config_origin origin[CONFIG_N_ROWS];
	struct config_memory *memory;
};

/* Every mistake found, one line each, without a newline. */
struct config_errors {
	char **lines;
	size_t n_lines;
};

/*
 * Fill out from the environment ("NAME=value" strings, NULL at the end; nothing of it is
 * kept). 0, or CONFIG_INVALID with every mistake in errs. Call config_fini and
 * config_errors_fini in both cases.
 */
__attribute__((warn_unused_result)) int config_load(
	struct config *out, char *const *env, struct config_errors *errs);

/* The same with another file in place of the service account's namespace file. */
__attribute__((warn_unused_result)) int config_load_from(struct config *out,
	char *const *env, const char *namespace_path, struct config_errors *errs);

void config_fini(struct config *config);
void config_errors_fini(struct config_errors *errs);

/* These give false without memory: what was printed is not the whole then. */

/* One line per variable: name, origin, value, and the default if it is not that. */
bool config_print_text(const struct config *config, FILE *out);

/* A JSON array with one object per variable: name, value, default, origin. A variable
 * without value or default has null there. */
bool config_print_json(const struct config *config, FILE *out);

/* The same as one string for free(); NULL when out of memory. */
char *config_json(const struct config *config);

/* The table of README.md: what stands between its markers. */
bool config_print_markdown(FILE *out);

/* The variables' part of --help. */
void config_print_help(FILE *out);
