/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evdns may answer from within evdns_getaddrinfo (hosts file), so the answer is kept and
 * handed on from a deferred call: the caller always has its handle first.
 */
#include "net/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/util.h>

#include "net/loop.h"

#define RESOLV_CONF "/etc/resolv.conf"

/* Of evdns, at one time, two for each name. As a rule it has 64: names that nobody
 * answers for would keep all others waiting. */
#define QUERIES_MAX "4096"

struct resolve {
	struct deferred deferred;
	struct loop *loop;
	struct evdns_getaddrinfo_request *request;
	resolve_fn *done;
	void *arg;
	uint16_t port;
	bool cancelled;
	const char *problem;
	int n;
	union address addresses[RESOLVE_MAX];
};

static void deliver(struct deferred *deferred)
{
	struct resolve *resolve = container_of(deferred, struct resolve, deferred);

	if (!resolve->cancelled)
		resolve->done(
			resolve->arg, resolve->addresses, resolve->n, resolve->problem);
	free(resolve);
}

static void keep(struct resolve *resolve, const struct evutil_addrinfo *info)
{
	union address *to = &resolve->addresses[resolve->n];

	if (resolve->n == RESOLVE_MAX || info->ai_addrlen > sizeof(*to))
		return;
	memcpy(to, info->ai_addr, info->ai_addrlen);
	if (to->sa.sa_family == AF_INET)
		to->in.sin_port = htons(resolve->port);
	else
		to->in6.sin6_port = htons(resolve->port);
	for (int i = 0; i < resolve->n; i++)
		if (address_equal(&resolve->addresses[i], to))
			return;
	resolve->n++;
}

static void on_answer(int err, struct evutil_addrinfo *list, void *arg)
{
	struct resolve *resolve = arg;

	resolve->request = NULL;
	for (struct evutil_addrinfo *info = list; info; info = info->ai_next)
		keep(resolve, info);
	if (list)
		evutil_freeaddrinfo(list);
	if (resolve->n == 0)
		resolve->problem = err ? evutil_gai_strerror(err) : "no address";
	loop_defer(resolve->loop, &resolve->deferred, deliver);
}

/* evdns would take a file that cannot be opened for the moment for one that is not there.
 */
static bool can_open_files(void)
{
	int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || (errno != EMFILE && errno != ENFILE && errno != ENOMEM);
}

/* Its files are read once, so what fails for the moment must not be kept. */
static bool dns_open(struct loop *loop)
{
	if (loop->dns)
		return true;
	if (!can_open_files())
		return false;
	loop->dns = evdns_base_new(loop->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!loop->dns)
		return false;
	/* Without a usable resolv.conf the hosts file still answers. */
	(void)evdns_base_resolv_conf_parse(loop->dns, DNS_OPTIONS_ALL, RESOLV_CONF);
	if (evdns_base_count_nameservers(loop->dns) == 0) { /* no sockets for them */
		evdns_base_free(loop->dns, 0);
		loop->dns = NULL;
		return false;
	}
	evdns_base_set_option(loop->dns, "randomize-case:", "0");
	evdns_base_set_option(loop->dns, "max-inflight:", QUERIES_MAX);
	return true;
}

struct resolve *resolve_start(
	struct loop *loop, const char *host, uint16_t port, resolve_fn *done, void *arg)
{
	struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP,
	};
	struct resolve *resolve;

	if (!dns_open(loop))
		return NULL;
	resolve = calloc(1, sizeof(*resolve));
	if (!resolve)
		return NULL;
	resolve->loop = loop;
	resolve->done = done;
	resolve->arg = arg;
	resolve->port = port;
	resolve->request =
		evdns_getaddrinfo(loop->dns, host, NULL, &hints, on_answer, resolve);
	return resolve;
}

void resolve_cancel(struct resolve *resolve)
{
	if (!resolve)
		return;
	resolve->cancelled = true;
	if (resolve->request)
		evdns_getaddrinfo_cancel(resolve->request);
}
