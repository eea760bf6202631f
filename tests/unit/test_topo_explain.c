/* SPDX-License-Identifier: Apache-2.0 */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "topo/explain.h"
#include "topo_fixture.h"

/* What one call prints; both texts are for free(). */
struct output {
	enum explain_result result;
	char *out;
	char *err;
};

static struct output explain(const struct topo *topo, const char *argument, bool json)
{
	struct output output = {0};
	struct topo_policy policy = fixture_policy();
	size_t n_out;
	size_t n_err;
	struct explain_settings settings = {
		.out = open_memstream(&output.out, &n_out),
		.err = open_memstream(&output.err, &n_err),
		.json = json,
	};
	output.result = explain_print(topo, &policy, argument, &settings);
	fclose(settings.out);
	fclose(settings.err);
	return output;
}

static void output_fini(struct output *output)
{
	free(output->out);
	free(output->err);
}

/* orders as its two ports, orders-db with nothing ready. */
static struct topo *make_topo(void)
{
	char *json = NULL;
	size_t len;
	FILE *out = open_memstream(&json, &len);
	fprintf(out,
		"{\"kind\":\"Service\",\"metadata\":{\"name\":\"orders\",\"namespace\":"
		"\"shop\"},\"spec\":{\"ports\":[{\"name\":\"http\",\"port\":8000},"
		"{\"name\":\"grpc\",\"port\":9000}]}}"
		"{\"kind\":\"Service\",\"metadata\":{\"name\":\"orders-db\","
		"\"namespace\":"
		"\"shop\"},\"spec\":{\"ports\":[{\"port\":5432}]}}");
	fixture_print_slice(out, "a", "1:r:a1:a 2:u:b1:- 3:s:-:b 4:r:b1:b");
	fclose(out);
	struct topo *topo = fixture_topo(json, "a1/a");
	free(json);
	return topo;
}

Test(explain, json)
{
	struct topo *topo = make_topo();
	struct output output = explain(topo, "orders:8000", true);
	cJSON *got = cJSON_Parse(output.out);
	cJSON *want = cJSON_Parse(
		"{\"service\":\"shop/orders\",\"port\":8000,\"mode\":\"defaultKeys\","
		"\"domain\":\"kubernetes.io/hostname=a1\",\"reason\":"
		"\"kubernetes.io/hostname=a1 is the first of the keys "
		"kubernetes.io/hostname, topology.kubernetes.io/zone, * that finds an "
		"endpoint\",\"endpoints\":["
		"{\"address\":\"10.0.0.1\",\"port\":8080,\"node\":\"a1\",\"zone\":\"a\","
		"\"state\":\"ready\",\"chosen\":true,\"why\":\"in "
		"kubernetes.io/hostname=a1\"},"
		"{\"address\":\"10.0.0.4\",\"port\":8080,\"node\":\"b1\",\"zone\":\"b\","
		"\"state\":\"ready\",\"chosen\":false,\"why\":\"any; only when none of "
		"kubernetes.io/hostname=a1 can be connected\"},"
		"{\"address\":\"10.0.0.2\",\"port\":8080,\"node\":\"b1\",\"zone\":null,"
		"\"state\":\"unready\",\"chosen\":false,\"why\":\"not ready\"},"
		"{\"address\":\"10.0.0.3\",\"port\":8080,\"node\":null,\"zone\":\"b\","
		"\"state\":\"serving\",\"chosen\":false,\"why\":\"terminating, and "
		"others "
		"are ready\"}]}");
	cr_expect_eq(output.result, EXPLAIN_CHOSEN);
	cr_expect(cJSON_Compare(got, want, true), "%s", output.out);
	cJSON_Delete(got);
	cJSON_Delete(want);
	output_fini(&output);
	topo_unref(topo);
}

Test(explain, text)
{
	struct topo *topo = make_topo();
	struct output output = explain(topo, "orders.shop.svc:http", false);
	cr_expect_eq(output.result, EXPLAIN_CHOSEN);
	cr_expect(strstr(output.out, "service  shop/orders:8000 (http)\n"
				     "mode     defaultKeys\n"
				     "domain   kubernetes.io/hostname=a1\n"),
		"%s", output.out);
	cr_expect(strstr(output.out, "chosen   1 of 4 endpoints\n"), "%s", output.out);
	cr_expect(strstr(output.out, "\n * 10.0.0.1:8080  a1    a     ready        in "
				     "kubernetes.io/hostname=a1\n"),
		"%s", output.out);
	cr_expect(strstr(output.out,
			  "\n   10.0.0.2:8080  b1    -     unready      not ready\n"),
		"%s", output.out);
	output_fini(&output);
	topo_unref(topo);
}

Test(explain, results)
{
	static const struct {
		const char *argument;
		enum explain_result result;
		const char *text; /* a part of out or err */
	} rows[] = {
		{"orders-db", EXPLAIN_NONE, "it has no endpoints"},
		{"shop/orders-db", EXPLAIN_NONE, "domain   none"},
		{"orders.shop.svc.cluster.local.:8000", EXPLAIN_CHOSEN,
			"chosen   1 of 4"},
		{"SHOP/Orders:http", EXPLAIN_CHOSEN, "chosen   1 of 4"},
		{"order:80", EXPLAIN_NONE,
			"service shop/order is not known; near names: shop/orders\n"},
		{"nonsense", EXPLAIN_NONE, "service shop/nonsense is not known\n"},
		{"orders", EXPLAIN_USAGE,
			"which port of service shop/orders? Its ports: "
			"8000 (http), 9000 (grpc)\n"},
		{"orders:81", EXPLAIN_NONE, "has no port 81; its ports: 8000 (http)"},
		{"orders:", EXPLAIN_USAGE, "'orders:' is no SERVICE[:PORT]"},
		{"orders:0", EXPLAIN_USAGE, "is no SERVICE[:PORT]"},
		{"orders:65535", EXPLAIN_NONE, "has no port 65535"},
		{"orders:65536", EXPLAIN_USAGE, "is no SERVICE[:PORT]"},
		{"orders:99999999999999999999", EXPLAIN_USAGE, "is no SERVICE[:PORT]"},
		{"orders:-http", EXPLAIN_USAGE, "is no SERVICE[:PORT]"},
		{"http://orders", EXPLAIN_USAGE, "is no SERVICE[:PORT]"},
		{"", EXPLAIN_USAGE, "is no SERVICE[:PORT]"},
		{"10.0.0.1:80", EXPLAIN_USAGE, "is no SERVICE[:PORT]"},
		{"a/b/c", EXPLAIN_USAGE, "is no SERVICE[:PORT]"},
	};
	struct topo *topo = make_topo();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct output output = explain(topo, rows[i].argument, false);
		cr_expect_eq(output.result, rows[i].result, "%s: %d", rows[i].argument,
			(int)output.result);
		cr_expect(strstr(output.out, rows[i].text) ||
				  strstr(output.err, rows[i].text),
			"%s: %s%s", rows[i].argument, output.out, output.err);
		output_fini(&output);
	}
	topo_unref(topo);
}
