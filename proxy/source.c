/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "topo/memory.h"
#include "topo/source/cluster.h"
#include "topo/source/file.h"
#include "topo/source/kubernetes.h"
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

/* After a snapshot that took so long to make, this many times as long until the next: a
 * large service that changes all the time may take a fifth of the main thread's time. */
#define PUBLISH_REST 4

static struct topo *build(const struct topo_store *store, const struct config *config,
	const char *node_name)
{
	size_t n = config->node_labels.n_items;
	struct topo_label *labels = memory_calloc(n + 1, sizeof(*labels));
	struct topo_self self = {
		.node_name = node_name,
		.zone = config->zone,
		.region = config->region,
		.labels = labels,
		.n_labels = n,
		.pod_ip = config->pod_ip,
	};
	struct topo_policy policy;
	struct topo *topo;

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
	const struct config *config = source->config;
	const char *node_name = source->kubernetes
					? kubernetes_node_name(source->kubernetes)
					: config->node_name;
	uint64_t began_ms = clock_ms(), now;
	struct topo *topo = build(source->store, config, node_name);

	for (unsigned i = 0; i < source->n_workers; i++)
		worker_set_topo(&source->workers[i], topo_ref(topo));
	topo_unref(source->topo);
	source->topo = topo;
	now = clock_ms();
	source->publish_from_ms = now + PUBLISH_REST * (now - began_ms);
	rebalance_follow(&source->rebalance, topo);
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
	source->updated_ms = clock_ms();
	counts = topo_store_count(source->store);
	log_at(LOG_INFO, NULL, "endpoints_updated",
		"slices=%zu services=%zu nodes=%zu endpoints=%zu", counts.n_slices,
		counts.n_services, counts.n_nodes, counts.n_endpoints);
}

static void on_fault(void *arg, const char *message)
{
	report_problem(arg, message);
}

/* That something is in the way is published, and leaves the endpoints as old as they are.
 */
static void on_publish(evutil_socket_t fd, short what, void *arg)
{
	struct source *source = arg;
	uint64_t version = topo_store_records_version(source->store);

	(void)fd;
	(void)what;
	publish(source);
	if (version != source->updated_version)
		source->updated_ms = clock_ms();
	source->updated_version = version;
}

static void on_store_change(void *arg)
{
	struct source *source = arg;
	uint64_t now = clock_ms();
	uint64_t ms = source->publish_from_ms > now ? source->publish_from_ms - now : 0;
	struct timeval after = clock_timeval(ms);

	if (!event_pending(source->publishing, EV_TIMEOUT, NULL))
		event_add(source->publishing, &after);
}

static void on_problem(void *arg, const char *what, const char *problem)
{
	(void)arg;
	if (problem)
		log_at(LOG_WARN, NULL, "discovery_problem", "what=%s error=%s", what,
			problem);
	else
		log_at(LOG_INFO, NULL, "discovery_well", "what=%s", what);
}

/* What a worker asks for comes by mail: it runs on a thread of its own. */

static void open_begin(struct letter *letter, void *owner)
{
	const struct hold *hold = container_of(letter, struct hold, begin);
	struct source *source = owner;

	kubernetes_hold(source->kubernetes, hold->name.namespace_, hold->name.name);
}

static void open_end(struct letter *letter, void *owner)
{
	struct hold *hold = container_of(letter, struct hold, end);
	struct source *source = owner;

	kubernetes_release(source->kubernetes, hold->name.namespace_, hold->name.name);
	free(hold);
}

static void on_hold(void *arg, struct hold *hold)
{
	struct source *source = arg;

	hold->begin.open = open_begin;
	hold->end.open = open_end;
	mailbox_post(&source->mailbox, &hold->begin);
}

static void on_release(void *arg, struct hold *hold)
{
	struct source *source = arg;

	mailbox_post(&source->mailbox, &hold->end);
}

static void on_explain_end(evutil_socket_t fd, short what, void *arg)
{
	struct source *source = arg;

	(void)fd;
	(void)what;
	if (source->explained)
		kubernetes_release(source->kubernetes, source->explained->namespace_,
			source->explained->name);
	free(source->explained);
	source->explained = NULL;
}

/* Nobody need call them. */
static void hold_from_the_start(struct source *source)
{
	const struct growth *growth = &source->rebalance.growth;

	for (size_t i = 0; i < growth->n_services; i++)
		kubernetes_hold(source->kubernetes, growth->services[i].namespace_,
			growth->services[i].name);
	for (size_t i = 0; i < source->shared->n_fronts; i++) {
		const struct front *front = &source->shared->fronts[i];

		if (front->service)
			kubernetes_hold(
				source->kubernetes, front->namespace_, front->service);
	}
}

static int start_kubernetes(struct source *source, struct event_base *base)
{
	static const struct kubernetes_handlers handlers = {on_store_change, on_problem};
	struct kubernetes_settings settings = {
		source->config->kubeconfig, source->config->node_name, &source->policy};
	int err = mailbox_init(&source->mailbox, base, source);

	if (err != 0)
		return err;
	source->publishing = event_new(base, -1, 0, on_publish, source);
	source->explain_end = event_new(base, -1, 0, on_explain_end, source);
	if (!source->publishing || !source->explain_end)
		return -ENOMEM;
	source->kubernetes =
		kubernetes_create(base, &settings, source->store, &handlers, source);
	source->discovery =
		(struct discovery){.hold = on_hold, .release = on_release, .arg = source};
	source->shared->discovery = &source->discovery;
	hold_from_the_start(source);
	publish(source); /* of nothing yet */
	return 0;
}

static bool is_kubernetes(const struct config *config)
{
	return config->endpoints.source == ENDPOINTS_KUBERNETES ||
	       (config->endpoints.source == ENDPOINTS_AUTO &&
		       (config->kubeconfig || cluster_is_near()));
}

/* Nothing is asked of a file. */
static void on_wait(void *arg, struct hold *hold)
{
	(void)arg;
	(void)hold;
}

static void on_waited(void *arg, struct hold *hold)
{
	(void)arg;
	free(hold);
}

static int start_file(struct source *source, struct event_base *base)
{
	static const struct file_source_handlers handlers = {on_content, on_fault};

	source->discovery = (struct discovery){.hold = on_wait,
		.release = on_waited,
		.tells_all = true,
		.began_ms = clock_ms()};
	source->shared->discovery = &source->discovery;
	source->file = file_source_start(
		base, source->config->endpoints.path, &handlers, source);
	return source->file ? 0 : -ENOMEM;
}

int source_start(struct source *source, struct event_base *base, struct shared *shared,
	struct worker *workers, unsigned n_workers)
{
	const struct config *config = shared->config;
	int err;

	*source = (struct source){.config = config,
		.shared = shared,
		.workers = workers,
		.n_workers = n_workers};
	source_policy(&source->policy, config);
	err = rebalance_init(&source->rebalance, base, shared, workers, n_workers);
	if (err != 0)
		return err;
	if (is_kubernetes(config) || config->endpoints.source == ENDPOINTS_FILE)
		source->store = topo_store_create();
	if (is_kubernetes(config))
		return start_kubernetes(source, base);
	if (config->endpoints.source == ENDPOINTS_FILE)
		return start_file(source, base);
	log_at(LOG_INFO, NULL, "no_endpoints_source", "status=%s", source_status(source));
	if (source->rebalance.growth.n_services > 0)
		log_at(LOG_WARN, NULL, "no_effect", "variable=%s why=%s", "NIGH_SERVICE",
			"DNS does not tell that a service grew");
	return 0;
}

void source_stop(struct source *source)
{
	rebalance_fini(&source->rebalance);
	file_source_cancel(source->file);
	if (source->shared)
		source->shared->discovery = NULL;
	if (source->kubernetes)
		mailbox_open(&source->mailbox);
	mailbox_fini(&source->mailbox);
	kubernetes_destroy(source->kubernetes);
	if (source->publishing)
		event_free(source->publishing);
	if (source->explain_end)
		event_free(source->explain_end);
	topo_store_destroy(source->store);
	topo_unref(source->topo);
	free(source->explained);
	*source = (struct source){0};
}

uint64_t source_n_requests(const struct source *source)
{
	return source->kubernetes ? kubernetes_n_requests(source->kubernetes) : 0;
}

bool source_look_for(struct source *source, const char *service)
{
	const struct topo_watch *watch;
	struct topo_name name;
	uint64_t ms = source->config->discovery_idle_ms;
	struct timeval idle = clock_timeval(ms);

	if (!source->kubernetes ||
		!topo_parse_host(service, strcspn(service, ":"), &source->policy, &name))
		return false;
	watch = topo_find_watch(source->topo, name.namespace_, name.name);
	if (watch)
		return !watch->settled;
	/* First the new one: it may be the same, asked for a second time. */
	kubernetes_hold(source->kubernetes, name.namespace_, name.name);
	on_explain_end(-1, 0, source);
	source->explained = memory_malloc(sizeof(*source->explained));
	*source->explained = name;
	event_add(source->explain_end, &idle);
	return true;
}

/* The first service that something is in the way of, rather one of our own namespace:
 * names of the world outside look like services of other ones. */
static const struct topo_watch *failing_watch(const struct source *source)
{
	const struct topo_watch *found = NULL;

	for (size_t i = 0; i < topo_n_watches(source->topo); i++) {
		const struct topo_watch *watch = topo_watch_at(source->topo, i);
		bool is_ours = strcmp(watch->namespace_, source->config->namespace_) == 0;

		if (watch->problem && is_ours)
			return watch;
		if (watch->problem && !found)
			found = watch;
	}
	return found;
}

static const char *kubernetes_status(struct source *source)
{
	const char *problem = kubernetes_problem(source->kubernetes);
	const struct topo_watch *watch = problem ? NULL : failing_watch(source);

	if (problem)
		snprintf(source->problem, sizeof(source->problem),
			"not near: %s (what is known stays in use, other names go to "
			"DNS)",
			problem);
	else if (watch)
		snprintf(source->problem, sizeof(source->problem),
			"from the Kubernetes API, but %s/%s: %s", watch->namespace_,
			watch->name, watch->problem);
	else
		return "from the Kubernetes API";
	return source->problem;
}

const char *source_status(struct source *source)
{
	if (source->kubernetes)
		return kubernetes_status(source);
	if (source->problem[0])
		return source->problem;
	if (source->config->endpoints.source == ENDPOINTS_FILE)
		return source->topo ? "from the file" : "the file was not read yet";
	return "names go to DNS";
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
		topo = build(store, config, config->node_name);
	else
		fprintf(stderr, "nigh: %s\n", report.error);
	for (size_t i = 0; i < report.n_warnings && topo && !quiet; i++)
		fprintf(stderr, "nigh: skipped: %s\n", report.warnings[i]);
	topo_report_fini(&report);
	topo_store_destroy(store);
	free(data);
	return topo;
}
