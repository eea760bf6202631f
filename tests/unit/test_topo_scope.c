/* SPDX-License-Identifier: Apache-2.0 */
/* What a live source does with a store: scopes, watches, and what counts as news. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "topo/record.h"
#include "topo_fixture.h"

#define SLICE_AT(ns, name, service, rest)                                                \
	"{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"" name                     \
	"\",\"namespace\":\"" ns                                                         \
	"\",\"labels\":{\"kubernetes.io/service-name\":\"" service                       \
	"\"}},\"addressType\":\"IPv4\"" rest "}"
#define SLICE(name, service) SLICE_AT("shop", name, service, "")
#define SERVICE(ns, name)                                                                \
	"{\"kind\":\"Service\",\"metadata\":{\"name\":\"" name "\",\"namespace\":\"" ns  \
	"\"}}"
#define NODE(name, labels)                                                               \
	"{\"kind\":\"Node\",\"metadata\":{\"name\":\"" name "\",\"labels\":{" labels "}" \
	"}"                                                                              \
	"}"

static const struct topo_scope orders = {TOPO_SCOPE_SLICES, "shop", "orders"};
static const struct topo_scope other = {TOPO_SCOPE_SLICES, "shop", "other"};
static const struct topo_scope orders_service = {TOPO_SCOPE_SERVICE, "shop", "orders"};
static const struct topo_scope n1 = {TOPO_SCOPE_NODE, "", "n1"};

/* Names of the slices, then "/", services, "/", nodes. */
static const char *names(const struct topo_store *store)
{
	static char out[256];
	*out = '\0';
	for (int kind = 0; kind < RECORD_N_KINDS; kind++) {
		size_t n;
		struct record *const *records =
			topo_store_records(store, (enum record_kind)kind, &n);
		for (size_t i = 0; i < n; i++)
			snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s",
				i ? " " : "", records[i]->name);
		strcat(out, kind < RECORD_N_KINDS - 1 ? "/" : "");
	}
	return out;
}

/* 0 or TOPO_STORE_INVALID. */
static int upsert(struct topo_store *store, const char *json)
{
	struct topo_report report = {0};
	cJSON *object = cJSON_Parse(json);
	cr_assert_not_null(object, "%s", json);
	int result = topo_store_upsert(store, object, &report);
	topo_report_fini(&report);
	cJSON_Delete(object);
	return result;
}

struct scope_row {
	const struct topo_scope *scope;
	const char *json;
	bool has;
};

static const struct scope_row scope_rows[] = {
	{&orders, SLICE("a", "orders"), true},
	{&orders, SLICE("a", "other"), false},
	{&orders, SLICE("a", ""), false},
	{&orders, SLICE_AT("other", "a", "orders", ""), false},
	{&orders, SERVICE("shop", "orders"), false},
	{&orders,
		"{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"orders\","
		"\"namespace\":\"shop\"}}",
		false},
	{&orders, "{\"kind\":\"EndpointSlice\",\"metadata\":{\"labels\":7}}", false},
	{&orders, "{\"kind\":\"EndpointSlice\",\"metadata\":7}", false},
	{&orders, "{\"kind\":\"EndpointSlice\"}", false},
	{&orders, "{}", false},
	{&orders, "7", false},
	{&orders_service, SERVICE("shop", "orders"), true},
	{&orders_service, SERVICE("shop", "Orders"), false},
	{&orders_service, SERVICE("other", "orders"), false},
	{&orders_service, NODE("orders", ""), false},
	{&n1, NODE("n1", ""), true},
	{&n1, "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\",\"namespace\":\"x\"}}",
		true},
	{&n1, NODE("n2", ""), false},
	{&n1, SERVICE("", "n1"), false},
};

Test(scope, has)
{
	for (size_t i = 0; i < sizeof(scope_rows) / sizeof(*scope_rows); i++) {
		cJSON *object = cJSON_Parse(scope_rows[i].json);
		cr_expect_eq(topo_scope_has(scope_rows[i].scope, object),
			scope_rows[i].has, "%s", scope_rows[i].json);
		cJSON_Delete(object);
	}
}

static struct topo_store *filled(void)
{
	static const char *const objects[] = {SLICE("a", "orders"), SLICE("b", "other"),
		SLICE("c", "orders"), SERVICE("shop", "orders"), SERVICE("shop", "other"),
		NODE("n1", ""), NODE("n2", "")};
	struct topo_store *store = topo_store_create();
	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++)
		cr_assert_eq(upsert(store, objects[i]), 0);
	return store;
}

Test(scope, clear)
{
	struct topo_store *store = filled();
	uint64_t version = topo_store_version(store);
	topo_store_clear(store, &orders);
	cr_expect_str_eq(names(store), "b/orders other/n1 n2", "%s", names(store));
	topo_store_clear(store, &orders_service);
	topo_store_clear(store, &n1);
	cr_expect_str_eq(names(store), "b/other/n2", "%s", names(store));
	cr_expect_neq(topo_store_version(store), version);
	version = topo_store_version(store);
	topo_store_clear(store, &n1);
	cr_expect_eq(topo_store_version(store), version);
	topo_store_destroy(store);
}

Test(scope, replace)
{
	struct topo_store *store = filled();
	struct topo_store *fresh = topo_store_create();
	cr_assert_eq(upsert(fresh, SLICE("d", "orders")), 0);
	cr_assert_eq(upsert(fresh, SLICE("a", "orders")), 0);
	cr_assert_eq(upsert(fresh, SLICE("b", "foreign")), 0);
	cr_assert_eq(upsert(fresh, NODE("n9", "")), 0);
	topo_store_replace(store, &orders, fresh);
	cr_expect_str_eq(names(store), "a b d/orders other/n1 n2", "%s", names(store));
	topo_store_replace(store, &orders, topo_store_create());
	cr_expect_str_eq(names(store), "b/orders other/n1 n2", "%s", names(store));
	topo_store_destroy(store);
}

static void remove_object(struct topo_store *store, const char *json)
{
	cJSON *object = cJSON_Parse(json);
	topo_store_delete(store, &other, object);
	cJSON_Delete(object);
}

/* Each scope hears of it by a watch of its own; which one first is chance. */
Test(scope, a_slice_that_passes_to_another)
{
	struct topo_store *store = filled(), *fresh = topo_store_create();
	cr_assert_eq(upsert(store, SLICE("b", "orders")), 0);
	/* both have it, until the other one is told */
	cr_expect_str_eq(names(store), "a b b c/orders other/n1 n2", "%s", names(store));
	cr_assert_eq(upsert(store, SLICE("b", "other")), 0);
	remove_object(store, SLICE("b", "other"));
	cr_expect_str_eq(names(store), "a b c/orders other/n1 n2", "%s", names(store));
	remove_object(store, SLICE("b", "other"));
	topo_store_clear(store, &other);
	cr_expect_str_eq(names(store), "a b c/orders other/n1 n2", "%s", names(store));
	cr_assert_eq(upsert(fresh, SLICE("b", "orders")), 0);
	topo_store_replace(store, &orders, fresh);
	cr_expect_str_eq(names(store), "b/orders other/n1 n2", "%s", names(store));
	topo_store_destroy(store);
}

struct news_row {
	const char *json;
	bool is_news;
};

/* One after another. */
static const struct news_row news_rows[] = {
	{NODE("n1", "\"a\":\"1\",\"b\":\"2\""), true},
	{NODE("n1", "\"b\":\"2\",\"a\":\"1\""), false},
	{"{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\",\"resourceVersion\":\"9\","
	 "\"labels\":{\"a\":\"1\",\"b\":\"2\"}},\"status\":{\"x\":1}}",
		false},
	{NODE("n1", "\"a\":\"1\",\"b\":\"3\""), true},
	{NODE("n1", "\"a\":\"1\""), true},
	{NODE("n1", "\"b\":\"1\""), true},
	{NODE("n2", "\"b\":\"1\""), true},
	{SERVICE("shop", "orders"), true},
	{SLICE("a", "orders"), true},
};

Test(version, news)
{
	struct topo_store *store = topo_store_create();
	for (size_t i = 0; i < sizeof(news_rows) / sizeof(*news_rows); i++) {
		uint64_t before = topo_store_version(store);
		cr_assert_eq(upsert(store, news_rows[i].json), 0);
		cr_expect_eq(topo_store_version(store) != before, news_rows[i].is_news,
			"%zu: %s", i, news_rows[i].json);
	}
	topo_store_destroy(store);
}

/* Other nodes are listed now and then: that alone is no reason for a new snapshot. */
Test(version, of_lists)
{
	struct topo_store *store = topo_store_create();
	struct topo_store *fresh;
	static const struct news_row rows[] = {
		{NODE("n1", "\"a\":\"1\""), true},
		{NODE("n1", "\"a\":\"1\""), false},
		{NODE("n1", "\"a\":\"2\""), true},
		{NODE("n2", "\"a\":\"2\""), true}, /* n1 is gone, and n2 is not ours */
		{NODE("n2", "\"a\":\"2\""), false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t before = topo_store_version(store);
		fresh = topo_store_create();
		cr_assert_eq(upsert(fresh, rows[i].json), 0);
		topo_store_replace(store, &n1, fresh);
		cr_expect_eq(topo_store_version(store) != before, rows[i].is_news,
			"%zu: %s", i, rows[i].json);
	}
	cr_expect_str_eq(names(store), "//", "%s", names(store));
	topo_store_destroy(store);
}

Test(version, of_deletes)
{
	struct topo_store *store = filled();
	cJSON *known = cJSON_Parse(NODE("n1", ""));
	uint64_t version = topo_store_version(store);
	topo_store_delete(store, &n1, known);
	cr_expect_neq(topo_store_version(store), version);
	version = topo_store_version(store);
	topo_store_delete(store, &n1, known);
	cr_expect_eq(topo_store_version(store), version);
	cJSON_Delete(known);
	topo_store_destroy(store);
}

/* A slice that changes its service: the old one's feed may hear of it last. */
Test(scope, delete_of_what_has_moved)
{
	struct topo_store *store = topo_store_create();
	cJSON *before = cJSON_Parse(SLICE("a", "orders"));
	cr_assert_eq(upsert(store, SLICE("a", "orders")), 0);
	cr_assert_eq(upsert(store, SLICE("a", "other")), 0);
	topo_store_delete(store, &orders, before);
	cr_expect_str_eq(names(store), "a//");
	cJSON_Delete(before);
	topo_store_destroy(store);
}

static const char *watches(const struct topo_store *store)
{
	static char out[256];
	size_t n;
	struct record *const *records = topo_store_watches(store, &n);
	*out = '\0';
	for (size_t i = 0; i < n; i++) {
		const struct topo_watch *watch =
			&((const struct record_watch *)records[i])->watch;
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s/%s %s%s%s;",
			watch->namespace_, watch->name,
			watch->problem ? watch->problem : "", watch->settled ? "+" : "",
			watch->has_slices ? "*" : "");
	}
	return out;
}

static bool set_watch(struct topo_store *store, struct topo_watch watch)
{
	uint64_t before = topo_store_version(store);
	topo_store_set_watch(store, &watch);
	return topo_store_version(store) != before;
}

Test(watch, set_and_drop)
{
	struct topo_store *store = topo_store_create();
	char name[] = "orders", problem[] = "away";

	cr_expect(set_watch(
		store, (struct topo_watch){"shop", name, problem, false, false}));
	cr_expect(set_watch(store, (struct topo_watch){"a", "z", NULL, true, true}));
	name[0] = problem[0] = 'x'; /* they are copies */
	cr_expect_str_eq(
		watches(store), "a/z +*;shop/orders away;", "%s", watches(store));
	cr_expect_not(set_watch(
		store, (struct topo_watch){"shop", "orders", "away", false, false}));
	cr_expect(set_watch(
		store, (struct topo_watch){"shop", "orders", "here", false, false}));
	cr_expect(set_watch(
		store, (struct topo_watch){"shop", "orders", NULL, false, false}));
	cr_expect(set_watch(
		store, (struct topo_watch){"shop", "orders", NULL, true, false}));
	cr_expect(set_watch(
		store, (struct topo_watch){"shop", "orders", NULL, true, true}));
	cr_expect_str_eq(watches(store), "a/z +*;shop/orders +*;", "%s", watches(store));
	topo_store_drop_watch(store, "shop", "z");
	topo_store_drop_watch(store, "a", "z");
	cr_expect_str_eq(watches(store), "shop/orders +*;", "%s", watches(store));
	topo_store_destroy(store);
}

/* What no API server stores is refused, and the old object stays. */
Test(upsert, of_nonsense)
{
	static const char *const broken[] = {
		SLICE_AT("shop", "a", "orders", ",\"endpoints\":7"),
		SLICE_AT("shop", "a", "orders", ",\"ports\":{}"),
		SLICE_AT("shop", "a", "orders", ",\"endpoints\":[7]"),
		SLICE_AT("shop", "a", "orders",
			",\"endpoints\":[{\"addresses\":[\"10.0.0.256\"]},{}]"),
		SLICE_AT("shop", "a", "orders", ",\"addressType\":null"),
		SLICE_AT("shop", "a", "orders", ",\"addressType\":7"),
		SLICE_AT("shop", "", "orders", ""),
	};
	static const char *const fine[] = {
		SLICE_AT("shop", "a", "orders", ",\"endpoints\":null,\"ports\":null"),
		SLICE_AT("shop", "a", "orders", ",\"endpoints\":[],\"ports\":[]"),
		SLICE_AT("shop", "a", "orders",
			",\"endpoints\":[{\"addresses\":[\"10.0.0.256\"]},"
			"{\"addresses\":[\"10.0.0.1\"]}]"),
	};
	struct topo_store *store = filled();
	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		uint64_t version = topo_store_version(store);
		cr_expect_eq(
			upsert(store, broken[i]), TOPO_STORE_INVALID, "%s", broken[i]);
		cr_expect_eq(topo_store_version(store), version, "%s", broken[i]);
	}
	for (size_t i = 0; i < sizeof(fine) / sizeof(*fine); i++)
		cr_expect_eq(upsert(store, fine[i]), 0, "%s", fine[i]);
	topo_store_destroy(store);
}
