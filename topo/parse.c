/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Kubernetes object to one record. Two kinds of trouble:
 * - what cannot be the output of an API server (endpoints is a string) breaks the object,
 *   and with it the file, whose old state is then better than half of the new one;
 * - what one endpoint or port says wrongly is skipped with a warning, because the others
 *   are still right.
 */
#include <cjson/cJSON.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "topo/address.h"
#include "topo/json.h"
#include "topo/keys.h"
#include "topo/record.h"
#include "topo/store.h"

/* The state of one record_parse. */
struct parse {
	struct arena *arena;
	struct topo_report *report;
	struct json_fault fault;
	const char *where; /* "items[3]: EndpointSlice shop/orders-x" */
	const char *api_version;
};

struct kind_row {
	const char *kind;
	const char *api_versions[2];
	enum record_kind record_kind;
};

/* A Service of another API group (Knative has one) is not ours. */
static const struct kind_row kinds[] = {
	{"EndpointSlice", {"discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"},
		RECORD_SLICE},
	{"Service", {"v1"}, RECORD_SERVICE},
	{"Node", {"v1"}, RECORD_NODE},
};

static const struct kind_row *find_kind(const char *kind, const char *api_version)
{
	for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(*kinds); i++) {
		const struct kind_row *row = &kinds[i];
		if (strcmp(row->kind, kind))
			continue;
		if (!api_version || !strcmp(row->api_versions[0], api_version))
			return row;
		if (row->api_versions[1] && !strcmp(row->api_versions[1], api_version))
			return row;
	}
	return NULL;
}

bool record_identify(
	const cJSON *object, const struct record_defaults *defaults, struct record *out)
{
	struct json_fault ignored = {0};
	const char *kind = json_string(object, "kind", &ignored);
	const char *api_version = json_string(object, "apiVersion", &ignored);
	const struct kind_row *row = find_kind(kind ? kind : defaults->kind,
		api_version ? api_version : defaults->api_version);
	const cJSON *metadata = json_object(object, "metadata", &ignored);
	const char *namespace_ = json_string(metadata, "namespace", &ignored);
	const char *name = json_string(metadata, "name", &ignored);
	free(ignored.text);
	if (!row)
		return false;
	*out = (struct record){.kind = row->record_kind, .name = name ? name : ""};
	out->namespace_ = namespace_ && *namespace_ ? namespace_ : "default";
	if (out->kind == RECORD_NODE)
		out->namespace_ = "";
	return true;
}

static void warn(struct parse *parse, const char *what, size_t i, const char *text)
{
	report_warn(parse->report, "%s: %s[%zu]: %s", parse->where, what, i, text);
}

static struct label_map parse_labels(
	struct parse *parse, const cJSON *object, const char *name)
{
	const cJSON *map = json_object(object, name, &parse->fault);
	struct label_map out = {0};
	const cJSON *item;
	if (!map)
		return out;
	out.items = arena_alloc(
		parse->arena, (size_t)cJSON_GetArraySize(map), sizeof(*out.items));
	cJSON_ArrayForEach(item, map)
	{
		if (!cJSON_IsString(item)) {
			json_set_fault(&parse->fault, "%s[\"%.64s\"] is not a string",
				name, item->string);
			break;
		}
		out.items[out.n_items].key = arena_strdup(parse->arena, item->string);
		out.items[out.n_items++].value =
			arena_strdup(parse->arena, item->valuestring);
	}
	return out;
}

/* The names in [{"name": …}, …]; an entry without a name says nothing. */
static struct name_list parse_hints(
	struct parse *parse, const cJSON *hints, const char *name)
{
	const cJSON *array = json_array(hints, name, &parse->fault);
	struct name_list out = {0};
	const cJSON *item;
	if (!array)
		return out;
	out.items = arena_alloc(
		parse->arena, (size_t)cJSON_GetArraySize(array), sizeof(*out.items));
	cJSON_ArrayForEach(item, array)
	{
		const char *hint = json_string(item, "name", &parse->fault);
		if (hint)
			out.items[out.n_items++] = arena_strdup(parse->arena, hint);
	}
	return out;
}

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
	if (!is_beta)
		return;
	if (!out->node)
		out->node = label_map_find(&out->topology, TOPO_LABEL_HOSTNAME);
	if (!out->zone)
		out->zone = label_map_find(&out->topology, TOPO_LABEL_ZONE);
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
	out->zone_hints = parse_hints(parse, hints, "forZones");
	out->node_hints = parse_hints(parse, hints, "forNodes");
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
			warn(parse, "endpoints", i, parse->fault.text);
		free(parse->fault.text);
		parse->fault.text = NULL;
		i++;
	}
}

/*
 * The TCP ports of a slice or a Service. In a slice kube-proxy ignores an entry without a
 * name or number, and so do we; in a Service no name is "".
 */
static struct record_port_list parse_ports(
	struct parse *parse, const cJSON *array, bool is_slice)
{
	struct record_port_list out = {0};
	const cJSON *item;
	size_t i = 0;
	if (!array)
		return out;
	out.items = arena_alloc(
		parse->arena, (size_t)cJSON_GetArraySize(array), sizeof(*out.items));
	cJSON_ArrayForEach(item, array)
	{
		struct json_fault fault = {0};
		const char *name = json_string(item, "name", &fault);
		const char *protocol = json_string(item, "protocol", &fault);
		unsigned number = json_port(item, "port", &fault);
		bool is_tcp = !protocol || !strcmp(protocol, "TCP");
		if (is_tcp && is_slice && !name)
			json_set_fault(&fault, "ignored, as kube-proxy does, because it "
					       "has no name (\"\" is one)");
		if (is_tcp && number == 0)
			json_set_fault(&fault, "ignored, because it has no number");
		if (fault.text)
			warn(parse, "ports", i, fault.text);
		else if (is_tcp)
			out.items[out.n_items++] = (struct record_port){
				arena_strdup(parse->arena, name ? name : ""),
				(uint16_t)number};
		free(fault.text);
		i++;
	}
	return out;
}

static int parse_address_type(const char *text)
{
	if (text && !strcmp(text, "IPv4"))
		return AF_INET;
	if (text && !strcmp(text, "IPv6"))
		return AF_INET6;
	return 0;
}

/* NULL for a slice that no proxy reads: no owner, another proxy's, or of names (FQDN). */
static struct record *parse_slice(struct parse *parse, const cJSON *object)
{
	struct json_fault *fault = &parse->fault;
	const cJSON *metadata = json_object(object, "metadata", fault);
	const cJSON *labels = json_object(metadata, "labels", fault);
	const char *service = json_string(labels, "kubernetes.io/service-name", fault);
	int family = parse_address_type(json_string(object, "addressType", fault));
	const cJSON *endpoints = json_array(object, "endpoints", fault);
	const cJSON *ports = json_array(object, "ports", fault);
	if (fault->text || !service || !*service || family == 0 ||
		json_member(labels, "service.kubernetes.io/service-proxy-name"))
		return NULL;

	struct record_slice *slice = arena_alloc(parse->arena, 1, sizeof(*slice));
	slice->service = arena_strdup(parse->arena, service);
	slice->family = family;
	slice->headless = json_member(labels, "service.kubernetes.io/headless") != NULL;
	slice->ports = parse_ports(parse, ports, true);
	parse_endpoints(parse, endpoints, slice);
	return &slice->head;
}

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
 * field is forbidden together with externalTrafficPolicy: Local; the annotation is ours
 * and concerns only calls from inside, which that policy does not.
 */
static void parse_keys(struct parse *parse, const cJSON *spec, const cJSON *annotations,
	struct record_service *out)
{
	const cJSON *field = json_array(spec, "topologyKeys", &parse->fault);
	const char *annotation =
		json_string(annotations, "nigh/topology-keys", &parse->fault);
	const char *external = json_string(spec, "externalTrafficPolicy", &parse->fault);
	bool has_field = cJSON_GetArraySize(field) > 0;
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
	free(text);
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

static struct record *parse_service(struct parse *parse, const cJSON *object)
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

static struct record *parse_node(struct parse *parse, const cJSON *object)
{
	const cJSON *metadata = json_object(object, "metadata", &parse->fault);
	struct record_node *node = arena_alloc(parse->arena, 1, sizeof(*node));
	node->labels = parse_labels(parse, metadata, "labels");
	return &node->head;
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
	struct parse parse = {.arena = &arena, .report = report, .where = where};
	struct json_fault ignored = {0};
	struct record head;
	*fault = NULL;
	if (!record_identify(object, defaults, &head))
		return NULL;
	parse.api_version = json_string(object, "apiVersion", &ignored);
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
	return order ? order : strcmp(a->name, b->name);
}

const char *label_map_find(const struct label_map *map, const char *key)
{
	for (size_t i = 0; i < map->n_items; i++) {
		if (!strcmp(map->items[i].key, key))
			return map->items[i].value;
	}
	return NULL;
}
