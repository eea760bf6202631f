/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A worker's part in a drain; when each step comes is the main thread's to say (drain.c
 * in proxy/). All of it runs on the worker's thread.
 */
#include "flow/worker.h"

/* From now on inbound responses say close. */
void drain_begin(struct worker *worker);

/* No more connections there; those between two requests end. */
void drain_close_door(struct worker *worker, const struct front *front);

struct drain_status {
	uint32_t inbound; /* inbound connections that are still open */
	uint32_t outbound_in_flight;
	uint32_t outbound_open;   /* downstream connections of the application */
	uint64_t outbound_opened; /* such connections, ever */
	uint64_t outbound_bytes;  /* received on them over HTTP, ever */
};

/* Adds this worker's numbers. */
void drain_add_status(struct worker *worker, struct drain_status *status);

/* Ends everything; adds the number of requests and tunnels that were under way. */
void drain_cut_off(struct worker *worker, unsigned *n_cut);
