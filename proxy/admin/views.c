/* SPDX-License-Identifier: Apache-2.0 */
/* The short views; the long ones have files of their own. */
#include "admin/views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "topo/explain.h"

#define ASK_TIMEOUT_MS 1000

/* The exit statuses of `nigh explain` as HTTP has them, for the command to map back. */
static const int explain_status[] = {
	[EXPLAIN_CHOSEN] = 200,
	[EXPLAIN_NONE] = 404,
	[EXPLAIN_USAGE] = 400,
};

void reply_json(struct reply *reply, cJSON *json)
{
	char *text = cJSON_Print(json);

	cJSON_Delete(json);
	if (!text) {
		reply->status = 500;
		return;
	}
	reply->type = "application/json";
	fprintf(reply->out, "%s\n", text);
	cJSON_free(text);
}

void reply_ask_workers(const struct admin_host *host, struct reply *reply,
	worker_fn *question, void *arg)
{
	for (unsigned i = 0; i < host->n_workers; i++)
		if (!worker_ask(&host->workers[i], question, arg, ASK_TIMEOUT_MS))
			reply->status = 503;
}

const char *drain_phase_name(enum drain_phase phase)
{
	static const char *const names[] = {"serving", "delay", "finishing", "drained"};

	return names[phase];
}

static void say_nothing(struct worker *worker, void *arg)
{
	(void)worker;
	(void)arg;
}

void view_healthz(const struct admin_host *host, struct reply *reply)
{
	for (unsigned i = 0; i < host->n_workers; i++) {
		if (!worker_ask(&host->workers[i], say_nothing, NULL, ASK_TIMEOUT_MS)) {
			reply->status = 503;
			fprintf(reply->out, "worker %u has not turned for a second\n", i);
			return;
		}
	}
	fprintf(reply->out, "ok\n");
}

void view_readyz(const struct admin_host *host, struct reply *reply)
{
	enum drain_phase phase = host->drain_phase(host->arg);

	if (phase != DRAIN_SERVING)
		reply->status = 503;
	fprintf(reply->out, "%s\nendpoints: %s\n",
		phase == DRAIN_SERVING ? "ready"
		: phase == DRAIN_DONE  ? "draining: inbound is done"
				       : "draining",
		host->source_status(host->arg));
}

void view_config(const struct admin_host *host, struct reply *reply)
{
	char *json = config_json(host->shared->config);

	reply->type = "application/json";
	if (json)
		fprintf(reply->out, "%s", json);
	else
		reply->status = 500;
	free(json);
}

void view_explain(const struct admin_host *host, struct reply *reply)
{
	char *service = web_query_value(reply->query, "service");
	char *format = web_query_value(reply->query, "format");
	struct topo *topo = host->topo(host->arg);
	struct explain_settings settings = {
		.out = reply->out,
		.err = reply->out,
		.json = !format || strcmp(format, "text") != 0,
	};
	enum explain_result result;
	char no_topo[320];

	snprintf(no_topo, sizeof(no_topo), "nigh: no endpoints: %s",
		host->source_status(host->arg));
	settings.no_topo = no_topo;
	if (!service) {
		reply->status = 400;
		fprintf(reply->out, "nigh: want /explain?service=NAME[:PORT]\n");
	} else if (host->look_for(host->arg, service)) {
		reply->status = 202;
		fprintf(reply->out, "nigh: not known yet; ask again\n");
	} else {
		result = explain_print(topo, &host->shared->policy, service, &settings);
		reply->status = explain_status[result];
		if (settings.json && result != EXPLAIN_USAGE)
			reply->type = "application/json";
	}
	free(service);
	free(format);
}

void view_drain_state(const struct admin_host *host, struct reply *reply)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(
		json, "state", drain_phase_name(host->drain_phase(host->arg)));
	reply_json(reply, json);
}

void view_drain(const struct admin_host *host, struct reply *reply)
{
	host->drain(host->arg);
	view_drain_state(host, reply);
}
