/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, paths, and choices of words. All that is accepted is printable ASCII, so
 * whatever prints a configuration need not think of encodings.
 */
#include <ctype.h>
#include <string.h>

#include "config/option.h"
#include "config/types.h"
#include "config/words.h"

static void string_print(const void *value, FILE *out)
{
	const char *text = *(char *const *)value;

	if (text)
		fputs(text, out);
}

static bool keep(struct option_parser *parser, const char *text, void *value)
{
	*(char **)value = config_strdup(parser->memory, text);
	return true;
}

static bool domain_parse(struct option_parser *parser, char *text, void *value)
{
	size_t len = strlen(text);

	for (char *c = text; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (len > 1 && text[len - 1] == '.')
		text[len - 1] = '\0';
	return word_is_dns_name(text) && keep(parser, text, value);
}

const struct option_type type_DOMAIN = {
	.want = "DNS name",
	.parse = domain_parse,
	.print = string_print,
};

static bool ip_parse(struct option_parser *parser, char *text, void *value)
{
	*(char **)value = word_keep_ip(parser->memory, text);
	return *(char **)value != NULL;
}

const struct option_type type_IP = {
	.want = "IP address",
	.parse = ip_parse,
	.print = string_print,
};

static bool label_value_parse(struct option_parser *parser, char *text, void *value)
{
	return word_is_label_value(text) && keep(parser, text, value);
}

const struct option_type type_LABEL_VALUE = {
	.want = "value of a Kubernetes label",
	.parse = label_value_parse,
	.print = string_print,
};

static bool namespace_parse(struct option_parser *parser, char *text, void *value)
{
	return word_is_dns_label(text) && keep(parser, text, value);
}

const struct option_type type_NAMESPACE = {
	.want = "name of a namespace",
	.parse = namespace_parse,
	.print = string_print,
};

static bool node_name_parse(struct option_parser *parser, char *text, void *value)
{
	/* Not to be dialled: a node may be called 10.0.0.1, and some are. */
	return word_is_dns_subdomain(text) && keep(parser, text, value);
}

const struct option_type type_NODE_NAME = {
	.want = "name of a node",
	.parse = node_name_parse,
	.print = string_print,
};

static bool is_path(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

static bool path_parse(struct option_parser *parser, char *text, void *value)
{
	return is_path(text) && keep(parser, text, value);
}

const struct option_type type_PATH = {
	.want = "path of a file, in ASCII",
	.parse = path_parse,
	.print = string_print,
};

static const char *const endpoints_words[] = {
	[ENDPOINTS_AUTO] = "auto",
	[ENDPOINTS_KUBERNETES] = "kubernetes",
	[ENDPOINTS_FILE] = "file",
	[ENDPOINTS_DNS] = "dns",
};

static bool endpoints_parse(struct option_parser *parser, char *text, void *value)
{
	struct config_endpoints *endpoints = value;

	endpoints->path = NULL;
	if (strncmp(text, "file:", 5) == 0) {
		endpoints->source = ENDPOINTS_FILE;
		if (text[5] == '\0')
			return option_fail(parser, "no path after file:");
		return path_parse(parser, text + 5, &endpoints->path);
	}
	for (unsigned i = 0; i <= ENDPOINTS_DNS; i++) {
		if (i != ENDPOINTS_FILE && strcmp(text, endpoints_words[i]) == 0) {
			endpoints->source = i;
			return true;
		}
	}
	return false;
}

static void endpoints_print(const void *value, FILE *out)
{
	const struct config_endpoints *endpoints = value;

	fputs(endpoints_words[endpoints->source], out);
	if (endpoints->path)
		fprintf(out, ":%s", endpoints->path);
}

const struct option_type type_ENDPOINTS = {
	.want = "auto|kubernetes|file:PATH|dns",
	.parse = endpoints_parse,
	.print = endpoints_print,
};

const struct option_type type_ACCESS_LOG = {
	.choices = (const char *const[]){"off", "errors", "on", NULL},
};

const struct option_type type_SWITCH = {
	.choices = (const char *const[]){"off", "on", NULL},
};

const struct option_type type_LOG_FORMAT = {
	.choices = (const char *const[]){"text", "json", NULL},
};

const struct option_type type_LOG_LEVEL = {
	.choices = (const char *const[]){"error", "warn", "info", "debug", NULL},
};
