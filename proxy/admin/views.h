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

/* Our own services, their last growth, and how far the rebalance is. 503 when a worker
 * does not answer. */
struct cJSON *rebalance_json(const struct admin_host *host, struct reply *reply);

const char *drain_phase_name(enum drain_phase phase);
