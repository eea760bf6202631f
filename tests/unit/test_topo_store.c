/* SPDX-License-Identifier: Apache-2.0 */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "topo_fixture.h"

#define META(name) "\"metadata\":{\"name\":\"" name "\",\"namespace\":\"shop\"}"
#define OWNED(name)                                                                      \
	"\"metadata\":{\"name\":\"" name "\",\"namespace\":\"shop\","                    \
	"\"labels\":{\"kubernetes.io/service-name\":\"orders\"}}"
#define SLICE(name, rest)                                                                \
	"{\"kind\":\"EndpointSlice\"," OWNED(name) ",\"addressType\":\"IPv4\"" rest "}"
#define PORTS      ",\"ports\":[{\"name\":\"\",\"port\":8080}]"
#define ADDRESS(a) "{\"addresses\":[\"" a "\"]}"

/* The counts as text, or the error. */
static const char *load_text(struct topo_store *store, const char *json, char out[512])
{
	struct topo_report report = {0};
	if (topo_store_load(store, json, strlen(json), &report) == 0) {
		struct topo_store_counts counts = topo_store_count(store);
		snprintf(out, 512, "%zu %zu %zu %zu, %zu warnings", counts.n_slices,
			counts.n_services, counts.n_nodes, counts.n_endpoints,
			report.n_warnings);
	} else {
		snprintf(out, 512, "%s", report.error);
	}
	topo_report_fini(&report);
	return out;
}

struct load_row {
	const char *json;
	const char *result; /* slices, services, nodes, endpoints; or the error */
};

static const struct load_row load_rows[] = {
	{"{\"kind\":\"List\",\"items\":[]}", "0 0 0 0, 0 warnings"},
	{"{\"kind\":\"List\",\"items\":null}", "0 0 0 0, 0 warnings"},
	{"{\"kind\":\"List\"}", "0 0 0 0, 0 warnings"},
	{"{\"kind\":\"Service\"," META("a") "}", "0 1 0 0, 0 warnings"},
	{"{\"kind\":\"Service\",\"apiVersion\":\"v1\"," META("a") "}",
		"0 1 0 0, 0 warnings"},
	{"{\"kind\":\"Node\"," META("n") "}", "0 0 1 0, 0 warnings"},
	{SLICE("s", ""), "1 0 0 0, 0 warnings"},
	{SLICE("s", ",\"endpoints\":null,\"ports\":null"), "1 0 0 0, 0 warnings"},
	{SLICE("s", PORTS ",\"endpoints\":[" ADDRESS("10.0.0.1") "]"),
		"1 0 0 1, 0 warnings"},
	/* typed lists leave the kind of the items out */
	{"{\"kind\":\"ServiceList\",\"apiVersion\":\"v1\",\"items\":[{" META("a") "}]}",
		"0 1 0 0, 0 warnings"},
	{"{\"kind\":\"NodeList\",\"items\":[{" META("a") "},{" META("b") "}]}",
		"0 0 2 0, 0 warnings"},
	{"{\"kind\":\"EndpointSliceList\",\"apiVersion\":\"discovery.k8s.io/v1\","
	 "\"items\":[{" OWNED("a") ",\"addressType\":\"IPv6\"}]}",
		"1 0 0 0, 0 warnings"},
	/* several documents */
	{"{\"kind\":\"Service\"," META("a") "}{\"kind\":\"Service\"," META("b") "}\n",
		"0 2 0 0, 0 warnings"},
	{"\xef\xbb\xbf---\n{\"kind\":\"Node\"," META("a") "}\n---\n{\"kind\":\"List\"}",
		"0 0 1 0, 0 warnings"},
	/* the same name again replaces */
	{"{\"kind\":\"List\",\"items\":[" SLICE("s", PORTS
		 ",\"endpoints\":[" ADDRESS("10.0.0.1") "]") "," SLICE("s", "") "]}",
		"1 0 0 0, 0 warnings"},
	/* what is not for us */
	{"{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"," META("a") "}]}",
		"0 0 0 0, 0 warnings"},
	{"{\"kind\":\"List\",\"items\":[{\"kind\":\"Service\",\"apiVersion\":"
	 "\"serving.knative.dev/v1\"," META("a") "}]}",
		"0 0 0 0, 0 warnings"},
	{"{\"kind\":\"Pod\"}{\"kind\":\"List\"}", "0 0 0 0, 1 warnings"},
	{"{\"kind\":\"EndpointSlice\"," META("a") ",\"addressType\":\"IPv4\"}",
		"0 0 0 0, 0 warnings"},
	{"{\"kind\":\"EndpointSlice\"," OWNED(
		 "a") ",\"addressType\":\"FQDN\","
		      "\"endpoints\":[{\"addresses\":[\"a.b\"]}]}",
		"0 0 0 0, 0 warnings"},
	/* parts that are skipped */
	{SLICE("s", ",\"endpoints\":[" ADDRESS("x") "," ADDRESS("10.0.0.1") "]"),
		"1 0 0 1, 1 warnings"},
	{SLICE("s", ",\"endpoints\":[" ADDRESS("fd00::1") "]"), "1 0 0 0, 1 warnings"},
	{SLICE("s", ",\"endpoints\":[{},7,null,{\"addresses\":[]}]"),
		"1 0 0 0, 4 warnings"},
	{SLICE("s", ",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],\"conditions\":"
		    "{\"ready\":\"yes\"}}]"),
		"1 0 0 0, 1 warnings"},
	{SLICE("s", ",\"ports\":[{\"name\":\"a\"},{\"name\":\"b\",\"port\":0},"
		    "{\"name\":\"c\",\"port\":70000},{\"name\":\"d\",\"port\":1e999},"
		    "{\"name\":\"e\",\"port\":80.5},{\"name\":\"f\",\"port\":-1},"
		    "{\"port\":80},{\"name\":\"g\",\"port\":\"80\"},"
		    "{\"name\":\"h\",\"port\":53,\"protocol\":\"UDP\"}]"),
		"1 0 0 0, 8 warnings"},
	/* broken */
	{"", "no EndpointSlice, Service or Node and no List in 0 bytes"},
	{" \n", "no EndpointSlice, Service or Node and no List in 2 bytes"},
	{"{", "line 1, column 1: not complete and correct JSON"},
	{"{\"kind\":\n\"List\",}", "line 2, column 8: not complete and correct JSON"},
	{"apiVersion: v1\nkind: List\n",
		"line 1, column 1: not complete and correct JSON"},
	{"[]", "not a Kubernetes object: it has no kind"},
	{"7", "not a Kubernetes object: it has no kind"},
	{"{}", "not a Kubernetes object: it has no kind"},
	{"{\"kind\":7}", "kind is not a string"},
	{"{\"kind\":\"Pod\"}",
		"no EndpointSlice, Service or Node and no List in 14 bytes"},
	{"{\"kind\":\"List\",\"items\":{}}", "items is not an array"},
	{"{\"kind\":\"List\",\"items\":[7]}", "items[0]: not an object"},
	{"{\"kind\":\"List\",\"items\":[{\"kind\":\"Service\"}]}",
		"items[0]: Service default/: metadata.name is missing"},
	{"{\"kind\":\"List\",\"items\":[{\"kind\":\"Node\",\"apiVersion\":7," META(
		 "n") "}]}",
		"items[0]: Node n: apiVersion is not a string"},
	{SLICE("s", ",\"endpoints\":7"),
		"EndpointSlice shop/s: endpoints is not an array"},
	{SLICE("s", ",\"ports\":{}"), "EndpointSlice shop/s: ports is not an array"},
	{"{\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"},\"spec\":[]}",
		"Service default/a: spec is not an object"},
	{"{\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"labels\":{\"a\":1}}}",
		"Node n: labels[\"a\"] is not a string"},
};

Test(store, loads)
{
	for (size_t i = 0; i < sizeof(load_rows) / sizeof(*load_rows); i++) {
		char text[512];
		struct topo_store *store = topo_store_create();
		cr_expect_str_eq(load_text(store, load_rows[i].json, text),
			load_rows[i].result, "%s\n-> %s", load_rows[i].json, text);
		topo_store_destroy(store);
	}
}

Test(store, broken_text_keeps_the_old_state)
{
	char text[512];
	struct topo_store *store = fixture_load("{\"kind\":\"Service\"," META("a") "}");
	load_text(store,
		"{\"kind\":\"List\",\"items\":[{\"kind\":\"Node\"," META("n") "}", text);
	cr_expect(strstr(text, "JSON"), "%s", text);
	cr_expect_eq(topo_store_count(store).n_services, 1);
	cr_expect_eq(topo_store_count(store).n_nodes, 0);
	topo_store_destroy(store);
}

Test(store, a_load_replaces_everything)
{
	char text[512];
	struct topo_store *store = fixture_load("{\"kind\":\"Service\"," META("a") "}");
	cr_expect_str_eq(load_text(store, "{\"kind\":\"Node\"," META("n") "}", text),
		"0 0 1 0, 0 warnings");
	topo_store_destroy(store);
}

Test(store, deep_nesting_is_an_error)
{
	char json[4096];
	char text[512];
	struct topo_store *store = topo_store_create();
	memset(json, '[', sizeof(json) - 1);
	json[sizeof(json) - 1] = '\0';
	cr_expect(strstr(load_text(store, json, text), "not complete and correct JSON"));
	topo_store_destroy(store);
}

Test(store, warnings_name_the_place_and_end)
{
	struct topo_report report = {0};
	struct topo_store *store = topo_store_create();
	char *json = NULL;
	size_t len;
	FILE *out = open_memstream(&json, &len);
	fprintf(out,
		"{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"},{\"kind\":"
		"\"EndpointSlice\"," OWNED("orders-x") ",\"addressType\":\"IPv4\","
						       "\"endpoints\":[" ADDRESS("foo"));
	for (int i = 0; i < 99; i++)
		fprintf(out, "," ADDRESS("1.2.3"));
	fprintf(out, "]}]}");
	fclose(out);
	cr_expect_eq(topo_store_load(store, json, len, &report), 0);
	cr_expect_str_eq(report.warnings[0],
		"items[1]: EndpointSlice shop/orders-x: endpoints[0]: "
		"addresses[0] 'foo' is no IPv4 address");
	cr_expect_eq(report.n_warnings, 32);
	cr_expect_eq(report.n_left_out, 68);
	topo_report_fini(&report);
	topo_store_destroy(store);
	free(json);
}

static int upsert_text(struct topo_store *store, const char *json)
{
	struct topo_report report = {0};
	cJSON *object = cJSON_Parse(json);
	int result = topo_store_upsert(store, object, &report);
	cr_expect_eq(report.error != NULL, result != 0);
	topo_report_fini(&report);
	cJSON_Delete(object);
	return result;
}

Test(store, upsert_and_delete_one_object)
{
	struct topo_store *store = topo_store_create();
	cr_expect_eq(upsert_text(store, SLICE("b", "")), 0);
	cr_expect_eq(upsert_text(store, SLICE("a", "")), 0);
	cr_expect_eq(upsert_text(store, SLICE("c", "")), 0);
	cr_expect_eq(
		upsert_text(store, SLICE("b", ",\"endpoints\":[" ADDRESS("1.2.3.4") "]")),
		0);
	cr_expect_eq(topo_store_count(store).n_slices, 3);
	cr_expect_eq(topo_store_count(store).n_endpoints, 1);
	/* A broken one changes nothing. */
	cr_expect_eq(
		upsert_text(store, SLICE("b", ",\"endpoints\":7")), TOPO_STORE_INVALID);
	cr_expect_eq(topo_store_count(store).n_endpoints, 1);
	/* One that lost its owner is nobody's: whose it was is told that it is deleted.
	 */
	cr_expect_eq(upsert_text(store, "{\"kind\":\"EndpointSlice\"," META("c") "}"), 0);
	cr_expect_eq(topo_store_count(store).n_slices, 3);

	const struct topo_scope scope = {TOPO_SCOPE_SLICES, "shop", "orders"};
	cJSON *object = cJSON_Parse(SLICE("b", ""));
	topo_store_delete(store, &scope, object);
	topo_store_delete(store, &scope, object);
	cJSON_Delete(object);
	cr_expect_eq(topo_store_count(store).n_slices, 2);
	cr_expect_eq(topo_store_count(store).n_endpoints, 0);
	topo_store_destroy(store);
}

/* Any bytes may come: nothing may crash, and a failed load must leave the store alone. */
Test(store, random_damage)
{
	static const char bytes[] = "{}[]\",:0-9.eE\\nutfl \x01\xff";
	char *json = NULL;
	size_t len;
	FILE *out = open_memstream(&json, &len);
	fprintf(out, "{\"kind\":\"List\",\"items\":[{\"kind\":\"Service\",\"metadata\":{"
		     "\"name\":\"orders\",\"namespace\":\"shop\"},\"spec\":{\"ports\":["
		     "{\"port\":80,\"name\":\"http\"}],\"topologyKeys\":[\"a/b\",\"*\"],"
		     "\"ipFamilies\":[\"IPv4\"]}},");
	fixture_print_slice(out, "orders-1", "1:r:a1:a:z=a+b:n=a1 2:s:b1:b 3:n:-:-:z=");
	fprintf(out, ",{\"kind\":\"Node\",\"metadata\":{\"name\":\"a1\",\"labels\":{"
		     "\"topology.kubernetes.io/region\":\"r\"}}}]}");
	fclose(out);
	struct topo_store *store = fixture_load(json);
	char *damaged = malloc(len + 1);
	unsigned seed = 1;
	for (int round = 0; round < 5000; round++) {
		struct topo_report report = {0};
		struct topo_self self = {.node_name = "a1"};
		struct topo_policy policy = fixture_policy();
		memcpy(damaged, json, len + 1);
		for (int n = rand_r(&seed) % 4; n >= 0; n--)
			damaged[(size_t)rand_r(&seed) % len] =
				bytes[(size_t)rand_r(&seed) % (sizeof(bytes) - 1)];
		size_t n_bytes = round % 8 ? len : (size_t)rand_r(&seed) % len;
		if (topo_store_load(store, damaged, n_bytes, &report) == 0)
			topo_unref(topo_build(store, &self, &policy));
		topo_report_fini(&report);
	}
	free(damaged);
	free(json);
	topo_store_destroy(store);
}
