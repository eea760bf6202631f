/* SPDX-License-Identifier: Apache-2.0 */
#include <cjson/cJSON.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "topo/address.h"
#include "topo/parse.h"

static const char *first_address(struct parse *parse, const cJSON *object)
{
	const cJSON *array = json_array(object, "addresses", &parse->fault);
	const cJSON *first = cJSON_GetArrayItem(array, 0);
	if (!parse->fault.text && !first)
		json_set_fault(&parse->fault, "no address");
	if (first && !cJSON_IsString(first))
		json_set_fault(&parse->fault, "addresses[0] is not a string");
	return cJSON_GetStringValue(first);
}

/*
 * Where the endpoint is. In v1beta1 all of it stands in the map `topology`, in v1 the
 * zone and the node are members and the rest of the map is a relic (deprecatedTopology).
 */
static void parse_place(
	struct parse *parse, const cJSON *object, struct record_endpoint *out)
{
	bool is_beta = parse->api_version && strstr(parse->api_version, "/v1beta1");
	out->topology =
		parse_labels(parse, object, is_beta ? "topology" : "deprecatedTopology");
	out->node = arena_strdup(
		parse->arena, json_string(object, "nodeName", &parse->fault));
	out->zone =
		arena_strdup(parse->arena, json_string(object, "zone", &parse->fault));
	if (is_beta && !out->node)
		out->node = label_map_find(&out->topology, TOPO_LABEL_HOSTNAME);
	if (is_beta && !out->zone)
		out->zone = label_map_find(&out->topology, TOPO_LABEL_ZONE);
	if (out->node && *out->node == '\0')
		out->node = NULL;
}

static void parse_endpoint(
	struct parse *parse, const cJSON *object, int family, struct record_endpoint *out)
{
	struct json_fault *fault = &parse->fault;
	const cJSON *conditions = json_object(object, "conditions", fault);
	const cJSON *hints = json_object(object, "hints", fault);
	const char *text = first_address(parse, object);
	char canonical[INET6_ADDRSTRLEN];

	out->ready = json_bool(conditions, "ready", true, fault);
	out->serving = json_bool(conditions, "serving", true, fault);
	out->terminating = json_bool(conditions, "terminating", false, fault);
	out->zone_hints = parse_names(parse, hints, "forZones");
	out->node_hints = parse_names(parse, hints, "forNodes");
	parse_place(parse, object, out);
	if (fault->text)
		return;
	if (topo_address_parse(text, family, out->ip, canonical))
		out->address = arena_strdup(parse->arena, canonical);
	else
		json_set_fault(fault, "addresses[0] '%.64s' is no %s address", text,
			family == AF_INET ? "IPv4" : "IPv6");
}

static void parse_endpoints(
	struct parse *parse, const cJSON *array, struct record_slice *out)
{
	const cJSON *item;
	size_t i = 0;
	if (!array)
		return;
	out->endpoints = arena_alloc(
		parse->arena, (size_t)cJSON_GetArraySize(array), sizeof(*out->endpoints));
	cJSON_ArrayForEach(item, array)
	{
		struct record_endpoint endpoint = {0};
		if (!cJSON_IsObject(item))
			json_set_fault(&parse->fault, "not an object");
		else
			parse_endpoint(parse, item, out->family, &endpoint);
		if (!parse->fault.text)
			out->endpoints[out->n_endpoints++] = endpoint;
		else
			parse_warn(parse, "endpoints", i, parse->fault.text);
		free(parse->fault.text);
		parse->fault.text = NULL;
		i++;
	}
}

struct record *parse_slice(struct parse *parse, const cJSON *object)
{
	struct json_fault *fault = &parse->fault;
	const cJSON *metadata = json_object(object, "metadata", fault);
	const cJSON *labels = json_object(metadata, "labels", fault);
	const char *service = json_string(labels, "kubernetes.io/service-name", fault);
	int family = parse_address_type(json_string(object, "addressType", fault));
	const cJSON *endpoints = json_array(object, "endpoints", fault);
	const cJSON *ports = json_array(object, "ports", fault);
	if (parse->is_live && service && !json_member(object, "addressType"))
		json_set_fault(fault, "addressType is missing");
	if (fault->text || !service || !*service || family == 0 ||
		json_member(labels, "service.kubernetes.io/service-proxy-name"))
		return NULL;

	struct record_slice *slice = arena_alloc(parse->arena, 1, sizeof(*slice));
	slice->service = arena_strdup(parse->arena, service);
	slice->family = family;
	slice->headless = json_member(labels, "service.kubernetes.io/headless") != NULL;
	slice->ports = parse_ports(parse, ports, true);
	parse_endpoints(parse, endpoints, slice);
	if (parse->is_live && slice->n_endpoints == 0 &&
		cJSON_GetArraySize(endpoints) > 0)
		json_set_fault(fault, "none of its endpoints can be used");
	return &slice->head;
}
