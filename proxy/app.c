/* SPDX-License-Identifier: Apache-2.0 */
#include "app.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <event2/event.h>

#include "admin/admin.h"
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"
#include "capacity.h"
#include "confine.h"
#include "drain.h"
#include "fronts.h"
#include "source.h"

#define WORKERS_AUTO_MAX 4

struct app {
	const struct config *config;
	struct event_base *base;
	struct shared shared;
	struct front *fronts;
	struct worker *workers;
	unsigned n_workers;
	unsigned n_inited;
	struct listen_set admin_listen;
	struct admin *admin;
	struct source source;
	struct drain drain;
	struct event *signals[2];
	uint64_t started_ms;
	double started_at;
};

static int start_rights(struct app *app)
{
	(void)app;
	return confine_rights();
}

static int start_loop(struct app *app)
{
	app->base = event_base_new();
	return app->base ? 0 : -ENOMEM;
}

static void stop_loop(struct app *app)
{
	if (app->base)
		event_base_free(app->base);
}

static int start_limits(struct app *app)
{
	signal(SIGPIPE, SIG_IGN);
	app->shared.config = app->config;
	source_policy(&app->shared.policy, app->config);
	return capacity_apply(&app->shared);
}

static int start_fronts(struct app *app)
{
	unsigned quota = (unsigned)cgroup_cpus();

	app->n_workers = app->config->workers;
	if (app->n_workers == 0)
		app->n_workers = quota < WORKERS_AUTO_MAX ? quota : WORKERS_AUTO_MAX;
	if (!app->config->admin.off) {
		const struct listen_addr *addr = &app->config->admin;
		int err = listen_set_open(
			&app->admin_listen, addr->host, addr->port, false);

		if (err != 0) {
			log_at(LOG_ERROR, NULL, "listen_failed",
				"side=%s host=%s port=%u error=%s", "admin",
				addr->host ? addr->host : "*", (unsigned)addr->port,
				strerror(-err));
			return err;
		}
		log_listening("admin", &app->admin_listen, NULL, "http");
		app->shared.admin_listen = app->admin_listen;
	}
	return fronts_open(
		&app->fronts, &app->shared.n_fronts, app->config, app->n_workers > 1);
}

static void stop_fronts(struct app *app)
{
	if (!app->admin)
		listen_set_close(&app->admin_listen);
	fronts_close(app->fronts, app->shared.n_fronts, app->n_inited > 0);
}

static int start_workers(struct app *app)
{
	app->shared.fronts = app->fronts;
	app->workers = calloc(app->n_workers, sizeof(*app->workers));
	if (!app->workers)
		return -ENOMEM;
	while (app->n_inited < app->n_workers) {
		int err = worker_init(
			&app->workers[app->n_inited], &app->shared, app->n_inited);

		app->n_inited++;
		if (err != 0)
			return err;
	}
	return 0;
}

static void stop_workers(struct app *app)
{
	for (unsigned i = 0; i < app->n_inited; i++)
		worker_fini(&app->workers[i]);
	free(app->workers);
}

static int start_source(struct app *app)
{
	return source_start(
		&app->source, app->base, &app->shared, app->workers, app->n_workers);
}

static void stop_source(struct app *app)
{
	source_stop(&app->source);
}

/* After the source: the first request finds the endpoints. */
static int start_threads(struct app *app)
{
	for (unsigned i = 0; i < app->n_workers; i++) {
		int err = worker_start(&app->workers[i]);

		if (err != 0)
			return err;
	}
	return 0;
}

/* Before the source: workers write to it. */
static void stop_threads(struct app *app)
{
	for (unsigned i = 0; i < app->n_inited; i++)
		worker_stop(&app->workers[i]);
}

static int start_drain(struct app *app)
{
	return drain_init(
		&app->drain, app->base, &app->shared, app->workers, app->n_workers);
}

static void stop_drain(struct app *app)
{
	drain_fini(&app->drain);
}

static enum drain_phase host_drain_phase(void *arg)
{
	return ((struct app *)arg)->drain.phase;
}

static void host_drain(void *arg)
{
	drain_start(&((struct app *)arg)->drain);
}

static const char *host_source_status(void *arg)
{
	return source_status(&((struct app *)arg)->source);
}

static double host_source_age(void *arg)
{
	const struct source *source = &((struct app *)arg)->source;

	return source->updated_ms ? (double)(clock_ms() - source->updated_ms) / 1000 : -1;
}

static struct topo *host_topo(void *arg)
{
	return ((struct app *)arg)->source.topo;
}

static const struct growth *host_growth(void *arg)
{
	return &((struct app *)arg)->source.rebalance.growth;
}

static uint64_t host_source_requests(void *arg)
{
	return source_n_requests(&((struct app *)arg)->source);
}

static bool host_look_for(void *arg, const char *service)
{
	return source_look_for(&((struct app *)arg)->source, service);
}

static int start_admin(struct app *app)
{
	struct admin_host host = {
		.shared = &app->shared,
		.workers = app->workers,
		.n_workers = app->n_workers,
		.started_ms = app->started_ms,
		.started_at = app->started_at,
		.arg = app,
		.drain_phase = host_drain_phase,
		.drain = host_drain,
		.source_status = host_source_status,
		.source_age_s = host_source_age,
		.source_requests = host_source_requests,
		.look_for = host_look_for,
		.topo = host_topo,
		.growth = host_growth,
	};

	if (app->config->admin.off)
		return 0;
	return admin_start(&app->admin, app->base, &app->admin_listen, &host);
}

static void stop_admin(struct app *app)
{
	admin_stop(app->admin);
	app->admin = NULL;
	app->admin_listen.n = 0;
}

static void on_signal(evutil_socket_t signum, short what, void *arg)
{
	struct app *app = arg;

	(void)what;
	log_at(LOG_INFO, NULL, "signal", "name=%s",
		signum == SIGINT ? "SIGINT" : "SIGTERM");
	drain_terminate(&app->drain);
}

/* What other servers reload or reopen their logs by must not end us, least of all with
 * requests in flight. */
static int start_signals(struct app *app)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		app->signals[i] = evsignal_new(app->base, numbers[i], on_signal, app);
		if (!app->signals[i] || event_add(app->signals[i], NULL) != 0)
			return -ENOMEM;
	}
	return 0;
}

static void stop_signals(struct app *app)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	for (int i = 0; i < 2; i++) {
		if (!app->signals[i])
			continue;
		event_free(app->signals[i]);
		/* One more must not take the exit status from us. */
		signal(numbers[i], SIG_IGN);
	}
}

/* Last: what the others need for their start is not in the table. */
static int start_confinement(struct app *app)
{
	bool wanted = app->config->seccomp == CONFIG_ON;
	int err = wanted ? confine_calls() : -EOPNOTSUPP;

	app->shared.is_confined = err == 0;
	if (err == 0)
		log_at(LOG_INFO, NULL, "seccomp", "state=%s", "on");
	else if (err == -EOPNOTSUPP)
		log_at(LOG_WARN, NULL, "seccomp", "state=%s why=%s", "off",
			wanted ? "not allowed here" : "NIGH_SECCOMP=off");
	return err == -EOPNOTSUPP ? 0 : err;
}

/* Started from first to last, stopped from last to first; a stop function accepts what
 * was never started. */
static const struct part {
	const char *name;
	int (*start)(struct app *app);
	void (*stop)(struct app *app);
} parts[] = {
	{"rights", start_rights, NULL},
	{"loop", start_loop, stop_loop},
	{"signals", start_signals, stop_signals}, /* acted on when the loop turns */
	{"limits", start_limits, NULL},
	{"listeners", start_fronts, stop_fronts},
	{"workers", start_workers, stop_workers},
	{"endpoints", start_source, stop_source},
	{"drain", start_drain, stop_drain},
	{"threads", start_threads, stop_threads},
	{"admin", start_admin, stop_admin},
	{"confinement", start_confinement, NULL},
};

#define N_PARTS (sizeof(parts) / sizeof(*parts))

int app_run(const struct config *config)
{
	struct app app = {
		.config = config, .started_ms = clock_ms(), .started_at = clock_wall_s()};
	size_t n_started = 0;
	int err = 0, status = 1;

	while (err == 0 && n_started < N_PARTS) {
		err = parts[n_started].start(&app);
		if (err != 0)
			log_at(LOG_ERROR, NULL, "start_failed", "part=%s error=%s",
				parts[n_started].name, strerror(-err));
		n_started++;
	}
	if (err == 0) {
		log_at(LOG_INFO, NULL, "ready", "version=%s workers=%u start_ms=%lu",
			NIGH_VERSION, app.n_workers,
			(unsigned long)(clock_ms() - app.started_ms));
		event_base_dispatch(app.base);
		status = app.drain.exit_status;
	}
	while (n_started > 0)
		if (parts[--n_started].stop)
			parts[n_started].stop(&app);
	return status;
}
