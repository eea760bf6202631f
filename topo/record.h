/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The records of the store: what one Kubernetes object says, reduced to what routing
 * needs and made of plain C values, with the defaults that kube-proxy applies. Immutable
 * once parsed; each lives in an arena of its own, so replacing an object frees one thing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topo/arena.h"
#include "topo/store.h"
#include "topo/topo.h"

struct cJSON;
struct topo_report;
struct topo_store;

enum record_kind { RECORD_SLICE, RECORD_SERVICE, RECORD_NODE, RECORD_N_KINDS };

/*
 * The common beginning of all three; namespace_ is "" for nodes. Slices of a live source
 * are known by their service too: each service has a watch of its own, and when a slice
 * passes from one to another, nobody says which of the two hears of it first.
 */
struct record {
	enum record_kind kind;
	const char *namespace_;
	const char *name;
	const char *owner; /* that service; NULL in everything else */
	struct arena arena;
};

struct name_list {
	const char **items;
	size_t n_items;
};

struct label_map {
	struct topo_label *items;
	size_t n_items;
};

/* A TCP port; the name is the service port's. */
struct record_port {
	const char *name;
	uint16_t number; /* in a slice the target's, in a Service the service's */
};

struct record_port_list {
	struct record_port *items;
	size_t n_items;
};

struct record_endpoint {
	uint8_t ip[16]; /* network order, 4 bytes used for IPv4 */
	const char *address;
	const char *node;          /* NULL when absent or "" */
	const char *zone;          /* NULL when absent; "" is a value */
	struct label_map topology; /* further labels that old slices carry */
	struct name_list zone_hints;
	struct name_list node_hints;
	bool ready;       /* absent is true */
	bool serving;     /* absent is true */
	bool terminating; /* absent is false */
};

struct record_slice {
	struct record head;
	const char *service;
	int family; /* AF_INET or AF_INET6 */
	bool headless;
	struct record_port_list ports;
	struct record_endpoint *endpoints;
	size_t n_endpoints;
};

struct record_service {
	struct record head;
	bool foreign; /* ExternalName, or another service proxy's: not ours to route */
	bool headless;
	bool local;               /* internalTrafficPolicy: Local, and it applies */
	const char *distribution; /* a known trafficDistribution, else NULL */
	int first_family;         /* AF_INET, AF_INET6, or 0 when not said */
	struct record_port_list ports;
	struct name_list keys;  /* valid; empty when it says none */
	const char *keys_fault; /* why its keys are ignored, else NULL */
};

struct record_node {
	struct record head;
	struct label_map labels;
};

struct record_watch {
	struct record head;
	struct topo_watch watch;
};

/* What the items of a typed list (ServiceList …) leave out; NULL for anything else. */
struct record_defaults {
	const char *kind;
	const char *api_version;
	bool is_live; /* straight from an API server, which stores no nonsense */
};

/*
 * Make a record of a Kubernetes object. NULL without a fault: not a kind for us, or an
 * object that routing ignores. NULL with *fault (for free()): it is broken. Parts that
 * are skipped are warned about, each text beginning with `where`.
 */
struct record *record_parse(const struct cJSON *object,
	const struct record_defaults *defaults, const char *where,
	struct topo_report *report, char **fault);

/* The kind, namespace and name of an object, as record_parse would see them; strings
 * live in the object, a missing name is "". False when its kind is none of ours. */
bool record_identify(const struct cJSON *object, const struct record_defaults *defaults,
	struct record *out);

/* "EndpointSlice", "Service", "Node". */
const char *record_kind_name(enum record_kind kind);

void record_destroy(struct record *record);

/* Order by namespace, then name, then owner. */
int record_compare(const struct record *a, const struct record *b);

/* The value, or NULL. */
const char *label_map_find(const struct label_map *map, const char *key);

/* The table of the store, in the order of record_compare. */
struct record *const *topo_store_records(
	const struct topo_store *store, enum record_kind kind, size_t *n_records);
/* NULL when there is none. */
const struct record *topo_store_find(const struct topo_store *store,
	enum record_kind kind, const char *namespace_, const char *name);

/* The watches, in the order of record_compare. */
struct record *const *topo_store_watches(
	const struct topo_store *store, size_t *n_watches);

/* Add a warning to the report, or count it when there are enough. */
__attribute__((format(printf, 2, 3))) void report_warn(
	struct topo_report *report, const char *format, ...);
