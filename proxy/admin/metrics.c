/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics: Prometheus text format 0.0.4, one row per metric family with the function
 * that writes its samples.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/stats.h"
#include "admin/views.h"
#include "base/clock.h"
#include "flow/recycle.h"
#include "topo/growth.h"
#include "topo/store.h"

struct page {
	const struct admin_host *host;
	const struct stats *stats;
	FILE *out;
};

/* Label values are escaped as the format wants: backslash, quote, newline. */
static void add_label_value(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
}

static void add_service(
	const struct page *page, const char *name, const struct tally *tally)
{
	fprintf(page->out, "%s{direction=\"%s\",service=\"", name,
		direction_names[tally->direction]);
	add_label_value(page->out, tally->service);
	fputc('"', page->out);
}

/* The tally behind that one, or the first; NULL at the end. */
static const struct tally *next_tally(const struct page *page, const struct tally *tally)
{
	const struct list *head = &page->stats->tallies;
	const struct list *node = tally ? tally->node.next : head->next;

	return node == head ? NULL : container_of(node, const struct tally, node);
}

#define each_tally(tally, page)                                                          \
	for (const struct tally *tally = next_tally(page, NULL); tally;                  \
		tally = next_tally(page, tally))

static void write_requests(const struct page *page, const char *name)
{
	each_tally(tally, page)
	{
		for (size_t i = 0; i < tally->n_codes; i++) {
			add_service(page, name, tally);
			fprintf(page->out, ",code=\"%u\"} %lu\n", tally->codes[i].code,
				(unsigned long)tally->codes[i].n);
		}
	}
}

static void write_durations(const struct page *page, const char *name)
{
	char part[64];

	each_tally(tally, page)
	{
		uint64_t n = 0;

		snprintf(part, sizeof(part), "%s_bucket", name);
		for (int i = 0; i <= TALLY_BUCKETS; i++) {
			n += tally->buckets[i];
			add_service(page, part, tally);
			if (i < TALLY_BUCKETS)
				fprintf(page->out, ",le=\"%g\"} %lu\n",
					tally_bucket_seconds[i], (unsigned long)n);
			else
				fprintf(page->out, ",le=\"+Inf\"} %lu\n",
					(unsigned long)n);
		}
		snprintf(part, sizeof(part), "%s_sum", name);
		add_service(page, part, tally);
		fprintf(page->out, "} %.6f\n", (double)tally->total_us / 1e6);
		snprintf(part, sizeof(part), "%s_count", name);
		add_service(page, part, tally);
		fprintf(page->out, "} %lu\n", (unsigned long)n);
	}
}

static void write_state(const struct page *page, const char *name, int d, int s,
	const char *state, uint32_t n)
{
	fprintf(page->out, "%s{direction=\"%s\",side=\"%s\",state=\"%s\"} %u\n", name,
		direction_names[d], side_names[s], state, n);
}

static void write_connections(const struct page *page, const char *name)
{
	const struct gauges *gauges = &page->stats->gauges;

	for (int d = 0; d < DIRECTIONS; d++) {
		for (int s = 0; s < SIDES; s++) {
			uint32_t tunnels = gauges->tunnels[d][s],
				 idle = gauges->idle[d][s];

			write_state(page, name, d, s, "active",
				gauges->open[d][s] - idle - tunnels);
			write_state(page, name, d, s, "idle", idle);
			write_state(page, name, d, s, "tunnel", tunnels);
		}
	}
}

static void write_by_side(const struct page *page, const char *name,
	const uint64_t counts[DIRECTIONS][SIDES])
{
	for (int d = 0; d < DIRECTIONS; d++)
		for (int s = 0; s < SIDES; s++)
			fprintf(page->out, "%s{direction=\"%s\",side=\"%s\"} %lu\n", name,
				direction_names[d], side_names[s],
				(unsigned long)counts[d][s]);
}

static void write_opened(const struct page *page, const char *name)
{
	write_by_side(page, name, page->stats->counters.opened);
}

static void write_bytes(const struct page *page, const char *name)
{
	write_by_side(page, name, page->stats->counters.bytes);
}

static void write_in_flight(const struct page *page, const char *name)
{
	for (int d = 0; d < DIRECTIONS; d++)
		fprintf(page->out, "%s{direction=\"%s\"} %u\n", name, direction_names[d],
			page->stats->gauges.in_flight[d]);
}

static void write_recycled(const struct page *page, const char *name)
{
	for (int d = 0; d < DIRECTIONS; d++)
		for (int s = 0; s < SIDES; s++)
			for (int r = 0; r < RECYCLE_REASONS; r++)
				fprintf(page->out,
					"%s{direction=\"%s\",side=\"%s\",reason=\"%s\"} "
					"%lu\n",
					name, direction_names[d], side_names[s],
					recycle_names[r],
					(unsigned long)
						page->stats->counters.recycled[d][s][r]);
}

static void write_rebalances(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %lu\n", name,
		(unsigned long)page->host->growth(page->host->arg)->n_begun);
}

static void write_rebalance_due(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %u\n", name, page->stats->gauges.due);
}

static void write_picks(const struct page *page, const char *name)
{
	each_tally(tally, page)
	{
		for (int i = 0; i < TALLY_PROXIMITIES; i++) {
			fprintf(page->out, "%s{service=\"", name);
			add_label_value(page->out, tally->service);
			fprintf(page->out, "\",direction=\"%s\",domain=\"%s\"} %lu\n",
				direction_names[tally->direction],
				topo_proximity_name((enum topo_proximity)i),
				(unsigned long)tally->picks[i]);
		}
	}
}

static void write_retries(const struct page *page, const char *name)
{
	for (int r = 0; r < RETRY_REASONS; r++)
		fprintf(page->out, "%s{reason=\"%s\"} %lu\n", name, retry_names[r],
			(unsigned long)page->stats->counters.retries[r]);
}

static void write_local_responses(const struct page *page, const char *name)
{
	for (int i = 0; i < OUTCOMES; i++)
		if (outcome_table[i].status > 0)
			fprintf(page->out, "%s{reason=\"%s\"} %lu\n", name,
				outcome_table[i].name,
				(unsigned long)page->stats->counters.local_responses[i]);
}

static void write_ended(const struct page *page, const char *name)
{
	for (int i = 0; i < OUTCOMES; i++)
		fprintf(page->out, "%s{outcome=\"%s\"} %lu\n", name,
			outcome_table[i].name,
			(unsigned long)page->stats->counters.ended[i]);
}

static void write_endpoints(const struct page *page, const char *name)
{
	struct topo *topo = page->host->topo(page->host->arg);

	for (size_t i = 0; topo && i < topo_n_services(topo); i++) {
		const struct topo_service *service = topo_service_at(topo, i);
		size_t counts[TOPO_TERMINATING + 1] = {0};

		for (uint32_t p = 0; p < service->n_ports; p++)
			for (uint32_t e = 0; e < service->ports[p].n_endpoints; e++)
				counts[service->ports[p].endpoints[e].state]++;
		for (int s = 0; s <= TOPO_TERMINATING; s++) {
			fprintf(page->out, "%s{service=\"", name);
			add_label_value(page->out, service->full_name);
			fprintf(page->out, "\",state=\"%s\"} %zu\n",
				topo_state_name((enum topo_state)s), counts[s]);
		}
	}
}

static void write_last_update(const struct page *page, const char *name)
{
	double age = page->host->source_age_s(page->host->arg);

	if (age >= 0)
		fprintf(page->out, "%s %.3f\n", name, age);
}

static void write_services(const struct page *page, const char *name)
{
	struct topo *topo = page->host->topo(page->host->arg);
	unsigned n_settled = 0, n_pending = 0, n_failing = 0;

	for (size_t i = 0; topo && i < topo_n_watches(topo); i++) {
		const struct topo_watch *watch = topo_watch_at(topo, i);

		if (watch->problem)
			n_failing++;
		else if (watch->settled)
			n_settled++;
		else
			n_pending++;
	}
	fprintf(page->out, "%s{state=\"settled\"} %u\n", name, n_settled);
	fprintf(page->out, "%s{state=\"pending\"} %u\n", name, n_pending);
	fprintf(page->out, "%s{state=\"failing\"} %u\n", name, n_failing);
}

static void write_fallbacks(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %lu\n", name,
		(unsigned long)page->stats->counters.discovery_fallbacks);
}

static void write_api_requests(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %lu\n", name,
		(unsigned long)page->host->source_requests(page->host->arg));
}

static void write_drain_state(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %d\n", name, page->host->drain_phase(page->host->arg));
}

static void write_memory(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %zu\n", name, ceiling_used(&page->host->shared->ceiling));
}

static void write_memory_limit(const struct page *page, const char *name)
{
	size_t bytes = ceiling_limit(&page->host->shared->ceiling);

	if (bytes > 0)
		fprintf(page->out, "%s %zu\n", name, bytes);
}

static void write_seccomp(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %d\n", name, page->host->shared->is_confined);
}

static void write_build(const struct page *page, const char *name)
{
	fprintf(page->out, "%s{version=\"%s\"} 1\n", name, NIGH_VERSION);
}

static void write_workers(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %u\n", name, page->host->n_workers);
}

static void write_cpu(const struct page *page, const char *name)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	fprintf(page->out, "%s %.6f\n", name,
		(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void write_statm(const struct page *page, const char *name, int field)
{
	unsigned long pages[2] = {0, 0};
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return;
	if (fscanf(file, "%lu %lu", &pages[0], &pages[1]) == 2)
		fprintf(page->out, "%s %lu\n", name,
			pages[field] * (unsigned long)sysconf(_SC_PAGESIZE));
	fclose(file);
}

static void write_resident(const struct page *page, const char *name)
{
	write_statm(page, name, 1);
}

static void write_virtual(const struct page *page, const char *name)
{
	write_statm(page, name, 0);
}

static void write_open_fds(const struct page *page, const char *name)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		return;
	while (readdir(dir))
		n++;
	closedir(dir);
	fprintf(page->out, "%s %u\n", name, n - 3); /* ".", ".." and dir */
}

static void write_max_fds(const struct page *page, const char *name)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		fprintf(page->out, "%s %lu\n", name, (unsigned long)limit.rlim_cur);
}

static void write_start_time(const struct page *page, const char *name)
{
	fprintf(page->out, "%s %.3f\n", name, page->host->started_at);
}

static const struct family {
	const char *name, *type, *help;
	void (*write)(const struct page *page, const char *name);
} families[] = {
	{"nigh_requests_total", "counter", "Requests by the code of their response.",
		write_requests},
	{"nigh_request_duration_seconds", "histogram",
		"From the request's head to the end of its response.", write_durations},
	{"nigh_requests_in_flight", "gauge", "Requests and tunnels under way.",
		write_in_flight},
	{"nigh_connections", "gauge", "Open connections.", write_connections},
	{"nigh_connections_opened_total", "counter", "Connections accepted or made.",
		write_opened},
	{"nigh_received_bytes_total", "counter",
		"Bytes received over HTTP from that side.", write_bytes},
	{"nigh_recycled_total", "counter", "Keep-alive connections ended on purpose.",
		write_recycled},
	{"nigh_rebalances_total", "counter",
		"How often our own services grew so that connections were rebalanced.",
		write_rebalances},
	{"nigh_rebalance_due", "gauge",
		"Inbound connections that a rebalance is still to recycle.",
		write_rebalance_due},
	{"nigh_endpoint_picks_total", "counter",
		"Attempts by how far away the endpoint is: node, zone, region, any.",
		write_picks},
	{"nigh_retries_total", "counter", "Requests sent again, by why.", write_retries},
	{"nigh_flows_ended_total", "counter",
		"Requests and TCP connections by how they ended.", write_ended},
	{"nigh_local_responses_total", "counter",
		"Responses that nigh made itself, by why.", write_local_responses},
	{"nigh_endpoints", "gauge", "Endpoints known, over all ports.", write_endpoints},
	{"nigh_endpoints_last_update_seconds", "gauge",
		"Seconds since the endpoints were last updated.", write_last_update},
	{"nigh_discovery_services", "gauge",
		"Services watched at the Kubernetes API: known, not known yet, or "
		"something is in the way.",
		write_services},
	{"nigh_discovery_fallbacks_total", "counter",
		"Requests that went to the name by DNS because nothing certain was known "
		"of "
		"a service.",
		write_fallbacks},
	{"nigh_discovery_api_requests_total", "counter",
		"Requests sent to the Kubernetes API.", write_api_requests},
	{"nigh_drain_state", "gauge", "0 serving, 1 delay, 2 finishing, 3 drained.",
		write_drain_state},
	{"nigh_workers", "gauge", "Event loops.", write_workers},
	{"nigh_buffer_bytes", "gauge", "Memory that bytes in flight take.", write_memory},
	{"nigh_buffer_limit_bytes", "gauge",
		"What NIGH_MAX_MEMORY comes to; absent where there is no limit.",
		write_memory_limit},
	{"nigh_seccomp", "gauge", "1 where the kernel refuses unknown system calls.",
		write_seccomp},
	{"nigh_build_info", "gauge", "The version that runs.", write_build},
	{"process_cpu_seconds_total", "counter", "User and system CPU time.", write_cpu},
	{"process_resident_memory_bytes", "gauge", "Resident memory.", write_resident},
	{"process_virtual_memory_bytes", "gauge", "Virtual memory.", write_virtual},
	{"process_open_fds", "gauge", "Open file descriptors.", write_open_fds},
	{"process_max_fds", "gauge", "Limit of open file descriptors.", write_max_fds},
	{"process_start_time_seconds", "gauge", "Start time since the epoch.",
		write_start_time},
};

#define N_FAMILIES (sizeof(families) / sizeof(*families))

static void print_reasons(FILE *out, const char *name, const char *const *reasons, int n)
{
	fprintf(out, "\nReasons in `%s`:", name);
	for (int i = 0; i < n; i++)
		fprintf(out, "%s `%s`", i > 0 ? "," : "", reasons[i]);
	fputs(".\n", out);
}

void admin_print_metrics(FILE *out)
{
	fputs("| metric | type | meaning |\n|---|---|---|\n", out);
	for (size_t i = 0; i < N_FAMILIES; i++)
		fprintf(out, "| `%s` | %s | %s |\n", families[i].name, families[i].type,
			families[i].help);
	print_reasons(out, "nigh_recycled_total", recycle_names, RECYCLE_REASONS);
	print_reasons(out, "nigh_retries_total", retry_names, RETRY_REASONS);
}

void view_metrics(const struct admin_host *host, struct reply *reply)
{
	struct stats stats;
	struct page page = {.host = host, .stats = &stats, .out = reply->out};

	stats_take(&stats, host, reply);
	for (size_t i = 0; i < N_FAMILIES; i++) {
		const struct family *family = &families[i];

		fprintf(page.out, "# HELP %s %s\n# TYPE %s %s\n", family->name,
			family->help, family->name, family->type);
		family->write(&page, family->name);
	}
	stats_fini(&stats);
	reply->type = "text/plain; version=0.0.4; charset=utf-8";
}
