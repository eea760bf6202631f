/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "topo/source/file.h"
#include "topo/store.h"

void source_policy(struct topo_policy *policy, const struct config *config)
{
	*policy = (struct topo_policy){
		.namespace_ = config->namespace_,
		.cluster_domain = config->cluster_domain,
		.keys = (const char *const *)config->topology_keys.items,
		.n_keys = config->topology_keys.n_items,
	};
}

static struct topo *build(const struct topo_store *store, const struct config *config)
{
	size_t n = config->node_labels.n_items;
	struct topo_label *labels = calloc(n + 1, sizeof(*labels));
	struct topo_self self = {
		.node_name = config->node_name,
		.zone = config->zone,
		.region = config->region,
		.labels = labels,
		.n_labels = n,
		.pod_ip = config->pod_ip,
	};
	struct topo_policy policy;
	struct topo *topo;

	if (!labels)
		abort(); /* as everything does that topo_build cannot allocate */
	for (size_t i = 0; i < n; i++)
		labels[i] = (struct topo_label){config->node_labels.items[i].key,
			config->node_labels.items[i].value};
	source_policy(&policy, config);
	topo = topo_build(store, &self, &policy);
	free(labels);
	return topo;
}

static void publish(struct source *source)
{
	struct topo *topo = build(source->store, source->config);

	for (unsigned i = 0; i < source->n_workers; i++)
		worker_set_topo(&source->workers[i], topo_ref(topo));
	topo_unref(source->topo);
	source->topo = topo;
	source->updated_ms = clock_ms();
}

static void report_problem(struct source *source, const char *problem)
{
	snprintf(source->problem, sizeof(source->problem), "%s", problem);
	log_at(LOG_ERROR, NULL, "endpoints_rejected", "path=%s error=%s state=%s",
		source->config->endpoints.path, problem,
		source->topo ? "the old endpoints stay" : "calls pass through");
}

static void on_content(void *arg, const char *data, size_t len)
{
	struct source *source = arg;
	struct topo_report report = {0};
	struct topo_store_counts counts;

	if (topo_store_load(source->store, data, len, &report) != 0) {
		report_problem(source, report.error);
		topo_report_fini(&report);
		return;
	}
	for (size_t i = 0; i < report.n_warnings; i++)
		log_at(LOG_WARN, NULL, "endpoints_skipped", "what=%s",
			report.warnings[i]);
	if (report.n_left_out > 0)
		log_at(LOG_WARN, NULL, "endpoints_skipped", "more=%zu",
			report.n_left_out);
	topo_report_fini(&report);
	source->problem[0] = '\0';
	publish(source);
	counts = topo_store_count(source->store);
	log_at(LOG_INFO, NULL, "endpoints_updated",
		"slices=%zu services=%zu nodes=%zu endpoints=%zu", counts.n_slices,
		counts.n_services, counts.n_nodes, counts.n_endpoints);
}

static void on_fault(void *arg, const char *message)
{
	report_problem(arg, message);
}

int source_start(struct source *source, struct event_base *base,
	const struct config *config, struct worker *workers, unsigned n_workers)
{
	static const struct file_source_handlers handlers = {on_content, on_fault};

	*source = (struct source){
		.config = config, .workers = workers, .n_workers = n_workers};
	source_policy(&source->policy, config);
	if (config->endpoints.source != ENDPOINTS_FILE) {
		log_at(LOG_INFO, NULL, "no_endpoints_source", "status=%s",
			source_status(source));
		return 0;
	}
	source->store = topo_store_create();
	source->file = file_source_start(base, config->endpoints.path, &handlers, source);
	return source->file ? 0 : -errno;
}

void source_stop(struct source *source)
{
	file_source_cancel(source->file);
	if (source->store)
		topo_store_destroy(source->store);
	topo_unref(source->topo);
	*source = (struct source){0};
}

const char *source_status(const struct source *source)
{
	if (source->problem[0])
		return source->problem;
	switch (source->config->endpoints.source) {
	case ENDPOINTS_FILE:
		return source->topo ? "from the file" : "the file was not read yet";
	case ENDPOINTS_KUBERNETES:
		return "this version has no kubernetes source yet; names go to DNS";
	default:
		return "names go to DNS";
	}
}

struct topo *source_read_once(const struct config *config, const char *path, bool quiet)
{
	struct topo_store *store;
	struct topo_report report = {0};
	struct topo *topo = NULL;
	size_t len;
	char *data, *problem = file_source_read(path, &data, &len);

	if (problem) {
		fprintf(stderr, "nigh: %s\n", problem);
		free(problem);
		return NULL;
	}
	store = topo_store_create();
	if (topo_store_load(store, data, len, &report) == 0)
		topo = build(store, config);
	else
		fprintf(stderr, "nigh: %s\n", report.error);
	for (size_t i = 0; i < report.n_warnings && topo && !quiet; i++)
		fprintf(stderr, "nigh: skipped: %s\n", report.warnings[i]);
	topo_report_fini(&report);
	topo_store_destroy(store);
	free(data);
	return topo;
}
