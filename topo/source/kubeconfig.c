/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The current context of a kubeconfig, which is YAML (or JSON, which YAML includes). What
 * needs another program (exec, auth-provider) is refused by name, not left out.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <yaml.h>

#include "topo/arena.h"
#include "topo/memory.h"
#include "topo/source/cluster.h"

struct kubeconfig {
	yaml_document_t document;
	const char *path;
	char *fault;
};

__attribute__((format(printf, 2, 3))) static void set_fault(
	struct kubeconfig *config, const char *format, ...)
{
	va_list args;

	if (config->fault)
		return;
	va_start(args, format);
	config->fault = arena_xvprintf(format, args);
	va_end(args);
}

/* The null of YAML is the same as nothing. */
static yaml_node_t *unless_null(yaml_node_t *node)
{
	static const char *const nulls[] = {"", "~", "null"};

	for (size_t i = 0; i < sizeof(nulls) / sizeof(*nulls); i++)
		if (node->type == YAML_SCALAR_NODE &&
			node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
			strcmp((const char *)node->data.scalar.value, nulls[i]) == 0)
			return NULL;
	return node;
}

static yaml_node_t *member(
	struct kubeconfig *config, const yaml_node_t *map, const char *name)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
		pair < map->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_document_get_node(&config->document, pair->key);

		if (key->type == YAML_SCALAR_NODE &&
			strcmp((const char *)key->data.scalar.value, name) == 0)
			return unless_null(
				yaml_document_get_node(&config->document, pair->value));
	}
	return NULL;
}

/* A scalar member that says something, or NULL. */
static const char *text(
	struct kubeconfig *config, const yaml_node_t *map, const char *name)
{
	const yaml_node_t *node = member(config, map, name);

	if (!node || node->type != YAML_SCALAR_NODE || node->data.scalar.length == 0)
		return NULL;
	return (const char *)node->data.scalar.value;
}

/* What stands under `kind` in the entry of that name in the list `list`. */
static const yaml_node_t *named(
	struct kubeconfig *config, const char *list, const char *kind, const char *name)
{
	yaml_node_t *root = yaml_document_get_root_node(&config->document);
	yaml_node_t *entries = member(config, root, list);

	if (entries && entries->type == YAML_SEQUENCE_NODE) {
		for (yaml_node_item_t *item = entries->data.sequence.items.start;
			item < entries->data.sequence.items.top; item++) {
			yaml_node_t *entry =
				yaml_document_get_node(&config->document, *item);
			const char *its_name = text(config, entry, "name");

			if (its_name && strcmp(its_name, name) == 0)
				return member(config, entry, kind);
		}
	}
	set_fault(config, "no entry '%s' in %s", name, list);
	return NULL;
}

static char *copy(const char *from)
{
	return from ? arena_xprintf("%s", from) : NULL;
}

/* Paths count from the folder of the kubeconfig. */
static char *resolve(const struct kubeconfig *config, const char *path)
{
	const char *slash = strrchr(config->path, '/');

	if (!path || *path == '/' || !slash)
		return copy(path);
	return arena_xprintf("%.*s/%s", (int)(slash - config->path), config->path, path);
}

static char *decode(struct kubeconfig *config, const char *name, const char *base64)
{
	unsigned char *out = arena_xrealloc(NULL, strlen(base64) + 4, 1);
	size_t len = 0;
	int n;

	for (; *base64; base64++) /* it may stand in lines */
		if (!strchr(" \r\n", *base64))
			out[len++] = (unsigned char)*base64;
	n = EVP_DecodeBlock(out, out, (int)len);

	if (n < 0 || len % 4 != 0)
		set_fault(config, "%s is not base64", name);
	/* Padding decodes to zeros, and PEM has none: the text ends there. */
	out[n < 0 ? 0 : n] = '\0';
	return (char *)out;
}

static void read_pem(struct kubeconfig *config, const yaml_node_t *map, const char *name,
	struct cluster_pem *out)
{
	char data_name[64];
	const char *data;

	snprintf(data_name, sizeof(data_name), "%s-data", name);
	data = text(config, map, data_name);
	if (data)
		out->data = decode(config, data_name, data);
	else
		out->path = resolve(config, text(config, map, name));
}

static void read_cluster(
	struct kubeconfig *config, const yaml_node_t *map, struct cluster *out)
{
	const char *server = text(config, map, "server");
	const char *insecure = text(config, map, "insecure-skip-tls-verify");
	size_t len = server ? strlen(server) : 0;

	if (!server || strncmp(server, "http", 4) != 0) {
		set_fault(config, "clusters: no server that begins with https://");
		return;
	}
	while (len > 0 && server[len - 1] == '/')
		len--;
	out->url = arena_xprintf("%.*s", (int)len, server);
	out->server_name = copy(text(config, map, "tls-server-name"));
	out->insecure = insecure && strcmp(insecure, "true") == 0;
	read_pem(config, map, "certificate-authority", &out->ca);
	if (text(config, map, "proxy-url"))
		set_fault(config, "clusters: proxy-url is not supported");
}

static void read_user(
	struct kubeconfig *config, const yaml_node_t *map, struct cluster *out)
{
	static const char *const foreign[] = {"exec", "auth-provider", "username"};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		if (member(config, map, foreign[i]))
			set_fault(config,
				"users: '%s' is not supported; use token, tokenFile or "
				"client-certificate",
				foreign[i]);
	/* With both, the file counts, as it does for kubectl. */
	out->token_path = resolve(config, text(config, map, "tokenFile"));
	if (!out->token_path)
		out->token = copy(text(config, map, "token"));
	read_pem(config, map, "client-certificate", &out->certificate);
	read_pem(config, map, "client-key", &out->key);
}

static void read_context(struct kubeconfig *config, struct cluster *out)
{
	yaml_node_t *root = yaml_document_get_root_node(&config->document);
	const char *name = text(config, root, "current-context");
	const yaml_node_t *context;
	const char *cluster, *user;

	if (!name) {
		set_fault(config, "no current-context");
		return;
	}
	context = named(config, "contexts", "context", name);
	cluster = text(config, context, "cluster");
	user = text(config, context, "user");
	if (!cluster)
		set_fault(config, "context '%s' names no cluster", name);
	if (cluster)
		read_cluster(config, named(config, "clusters", "cluster", cluster), out);
	if (user)
		read_user(config, named(config, "users", "user", user), out);
}

char *cluster_of_kubeconfig(struct cluster *out, const char *path)
{
	struct kubeconfig config = {.path = path};
	yaml_parser_t parser;
	unsigned n_tries = 0;
	FILE *file = fopen(path, "re");
	char *fault = NULL;

	*out = (struct cluster){0};
	if (!file)
		return arena_xprintf("%s: %s", path, strerror(errno));
	while (!yaml_parser_initialize(&parser))
		memory_wait(&n_tries);
	yaml_parser_set_input_file(&parser, file);
	if (!yaml_parser_load(&parser, &config.document)) {
		fault = arena_xprintf("%s: line %zu: not a kubeconfig: %s", path,
			parser.problem_mark.line + 1,
			parser.problem ? parser.problem : "cannot be read");
	} else {
		read_context(&config, out);
		yaml_document_delete(&config.document);
		if (config.fault)
			fault = arena_xprintf("%s: %s", path, config.fault);
		free(config.fault);
	}
	yaml_parser_delete(&parser);
	fclose(file);
	return fault;
}
