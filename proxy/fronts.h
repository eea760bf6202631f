/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The listeners that the configuration asks for, bound before anything else runs. */
#include "flow/worker.h"

/*
 * One front per NIGH_INBOUND, NIGH_OUTBOUND and NIGH_ROUTES address, bound and logged.
 * With `shared_ports` each worker can bind them again. 0, or -errno after an error line
 * that says which address it was; what was opened then is for fronts_close.
 */
__attribute__((warn_unused_result)) int fronts_open(
	struct front **out, size_t *n, const struct config *config, bool shared_ports);

/* Closes the sockets that no worker has taken over. */
void fronts_close(struct front *fronts, size_t n, bool taken_over);

/* Tells where it listens: one line per address. */
void log_listening(const char *side, const struct listen_set *set, const char *target,
	const char *protocol);
