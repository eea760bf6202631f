/* SPDX-License-Identifier: Apache-2.0 */
/* Service objects, and what little we read of Node objects. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "topo/keys.h"
#include "topo/parse.h"

static struct name_list copy_keys(struct parse *parse, const struct topo_keys *keys)
{
	struct name_list out = {.n_items = keys->n_items};
	out.items = arena_alloc(parse->arena, keys->n_items, sizeof(*out.items));
	for (size_t i = 0; i < keys->n_items; i++)
		out.items[i] = arena_strdup(parse->arena, keys->items[i]);
	return out;
}

/*
 * The service's own topology keys: the field of the old API, or else the annotation. The
 * field is forbidden together with externalTrafficPolicy: Local, and has no effect on a
 * headless service; the annotation is ours and concerns only calls from inside, which
 * that policy does not.
 */
static void parse_keys(struct parse *parse, const cJSON *spec, const cJSON *annotations,
	struct record_service *out)
{
	const cJSON *field = json_array(spec, "topologyKeys", &parse->fault);
	const char *annotation =
		json_string(annotations, "nigh/topology-keys", &parse->fault);
	const char *external = json_string(spec, "externalTrafficPolicy", &parse->fault);
	bool has_field = cJSON_GetArraySize(field) > 0 && !out->headless;
	char *text = has_field ? cJSON_PrintUnformatted(field) : NULL;
	struct topo_keys keys = {0};
	char *error = NULL;

	if (text || annotation)
		error = topo_keys_parse(text ? text : annotation, &keys);
	if (!error && has_field && external && !strcmp(external, "Local"))
		error = arena_xprintf("forbidden with externalTrafficPolicy: Local");
	if (!error) {
		out->keys = copy_keys(parse, &keys);
	} else {
		out->keys_fault = arena_printf(parse->arena, "%s ignored: %s",
			has_field ? "spec.topologyKeys" : "annotation nigh/topology-keys",
			error);
		report_warn(parse->report, "%s: %s", parse->where, out->keys_fault);
	}
	topo_keys_fini(&keys);
	free(error);
	cJSON_free(text);
}

/* An unknown value acts like none, as it does in the controller that writes the hints. */
static const char *parse_distribution(struct parse *parse, const cJSON *spec)
{
	static const char *const known[] = {
		"PreferClose", "PreferSameZone", "PreferSameNode"};
	const char *text = json_string(spec, "trafficDistribution", &parse->fault);
	for (size_t i = 0; text && i < sizeof(known) / sizeof(*known); i++) {
		if (!strcmp(text, known[i]))
			return known[i];
	}
	return NULL;
}

struct record *parse_service(struct parse *parse, const cJSON *object)
{
	struct json_fault *fault = &parse->fault;
	const cJSON *metadata = json_object(object, "metadata", fault);
	const cJSON *labels = json_object(metadata, "labels", fault);
	const cJSON *annotations = json_object(metadata, "annotations", fault);
	const cJSON *spec = json_object(object, "spec", fault);
	const char *type = json_string(spec, "type", fault);
	const char *cluster_ip = json_string(spec, "clusterIP", fault);
	const char *internal = json_string(spec, "internalTrafficPolicy", fault);
	const cJSON *ports = json_array(spec, "ports", fault);
	const cJSON *families = json_array(spec, "ipFamilies", fault);

	struct record_service *service = arena_alloc(parse->arena, 1, sizeof(*service));
	service->foreign =
		(type && !strcmp(type, "ExternalName")) ||
		json_member(labels, "service.kubernetes.io/service-proxy-name");
	service->headless = cluster_ip && !strcmp(cluster_ip, "None");
	service->local = internal && !strcmp(internal, "Local") && !service->headless;
	service->distribution = parse_distribution(parse, spec);
	service->first_family =
		parse_address_type(cJSON_GetStringValue(cJSON_GetArrayItem(families, 0)));
	service->ports = parse_ports(parse, ports, false);
	parse_keys(parse, spec, annotations, service);
	return &service->head;
}

struct record *parse_node(struct parse *parse, const cJSON *object)
{
	const cJSON *metadata = json_object(object, "metadata", &parse->fault);
	struct record_node *node = arena_alloc(parse->arena, 1, sizeof(*node));
	node->labels = parse_labels(parse, metadata, "labels");
	return &node->head;
}
