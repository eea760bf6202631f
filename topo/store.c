/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sorted array of records per kind. Sorted, because a snapshot is then always built
 * in the same order, whatever order the objects came in; kubectl prints them sorted, so
 * loading a file only appends.
 */
#include "topo/store.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/json.h"
#include "topo/record.h"

/* Enough to see the pattern; a broken file can have one for each endpoint. */
#define WARNINGS_MAX 32

struct table {
	struct record **rows;
	size_t n_rows;
	size_t n_allocated;
};

struct topo_store {
	struct table tables[RECORD_N_KINDS];
	struct table watches;
	uint64_t records_version, watches_version;
};

/* Index of the first row that is not before key. */
static size_t table_position(const struct table *table, const struct record *key)
{
	size_t low = 0;
	size_t high = table->n_rows;
	if (high > 0 && record_compare(table->rows[high - 1], key) < 0)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (record_compare(table->rows[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool table_has_at(
	const struct table *table, size_t position, const struct record *key)
{
	return position < table->n_rows &&
	       record_compare(table->rows[position], key) == 0;
}

static bool is_same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool has_same_labels(const struct record *a, const struct record *b)
{
	const struct label_map *x = &((const struct record_node *)a)->labels;
	const struct label_map *y = &((const struct record_node *)b)->labels;
	bool same = x->n_items == y->n_items;
	for (size_t i = 0; i < x->n_items && same; i++) {
		const char *other = label_map_find(y, x->items[i].key);
		same = other && !strcmp(other, x->items[i].value);
	}
	return same;
}

static bool says_the_same(const struct record *a, const struct record *b)
{
	const struct topo_watch *x = &((const struct record_watch *)a)->watch;
	const struct topo_watch *y = &((const struct record_watch *)b)->watch;
	return x->settled == y->settled && x->has_slices == y->has_slices &&
	       is_same_text(x->problem, y->problem);
}

/* A kubelet writes its Node all the time, and its labels hardly ever. */
static bool is_news(const struct topo_store *store, const struct table *table,
	const struct record *old, const struct record *record)
{
	if (table == &store->tables[RECORD_NODE])
		return !has_same_labels(old, record);
	return table != &store->watches || !says_the_same(old, record);
}

static uint64_t *version_of(struct topo_store *store, const struct table *table)
{
	return table == &store->watches ? &store->watches_version
					: &store->records_version;
}

static void table_insert(struct table *table, size_t position, struct record *record)
{
	if (table->n_rows == table->n_allocated) {
		table->n_allocated = table->n_allocated ? table->n_allocated * 2 : 16;
		table->rows = arena_xrealloc(
			table->rows, table->n_allocated, sizeof(*table->rows));
	}
	memmove(table->rows + position + 1, table->rows + position,
		(table->n_rows - position) * sizeof(*table->rows));
	table->rows[position] = record;
	table->n_rows++;
}

/* Takes the record over. */
static void store_put(
	struct topo_store *store, struct table *table, struct record *record)
{
	size_t position = table_position(table, record);
	if (!table_has_at(table, position, record)) {
		++*version_of(store, table);
		table_insert(table, position, record);
		return;
	}
	*version_of(store, table) += is_news(store, table, table->rows[position], record);
	record_destroy(table->rows[position]);
	table->rows[position] = record;
}

static void store_remove(
	struct topo_store *store, struct table *table, const struct record *key)
{
	size_t position = table_position(table, key);
	if (!table_has_at(table, position, key))
		return;
	++*version_of(store, table);
	record_destroy(table->rows[position]);
	table->n_rows--;
	memmove(table->rows + position, table->rows + position + 1,
		(table->n_rows - position) * sizeof(*table->rows));
}

static void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->n_rows; i++)
		record_destroy(table->rows[i]);
	free(table->rows);
}

static void store_fini(struct topo_store *store)
{
	for (size_t kind = 0; kind < RECORD_N_KINDS; kind++)
		table_fini(&store->tables[kind]);
	table_fini(&store->watches);
	*store = (struct topo_store){0};
}

struct topo_store *topo_store_create(void)
{
	struct topo_store *store = arena_xrealloc(NULL, 1, sizeof(*store));
	*store = (struct topo_store){0};
	return store;
}

void topo_store_destroy(struct topo_store *store)
{
	if (!store)
		return;
	store_fini(store);
	free(store);
}

/* NULL, or what is wrong with the object, for free(). */
static char *put_object(struct topo_store *store, const cJSON *object,
	const struct record_defaults *defaults, const char *place,
	struct topo_report *report)
{
	struct record head;
	char *fault;
	if (!record_identify(object, defaults, &head))
		return NULL;
	char *where =
		arena_xprintf("%s%s %.64s%s%.253s", place, record_kind_name(head.kind),
			head.namespace_, *head.namespace_ ? "/" : "", head.name);
	struct record *record = record_parse(object, defaults, where, report, &fault);
	if (record) {
		store_put(store, &store->tables[head.kind], record);
	} else if (fault) {
		char *text = arena_xprintf("%s: %s", where, fault);
		free(fault);
		fault = text;
	} else {
		/* It was ours and is ignored from now on (its owner label went). */
		store_remove(store, &store->tables[head.kind], &head);
	}
	free(where);
	return fault;
}

static char *put_list(struct topo_store *store, const cJSON *list,
	const struct record_defaults *defaults, struct topo_report *report)
{
	struct json_fault fault = {0};
	const cJSON *items = json_array(list, "items", &fault);
	const cJSON *item;
	size_t i = 0;
	cJSON_ArrayForEach(item, items)
	{
		char place[40];
		snprintf(place, sizeof(place), "items[%zu]: ", i++);
		if (!cJSON_IsObject(item))
			json_set_fault(&fault, "%snot an object", place);
		if (!fault.text)
			fault.text = put_object(store, item, defaults, place, report);
		if (fault.text)
			break;
	}
	return fault.text;
}

/* Put what one document holds. *n_ours counts documents that may hold what we want. */
static char *put_document(struct topo_store *store, const cJSON *document,
	struct topo_report *report, size_t *n_ours)
{
	static const char *const list_kinds[] = {
		"List", "EndpointSliceList", "ServiceList", "NodeList"};
	static const char *const item_kinds[] = {
		NULL, "EndpointSlice", "Service", "Node"};
	struct json_fault fault = {0};
	const char *kind = json_string(document, "kind", &fault);
	const char *api_version = json_string(document, "apiVersion", &fault);
	if (!fault.text && (!cJSON_IsObject(document) || !kind))
		json_set_fault(&fault, "not a Kubernetes object: it has no kind");
	if (fault.text || !kind)
		return fault.text;

	for (size_t i = 0; i < sizeof(list_kinds) / sizeof(*list_kinds); i++) {
		struct record_defaults defaults = {
			.kind = item_kinds[i], .api_version = i ? api_version : NULL};
		if (strcmp(kind, list_kinds[i]) != 0)
			continue;
		++*n_ours;
		return put_list(store, document, &defaults, report);
	}
	struct record_defaults none = {0};
	struct record head;
	if (record_identify(document, &none, &head))
		++*n_ours;
	else
		report_warn(report, "%.64s is not for us, ignored", kind);
	return put_object(store, document, &none, "", report);
}

/* "line 3, column 14: TEXT" for syntax, where the place is known; frees text. */
static char *add_position(const char *json, const char *at, char *text)
{
	size_t line = 1;
	size_t column = 1;
	for (const char *p = json; p < at; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n';
	}
	char *out = arena_xprintf("line %zu, column %zu: %s", line, column, text);
	free(text);
	return out;
}

static char *load_documents(struct topo_store *store, const char *json, size_t len,
	struct topo_report *report)
{
	const char *cursor = json;
	struct json_fault fault = {0};
	size_t n_ours = 0;
	cJSON *document;
	char *error = NULL;
	while (!error && json_next_document(&cursor, json + len, &document, &fault)) {
		error = put_document(store, document, report, &n_ours);
		cJSON_Delete(document);
	}
	if (fault.text)
		error = add_position(json, cursor, fault.text);
	if (!error && n_ours == 0)
		error = arena_xprintf(
			"no EndpointSlice, Service or Node and no List in %zu bytes",
			len);
	return error;
}

int topo_store_load(struct topo_store *store, const char *json, size_t len,
	struct topo_report *report)
{
	struct topo_store fresh = {0};
	report->error = load_documents(&fresh, json, len, report);
	if (!report->error) {
		struct topo_store old = *store;
		*store = fresh;
		fresh = old;
	}
	store_fini(&fresh);
	return report->error ? TOPO_STORE_INVALID : 0;
}

int topo_store_upsert(
	struct topo_store *store, const cJSON *object, struct topo_report *report)
{
	struct record_defaults live = {.is_live = true};
	report->error = put_object(store, object, &live, "", report);
	return report->error ? TOPO_STORE_INVALID : 0;
}

static const enum record_kind scope_kinds[] = {
	[TOPO_SCOPE_SLICES] = RECORD_SLICE,
	[TOPO_SCOPE_SERVICE] = RECORD_SERVICE,
	[TOPO_SCOPE_NODE] = RECORD_NODE,
};

static bool scope_has_record(const struct topo_scope *scope, const struct record *record)
{
	const char *name = scope->kind == TOPO_SCOPE_SLICES
				   ? ((const struct record_slice *)record)->service
				   : record->name;
	return !strcmp(record->namespace_, scope->namespace_) &&
	       !strcmp(name, scope->name);
}

bool topo_scope_has(const struct topo_scope *scope, const cJSON *object)
{
	struct record_defaults none = {0};
	struct json_fault ignored = {0};
	struct record head;
	if (!record_identify(object, &none, &head) ||
		head.kind != scope_kinds[scope->kind] ||
		strcmp(head.namespace_, scope->namespace_) != 0)
		return false;
	const cJSON *metadata = json_object(object, "metadata", &ignored);
	const cJSON *labels = json_object(metadata, "labels", &ignored);
	const char *name =
		scope->kind == TOPO_SCOPE_SLICES
			? json_string(labels, "kubernetes.io/service-name", &ignored)
			: head.name;
	free(ignored.text);
	return name && !strcmp(name, scope->name);
}

void topo_store_delete(
	struct topo_store *store, const struct topo_scope *scope, const cJSON *object)
{
	struct record_defaults live = {.is_live = true};
	struct record head;
	if (!record_identify(object, &live, &head) ||
		head.kind != scope_kinds[scope->kind] ||
		strcmp(head.namespace_, scope->namespace_) != 0)
		return;
	if (head.kind == RECORD_SLICE)
		head.owner = scope->name; /* whatever its label says by now */
	else if (strcmp(head.name, scope->name) != 0)
		return;
	store_remove(store, &store->tables[head.kind], &head);
}

uint64_t topo_store_version(const struct topo_store *store)
{
	return store->records_version + store->watches_version;
}

uint64_t topo_store_records_version(const struct topo_store *store)
{
	return store->records_version;
}

/* Drop the rows that are in the scope and not in `except`. */
static void drop_rows(struct topo_store *store, const struct topo_scope *scope,
	const struct table *except)
{
	struct table *table = &store->tables[scope_kinds[scope->kind]];
	size_t n_kept = 0;
	for (size_t i = 0; i < table->n_rows; i++) {
		struct record *row = table->rows[i];
		if (!scope_has_record(scope, row) ||
			table_has_at(except, table_position(except, row), row))
			table->rows[n_kept++] = row;
		else
			record_destroy(row);
	}
	store->records_version += n_kept < table->n_rows;
	table->n_rows = n_kept;
}

void topo_store_clear(struct topo_store *store, const struct topo_scope *scope)
{
	drop_rows(store, scope, &(struct table){0});
}

void topo_store_replace(struct topo_store *store, const struct topo_scope *scope,
	struct topo_store *fresh)
{
	enum record_kind kind = scope_kinds[scope->kind];
	struct table *from = &fresh->tables[kind];
	size_t n = 0;
	for (size_t i = 0; i < from->n_rows; i++) {
		if (scope_has_record(scope, from->rows[i]))
			from->rows[n++] = from->rows[i];
		else
			record_destroy(from->rows[i]);
	}
	from->n_rows = n;
	drop_rows(store, scope, from);
	for (size_t i = 0; i < n; i++)
		store_put(store, &store->tables[kind], from->rows[i]);
	from->n_rows = 0;
	topo_store_destroy(fresh);
}

void topo_store_set_watch(struct topo_store *store, const struct topo_watch *watch)
{
	struct arena arena = {0};
	struct record_watch *record = arena_alloc(&arena, 1, sizeof(*record));
	record->watch = *watch;
	record->watch.namespace_ = arena_strdup(&arena, watch->namespace_);
	record->watch.name = arena_strdup(&arena, watch->name);
	record->watch.problem = arena_strdup(&arena, watch->problem);
	record->head.namespace_ = record->watch.namespace_;
	record->head.name = record->watch.name;
	record->head.arena = arena;
	store_put(store, &store->watches, &record->head);
}

void topo_store_drop_watch(
	struct topo_store *store, const char *namespace_, const char *name)
{
	const struct record key = {.namespace_ = namespace_, .name = name};
	store_remove(store, &store->watches, &key);
}

struct record *const *topo_store_watches(
	const struct topo_store *store, size_t *n_watches)
{
	*n_watches = store->watches.n_rows;
	return store->watches.rows;
}

struct topo_store_counts topo_store_count(const struct topo_store *store)
{
	const struct table *slices = &store->tables[RECORD_SLICE];
	struct topo_store_counts counts = {
		.n_slices = slices->n_rows,
		.n_services = store->tables[RECORD_SERVICE].n_rows,
		.n_nodes = store->tables[RECORD_NODE].n_rows,
	};
	for (size_t i = 0; i < slices->n_rows; i++)
		counts.n_endpoints +=
			((const struct record_slice *)slices->rows[i])->n_endpoints;
	return counts;
}

struct record *const *topo_store_records(
	const struct topo_store *store, enum record_kind kind, size_t *n_records)
{
	*n_records = store->tables[kind].n_rows;
	return store->tables[kind].rows;
}

const struct record *topo_store_find(const struct topo_store *store,
	enum record_kind kind, const char *namespace_, const char *name)
{
	const struct table *table = &store->tables[kind];
	const struct record key = {.namespace_ = namespace_, .name = name};
	size_t position = table_position(table, &key);
	return table_has_at(table, position, &key) ? table->rows[position] : NULL;
}

void report_warn(struct topo_report *report, const char *format, ...)
{
	if (report->n_warnings == WARNINGS_MAX) {
		report->n_left_out++;
		return;
	}
	va_list args;
	va_start(args, format);
	char *text = arena_xvprintf(format, args);
	va_end(args);
	report->warnings = arena_xrealloc(
		report->warnings, report->n_warnings + 1, sizeof(*report->warnings));
	report->warnings[report->n_warnings++] = text;
}

void topo_report_fini(struct topo_report *report)
{
	for (size_t i = 0; i < report->n_warnings; i++)
		free(report->warnings[i]);
	free(report->warnings);
	free(report->error);
	*report = (struct topo_report){0};
}
