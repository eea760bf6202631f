/* SPDX-License-Identifier: Apache-2.0 */
/* The names of libevent that our code uses, over the sockets of the simulation. */
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>

#include "fuzz.h"
#include "sim.h"

#define TIMERS_MAX 64

struct event_base {
	int unused;
};

struct timer {
	struct event *event;
	uint64_t at_us, interval_us;
	bool active; /* event_active */
};

static struct event_base the_base;
static struct timer timers[TIMERS_MAX];
static size_t n_timers; /* slots that were ever used */

void sim_wake(struct sim_socket *socket)
{
	if (socket->woken || socket->closed || !socket->event)
		return;
	socket->woken = true;
	sim.ready[sim.n_ready++] = (size_t)(socket - sim.sockets);
}

struct event_base *event_base_new(void)
{
	memset(timers, 0, sizeof(timers));
	n_timers = 0;
	return &the_base;
}

void event_base_free(struct event_base *base)
{
	(void)base;
	for (size_t i = 0; i < n_timers; i++)
		CHECK(!timers[i].event);
}

int event_assign(struct event *event, struct event_base *base, evutil_socket_t fd,
	short what, event_callback_fn callback, void *arg)
{
	memset(event, 0, sizeof(*event));
	event->ev_base = base;
	event->ev_fd = fd;
	event->ev_events = what;
	event->ev_evcallback.evcb_cb_union.evcb_callback = callback;
	event->ev_evcallback.evcb_arg = arg;
	return 0;
}

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what,
	event_callback_fn callback, void *arg)
{
	struct event *event = malloc(sizeof(*event));

	if (event)
		event_assign(event, base, fd, what, callback, arg);
	return event;
}

void event_free(struct event *event)
{
	event_del(event);
	free(event);
}

static struct timer *timer_of(const struct event *event)
{
	for (size_t i = 0; i < n_timers; i++)
		if (timers[i].event == event)
			return &timers[i];
	return NULL;
}

static struct timer *timer_get(struct event *event)
{
	struct timer *timer = timer_of(event);

	if (!timer) {
		timer = timer_of(NULL);
		if (!timer)
			timer = &timers[n_timers++];
		CHECK(n_timers < TIMERS_MAX);
		*timer = (struct timer){.event = event, .at_us = UINT64_MAX};
	}
	return timer;
}

int event_add(struct event *event, const struct timeval *after)
{
	struct sim_socket *socket = sim_socket_of(event->ev_fd);

	if (socket) {
		CHECK(!socket->closed && (!socket->event || socket->event == event));
		socket->event = event;
		sim_wake(socket);
	} else {
		struct timer *timer = timer_get(event);
		uint64_t us =
			(uint64_t)after->tv_sec * 1000000 + (uint64_t)after->tv_usec;

		timer->at_us = sim.now_us + us;
		timer->interval_us = event->ev_events & EV_PERSIST ? us : 0;
	}
	return 0;
}

int event_del(struct event *event)
{
	struct sim_socket *socket = sim_socket_of(event->ev_fd);
	struct timer *timer = timer_of(event);

	if (socket && socket->event == event)
		socket->event = NULL;
	if (timer)
		*timer = (struct timer){0};
	return 0;
}

void event_active(struct event *event, int what, short n_calls)
{
	(void)what;
	(void)n_calls;
	timer_get(event)->active = true;
}

static void run(struct event *event, short what)
{
	event->ev_evcallback.evcb_cb_union.evcb_callback(
		event->ev_fd, what, event->ev_evcallback.evcb_arg);
}

/* All that is ready is taken together, then told one by one; who is taken off meanwhile
 * hears nothing. Level-triggered ones stay in the list. */
static void run_ready(void)
{
	struct {
		struct sim_socket *socket;
		struct event *event;
		short what;
	} batch[SIM_SOCKETS_MAX];
	size_t n = sim.n_ready;

	sim.n_ready = 0;
	for (size_t i = 0; i < n; i++) {
		struct sim_socket *socket = &sim.sockets[sim.ready[i]];

		batch[i].socket = socket;
		batch[i].event = socket->closed ? NULL : socket->event;
		batch[i].what = 0;
		socket->woken = false;
		if (batch[i].event)
			batch[i].what = sim_poll(socket) & batch[i].event->ev_events;
		if (batch[i].what && !(batch[i].event->ev_events & EV_ET))
			sim_wake(socket);
	}
	for (size_t i = 0; i < n; i++)
		if (batch[i].what && batch[i].socket->event == batch[i].event)
			run(batch[i].event, batch[i].what);
}

static void run_timers(void)
{
	for (size_t i = 0; i < n_timers; i++) {
		struct timer *timer = &timers[i];

		if (!timer->event || (timer->at_us > sim.now_us && !timer->active))
			continue;
		timer->active = false;
		if (timer->at_us <= sim.now_us)
			timer->at_us = timer->interval_us
					       ? sim.now_us + timer->interval_us
					       : UINT64_MAX;
		run(timer->event, EV_TIMEOUT);
	}
}

static void tell_cancelled(void);

int event_base_loop(struct event_base *base, int flags)
{
	(void)base;
	(void)flags;
	run_ready();
	run_timers();
	tell_cancelled();
	return 0;
}

bool sim_is_idle(void)
{
	for (size_t i = 0; i < n_timers; i++)
		if (timers[i].event &&
			(timers[i].active || timers[i].at_us <= sim.now_us))
			return false;
	return sim.n_ready == 0;
}

void sim_advance(uint64_t ms)
{
	sim.now_us += ms * 1000;
}

/* --- names --- */

struct evdns_getaddrinfo_request {
	evdns_getaddrinfo_cb done;
	void *arg;
	bool cancelled;
};

#define NAMES_MAX 32
static struct evdns_getaddrinfo_request names[NAMES_MAX];
static size_t n_names; /* that wait */

struct evdns_base *evdns_base_new(struct event_base *base, int flags)
{
	(void)flags;
	return (struct evdns_base *)base;
}

void evdns_base_free(struct evdns_base *base, int fail_requests)
{
	(void)base;
	(void)fail_requests;
	for (size_t i = 0; i < NAMES_MAX; i++)
		CHECK(!names[i].done);
}

int evdns_base_resolv_conf_parse(
	struct evdns_base *base, int flags, const char *const path)
{
	(void)base;
	(void)flags;
	(void)path;
	return 0;
}

int evdns_base_set_option(struct evdns_base *base, const char *name, const char *value)
{
	(void)base;
	(void)name;
	(void)value;
	return 0;
}

static void answer(evdns_getaddrinfo_cb done, void *arg, int err)
{
	static union address addresses[2];
	static struct evutil_addrinfo infos[2];

	for (int i = 0; i < 2; i++) {
		address_parse(i ? "10.0.9.2" : "10.0.9.1", 0, &addresses[i]);
		infos[i] = (struct evutil_addrinfo){.ai_addr = &addresses[i].sa,
			.ai_addrlen = sizeof(addresses[i].in),
			.ai_next = i ? NULL : &infos[1]};
	}
	done(err, err ? NULL : infos, arg);
}

struct evdns_getaddrinfo_request *evdns_getaddrinfo(struct evdns_base *base,
	const char *node, const char *service, const struct evutil_addrinfo *hints,
	evdns_getaddrinfo_cb done, void *arg)
{
	(void)base;
	(void)node;
	(void)service;
	(void)hints;
	for (size_t i = 0; sim.name_mode == 2 && i < NAMES_MAX; i++) {
		if (names[i].done)
			continue;
		names[i] = (struct evdns_getaddrinfo_request){done, arg, false};
		n_names++;
		return &names[i];
	}
	answer(done, arg, sim.name_mode == 1 ? EVUTIL_EAI_NONAME : 0);
	return NULL;
}

static void answer_one(struct evdns_getaddrinfo_request *request)
{
	struct evdns_getaddrinfo_request copy = *request;

	*request = (struct evdns_getaddrinfo_request){0};
	n_names -= copy.done != NULL;
	if (copy.done)
		answer(copy.done, copy.arg,
			copy.cancelled       ? EVUTIL_EAI_CANCEL
			: sim.name_mode == 1 ? EVUTIL_EAI_NONAME
					     : 0);
}

/* libevent tells a request that it was cancelled, from the loop. */
void evdns_getaddrinfo_cancel(struct evdns_getaddrinfo_request *request)
{
	request->cancelled = true;
}

static void tell_cancelled(void)
{
	for (size_t i = 0; n_names > 0 && i < NAMES_MAX; i++)
		if (names[i].cancelled)
			answer_one(&names[i]);
}

void sim_answer_names(void)
{
	for (size_t i = 0; n_names > 0 && i < NAMES_MAX; i++)
		answer_one(&names[i]);
}

void evutil_freeaddrinfo(struct evutil_addrinfo *info)
{
	(void)info;
}

const char *evutil_gai_strerror(int err)
{
	(void)err;
	return "no such name";
}
