/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that the kinds share. */
#include "topo/parse.h"

#include <cjson/cJSON.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

void parse_warn(struct parse *parse, const char *what, size_t i, const char *text)
{
	report_warn(parse->report, "%s: %s[%zu]: %s", parse->where, what, i, text);
}

struct label_map parse_labels(struct parse *parse, const cJSON *object, const char *name)
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

struct name_list parse_names(struct parse *parse, const cJSON *hints, const char *name)
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

struct record_port_list parse_ports(
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
			parse_warn(parse, "ports", i, fault.text);
		else if (is_tcp)
			out.items[out.n_items++] = (struct record_port){
				arena_strdup(parse->arena, name ? name : ""),
				(uint16_t)number};
		free(fault.text);
		i++;
	}
	return out;
}

int parse_address_type(const char *text)
{
	if (text && !strcmp(text, "IPv4"))
		return AF_INET;
	if (text && !strcmp(text, "IPv6"))
		return AF_INET6;
	return 0;
}
