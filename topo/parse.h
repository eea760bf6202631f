/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From JSON objects to records: one function per kind, and the parts they share. For
 * record.c only.
 *
 * There are two kinds of trouble. What cannot be the output of an API server (endpoints
 * is a string) breaks the object, and with it the file, whose old state is then better
 * than half of the new one. What one endpoint or port says wrongly is skipped with a
 * warning, because the others are still right.
 */
#include <stdbool.h>

#include "topo/json.h"
#include "topo/record.h"

/* The state of one record_parse. */
struct parse {
	struct arena *arena;
	struct topo_report *report;
	struct json_fault fault; /* set when the object is broken */
	const char *where;       /* "items[3]: EndpointSlice shop/orders-x" */
	bool is_live;            /* as record_defaults has it */
	const char *api_version;
};

/* NULL for a slice that no proxy reads: no owner, another proxy's, or of names (FQDN). */
struct record *parse_slice(struct parse *parse, const struct cJSON *object);
struct record *parse_service(struct parse *parse, const struct cJSON *object);
struct record *parse_node(struct parse *parse, const struct cJSON *object);

struct label_map parse_labels(
	struct parse *parse, const struct cJSON *object, const char *name);

/* The names in [{"name": …}, …]; an entry without a name says nothing. */
struct name_list parse_names(
	struct parse *parse, const struct cJSON *hints, const char *name);

/*
 * The TCP ports of a slice or a Service. In a slice kube-proxy ignores an entry without a
 * name or number, and so do we; in a Service no name is "".
 */
struct record_port_list parse_ports(
	struct parse *parse, const struct cJSON *array, bool is_slice);

/* AF_INET, AF_INET6, or 0 for anything else and NULL. */
int parse_address_type(const char *text);

/* Warn about what is skipped: "WHERE: what[i]: text". */
void parse_warn(struct parse *parse, const char *what, size_t i, const char *text);
