/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether the services that our own pod serves have grown, and when that is to be
 * answered by a rebalance. An address is what counts: of a pod, whatever its ports.
 *
 * Owns the addresses that count already, no timer and no connection: time is an argument.
 * The first state of a service is what there is; from then on an address that it has not
 * had, that stays for GROWTH_STEADY_MS and is not our own, is growth. A state with no
 * ready address at all is none: a service that vanishes comes back as what it was.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Shorter than this an address has neither come nor gone. */
#define GROWTH_STEADY_MS 250

struct topo;

struct growth_member;

struct growth_service {
	const char *namespace_; /* borrowed */
	const char *name;
	struct growth_member *members; /* by address */
	size_t n_members;
	size_t n_ready; /* in the last state, ourselves among them */
	bool is_known;  /* there has been a state */
};

struct growth {
	struct growth_service *services;
	size_t n_services;
	struct in6_addr self; /* IPv4 as IPv4-mapped; all zero: not known */
	uint64_t interval_ms, window_ms;

	/* The service has been growing since then, as far as its pods may still be at it:
	 * who has come since may come from a rebalance of one of them. */
	uint64_t busy_from_ms, busy_until_ms;

	/* Of the last rebalance: */
	uint64_t n_begun; /* how many there were so far */
	uint64_t begun_ms;
	uint64_t seen_ms; /* when the last of its new addresses was seen first */
	size_t n_new;     /* its new addresses */
};

/* pod_ip may be NULL; a rebalance takes window_ms and comes once in interval_ms. */
void growth_init(struct growth *growth, const char *pod_ip, uint64_t interval_ms,
	uint64_t window_ms);
void growth_fini(struct growth *growth);

/* Borrows the names. */
void growth_add_service(struct growth *growth, const char *namespace_, const char *name);

/* The state of all services as the snapshot has it; what a source has not settled yet is
 * no state. */
void growth_follow(struct growth *growth, const struct topo *topo, uint64_t now_ms);

/* The state of one service: the ready addresses, in any order, with repetitions. The
 * array is sorted in place. */
void growth_see(struct growth *growth, struct growth_service *service,
	struct in6_addr *ready, size_t n_ready, uint64_t now_ms);

/* When growth_begins is to be asked; 0: not before the next state. */
uint64_t growth_due_ms(const struct growth *growth);

/* True: a rebalance begins now. */
bool growth_begins(struct growth *growth, uint64_t now_ms);

/* New addresses that no rebalance has answered yet. */
size_t growth_n_waiting(const struct growth *growth);
