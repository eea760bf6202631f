/* SPDX-License-Identifier: Apache-2.0 */
/* What all kinds of records have in common. */
#include "topo/record.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "topo/parse.h"

struct kind_row {
	const char *kind;
	const char *api_version;
	const char *old_api_version; /* or NULL */
};

/* In the order of enum record_kind. A Service of another API group (Knative has one) is
 * not ours. */
static const struct kind_row kinds[RECORD_N_KINDS] = {
	{"EndpointSlice", "discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"},
	{"Service", "v1", NULL},
	{"Node", "v1", NULL},
};

/* RECORD_N_KINDS when it is none of ours. */
static enum record_kind find_kind(const char *kind, const char *api_version)
{
	size_t i = 0;
	while (i < RECORD_N_KINDS && (!kind || strcmp(kinds[i].kind, kind) != 0))
		i++;
	if (i == RECORD_N_KINDS || !api_version)
		return (enum record_kind)i;
	if (!strcmp(kinds[i].api_version, api_version))
		return (enum record_kind)i;
	if (kinds[i].old_api_version && !strcmp(kinds[i].old_api_version, api_version))
		return (enum record_kind)i;
	return RECORD_N_KINDS;
}

const char *record_kind_name(enum record_kind kind)
{
	return kinds[kind].kind;
}

bool record_identify(
	const cJSON *object, const struct record_defaults *defaults, struct record *out)
{
	struct json_fault ignored = {0};
	const char *kind = json_string(object, "kind", &ignored);
	const char *api_version = json_string(object, "apiVersion", &ignored);
	enum record_kind found = find_kind(kind ? kind : defaults->kind,
		api_version ? api_version : defaults->api_version);
	const cJSON *metadata = json_object(object, "metadata", &ignored);
	const char *namespace_ = json_string(metadata, "namespace", &ignored);
	const char *name = json_string(metadata, "name", &ignored);
	const cJSON *labels = json_object(metadata, "labels", &ignored);
	const char *service = json_string(labels, "kubernetes.io/service-name", &ignored);
	free(ignored.text);
	if (found == RECORD_N_KINDS)
		return false;
	*out = (struct record){.kind = found, .name = name ? name : ""};
	out->namespace_ = namespace_ && *namespace_ ? namespace_ : "default";
	if (out->kind == RECORD_NODE)
		out->namespace_ = "";
	if (out->kind == RECORD_SLICE && defaults->is_live)
		out->owner = service;
	return true;
}

struct record *record_parse(const cJSON *object, const struct record_defaults *defaults,
	const char *where, struct topo_report *report, char **fault)
{
	static struct record *(*const parsers[])(struct parse *, const cJSON *) = {
		[RECORD_SLICE] = parse_slice,
		[RECORD_SERVICE] = parse_service,
		[RECORD_NODE] = parse_node,
	};
	struct arena arena = {0};
	struct parse parse = {.arena = &arena,
		.report = report,
		.where = where,
		.is_live = defaults->is_live};
	struct record head;
	*fault = NULL;
	if (!record_identify(object, defaults, &head))
		return NULL;
	parse.api_version = json_string(object, "apiVersion", &parse.fault);
	if (!parse.api_version)
		parse.api_version = defaults->api_version;
	if (*head.name == '\0')
		json_set_fault(&parse.fault, "metadata.name is missing");
	struct record *record = parsers[head.kind](&parse, object);
	if (parse.fault.text || !record) {
		*fault = parse.fault.text;
		arena_fini(&arena);
		return NULL;
	}
	record->kind = head.kind;
	record->namespace_ = arena_strdup(&arena, head.namespace_);
	record->name = arena_strdup(&arena, head.name);
	record->owner = arena_strdup(&arena, head.owner);
	record->arena = arena;
	return record;
}

void record_destroy(struct record *record)
{
	if (!record)
		return;
	struct arena arena = record->arena;
	arena_fini(&arena);
}

int record_compare(const struct record *a, const struct record *b)
{
	int order = strcmp(a->namespace_, b->namespace_);
	if (!order)
		order = strcmp(a->name, b->name);
	if (!order && (a->owner || b->owner))
		order = strcmp(a->owner ? a->owner : "", b->owner ? b->owner : "");
	return order;
}

const char *label_map_find(const struct label_map *map, const char *key)
{
	for (size_t i = 0; i < map->n_items; i++) {
		if (!strcmp(map->items[i].key, key))
			return map->items[i].value;
	}
	return NULL;
}
