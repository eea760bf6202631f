/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests to one API server, on libcurl and the loop of the main thread: authenticated,
 * over HTTP/2 where the server has it, so that all of them share connections.
 *
 * When the server cannot be reached, one request after another tries, with growing
 * pauses; all others wait for the first one that gets an answer.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topo/source/cluster.h"

struct event_base;
struct api;
struct api_call;

struct api_request {
	const char *path;   /* "/api/v1/…?…", encoded */
	const char *accept; /* content type */
	unsigned timeout_s; /* of the whole request */
	unsigned silence_s; /* without a byte; 0: no limit */
};

/* How a request ended. */
struct api_result {
	int status;             /* 0: no answer came */
	unsigned retry_after_s; /* 0: not said */
	bool complete;          /* the body came to its end */
	const char *problem;    /* what went wrong below HTTP, or NULL */
};

struct api_handlers {
	/* The head of the answer is there. */
	void (*on_answer)(void *arg, int status);
	/* A piece of the body, of whatever status. False gives the request up. */
	bool (*on_bytes)(void *arg, int status, const char *bytes, size_t len);
	/* Exactly once, unless it is cancelled before. The call is gone already. */
	void (*on_end)(void *arg, const struct api_result *result);
};

/* Takes the cluster over. NULL without memory. Nothing is sent yet. */
struct api *api_create(struct event_base *base, const struct cluster *cluster);

/* There must be no calls left. NULL is fine. */
void api_destroy(struct api *api);

struct api_call *api_start(struct api *api, const struct api_request *request,
	const struct api_handlers *handlers, void *arg);

/* NULL is fine. Not from within on_bytes of the same call: give it up there. */
void api_cancel(struct api_call *call);

/* For a path or query (RFC 3986 section 2.3): for free(). */
char *api_encode(const char *text);

/* Why the server cannot be reached, or NULL when it can as far as we know. */
const char *api_outage(const struct api *api);

/* For metrics: requests sent so far, and calls that wait or run now. */
uint64_t api_n_requests(const struct api *api);
