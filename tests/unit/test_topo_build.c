/* SPDX-License-Identifier: Apache-2.0 */
/* From objects to a snapshot: union over slices, ports, families, our own place. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "topo_fixture.h"

#define SLICE_OF(service, name, family, rest)                                            \
	"{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"" name                     \
	"\",\"namespace\":\"shop\",\"labels\":{\"kubernetes.io/"                         \
	"service-name\":\"" service "\"}},\"addressType\":\"" family "\"," rest "}"
#define SLICE(name, ports, endpoints)                                                    \
	SLICE_OF("orders", name, "IPv4",                                                 \
		"\"ports\":[" ports "],\"endpoints\":[" endpoints "]")
#define SERVICE(spec)                                                                    \
	"{\"kind\":\"Service\",\"metadata\":{\"name\":\"orders\",\"namespace\":"         \
	"\"shop\"},"                                                                     \
	"\"spec\":{" spec "}}"
#define HTTP  "{\"name\":\"http\",\"port\":8080}"
#define AT(a) "{\"addresses\":[\"" a "\"]}"
#define ENDING(a)                                                                        \
	"{\"addresses\":[\"" a                                                           \
	"\"],\"conditions\":{\"ready\":false,\"terminating\":true}}"

static const struct topo_port *find(
	const struct topo *topo, const char *service, const char *port)
{
	const struct topo_service *found = topo_find(topo, "shop", service);
	cr_assert_not_null(found, "%s", service);
	return topo_service_port(found, port);
}

/* "10.0.0.1:8080 ready, …" in the order of the snapshot. */
static const char *list(const struct topo_port *port, char out[512])
{
	FILE *text = fmemopen(out, 512, "w");
	for (uint32_t i = 0; port && i < port->n_endpoints; i++)
		fprintf(text, "%s%s:%u %s", i ? ", " : "", port->endpoints[i].address,
			port->endpoints[i].port,
			topo_state_name(port->endpoints[i].state));
	fputc('\0', text);
	fclose(text);
	return out;
}

struct union_row {
	const char *name;
	const char *json; /* of any number of documents */
	const char *endpoints;
};

static const struct union_row union_rows[] = {
	{"two slices", SLICE("a", HTTP, AT("10.0.0.1")) SLICE("b", HTTP, AT("10.0.0.2")),
		"10.0.0.1:8080 ready, 10.0.0.2:8080 ready"},
	{"in both", SLICE("a", HTTP, AT("10.0.0.1")) SLICE("b", HTTP, AT("10.0.0.1")),
		"10.0.0.1:8080 ready"},
	{"terminating first",
		SLICE("a", HTTP, ENDING("10.0.0.1")) SLICE("b", HTTP, AT("10.0.0.1")),
		"10.0.0.1:8080 ready"},
	{"terminating last",
		SLICE("a", HTTP, AT("10.0.0.1")) SLICE("b", HTTP, ENDING("10.0.0.1")),
		"10.0.0.1:8080 ready"},
	{"unready beats terminating",
		SLICE("a", HTTP, ENDING("10.0.0.1")) SLICE("b", HTTP,
			"{\"addresses\":[\"10.0.0.1\"],\"conditions\":{\"ready\":"
			"false,\"serving\":false}}"),
		"10.0.0.1:8080 unready"},
	{"unready beats ready and terminating",
		SLICE("a", HTTP,
			"{\"addresses\":[\"10.0.0.1\"],\"conditions\":{\"terminating\":"
			"true}}") SLICE("b", HTTP,
			"{\"addresses\":[\"10.0.0.1\"],\"conditions\":{\"ready\":false}"
			"}"),
		"10.0.0.1:8080 unready"},
	{"one address, two numbers",
		SLICE("a", HTTP, AT("10.0.0.1"))
			SLICE("b", "{\"name\":\"http\",\"port\":8081}", AT("10.0.0.1")),
		"10.0.0.1:8080 ready, 10.0.0.1:8081 ready"},
	{"different numbers for one port",
		SLICE("a", HTTP, AT("10.0.0.1"))
			SLICE("b", "{\"name\":\"http\",\"port\":9090}", AT("10.0.0.2")),
		"10.0.0.1:8080 ready, 10.0.0.2:9090 ready"},
	{"other ports do not count",
		SLICE("a", HTTP, AT("10.0.0.1"))
			SLICE("b", "{\"name\":\"grpc\",\"port\":9090}", AT("10.0.0.2")),
		"10.0.0.1:8080 ready"},
	{"null lists",
		SLICE("a", HTTP, AT("10.0.0.1")) SLICE_OF(
			"orders", "b", "IPv4", "\"ports\":null,\"endpoints\":null"),
		"10.0.0.1:8080 ready"},
	{"first address only",
		SLICE("a", HTTP, "{\"addresses\":[\"10.0.0.1\",\"10.0.0.2\"]}"),
		"10.0.0.1:8080 ready"},
	{"lenient and canonical",
		SLICE("a", HTTP,
			AT("010.000.0.09") "," AT("10.0.0.9") "," AT("::ffff:10.0.0.9")),
		"10.0.0.9:8080 ready"},
	{"other service, other namespace",
		SLICE("a", HTTP, AT("10.0.0.1")) SLICE_OF("orders2", "b", "IPv4",
			"\"ports\":[" HTTP "],\"endpoints\":[" AT("10.0.0.2") "]"),
		"10.0.0.1:8080 ready"},
	{"ipv6 only",
		SLICE_OF("orders", "a", "IPv6",
			"\"ports\":[" HTTP "],"
			"\"endpoints\":[" AT("FD00:0::1") "]"),
		"fd00::1:8080 ready"},
	{"states",
		SLICE("a", HTTP,
			"{\"addresses\":[\"10.0.0.1\"],\"conditions\":{\"ready\":null}},"
			"{\"addresses\":[\"10.0.0.2\"],\"conditions\":null},"
			"{\"addresses\":[\"10.0.0.3\"],\"conditions\":{\"ready\":false}},"
			"{\"addresses\":[\"10.0.0.4\"],\"conditions\":{\"ready\":false,"
			"\"terminating\":true}},"
			"{\"addresses\":[\"10.0.0.5\"],\"conditions\":{\"ready\":false,"
			"\"serving\":false,\"terminating\":true}}"),
		"10.0.0.1:8080 ready, 10.0.0.2:8080 ready, 10.0.0.3:8080 unready, "
		"10.0.0.4:8080 serving, 10.0.0.5:8080 terminating"},
	{"last of two equal keys",
		SLICE("a", HTTP,
			"{\"addresses\":[\"10.0.0.1\"],\"addresses\":[\"10.0.0.2\"]}"),
		"10.0.0.2:8080 ready"},
};

Test(build, union_of_slices)
{
	for (size_t i = 0; i < sizeof(union_rows) / sizeof(*union_rows); i++) {
		char text[512];
		struct topo *topo = fixture_topo(union_rows[i].json, "-/-");
		cr_expect_str_eq(list(find(topo, "orders", "http"), text),
			union_rows[i].endpoints, "%s: %s", union_rows[i].name, text);
		topo_unref(topo);
	}
}

struct port_row {
	const char *name;
	const char *json;
	const char *port;
	const char *found; /* "name number", or NULL */
};

#define TWO_SLICE_PORTS                                                                  \
	SLICE("a", HTTP ",{\"name\":\"grpc\",\"port\":9090}", AT("10.0.0.1"))
#define TWO_PORTS                                                                        \
	SERVICE("\"ports\":[{\"name\":\"http\",\"port\":80},{\"name\":\"grpc\","         \
		"\"port\":90},"                                                          \
		"{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\"}]")

static const struct port_row port_rows[] = {
	{"service number", TWO_PORTS TWO_SLICE_PORTS, "80", "http 80"},
	{"second service number", TWO_PORTS TWO_SLICE_PORTS, "90", "grpc 90"},
	{"service port name", TWO_PORTS TWO_SLICE_PORTS, "grpc", "grpc 90"},
	{"not the target number", TWO_PORTS TWO_SLICE_PORTS, "8080", NULL},
	{"not UDP", TWO_PORTS TWO_SLICE_PORTS, "53", NULL},
	{"unknown number", TWO_PORTS TWO_SLICE_PORTS, "81", NULL},
	{"unknown name", TWO_PORTS TWO_SLICE_PORTS, "https", NULL},
	{"leading zeros", TWO_PORTS TWO_SLICE_PORTS, "0080", "http 80"},
	{"too large", TWO_PORTS TWO_SLICE_PORTS, "65616", NULL},
	{"far too large", TWO_PORTS TWO_SLICE_PORTS, "99999999999999999999", NULL},
	{"zero", TWO_PORTS TWO_SLICE_PORTS, "0", NULL},
	{"nothing", TWO_PORTS TWO_SLICE_PORTS, "", NULL},
	{"port without slices", SERVICE("\"ports\":[{\"name\":\"x\",\"port\":1}]"), "1",
		"x 1"},
	{"unnamed",
		SERVICE("\"ports\":[{\"port\":80}]")
			SLICE("a", "{\"name\":\"\",\"port\":8080}", AT("10.0.0.1")),
		"80", " 80"},
	{"slice name", TWO_SLICE_PORTS, "grpc", "grpc 9090"},
	{"slice number", TWO_SLICE_PORTS, "9090", "grpc 9090"},
	{"not the only one", TWO_SLICE_PORTS, "80", NULL},
	{"the only one", SLICE("a", HTTP, AT("10.0.0.1")), "80", "http 8080"},
	{"the only one, by any name", SLICE("a", HTTP, AT("10.0.0.1")), "x", "http 8080"},
	{"number of some slices",
		SLICE("a", HTTP, AT("10.0.0.1")) SLICE("b",
			"{\"name\":\"http\",\"port\":8081},{\"name\":\"x\",\"port\":1}",
			AT("10.0.0.2")),
		"8081", "http 0"},
	{"only one, with a Service object",
		SERVICE("\"ports\":[{\"port\":80}]") SLICE("a", HTTP, AT("10.0.0.1")),
		"8080", NULL},
	{"headless by service number",
		SERVICE("\"clusterIP\":\"None\",\"ports\":[{\"name\":"
			"\"http\",\"port\":80}]") SLICE("a", HTTP, AT("10.0.0.1")),
		"80", "http 80"},
	{"headless by target number",
		SERVICE("\"clusterIP\":\"None\",\"ports\":[{\"name\":"
			"\"http\",\"port\":80}]") SLICE("a", HTTP, AT("10.0.0.1")),
		"8080", "http 80"},
	{"headless without ports",
		SERVICE("\"clusterIP\":\"None\"") SLICE_OF("orders", "a", "IPv4",
			"\"ports\":null,\"endpoints\":[" AT("10.0.0.1") "]"),
		"8080", NULL},
};

Test(build, ports)
{
	for (size_t i = 0; i < sizeof(port_rows) / sizeof(*port_rows); i++) {
		const struct port_row *row = &port_rows[i];
		char text[128] = "";
		struct topo *topo = fixture_topo(row->json, "-/-");
		const struct topo_port *port = find(topo, "orders", row->port);
		if (port)
			snprintf(text, sizeof(text), "%s %u", port->name, port->number);
		cr_expect_str_eq(
			text, row->found ? row->found : "", "%s: %s", row->name, text);
		topo_unref(topo);
	}
}

Test(build, services_that_are_not_ours)
{
	static const char *const specs[] = {
		SERVICE("\"type\":\"ExternalName\",\"externalName\":\"a.b\""),
		"{\"kind\":\"Service\",\"metadata\":{\"name\":\"orders\",\"namespace\":"
		"\"shop\",\"labels\":{\"service.kubernetes.io/"
		"service-proxy-name\":\"x\"}}}",
	};
	for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
		char json[2048];
		snprintf(json, sizeof(json), "%s%s", specs[i],
			SLICE("a", HTTP, AT("10.0.0.1")));
		struct topo *topo = fixture_topo(json, "-/-");
		cr_expect_null(topo_find(topo, "shop", "orders"));
		cr_expect_eq(topo_n_services(topo), 0);
		topo_unref(topo);
	}
}

#define BOTH_FAMILIES                                                                    \
	SLICE("a", HTTP, AT("10.0.0.1"))                                                 \
	SLICE_OF("orders", "b", "IPv6",                                                  \
		"\"ports\":[" HTTP "],\"endpoints\":[" AT("fd00::1") "]")

Test(build, families)
{
	static const struct {
		const char *json;
		const char *chosen;
	} rows[] = {
		{BOTH_FAMILIES, "10.0.0.1"},
		{SERVICE("\"ports\":[{\"name\":\"http\",\"port\":80}]") BOTH_FAMILIES,
			"10.0.0.1"},
		{SERVICE("\"ipFamilies\":[\"IPv6\",\"IPv4\"],\"ports\":[{\"name\":"
			 "\"http\",\"port\":80}]") BOTH_FAMILIES,
			"fd00::1"},
		{SERVICE("\"ipFamilies\":[\"IPv6\"],\"ports\":[{\"name\":\"http\","
			 "\"port\":80}]") SLICE("a", HTTP, AT("10.0.0.1")),
			"10.0.0.1"},
		{SLICE("a", HTTP, "") SLICE_OF("orders", "b", "IPv6",
			 "\"ports\":[" HTTP "],\"endpoints\":[" AT("fd00::1") "]"),
			"fd00::1"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct topo *topo = fixture_topo(rows[i].json, "-/-");
		const struct topo_port *port = find(topo, "orders", "http");
		cr_assert_eq(port->n_tiers, 1, "row %zu", i);
		cr_expect_eq(port->tiers[0].n_endpoints, 1, "row %zu", i);
		cr_expect_str_eq(port->endpoints[0].address, rows[i].chosen,
			"row %zu: %s", i, port->endpoints[0].address);
		for (uint32_t e = 1; e < port->n_endpoints; e++)
			cr_expect(strstr(port->endpoints[e].why, "other address family"));
		topo_unref(topo);
	}
}

Test(build, addresses_are_ready_to_connect)
{
	struct topo *topo = fixture_topo(BOTH_FAMILIES, "-/-");
	const struct topo_port *port = find(topo, "orders", "http");
	char text[INET6_ADDRSTRLEN];
	cr_assert_eq(port->n_endpoints, 2);
	const struct topo_endpoint *v4 = &port->endpoints[0];
	const struct topo_endpoint *v6 = &port->endpoints[1];
	cr_expect_eq(v4->addr.sa.sa_family, AF_INET);
	cr_expect_eq(ntohs(v4->addr.in.sin_port), 8080);
	inet_ntop(AF_INET, &v4->addr.in.sin_addr, text, sizeof(text));
	cr_expect_str_eq(text, "10.0.0.1");
	cr_expect_eq(v6->addr.sa.sa_family, AF_INET6);
	cr_expect_eq(ntohs(v6->addr.in6.sin6_port), 8080);
	inet_ntop(AF_INET6, &v6->addr.in6.sin6_addr, text, sizeof(text));
	cr_expect_str_eq(text, "fd00::1");
	topo_unref(topo);
}

Test(build, v1beta1_topology_map)
{
	struct topo *topo = fixture_topo(
		"{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1beta1\","
		"\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\",\"labels\":{"
		"\"kubernetes.io/service-name\":\"orders\"}},\"addressType\":\"IPv4\","
		"\"ports\":[" HTTP "],\"endpoints\":["
		"{\"addresses\":[\"10.0.0.1\"],\"topology\":{\"kubernetes.io/hostname\":"
		"\"a1\",\"topology.kubernetes.io/zone\":\"a\"}},"
		"{\"addresses\":[\"10.0.0.2\"],\"nodeName\":\"a2\",\"topology\":{"
		"\"kubernetes.io/hostname\":\"host2\",\"topology.kubernetes.io/zone\":"
		"\"a\"}}]}",
		"a2/a");
	const struct topo_port *port = find(topo, "orders", "http");
	cr_expect_str_eq(port->domain, "kubernetes.io/hostname=a2");
	cr_expect_str_eq(port->endpoints[0].address, "10.0.0.2");
	cr_expect_str_eq(port->endpoints[1].node, "a1");
	cr_expect_str_eq(port->endpoints[1].zone, "a");
	cr_expect_eq(port->endpoints[0].proximity, TOPO_SAME_NODE);
	cr_expect_eq(port->endpoints[1].proximity, TOPO_SAME_ZONE);
	topo_unref(topo);
}

#define NODE(name, labels)                                                               \
	"{\"kind\":\"Node\",\"metadata\":{\"name\":\"" name "\",\"labels\":{" labels "}" \
	"}"                                                                              \
	"}"
#define REGION_KEYS                                                                      \
	SERVICE("\"ports\":[{\"name\":\"http\",\"port\":80}],\"topologyKeys\":["         \
		"\"rack\",\"topology.kubernetes.io/region\"]")

/* Region and all other labels are not in a slice of today: Node objects have them. */
Test(build, labels_of_nodes)
{
	struct topo *topo = fixture_topo(
		REGION_KEYS SLICE("a", HTTP,
			"{\"addresses\":[\"10.0.0.1\"],\"nodeName\":\"n1\"},"
			"{\"addresses\":[\"10.0.0.2\"],\"nodeName\":\"n2\"},"
			"{\"addresses\":[\"10.0.0.3\"],\"nodeName\":\"n3\"},"
			"{\"addresses\":[\"10.0.0.4\"]}") NODE("n1",
			"\"rack\":\"7\",\"topology.kubernetes.io/region\":\"r\"")
			NODE("n2", "\"topology.kubernetes.io/region\":\"r\"") NODE("n4",
				"\"rack\":\"7\",\"topology.kubernetes.io/region\":\"r\""),
		"n4/-");
	const struct topo_port *port = find(topo, "orders", "80");
	char tiers[256];
	cr_expect_str_eq(port->domain, "rack=7");
	cr_expect_str_eq(fixture_tiers(port, tiers), "1|2", "%s", tiers);
	cr_expect_eq(port->endpoints[1].proximity, TOPO_SAME_REGION);
	cr_expect_eq(port->endpoints[2].proximity, TOPO_ELSEWHERE);
	topo_unref(topo);
}

#define OWN_RECORD                                                                       \
	SLICE("own", HTTP,                                                               \
		"{\"addresses\":[\"10.0.0.7\"],\"nodeName\":\"old\",\"zone\":\"old\","   \
		"\"conditions\":{\"terminating\":true}},"                                \
		"{\"addresses\":[\"10.0.0.8\"],\"nodeName\":\"n8\",\"zone\":\"z8\"}")    \
	SLICE("own2", "{\"name\":\"x\",\"port\":1}",                                     \
		"{\"addresses\":[\"10.0.0.7\"],\"nodeName\":\"n7\",\"zone\":\"z7\"}")
#define OWN_NODE                                                                         \
	NODE("n7",                                                                       \
		"\"kubernetes.io/hostname\":\"other\",\"topology.kubernetes.io/zone\":"  \
		"\"nz\",\"topology.kubernetes.io/region\":\"nr\"")

static const char *text_of(const char *value)
{
	return value ? value : "-";
}

Test(build, our_own_place)
{
	static const struct topo_label labels[] = {
		{"topology.kubernetes.io/zone", "lz"}, {"rack", ""}};
	static const struct {
		const char *json;
		struct topo_self self;
		const char *node, *zone, *region;
	} rows[] = {
		{OWN_RECORD, {0}, "-", "-", "-"},
		{OWN_RECORD, {.pod_ip = "10.0.0.7"}, "n7", "z7", "-"},
		{OWN_RECORD, {.pod_ip = "10.0.0.9"}, "-", "-", "-"},
		{OWN_RECORD, {.pod_ip = "nonsense"}, "-", "-", "-"},
		{OWN_RECORD OWN_NODE, {.pod_ip = "10.0.0.7"}, "n7", "z7", "nr"},
		{OWN_RECORD OWN_NODE, {.node_name = "n7"}, "n7", "nz", "nr"},
		{OWN_RECORD, {.node_name = "", .zone = "", .pod_ip = "10.0.0.7"}, "n7",
			"z7", "-"},
		{OWN_RECORD OWN_NODE,
			{.node_name = "n7",
				.zone = "cz",
				.region = "cr",
				.pod_ip = "10.0.0.7"},
			"n7", "cz", "cr"},
		{OWN_RECORD, {.labels = labels, .n_labels = 2, .pod_ip = "10.0.0.7"},
			"n7", "lz", "-"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct topo_policy policy = fixture_policy();
		struct topo_store *store = fixture_load(rows[i].json);
		struct topo *topo = topo_build(store, &rows[i].self, &policy);
		topo_store_destroy(store);
		cr_expect_str_eq(text_of(topo_node_name(topo)), rows[i].node,
			"row %zu: %s", i, text_of(topo_node_name(topo)));
		cr_expect_str_eq(text_of(topo_label(topo, TOPO_LABEL_ZONE)), rows[i].zone,
			"row %zu: %s", i, text_of(topo_label(topo, TOPO_LABEL_ZONE)));
		cr_expect_str_eq(text_of(topo_label(topo, TOPO_LABEL_REGION)),
			rows[i].region, "row %zu", i);
		topo_unref(topo);
	}
}

struct host_row {
	const char *host;
	const char *name; /* "namespace/name", or NULL */
};

Test(build, host_names)
{
	static const struct host_row rows[] = {
		{"orders", "shop/orders"},
		{"orders.", "shop/orders"},
		{"ORDERS", "shop/orders"},
		{"orders.Prod", "prod/orders"},
		{"orders.prod.svc", "prod/orders"},
		{"orders.prod.SVC.", "prod/orders"},
		{"orders.prod.svc.cluster.local", "prod/orders"},
		{"Orders.Prod.Svc.Cluster.Local.", "prod/orders"},
		{"orders.prod.svc.cluster", NULL},
		{"orders.prod.svc.cluster.local.com", NULL},
		{"orders.prod.svc.other.local", NULL},
		{"orders.prod.svcx", NULL},
		{"pod-0.orders.prod.svc.cluster.local", NULL},
		{"pod-0.orders.prod.svc", NULL},
		{"pod-0.orders.prod", NULL},
		{"10-0-0-1.prod.pod.cluster.local", NULL},
		{"www.example.com", NULL},
		{"10.0.0.1", NULL},
		{"10.1", NULL},
		{"167837953", NULL},
		{"::1", NULL},
		{"[::1]", NULL},
		{"", NULL},
		{".", NULL},
		{"orders..", NULL},
		{".orders", NULL},
		{"orders..svc", NULL},
		{"or ders", NULL},
		{"or_ders", NULL},
		{"orders:80", NULL},
		{"a23456789012345678901234567890123456789012345678901234567890123",
			"shop/"
			"a2345678901234567890123456789012345678901234567890123456789012"
			"3"},
		{"a234567890123456789012345678901234567890123456789012345678901234",
			NULL},
	};
	struct topo_policy policy = fixture_policy();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct topo_name name;
		char text[200] = "";
		if (topo_parse_host(rows[i].host, strlen(rows[i].host), &policy, &name))
			snprintf(text, sizeof(text), "%s/%s", name.namespace_, name.name);
		cr_expect_str_eq(text, rows[i].name ? rows[i].name : "", "%s: %s",
			rows[i].host, text);
	}
}

Test(build, references)
{
	struct topo *topo = fixture_topo(BOTH_FAMILIES, "-/-");
	cr_expect_eq(topo_ref(topo), topo);
	topo_unref(topo);
	cr_expect_eq(topo_n_services(topo), 1);
	cr_expect_str_eq(topo_service_at(topo, 0)->full_name, "shop/orders");
	topo_unref(topo);
	topo_unref(NULL);
	cr_expect_null(topo_ref(NULL));
}

/* Not a measurement: with anything quadratic in it this would not come to an end. */
Test(build, a_hundred_thousand_endpoints)
{
	char *json = NULL;
	size_t len;
	FILE *out = open_memstream(&json, &len);
	for (int slice = 0; slice < 100; slice++) {
		fprintf(out,
			"{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"s%d\","
			"\"namespace\":\"shop\",\"labels\":{"
			"\"kubernetes.io/service-name\":\"orders\"}},\"addressType\":"
			"\"IPv4\",\"ports\":[" HTTP "],\"endpoints\":[",
			slice);
		for (int i = 0; i < 1000; i++)
			fprintf(out,
				"%s{\"addresses\":[\"10.%d.%d.%d\"],\"nodeName\":"
				"\"n%d\",\"zone\":\"%c\"}",
				i ? "," : "", slice, i / 250, i % 250, i, "abc"[i % 3]);
		fprintf(out, "]}");
	}
	fclose(out);
	struct topo *topo = fixture_topo(json, "n7/b");
	cr_expect_eq(find(topo, "orders", "http")->n_endpoints, 100000);
	cr_expect_eq(find(topo, "orders", "http")->tiers[0].n_endpoints, 100);
	topo_unref(topo);
	free(json);
}
