/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/views.h"

struct admin {
	struct web *web;
	struct admin_host host;
};

enum audience { EVERYONE, LOCAL };

static const struct route {
	const char *method;
	const char *path;
	view_fn *view;
	enum audience audience;
	const char *doc;
} routes[] = {
#define ROUTE(method, path, view, audience, doc) {#method, path, view, audience, doc},
#include "admin/routes.def"
#undef ROUTE
};

#define N_ROUTES (sizeof(routes) / sizeof(*routes))

void view_index(const struct admin_host *host, struct reply *reply)
{
	(void)host;
	for (size_t i = 0; i < N_ROUTES; i++)
		fprintf(reply->out, "%-4s %-13s %s\n", routes[i].method, routes[i].path,
			routes[i].doc);
}

void admin_print_paths(FILE *out)
{
	fputs("| path | for | answer |\n|---|---|---|\n", out);
	for (size_t i = 0; i < N_ROUTES; i++)
		fprintf(out, "| `%s %s` | %s | %s |\n", routes[i].method, routes[i].path,
			routes[i].audience == LOCAL ? "loopback" : "everyone",
			routes[i].doc);
}

static bool is_local(const struct admin *admin, const union address *peer)
{
	const struct cidr_list *allowed = &admin->host.shared->config->admin_allow;

	if (address_is_loopback(peer))
		return true;
	for (size_t i = 0; i < allowed->n_items; i++)
		if (cidr_contains(&allowed->items[i], &peer->sa))
			return true;
	return false;
}

/* The row for method and path, or NULL and the methods that the path has. HEAD is GET
 * without a body (RFC 9110 section 9.3.2). */
static const struct route *find_route(
	const char *method, const char *path, char allow[WEB_ALLOW_MAX])
{
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	*allow = '\0';
	for (size_t i = 0; i < N_ROUTES; i++) {
		if (strcmp(routes[i].path, path) != 0)
			continue;
		if (strcmp(routes[i].method, method) == 0)
			return &routes[i];
		snprintf(allow + strlen(allow), WEB_ALLOW_MAX - strlen(allow), "%s%s",
			*allow ? ", " : "",
			strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD"
							     : routes[i].method);
	}
	return NULL;
}

static void on_request(
	void *arg, const struct web_request *request, struct web_reply *web_reply)
{
	struct admin *admin = arg;
	struct reply reply = {
		.status = 200,
		.type = web_reply->type,
		.out = web_reply->out,
		.query = request->query,
	};
	char *allow = web_reply->allow;
	const struct route *route = find_route(request->method, request->path, allow);

	if (!route) {
		reply.status = *allow ? 405 : 404;
		fputs(*allow ? "nigh: wrong method for this path\n"
			     : "nigh: no such path; / lists them\n",
			reply.out);
	} else if (route->audience == LOCAL && !is_local(admin, &request->peer)) {
		reply.status = 403;
		fputs("nigh: for loopback only, or list your address in "
		      "NIGH_ADMIN_ALLOW\n",
			reply.out);
	} else {
		route->view(&admin->host, &reply);
	}
	web_reply->status = reply.status;
	web_reply->type = reply.type;
}

int admin_start(struct admin **out, struct event_base *base,
	const struct listen_set *listen, const struct admin_host *host)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int err;

	if (!admin)
		return -ENOMEM;
	admin->host = *host;
	err = web_start(&admin->web, base, listen, on_request, admin);
	if (err != 0) {
		free(admin);
		return err;
	}
	*out = admin;
	return 0;
}

void admin_stop(struct admin *admin)
{
	if (!admin)
		return;
	web_stop(admin->web);
	free(admin);
}

int admin_request(const struct listen_addr *admin, const char *method, const char *path,
	unsigned timeout_ms, char **body)
{
	static const char *const loopbacks[] = {"127.0.0.1", "::1"};
	bool any = !admin->host || strcmp(admin->host, "localhost") == 0 ||
		   strcmp(admin->host, "0.0.0.0") == 0 || strcmp(admin->host, "::") == 0;
	int status = -EINVAL;

	*body = NULL;
	if (admin->off)
		return status;
	if (!any)
		return web_call(admin->host, admin->port, method, path, timeout_ms, body);
	for (int i = 0; i < 2 && status < 0; i++)
		status = web_call(
			loopbacks[i], admin->port, method, path, timeout_ms, body);
	return status;
}
