/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The endpoints of one service port: the union over all slices of the service, each
 * address and number once.
 */
#include "topo/record.h"
#include "topo/select.h"

/* Records of one service. */
struct union_group {
	const char *namespace_;
	const char *name;
	const struct record_service *service; /* may be NULL */
	const struct record_slice *const *slices;
	size_t n_slices;
	bool headless;
};

/* Endpoints of one port while they are collected; the memory is used for all ports. */
struct union_set {
	struct select_candidate *candidates;
	size_t n_candidates;
	size_t n_allocated;
	int family;      /* that the port is reached by */
	uint32_t *slots; /* index + 1 by hash of address and port */
	size_t n_slots;  /* in use, a power of two */
	size_t n_slots_allocated;
};

/* Fill the set with the endpoints of all slice ports of that name; what it held before is
 * forgotten. Linear in the number of endpoints. */
void union_collect(
	struct union_set *set, const struct union_group *group, const char *port_name);

/* The port number that all endpoints agree on, or 0. */
uint16_t union_common_port(const struct union_set *set);

void union_fini(struct union_set *set);
