/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: each row takes its default, then what the environment says; then values that
 * follow from others; then the rules between values. Nothing stops at a mistake, so that
 * one run tells them all. An option with a mistake keeps its default and takes no part in
 * the rules.
 */
#include "config/config.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "config/environment.h"
#include "config/errors.h"
#include "config/memory.h"
#include "config/option.h"
#include "config/rules.h"

#define NAMESPACE_PATH "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

struct bad_list {
	struct config_errors *errs;
	const struct option *row;
	const char *text;
};

static void on_bad_item(const struct option_parser *parser)
{
	const struct bad_list *bad = parser->arg;

	config_error_want(bad->errs, bad->row, bad->text, parser);
}

static void load_option(
	struct config_loading *loading, enum config_option option, char *const *env)
{
	const struct option *row = &config_options[option];
	struct config *config = loading->config;
	char *member = (char *)config + row->offset;
	const char *text = environment_find(env, row->name, &config->memory);
	struct bad_list bad = {loading->errs, row, text};
	struct option_parser parser = {
		.memory = &config->memory, .on_bad_item = on_bad_item, .arg = &bad};

	if (text && option_parse(row, &parser, text, member)) {
		config->origin[option] = CONFIG_FROM_ENVIRONMENT;
		loading->texts[option] = text;
		return;
	}
	if (text) {
		config_error_want(loading->errs, row, text, &parser);
		loading->is_bad[option] = true;
	}
	if (row->default_text) {
		bool is_fine = option_parse(row, &parser, row->default_text, member);

		assert(is_fine);
		loading->texts[option] = row->default_text;
	}
}

/* A file that is not there, or is not like Kubernetes writes it, leaves the default. */
static void load_namespace(struct config *config, const char *path)
{
	struct option_parser parser = {.memory = &config->memory};
	char text[65] = ""; /* a namespace has at most 63 characters */
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, text, sizeof(text) - 1) > 0) {
		text[strcspn(text, "\r\n")] = '\0';
		if (option_parse(&config_options[OPT_namespace_], &parser, text,
			    &config->namespace_))
			config->origin[OPT_namespace_] = CONFIG_FROM_SERVICE_ACCOUNT;
	}
	close(fd);
}

int config_load_from(struct config *out, char *const *env, const char *namespace_path,
	struct config_errors *errs)
{
	struct config_loading loading = {.config = out, .errs = errs};

	*out = (struct config){0};
	*errs = (struct config_errors){0};
	for (unsigned i = 0; i < CONFIG_N_ROWS; i++) {
		if (config_options[i].name)
			load_option(&loading, i, env);
	}
	if (out->origin[OPT_namespace_] == CONFIG_FROM_DEFAULT)
		load_namespace(out, namespace_path);
	rules_derive(out);
	rules_check(&loading);
	environment_check_names(env, &out->memory, errs);
	return errs->n_lines > 0 ? CONFIG_INVALID : 0;
}

int config_load(struct config *out, char *const *env, struct config_errors *errs)
{
	return config_load_from(out, env, NAMESPACE_PATH, errs);
}

void config_fini(struct config *config)
{
	config_free_all(&config->memory);
	*config = (struct config){0};
}
