/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of ours that nobody knows are mistakes, with one exception that is not the user's
 * doing: for a Service called "nigh" or "nigh-SOMETHING" Kubernetes gives all pods of its
 * namespace NIGH_SERVICE_HOST, NIGH_PORT=tcp://…, NIGH_PORT_80_TCP_ADDR and so on
 * ("service links"). Those are told from a mistake by name and value together, and
 * ignored. None of them has the name of an option: the options keep clear of these
 * endings.
 */
#include "config/environment.h"

#include <assert.h>
#include <regex.h>
#include <string.h>

#include "config/errors.h"
#include "config/memory.h"
#include "config/option.h"

#define SPACE  " \t\r\n"
#define PREFIX "NIGH_"

char *environment_find(char *const *env, const char *name, struct config_memory **memory)
{
	size_t len = strlen(name);

	for (; *env; env++) {
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
			const char *value = *env + len + 1;
			size_t n;

			value += strspn(value, SPACE);
			n = strlen(value);
			while (n > 0 && strchr(SPACE, value[n - 1]))
				n--;
			return n > 0 ? config_strndup(memory, value, n) : NULL;
		}
	}
	return NULL;
}

static bool is_match(const char *pattern, const char *text)
{
	regex_t regex;
	int result = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);

	assert(result == 0);
	result = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	return result == 0;
}

static bool is_service_link(const char *name, const char *value)
{
	static const struct {
		const char *name;
		const char *value;
	} shapes[] = {
		{"_SERVICE_HOST$", "^[0-9A-Fa-f.:]+$"},
		{"_SERVICE_PORT(_[A-Z0-9_]+)?$", "^[0-9]+$"},
		{"_PORT(_[0-9]+_(TCP|UDP|SCTP))?$", "^(tcp|udp|sctp)://"},
		{"_PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO$", "^(tcp|udp|sctp)$"},
		{"_PORT_[0-9]+_(TCP|UDP|SCTP)_PORT$", "^[0-9]+$"},
		{"_PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR$", "^[0-9A-Fa-f.:]+$"},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		if (is_match(shapes[i].name, name) && is_match(shapes[i].value, value))
			return true;
	}
	return false;
}

/* How many characters must be put in, left out or changed to make b of a. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[64]; /* more than the longest name of an option */
	size_t n = strlen(b);

	assert(n < sizeof(row) / sizeof(*row));
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t k = 0; k < n; k++) {
			size_t best = diagonal + (a[i] != b[k]);

			if (row[k] + 1 < best)
				best = row[k] + 1;
			diagonal = row[k + 1];
			if (diagonal + 1 < best)
				best = diagonal + 1;
			row[k + 1] = best;
		}
	}
	return row[n];
}

static const char *find_nearest(const char *name)
{
	const char *nearest = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const char *candidate = config_options[i].name;
		size_t distance = candidate ? edit_distance(name, candidate) : SIZE_MAX;

		if (distance < least) {
			least = distance;
			nearest = candidate;
		}
	}
	return nearest;
}

static bool is_option(const char *name)
{
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		if (config_options[i].name && strcmp(config_options[i].name, name) == 0)
			return true;
	}
	return false;
}

void environment_check_names(
	char *const *env, struct config_memory **memory, struct config_errors *errs)
{
	for (; *env; env++) {
		const char *equals = strchr(*env, '=');
		const char *name, *value;

		if (!equals || strncmp(*env, PREFIX, strlen(PREFIX)) != 0)
			continue;
		name = config_strndup(memory, *env, equals - *env);
		value = environment_find(env, name, memory);
		if (value && !is_option(name) && !is_service_link(name, value))
			config_error(errs, name, value,
				"no such variable; did you mean %s?", find_nearest(name));
	}
}
