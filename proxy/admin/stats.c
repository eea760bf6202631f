/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/stats.h"

#include <stdlib.h>

#include <cjson/cJSON.h>

#include "admin/views.h"
#include "base/clock.h"
#include "flow/recycle.h"
#include "topo/growth.h"

const char *const direction_names[DIRECTIONS] = {"inbound", "outbound"};
const char *const side_names[SIDES] = {"downstream", "upstream"};
const char *const retry_names[RETRY_REASONS] = {
#define RETRY(name) #name,
#include "flow/reasons.def"
};

/* Both structs are nothing but counters of one width each. */
static void add_u64(void *to, const void *from, size_t bytes)
{
	uint64_t *a = to;
	const uint64_t *b = from;

	for (size_t i = 0; i < bytes / sizeof(*a); i++)
		a[i] += b[i];
}

static void add_u32(void *to, const void *from, size_t bytes)
{
	uint32_t *a = to;
	const uint32_t *b = from;

	for (size_t i = 0; i < bytes / sizeof(*a); i++)
		a[i] += b[i];
}

static void add_code(struct tally *tally, const struct tally_code *code)
{
	struct tally_code *more;

	for (size_t i = 0; i < tally->n_codes; i++) {
		if (tally->codes[i].code == code->code) {
			tally->codes[i].n += code->n;
			return;
		}
	}
	more = realloc(tally->codes, (tally->n_codes + 1) * sizeof(*more));
	if (!more)
		return;
	tally->codes = more;
	more[tally->n_codes++] = *code;
}

static void add_tally(struct list *tallies, const struct tally *from)
{
	struct tally *to = tally_of(tallies, from->direction, from->service);

	if (!to)
		return;
	for (size_t i = 0; i < from->n_codes; i++)
		add_code(to, &from->codes[i]);
	add_u64(to->buckets, from->buckets, sizeof(to->buckets));
	add_u64(to->picks, from->picks, sizeof(to->picks));
	to->total_us += from->total_us;
}

static void add_worker(struct worker *worker, void *arg)
{
	struct stats *stats = arg;

	add_u64(&stats->counters, &worker->counters, sizeof(stats->counters));
	add_u32(&stats->gauges, &worker->gauges, sizeof(stats->gauges));
	list_each_safe (node, next, &worker->tallies)
		add_tally(&stats->tallies, container_of(node, struct tally, node));
}

void stats_take(struct stats *stats, const struct admin_host *host, struct reply *reply)
{
	*stats = (struct stats){0};
	list_init(&stats->tallies);
	reply_ask_workers(host, reply, add_worker, stats);
}

void stats_fini(struct stats *stats)
{
	tally_destroy_all(&stats->tallies);
}

static cJSON *named_counts(const char *const *names, const uint64_t *counts, int n)
{
	cJSON *json = cJSON_CreateObject();

	for (int i = 0; i < n; i++)
		cJSON_AddNumberToObject(json, names[i], (double)counts[i]);
	return json;
}

static cJSON *local_responses(const struct stats *stats)
{
	cJSON *json = cJSON_CreateObject();

	for (int i = 0; i < OUTCOMES; i++)
		if (stats->counters.local_responses[i] > 0)
			cJSON_AddNumberToObject(json, outcome_table[i].name,
				(double)stats->counters.local_responses[i]);
	return json;
}

static cJSON *connections(const struct stats *stats, int direction)
{
	cJSON *json = cJSON_CreateObject();

	for (int side = 0; side < SIDES; side++) {
		cJSON *one = cJSON_AddObjectToObject(json, side_names[side]);

		cJSON_AddNumberToObject(one, "open", stats->gauges.open[direction][side]);
		cJSON_AddNumberToObject(one, "idle", stats->gauges.idle[direction][side]);
		cJSON_AddNumberToObject(
			one, "opened", (double)stats->counters.opened[direction][side]);
		cJSON_AddNumberToObject(one, "received_bytes",
			(double)stats->counters.bytes[direction][side]);
		cJSON_AddItemToObject(one, "recycled",
			named_counts(recycle_names,
				stats->counters.recycled[direction][side],
				RECYCLE_REASONS));
	}
	cJSON_AddNumberToObject(
		json, "tunnels", stats->gauges.tunnels[direction][DOWNSTREAM]);
	cJSON_AddNumberToObject(json, "in_flight", stats->gauges.in_flight[direction]);
	return json;
}

static cJSON *service(const struct tally *tally)
{
	cJSON *json = cJSON_CreateObject(), *codes = cJSON_CreateObject(),
	      *picks = cJSON_CreateObject();
	double n = 0;

	cJSON_AddStringToObject(json, "service", tally->service);
	cJSON_AddStringToObject(json, "direction", direction_names[tally->direction]);
	for (size_t i = 0; i < tally->n_codes; i++) {
		char code[8];

		snprintf(code, sizeof(code), "%03u", tally->codes[i].code);
		cJSON_AddNumberToObject(codes, code, (double)tally->codes[i].n);
		n += (double)tally->codes[i].n;
	}
	cJSON_AddNumberToObject(json, "requests", n);
	cJSON_AddItemToObject(json, "codes", codes);
	cJSON_AddNumberToObject(
		json, "mean_duration_ms", n > 0 ? (double)tally->total_us / n / 1000 : 0);
	for (int i = 0; i < TALLY_PROXIMITIES; i++)
		cJSON_AddNumberToObject(picks,
			topo_proximity_name((enum topo_proximity)i),
			(double)tally->picks[i]);
	cJSON_AddItemToObject(json, "picks", picks);
	return json;
}

static cJSON *own_services(const struct growth *growth)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < growth->n_services; i++) {
		const struct growth_service *service = &growth->services[i];
		cJSON *json = cJSON_CreateObject();
		char name[160];

		snprintf(name, sizeof(name), "%s/%s", service->namespace_, service->name);
		cJSON_AddStringToObject(json, "service", name);
		cJSON_AddBoolToObject(json, "known", service->is_known);
		cJSON_AddNumberToObject(
			json, "ready_addresses", (double)service->n_ready);
		cJSON_AddItemToArray(list, json);
	}
	return list;
}

cJSON *rebalance_json(const struct admin_host *host, unsigned n_due)
{
	const struct growth *growth = host->growth(host->arg);
	cJSON *json = cJSON_CreateObject(), *last;

	cJSON_AddItemToObject(json, "own_services", own_services(growth));
	cJSON_AddNumberToObject(json, "rebalances", (double)growth->n_begun);
	if (growth->n_begun > 0) {
		last = cJSON_AddObjectToObject(json, "last_growth");
		cJSON_AddNumberToObject(last, "seconds_ago",
			(double)(clock_ms() - growth->begun_ms) / 1000);
		cJSON_AddNumberToObject(last, "new_addresses", (double)growth->n_new);
	} else {
		cJSON_AddNullToObject(json, "last_growth");
	}
	cJSON_AddNumberToObject(
		json, "new_addresses_waiting", (double)growth_n_waiting(growth));
	cJSON_AddNumberToObject(json, "connections_due", n_due);
	return json;
}

void view_stats(const struct admin_host *host, struct reply *reply)
{
	struct stats stats;
	cJSON *json = cJSON_CreateObject(), *services;

	stats_take(&stats, host, reply);
	cJSON_AddStringToObject(json, "version", NIGH_VERSION);
	cJSON_AddNumberToObject(
		json, "uptime_seconds", (double)(clock_ms() - host->started_ms) / 1000);
	cJSON_AddNumberToObject(json, "workers", host->n_workers);
	cJSON_AddStringToObject(
		json, "drain", drain_phase_name(host->drain_phase(host->arg)));
	cJSON_AddStringToObject(json, "endpoints_source", host->source_status(host->arg));
	for (int d = 0; d < DIRECTIONS; d++)
		cJSON_AddItemToObject(json, direction_names[d], connections(&stats, d));
	cJSON_AddItemToObject(json, "retries",
		named_counts(retry_names, stats.counters.retries, RETRY_REASONS));
	cJSON_AddItemToObject(json, "local_responses", local_responses(&stats));
	cJSON_AddItemToObject(json, "rebalance", rebalance_json(host, stats.gauges.due));
	services = cJSON_AddArrayToObject(json, "services");
	list_each_safe (node, next, &stats.tallies)
		cJSON_AddItemToArray(
			services, service(container_of(node, struct tally, node)));
	stats_fini(&stats);
	reply_json(reply, json);
}
