/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A small HTTP server and client (libevent's evhttp), for the admin port only: it copies,
 * allocates and answers in one go. Nothing of the data path passes here.
 */
#include <stdio.h>

#include "net/listener.h"

struct event_base;
struct web;

#define WEB_ALLOW_MAX 32

struct web_request {
	const char *method; /* GET, HEAD, POST, or other */
	const char *path;
	const char *query; /* behind the `?`, or NULL */
	union address peer;
};

/* Filled by the handler; it begins as 200, plain text, empty. */
struct web_reply {
	int status;
	const char *type;
	char allow[WEB_ALLOW_MAX]; /* the methods of this path, for 405 */
	FILE *out;                 /* the body is printed here */
};

typedef void web_fn(
	void *arg, const struct web_request *request, struct web_reply *reply);

/* Serves on the sockets, which it takes over on success. 0 or -errno. */
__attribute__((warn_unused_result)) int web_start(struct web **out,
	struct event_base *base, const struct listen_set *listen, web_fn *handler,
	void *arg);
void web_stop(struct web *web);

/* The value of one name in a query string, decoded, for free(); NULL when it is not
 * there. */
char *web_query_value(const char *query, const char *name);

/*
 * One request, waited for: the status and the body for free(), or -errno when nobody
 * answers within timeout_ms.
 */
__attribute__((warn_unused_result)) int web_call(const char *ip, uint16_t port,
	const char *method, const char *path, unsigned timeout_ms, char **body);
