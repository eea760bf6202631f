/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a snapshot. What workers call is O(1) in services and allocates nothing. */
#include "topo/topo.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "topo/snapshot.h"

struct topo *topo_ref(struct topo *topo)
{
	if (topo)
		atomic_fetch_add_explicit(&topo->n_refs, 1, memory_order_relaxed);
	return topo;
}

void topo_unref(struct topo *topo)
{
	if (!topo)
		return;
	unsigned n_before =
		atomic_fetch_sub_explicit(&topo->n_refs, 1, memory_order_acq_rel);
	assert(n_before > 0);
	if (n_before > 1)
		return;
	arena_fini(&topo->arena);
	free(topo);
}

uint32_t snapshot_hash(const char *namespace_, const char *name)
{
	/* With its NUL, so that "a"+"bc" and "ab"+"c" differ. */
	uint32_t hash = topo_hash(TOPO_HASH_START, namespace_, strlen(namespace_) + 1);
	return topo_hash(hash, name, strlen(name));
}

const struct topo_service *topo_find(
	const struct topo *topo, const char *namespace_, const char *name)
{
	uint32_t mask = (uint32_t)topo->n_slots - 1;
	for (uint32_t i = snapshot_hash(namespace_, name); topo->slots[i & mask]; i++) {
		const struct topo_service *service =
			&topo->services[topo->slots[i & mask] - 1];
		if (!strcmp(service->name, name) &&
			!strcmp(service->namespace_, namespace_))
			return service;
	}
	return NULL;
}

struct topo_name topo_name_of(const struct topo_service *service)
{
	struct topo_name out;
	snprintf(out.namespace_, sizeof(out.namespace_), "%s", service->namespace_);
	snprintf(out.name, sizeof(out.name), "%s", service->name);
	return out;
}

/* A decimal number from 1 to 65535, or 0. */
static uint16_t parse_number(const char *text)
{
	unsigned value = 0;
	for (; *text >= '0' && *text <= '9' && value <= 65535; text++)
		value = value * 10 + (unsigned)(*text - '0');
	return *text == '\0' && value <= 65535 ? (uint16_t)value : 0;
}

static bool port_has_target(const struct topo_port *port, uint16_t number)
{
	if (port->target)
		return port->target == number;
	for (uint32_t i = 0; i < port->n_endpoints; i++) {
		if (port->endpoints[i].port == number)
			return true;
	}
	return false;
}

const struct topo_port *topo_service_port(
	const struct topo_service *service, const char *port_text)
{
	uint16_t number = parse_number(port_text);
	for (uint32_t i = 0; i < service->n_ports && *port_text; i++) {
		if (!strcmp(service->ports[i].name, port_text))
			return &service->ports[i];
	}
	for (uint32_t i = 0; i < service->n_ports && number; i++) {
		if (service->ports[i].number == number)
			return &service->ports[i];
	}
	if (service->has_object && !service->headless)
		return NULL;
	for (uint32_t i = 0; i < service->n_ports && number; i++) {
		if (port_has_target(&service->ports[i], number))
			return &service->ports[i];
	}
	return service->n_ports == 1 && !service->has_object ? &service->ports[0] : NULL;
}

size_t topo_n_services(const struct topo *topo)
{
	return topo->n_services;
}

const struct topo_service *topo_service_at(const struct topo *topo, size_t i)
{
	assert(i < topo->n_services);
	return &topo->services[i];
}

size_t topo_n_watches(const struct topo *topo)
{
	return topo->n_watches;
}

const struct topo_watch *topo_watch_at(const struct topo *topo, size_t i)
{
	assert(i < topo->n_watches);
	return &topo->watches[i];
}

static int compare_watches(const void *left, const void *right)
{
	const struct topo_watch *a = left;
	const struct topo_watch *b = right;
	int order = strcmp(a->namespace_, b->namespace_);
	return order ? order : strcmp(a->name, b->name);
}

const struct topo_watch *topo_find_watch(
	const struct topo *topo, const char *namespace_, const char *name)
{
	const struct topo_watch key = {.namespace_ = namespace_, .name = name};
	if (topo->n_watches == 0)
		return NULL;
	return bsearch(
		&key, topo->watches, topo->n_watches, sizeof(key), compare_watches);
}

const char *topo_node_name(const struct topo *topo)
{
	return topo->place.node;
}

const char *topo_label(const struct topo *topo, const char *key)
{
	return label_map_find(&topo->place.labels, key);
}

const char *topo_mode_name(enum topo_mode mode)
{
	static const char *const names[] = {
		[TOPO_MODE_LOCAL] = "internalTrafficPolicy",
		[TOPO_MODE_KEYS] = "topologyKeys",
		[TOPO_MODE_HINTS] = "hints",
		[TOPO_MODE_DISTRIBUTION] = "trafficDistribution",
		[TOPO_MODE_DEFAULT_KEYS] = "defaultKeys",
		[TOPO_MODE_NONE] = "none",
	};
	return names[mode];
}

const char *topo_state_name(enum topo_state state)
{
	static const char *const names[] = {
		[TOPO_READY] = "ready",
		[TOPO_UNREADY] = "unready",
		[TOPO_SERVING] = "serving",
		[TOPO_TERMINATING] = "terminating",
	};
	return names[state];
}

const char *topo_proximity_name(enum topo_proximity proximity)
{
	static const char *const names[] = {
		[TOPO_SAME_NODE] = "node",
		[TOPO_SAME_ZONE] = "zone",
		[TOPO_SAME_REGION] = "region",
		[TOPO_ELSEWHERE] = "any",
	};
	return names[proximity];
}

/*
 * Copy one DNS label in lower case. The number of bytes used, or 0 when there is none, or
 * anything that cannot stand in a service's or namespace's name.
 */
static size_t take_label(const char *text, size_t len, char out[64], bool *is_numeric)
{
	size_t n = 0;
	for (; n < len && text[n] != '.'; n++) {
		char c = text[n];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		bool is_digit = c >= '0' && c <= '9';
		if ((!is_digit && !(c >= 'a' && c <= 'z') && c != '-') || n == 63)
			return 0;
		out[n] = c;
		*is_numeric = *is_numeric && is_digit;
	}
	out[n] = '\0';
	return n;
}

/* Whether this is "svc" or "svc.DOMAIN". */
static bool is_suffix(const char *text, size_t len, const char *domain)
{
	if (len < 3 || strncasecmp(text, "svc", 3) != 0)
		return false;
	if (len == 3)
		return true;
	size_t n_domain = strlen(domain);
	if (n_domain > 0 && domain[n_domain - 1] == '.')
		n_domain--;
	return text[3] == '.' && len - 4 == n_domain &&
	       !strncasecmp(text + 4, domain, n_domain);
}

bool topo_parse_host(const char *host, size_t len, const struct topo_policy *policy,
	struct topo_name *out)
{
	bool is_numeric = true; /* 10.1 and 167837953 are addresses to many programs */
	if (len > 0 && host[len - 1] == '.')
		len--;
	size_t n = take_label(host, len, out->name, &is_numeric);
	if (n == 0)
		return false;
	if (n == len) {
		size_t n_default = strlen(policy->namespace_);
		if (is_numeric || n_default >= sizeof(out->namespace_))
			return false;
		memcpy(out->namespace_, policy->namespace_, n_default + 1);
		return true;
	}
	host += n + 1;
	len -= n + 1;
	n = take_label(host, len, out->namespace_, &is_numeric);
	if (n == 0 || is_numeric)
		return false;
	return n == len || is_suffix(host + n + 1, len - n - 1, policy->cluster_domain);
}
