/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One request to the API server as libcurl wants it: where to, as whom, and whom to
 * believe. When it is sent and what comes of it is for api.c.
 */
#include <curl/curl.h>

#include "topo/source/api.h"

/* Embedded; zeroed is nothing to undo. */
struct easy {
	CURL *handle;
	struct curl_slist *headers, *connect_to;
	char problem[CURL_ERROR_SIZE]; /* in libcurl's words, or empty */
};

/* Borrows the cluster until easy_fini; the rest is copied. token: NULL for none. */
void easy_init(struct easy *easy, const struct cluster *cluster, const char *token,
	const struct api_request *request);
void easy_fini(struct easy *easy);

/* libcurl and what it stands on, before the first request and after the last; their
 * memory is waited for (topo/memory.h). */
void easy_begin(void);
void easy_end(void);
