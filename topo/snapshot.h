/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The inside of a snapshot, shared by what builds it (build.c) and what reads it
 * (topo.c). Everything lives in the arena but the snapshot itself. */
#include <stdatomic.h>

#include "topo/arena.h"
#include "topo/place.h"
#include "topo/store.h"
#include "topo/topo.h"

struct topo {
	atomic_uint n_refs;
	struct arena arena;
	struct place place;
	struct topo_service *services;
	size_t n_services;
	struct topo_watch *watches; /* by namespace, then name */
	size_t n_watches;
	/* Open addressing by hash of namespace and name; the values are index + 1. */
	uint32_t *slots;
	size_t n_slots; /* a power of two, at least twice n_services */
};

uint32_t snapshot_hash(const char *namespace_, const char *name);
