/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Between the two kinds of target and what they have in common: only for target*.c. A
 * service (namespace_ is set) has its endpoints from the topology, a host has them from
 * its literal address or from the DNS.
 */
#include "flow/target.h"

/* What is in the worker's table under that key, or NULL. */
struct target *target_find(
	struct worker *worker, enum direction direction, const char *key, size_t len);

/* A new one in that table, of neither kind yet; `service` is the name that it counts
 * under. NULL without memory. */
struct target *target_create(struct worker *worker, enum direction direction,
	const char *key, const char *service);

/* Takes it from the table; it goes with its last reference. */
void target_unlist(struct target *target);

/* The target of a service that the topology knows; port is NULL when it has no such
 * port. Made if need be; NULL without memory. */
struct target *target_service_find(struct worker *worker,
	const struct topo_service *service, const struct topo_port *port,
	const char *port_text);

/* Makes its endpoints what the worker's topology says now; without memory it is stale. */
void target_service_follow(struct target *target);

/* The target of a host; may_be is the service that the name could be as well, or NULL.
 * Made if need be; NULL without memory. */
struct target *target_host_find(struct worker *worker, enum direction direction,
	struct str host, uint16_t port, const struct topo_name *may_be);

/* The same for a literal address. */
void target_host_follow(struct target *target);

/* target_prepare for a name that is looked up. */
enum target_state target_host_prepare(struct target *target);
