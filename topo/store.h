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
#include <stddef.h>

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
 * On TOPO_STORE_INVALID the store is as it was. */
__attribute__((warn_unused_result)) int topo_store_upsert(
	struct topo_store *store, const struct cJSON *object, struct topo_report *report);

/* Remove the object of that kind, namespace and name, if it is there. */
void topo_store_delete(struct topo_store *store, const struct cJSON *object);

struct topo_store_counts topo_store_count(const struct topo_store *store);

void topo_report_fini(struct topo_report *report);
