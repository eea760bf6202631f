/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What stands behind each path of routes.def. */
#include <stdio.h>

#include "admin/admin.h"
#include "net/web.h"

struct cJSON;

/* An answer that a view fills; status is 200 and type is plain text unless it says else.
 */
struct reply {
	int status;
	const char *type;
	FILE *out;         /* the body is printed here */
	const char *query; /* behind the `?`, or NULL */
};

typedef void view_fn(const struct admin_host *host, struct reply *reply);

view_fn view_healthz, view_readyz, view_metrics, view_config, view_endpoints,
	view_explain, view_stats, view_connections, view_drain_state, view_drain,
	view_index;

/* Prints the JSON into the reply and frees it. */
void reply_json(struct reply *reply, struct cJSON *json);

/* One worker after the other; one that does not answer in time makes it 503: without its
 * part counters would seem to have been set back. */
void reply_ask_workers(const struct admin_host *host, struct reply *reply,
	worker_fn *question, void *arg);

/* Our own services, their last growth, and how far the rebalance is. */
struct cJSON *rebalance_json(const struct admin_host *host, unsigned n_due);

const char *drain_phase_name(enum drain_phase phase);
