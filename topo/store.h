/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What we have been told: EndpointSlice, Service and Node objects, kept by name exactly
 * as Kubernetes replaces them, one whole object at a time. The union over the slices of a
 * service is made later, by topo_build; so an endpoint that moves between slices is
 * never lost or doubled here.
 *
 * Main thread only. Reads JSON and nothing else; where it comes from is topo/source.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct topo_store;

enum topo_store_result {
	TOPO_STORE_INVALID = 1, /* report->error says what is wrong, and where */
};

/* What a load or an update has to tell; zero it before, topo_report_fini after. */
struct topo_report {
	char *error;     /* NULL unless the result was TOPO_STORE_INVALID */
	char **warnings; /* parts that were skipped, at most 32 */
	size_t n_warnings;
	size_t n_left_out; /* warnings beyond those */
};

/*
 * A part of what there is that a source keeps up with: all slices of a service, or one
 * Service or Node. namespace_ is "" for nodes.
 */
enum topo_scope_kind { TOPO_SCOPE_SLICES, TOPO_SCOPE_SERVICE, TOPO_SCOPE_NODE };
struct topo_scope {
	enum topo_scope_kind kind;
	const char *namespace_;
	const char *name;
};

/* A service that a source watches because somebody calls it. */
struct topo_watch {
	const char *namespace_;
	const char *name;
	const char *problem; /* what is in the way now, or NULL */
	bool settled;        /* whatever can be known at present is */
	bool has_slices;     /* they have been listed once: else it is not routed */
};

struct topo_store_counts {
	size_t n_slices;
	size_t n_services;
	size_t n_nodes;
	size_t n_endpoints; /* sum over the slices */
};

struct topo_store *topo_store_create(void);
void topo_store_destroy(struct topo_store *store);

/*
 * Replace everything in one step by what the JSON text holds: one or more documents, each
 * a List (or EndpointSliceList, ServiceList, NodeList) or a single object. Objects of
 * other kinds are ignored; a part that cannot be used (an endpoint with a bad address, a
 * bad port) is skipped with a warning. On TOPO_STORE_INVALID the store is as it was.
 */
__attribute__((warn_unused_result)) int topo_store_load(struct topo_store *store,
	const char *json, size_t len, struct topo_report *report);

/* Add or replace one object, as an event of a watch brings it. Other kinds are ignored.
 * A slice without an address type, or none of whose endpoints can be used, is invalid: no
 * API server stores one. On TOPO_STORE_INVALID the store is as it was. */
__attribute__((warn_unused_result)) int topo_store_upsert(
	struct topo_store *store, const struct cJSON *object, struct topo_report *report);

/*
 * Remove the object of that name from the scope. Where it has moved to another scope, it
 * stays there: the two that it concerns are told in no particular order.
 */
void topo_store_delete(struct topo_store *store, const struct topo_scope *scope,
	const struct cJSON *object);

/*
 * Replace all that is in the scope by what `fresh` has in it, in one step; fresh is taken
 * over. What fresh has beside it is dropped.
 */
void topo_store_replace(struct topo_store *store, const struct topo_scope *scope,
	struct topo_store *fresh);

/* Counts changes that selection could notice: equal means equal. */
uint64_t topo_store_version(const struct topo_store *store);

/* The same of the objects alone, without what the watches say of themselves. */
uint64_t topo_store_records_version(const struct topo_store *store);

/* Drop all that is in the scope. */
void topo_store_clear(struct topo_store *store, const struct topo_scope *scope);

/* Whether the scope has that object; false for what is none of its kind. */
bool topo_scope_has(const struct topo_scope *scope, const struct cJSON *object);

/* Add, change (texts are copied) or forget the watch of a service. */
void topo_store_set_watch(struct topo_store *store, const struct topo_watch *watch);
void topo_store_drop_watch(
	struct topo_store *store, const char *namespace_, const char *name);

struct topo_store_counts topo_store_count(const struct topo_store *store);

void topo_report_fini(struct topo_report *report);
