/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment: one variable per line, NIGH_ is added where it is missing. It is taken
 * or every mistake is told; a configuration that is taken prints as text that is read as
 * the same configuration.
 */
#include <cjson/cJSON.h>
#include <regex.h>

#include "config/config.h"
#include "config/option.h"
#include "fuzz.h"

#define VARIABLES_MAX 64

int __real_regcomp(regex_t *regex, const char *pattern, int flags);
int __wrap_regcomp(regex_t *regex, const char *pattern, int flags);
void __wrap_regfree(regex_t *regex);

/* The few constant patterns are compiled once: that is all but a part of the time. */
int __wrap_regcomp(regex_t *regex, const char *pattern, int flags)
{
	static struct {
		const char *pattern;
		regex_t regex;
	} known[16];
	size_t i = 0;

	while (i < 15 && known[i].pattern && known[i].pattern != pattern)
		i++;
	if (!known[i].pattern && __real_regcomp(&known[i].regex, pattern, flags) != 0)
		abort();
	known[i].pattern = pattern;
	*regex = known[i].regex;
	return 0;
}

void __wrap_regfree(regex_t *regex)
{
	(void)regex;
}

struct environment {
	char *items[VARIABLES_MAX + 1];
	size_t n;
};

static void add(struct environment *env, const char *prefix, struct str line)
{
	size_t len = strlen(prefix) + line.len;
	char *item = malloc(len + 1);

	if (!item)
		abort();
	snprintf(item, len + 1, "%s%.*s", prefix, STR_ARG(line));
	env->items[env->n++] = item;
}

static void fini(struct environment *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->items[i]);
}

/* What was printed, as an environment. */
static void print_environment(const char *json, struct environment *env)
{
	cJSON *rows = cJSON_Parse(json), *row;

	CHECK(rows != NULL);
	cJSON_ArrayForEach(row, rows)
	{
		const char *name = cJSON_GetStringValue(
				   cJSON_GetObjectItemCaseSensitive(row, "name")),
			   *value = cJSON_GetStringValue(
				   cJSON_GetObjectItemCaseSensitive(row, "value"));
		char line[128];

		CHECK(name != NULL);
		snprintf(line, sizeof(line), "%s=", name);
		if (value)
			add(env, line, str_of(value));
	}
	cJSON_Delete(rows);
}

/* All but where the values came from. */
static void check_same(const char *a, const char *b)
{
	cJSON *first = cJSON_Parse(a), *second = cJSON_Parse(b);
	int n = cJSON_GetArraySize(first);

	CHECK(n > 0 && n == cJSON_GetArraySize(second));
	for (int i = 0; i < n; i++) {
		cJSON *x = cJSON_GetArrayItem(first, i),
		      *y = cJSON_GetArrayItem(second, i);

		CHECK(cJSON_Compare(cJSON_GetObjectItem(x, "value"),
			cJSON_GetObjectItem(y, "value"), true));
	}
	cJSON_Delete(first);
	cJSON_Delete(second);
}

static void check_round_trip(const struct config *config)
{
	struct environment env = {0};
	struct config_errors errors;
	struct config again;
	char *json = config_json(config), *json_again;

	print_environment(json, &env);
	if (config_load_from(&again, env.items, "/nonexistent", &errors) != 0)
		fprintf(stderr, "%s\n", errors.lines[0]);
	CHECK(errors.n_lines == 0);
	json_again = config_json(&again);
	check_same(json, json_again);
	free(json);
	free(json_again);
	config_fini(&again);
	config_errors_fini(&errors);
	fini(&env);
}

static bool is_option(struct str line)
{
	struct str name = fuzz_until(&line, '=');

	for (size_t i = 0; i < CONFIG_N_ROWS; i++)
		if (config_options[i].name &&
			str_is(name, str_of(config_options[i].name + 5)))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = {(const char *)data, size};
	struct environment env = {0};
	unsigned n_unknown = 0;
	struct config_errors errors;
	struct config config;

	while (input.len > 0 && env.n < VARIABLES_MAX) {
		struct str line = fuzz_until(&input, '\n');

		if (line.len >= 5 && memcmp(line.ptr, "NIGH_", 5) == 0)
			line = (struct str){line.ptr + 5, line.len - 5};
		if (memchr(line.ptr, '\0', line.len))
			continue;
		/* One unknown name says as much as many, each of which is compared with
		 * all that are known: half of the time if it were in each run. */
		if (is_option(line) ||
			(size % 8 == 1 && n_unknown++ == 0 && line.len < 100))
			add(&env, "NIGH_", line);
	}
	if (config_load_from(&config, env.items, "/nonexistent", &errors) == 0) {
		CHECK(errors.n_lines == 0);
		if (size % 8 == 0) /* it costs ten times the rest */
			check_round_trip(&config);
	} else {
		CHECK(errors.n_lines > 0);
		for (size_t i = 0; i < errors.n_lines; i++)
			CHECK(!strchr(errors.lines[i], '\n'));
	}
	config_fini(&config);
	config_errors_fini(&errors);
	fini(&env);
	return 0;
}
