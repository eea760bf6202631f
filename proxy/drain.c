/* SPDX-License-Identifier: Apache-2.0 */
#include "drain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/drain.h"

#define TICK_MS        50
#define ASK_TIMEOUT_MS 1000

/* When the application has stopped listening it may still make its last calls: we stay
 * until it has been quiet for this long, closed connections or not. Connections that it
 * keeps open may be for a call yet: they get this long from then on, too. */
#define QUIET_MS 1000

/* A connection within the pod is made or refused at once. */
#define CONNECT_US 100000

#define TCP_LISTENING 0x0a

/* One line of /proc/net/tcp or tcp6: does it listen where the application does? */
static bool line_matches(const char *line, const char *ip, uint16_t port)
{
	char local[33];
	unsigned local_port, state;
	char loopback4[9];

	if (sscanf(line, " %*u: %32[0-9A-F]:%4x %*[0-9A-F]:%*4x %2x", local, &local_port,
		    &state) != 3 ||
		state != TCP_LISTENING || local_port != port)
		return false;
	if (strspn(local, "0") == strlen(local))
		return true;
	if (strchr(ip, ':') || strlen(local) > 8)
		return strlen(local) > 8;
	/* IPv4 as the kernel prints it: the word in host order. */
	snprintf(loopback4, sizeof(loopback4), "%08X", inet_addr(ip));
	return strcmp(local, loopback4) == 0;
}

static bool is_connection(const char *line)
{
	unsigned state;

	return sscanf(line, " %*u: %*[0-9A-F]:%*4x %*[0-9A-F]:%*4x %2x", &state) == 1 &&
	       state != TCP_LISTENING;
}

static bool table_has_listener(
	const char *path, const char *ip, uint16_t port, bool *known)
{
	char line[512];
	bool found = false;
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	*known = true;
	/* Listeners come first; thousands of connections may follow. */
	while (!found && fgets(line, sizeof(line), file) && !is_connection(line))
		found = line_matches(line, ip, port);
	fclose(file);
	return found;
}

static const char *app_ip(const struct front *front)
{
	return strcmp(front->host, "localhost") == 0 ? "127.0.0.1" : front->host;
}

/*
 * Whether the application behind the front still accepts. The pod shares one network
 * namespace, so the kernel's table tells without a connection that the application would
 * have to serve. Where it cannot tell, refused requests will (front->app_refused).
 */
static bool app_listens(const struct front *front)
{
	const char *ip = app_ip(front);
	bool known = false, found;
	union address addr;

	if (!address_parse(ip, front->port, &addr) ||
		!(address_is_loopback(&addr) || address_is_local(&addr)))
		return true;
	found = table_has_listener("/proc/net/tcp", ip, front->port, &known) ||
		table_has_listener("/proc/net/tcp6", ip, front->port, &known);
	return found || !known;
}

static bool app_refuses(const struct front *front)
{
	static const struct timeval patience = {0, CONNECT_US};
	union address addr;
	bool refused;
	int fd;

	if (!address_parse(app_ip(front), front->port, &addr))
		return false;
	fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	refused = connect(fd, &addr.sa, address_len(&addr)) != 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/*
 * Where the table shows nobody, the application may have stopped before we were asked to,
 * or the kernel may not show it (some sandboxes do not). One connection tells which.
 */
static bool table_tells(const struct drain *drain)
{
	for (size_t i = 0; i < drain->shared->n_fronts; i++) {
		const struct front *front = &drain->shared->fronts[i];

		if (front->direction == INBOUND && !app_listens(front) &&
			!app_refuses(front))
			return false;
	}
	return true;
}

static bool app_is_gone(const struct drain *drain, const struct front *front)
{
	return drain->table_tells && !app_listens(front);
}

/* Of several ports, the last. */
static bool all_apps_are_gone(const struct drain *drain)
{
	for (size_t i = 0; i < drain->shared->n_fronts; i++)
		if (drain->shared->fronts[i].direction == INBOUND &&
			!app_is_gone(drain, &drain->shared->fronts[i]))
			return false;
	return true;
}

static bool has_front(const struct drain *drain, enum direction direction)
{
	for (size_t i = 0; i < drain->shared->n_fronts; i++)
		if (drain->shared->fronts[i].direction == direction)
			return true;
	return false;
}

static void on_begin(struct worker *worker, void *arg)
{
	(void)arg;
	drain_begin(worker);
}

static void on_close_door(struct worker *worker, void *arg)
{
	drain_close_door(worker, arg);
}

static void on_status(struct worker *worker, void *arg)
{
	drain_add_status(worker, arg);
}

static void on_cut_off(struct worker *worker, void *arg)
{
	drain_cut_off(worker, arg);
}

/* A worker that is too busy to do it at once does it later. */
static void order_all(struct drain *drain, worker_fn *order, void *arg)
{
	for (unsigned i = 0; i < drain->n_workers; i++)
		worker_order(&drain->workers[i], order, arg, ASK_TIMEOUT_MS);
}

/* False when a worker did not answer: then nothing is known this time. */
static bool ask_all(struct drain *drain, worker_fn *question, void *arg)
{
	bool all = true;

	for (unsigned i = 0; i < drain->n_workers; i++)
		all = worker_ask(&drain->workers[i], question, arg, ASK_TIMEOUT_MS) &&
		      all;
	return all;
}

static void enter(struct drain *drain, enum drain_phase phase, const char *why)
{
	static const char *const names[] = {"serving", "delay", "finishing", "drained"};

	drain->phase = phase;
	log_at(LOG_INFO, NULL, "drain", "phase=%s why=%s after_ms=%lu", names[phase], why,
		(unsigned long)(clock_ms() - drain->began_ms));
}

static void end(struct drain *drain, int status)
{
	drain->exit_status = status;
	event_base_loopbreak(drain->base);
}

static void cut_off(struct drain *drain, const char *why)
{
	unsigned n_cut = 0;

	ask_all(drain, on_cut_off, &n_cut);
	log_at(n_cut > 0 ? LOG_WARN : LOG_INFO, NULL, "cut_off", "flows=%u why=%s", n_cut,
		why);
	end(drain, n_cut > 0 ? 1 : 0);
}

static const char *why_close(const struct drain *drain, const struct front *front)
{
	if (clock_ms() - drain->began_ms >= drain->shared->config->drain_delay_ms)
		return "the delay is over";
	if (atomic_load(&front->app_refused))
		return "the application refuses connections";
	if (app_is_gone(drain, front))
		return "the application has stopped listening";
	return NULL;
}

/* Each for itself: an application may close one port long before another. */
static void close_doors_when_due(struct drain *drain)
{
	const char *last = "nothing inbound";
	size_t n_open = 0;

	for (size_t i = 0; i < drain->shared->n_fronts; i++) {
		struct front *front = &drain->shared->fronts[i];
		const char *why = NULL;

		if (front->direction != INBOUND || atomic_load(&front->closed))
			continue;
		why = why_close(drain, front);
		if (!why) {
			n_open++;
			continue;
		}
		atomic_store(&front->closed, true);
		order_all(drain, on_close_door, front);
		log_at(LOG_INFO, NULL, "closed", "side=%s host=%s port=%u why=%s",
			front->side, front->host, (unsigned)front->port, why);
		last = why;
	}
	if (n_open == 0)
		enter(drain, DRAIN_FINISHING, last);
}

/* A call may be over within a tick: then what came for it tells of it. */
static void watch_calls(struct drain *drain, const struct drain_status *status)
{
	uint64_t seen = status->outbound_opened + status->outbound_bytes;

	if (seen != drain->outbound_seen || status->outbound_in_flight > 0)
		drain->called_ms = clock_ms();
	drain->outbound_seen = seen;
}

static bool outbound_is_over(struct drain *drain, const struct drain_status *status)
{
	uint64_t now = clock_ms();

	/* With nothing outbound there is nobody to stay for. */
	if (has_front(drain, INBOUND) && has_front(drain, OUTBOUND) &&
		!all_apps_are_gone(drain)) {
		drain->app_gone_ms = 0;
		return false;
	}
	if (drain->app_gone_ms == 0)
		drain->app_gone_ms = now;
	/* Nor while each call comes on a connection of its own, and none is open now. */
	if (now - drain->called_ms < QUIET_MS)
		return false;
	return status->outbound_open == 0 || now - drain->app_gone_ms >= QUIET_MS;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct drain *drain = arg;
	struct drain_status status = {0};

	(void)fd;
	(void)what;
	if (drain->terminating && clock_ms() - drain->terminated_ms >=
					  drain->shared->config->drain_timeout_ms) {
		cut_off(drain, "NIGH_DRAIN_TIMEOUT has passed");
		return;
	}
	if (drain->phase == DRAIN_DELAY)
		close_doors_when_due(drain);
	if (!ask_all(drain, on_status, &status))
		return;
	watch_calls(drain, &status);
	if (drain->phase < DRAIN_FINISHING)
		return;
	if (drain->phase == DRAIN_FINISHING && status.inbound == 0)
		enter(drain, DRAIN_DONE, "no inbound connection is left");
	if (drain->phase == DRAIN_DONE && drain->terminating &&
		outbound_is_over(drain, &status)) {
		log_at(LOG_INFO, NULL, "drained", "after_ms=%lu",
			(unsigned long)(clock_ms() - drain->began_ms));
		end(drain, 0);
	}
}

int drain_init(struct drain *drain, struct event_base *base, struct shared *shared,
	struct worker *workers, unsigned n_workers)
{
	*drain = (struct drain){.base = base,
		.shared = shared,
		.workers = workers,
		.n_workers = n_workers};
	drain->tick = event_new(base, -1, EV_PERSIST, on_tick, drain);
	return drain->tick ? 0 : -ENOMEM;
}

void drain_fini(struct drain *drain)
{
	if (drain->tick)
		event_free(drain->tick);
}

void drain_start(struct drain *drain)
{
	static const struct timeval interval = {0, TICK_MS * 1000L};

	if (drain->phase != DRAIN_SERVING)
		return;
	drain->began_ms = clock_ms();
	drain->shared->draining = true;
	drain->table_tells = table_tells(drain);
	enter(drain, DRAIN_DELAY, "asked to");
	order_all(drain, on_begin, NULL);
	event_add(drain->tick, &interval);
}

void drain_terminate(struct drain *drain)
{
	if (drain->terminating) {
		cut_off(drain, "asked a second time");
		return;
	}
	drain->terminating = true;
	drain->terminated_ms = clock_ms();
	drain_start(drain);
}
