/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The immutable picture of all known services that workers route by: service -> port ->
 * endpoints, each endpoint with the decision whether a new call may use it, and why.
 *
 * Built from a struct topo_store on the main thread, then shared by reference count and
 * read without locks: nothing in it changes after topo_build. Everything that a lookup
 * returns lives as long as the snapshot that was asked.
 *
 * A failed allocation in topo/ ends the process; there is no state to limp on with.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct topo;
struct topo_store;

#define TOPO_LABEL_HOSTNAME "kubernetes.io/hostname"
#define TOPO_LABEL_ZONE     "topology.kubernetes.io/zone"
#define TOPO_LABEL_REGION   "topology.kubernetes.io/region"

/* Which rule chose the endpoints; the order is that of their precedence. */
enum topo_mode {
	TOPO_MODE_LOCAL, /* internalTrafficPolicy: Local */
	TOPO_MODE_KEYS,  /* spec.topologyKeys or the annotation nigh/topology-keys */
	TOPO_MODE_HINTS, /* hints of the endpoints */
	TOPO_MODE_DISTRIBUTION, /* the same hints, asked for by trafficDistribution */
	TOPO_MODE_DEFAULT_KEYS, /* NIGH_TOPOLOGY_KEYS: the service says nothing itself */
	TOPO_MODE_NONE,         /* and no default keys either */
};

enum topo_state {
	TOPO_READY,       /* also while it terminates (publishNotReadyAddresses) */
	TOPO_UNREADY,     /* neither ready nor terminating: never used */
	TOPO_SERVING,     /* terminating and still serving: used when nothing is ready */
	TOPO_TERMINATING, /* terminating and no longer serving: never used */
};

/* How far away an endpoint is, whatever chose it. */
enum topo_proximity {
	TOPO_SAME_NODE,
	TOPO_SAME_ZONE,
	TOPO_SAME_REGION,
	TOPO_ELSEWHERE, /* or not known */
};

/* Tier of an endpoint that may not be used. */
#define TOPO_TIER_NEVER (-1)

struct topo_label {
	const char *key;
	const char *value;
};

/*
 * What is configured about our own place; NULL or "" is unknown. topo_build fills what is
 * missing: first from the endpoint record that has pod_ip, then from our Node object.
 */
struct topo_self {
	const char *node_name;
	const char *zone;
	const char *region;
	const struct topo_label *labels; /* more labels of our node; "" is a value here */
	size_t n_labels;
	const char *pod_ip;
};

struct topo_policy {
	const char *namespace_;     /* of short service names */
	const char *cluster_domain; /* "cluster.local" */
	const char *const *keys;    /* default keys, valid as topo_keys_check says */
	size_t n_keys;
};

/* One address and port of a service. The address stands in `addr` ready for connect. */
struct topo_endpoint {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
	uint16_t port;       /* that of addr, in host order */
	uint8_t state;       /* enum topo_state */
	uint8_t proximity;   /* enum topo_proximity */
	int8_t tier;         /* 0 chosen, 1.. failover, TOPO_TIER_NEVER */
	const char *address; /* canonical text, without port or brackets */
	const char *node;    /* NULL when unknown */
	const char *zone;    /* NULL when unknown */
	const char *why;     /* why chosen or not, one sentence */
};

/*
 * A run of endpoints of one preference. Tier 0 is what a new call may use. The later ones
 * are for calls that failed to connect everywhere before: the next domains that the keys
 * allow, or with hints the rest of the ready endpoints, as far as the mode allows any.
 */
struct topo_tier {
	const char *domain; /* "KEY=VALUE" or "*" */
	uint32_t first;     /* index into endpoints */
	uint32_t n_endpoints;
};

struct topo_port {
	const char *name; /* of the service port and of the slice port; may be "" */
	uint16_t number;  /* of the service port; with no Service known that of the
			     slices, 0 when they differ */
	uint16_t target;  /* number that the slices say, 0 when they differ or say none */
	uint8_t mode;     /* enum topo_mode */
	uint8_t n_tiers;  /* 0: no endpoint may be used */
	const char *domain; /* that of tier 0; NULL when there is none */
	const char *reason; /* why this domain, or what is missing; one sentence */
	const struct topo_tier *tiers;
	const struct topo_endpoint *endpoints; /* tier 0, tier 1, …, then the unused */
	uint32_t n_endpoints;
};

struct topo_service {
	const char *namespace_;
	const char *name;
	const char *full_name; /* "NAMESPACE/NAME" */
	bool headless;
	bool has_object; /* its Service object is known, so are its port numbers */
	uint32_t n_ports;
	const struct topo_port *ports; /* TCP only */
};

struct topo_watch;

/* A service name as topo_parse_host took it apart: lower case, namespace filled in. */
struct topo_name {
	char namespace_[64];
	char name[64];
};

/*
 * A new snapshot with one reference, of what the store holds now. Nothing of the
 * arguments is kept.
 */
struct topo *topo_build(const struct topo_store *store, const struct topo_self *self,
	const struct topo_policy *policy);

/* Both may be called on any thread, with NULL too. topo_ref returns its argument. */
struct topo *topo_ref(struct topo *topo);
void topo_unref(struct topo *topo);

/*
 * Whether host (no port) can name a service: orders, orders.shop, orders.shop.svc,
 * orders.shop.svc.DOMAIN, in any case, with or without a trailing dot. False for
 * everything else, so for IP addresses, per-pod names and foreign names.
 */
bool topo_parse_host(const char *host, size_t len, const struct topo_policy *policy,
	struct topo_name *out);

/* The name of a service that is known. */
struct topo_name topo_name_of(const struct topo_service *service);

/* NULL when there is neither a Service object nor a slice of it, and for services that
 * are not ours to route (ExternalName, or handled by another service proxy). */
const struct topo_service *topo_find(
	const struct topo *topo, const char *namespace_, const char *name);

/*
 * The port that a call to SERVICE:port_text (decimal number or port name) means: through
 * the Service object when it is known, else by name of the slices' ports, by their
 * number, or the only one. The ports of a headless service are found by the slices' port
 * number as well: its clients dial that. NULL when there is no such port.
 */
const struct topo_port *topo_service_port(
	const struct topo_service *service, const char *port_text);

/* The services in no particular order. */
size_t topo_n_services(const struct topo *topo);
const struct topo_service *topo_service_at(const struct topo *topo, size_t i);

/* What a source that watches on demand knows of this service so far; NULL when nobody has
 * asked for it yet, and with other sources. */
const struct topo_watch *topo_find_watch(
	const struct topo *topo, const char *namespace_, const char *name);
size_t topo_n_watches(const struct topo *topo);
const struct topo_watch *topo_watch_at(const struct topo *topo, size_t i);

/* What we know of our own node, after filling in; NULL when unknown. */
const char *topo_node_name(const struct topo *topo);
const char *topo_label(const struct topo *topo, const char *key);

/* "topologyKeys", "hints", …, as `nigh explain` prints them. */
const char *topo_mode_name(enum topo_mode mode);
/* "ready", "unready", "serving", "terminating". */
const char *topo_state_name(enum topo_state state);
/* "node", "zone", "region", "any". */
const char *topo_proximity_name(enum topo_proximity proximity);
