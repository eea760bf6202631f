/* SPDX-License-Identifier: Apache-2.0 */
#include "topo_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *conditions_of(char state)
{
	switch (state) {
	case 'r':
		return "{\"ready\":true,\"serving\":true,\"terminating\":false}";
	case 'u':
		return "{\"ready\":false,\"serving\":false,\"terminating\":false}";
	case 's':
		return "{\"ready\":false,\"serving\":true,\"terminating\":true}";
	case 't':
		return "{\"ready\":false,\"serving\":false,\"terminating\":true}";
	case 'p':
		return "{\"ready\":true,\"serving\":true,\"terminating\":true}";
	case 'v':
		return "{\"ready\":false,\"serving\":true,\"terminating\":false}";
	default:
		return "{}";
	}
}

static void print_hints(FILE *out, const char *member, char *names)
{
	const char *comma = "";
	fprintf(out, "\"%s\":[", member);
	for (char *name = strtok_r(names, "+", &names); name;
		name = strtok_r(NULL, "+", &names)) {
		fprintf(out, "%s{\"name\":\"%s\"}", comma, name);
		comma = ",";
	}
	fprintf(out, "]");
}

static void print_endpoint(FILE *out, char *text)
{
	char *parts[6] = {0};
	size_t n_parts = 0;
	for (char *part; n_parts < 6 && (part = strsep(&text, ":"));)
		parts[n_parts++] = part;
	cr_assert(n_parts >= 4, "an endpoint needs four parts");
	fprintf(out, "{\"addresses\":[\"10.0.0.%s\"],\"conditions\":%s", parts[0],
		conditions_of(*parts[1]));
	if (strcmp(parts[2], "-"))
		fprintf(out, ",\"nodeName\":\"%s\"", parts[2]);
	if (strcmp(parts[3], "-"))
		fprintf(out, ",\"zone\":\"%s\"", parts[3]);
	if (n_parts > 4) {
		fprintf(out, ",\"hints\":{");
		for (size_t i = 4; i < n_parts; i++) {
			fprintf(out, i > 4 ? "," : "");
			print_hints(out, *parts[i] == 'z' ? "forZones" : "forNodes",
				parts[i] + 2);
		}
		fprintf(out, "}");
	}
	fprintf(out, "}");
}

void fixture_print_slice(FILE *out, const char *name, const char *endpoints)
{
	char *copy = strdup(endpoints);
	char *rest = copy;
	const char *comma = "";
	fprintf(out,
		"{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\","
		"\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\",\"labels\":{"
		"\"kubernetes.io/service-name\":\"orders\"}},\"addressType\":\"IPv4\","
		"\"ports\":[{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}],"
		"\"endpoints\":[",
		name);
	for (char *one = strtok_r(rest, " ", &rest); one;
		one = strtok_r(NULL, " ", &rest)) {
		fprintf(out, "%s", comma);
		print_endpoint(out, one);
		comma = ",";
	}
	fprintf(out, "]}");
	free(copy);
}

struct topo_store *fixture_load(const char *json)
{
	struct topo_store *store = topo_store_create();
	struct topo_report report = {0};
	int result = topo_store_load(store, json, strlen(json), &report);
	cr_assert(result == 0, "%s\n%s", report.error, json);
	topo_report_fini(&report);
	return store;
}

struct topo_policy fixture_policy(void)
{
	static const char *const keys[] = {TOPO_LABEL_HOSTNAME, TOPO_LABEL_ZONE, "*"};
	return (struct topo_policy){"shop", "cluster.local", keys, 3};
}

struct topo_self fixture_self(const char *place, char node[64], char zone[64])
{
	cr_assert_eq(sscanf(place, "%63[^/]/%63s", node, zone), 2);
	return (struct topo_self){
		.node_name = strcmp(node, "-") ? node : NULL,
		.zone = strcmp(zone, "-") ? zone : NULL,
	};
}

struct topo *fixture_topo(const char *json, const char *place)
{
	char node[64];
	char zone[64];
	struct topo_self self = fixture_self(place, node, zone);
	struct topo_policy policy = fixture_policy();
	struct topo_store *store = fixture_load(json);
	struct topo *topo = topo_build(store, &self, &policy);
	topo_store_destroy(store);
	return topo;
}

const char *fixture_tiers(const struct topo_port *port, char out[256])
{
	FILE *text = fmemopen(out, 256, "w");
	for (uint32_t i = 0; i < port->n_endpoints; i++) {
		const struct topo_endpoint *endpoint = &port->endpoints[i];
		const char *dot = strrchr(endpoint->address, '.');
		if (endpoint->tier == TOPO_TIER_NEVER)
			break;
		bool is_first = port->tiers[endpoint->tier].first == i;
		fprintf(text, "%s%s",
			i == 0     ? ""
			: is_first ? "|"
				   : " ",
			dot ? dot + 1 : endpoint->address);
	}
	fputc('\0', text);
	fclose(text);
	return out;
}
