/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What `nigh explain` prints: the endpoints of one service port that a new call may use,
 * in which domain, and why each other one is not used. Prints to any FILE, so into memory
 * (open_memstream) for the admin port as well.
 */
#include <stdbool.h>
#include <stdio.h>

struct cJSON;
struct topo;
struct topo_policy;
struct topo_port;
struct topo_service;

/* Exit statuses of `nigh explain`. */
enum explain_result {
	EXPLAIN_CHOSEN = 0, /* at least one endpoint may be used */
	EXPLAIN_NONE = 1,   /* none, or there is no such service or port */
	EXPLAIN_USAGE = 2,  /* no such form, or several ports and none named */
};

struct explain_settings {
	FILE *out;
	FILE *err; /* one message when there is nothing to print on out */
	bool json;
	const char *no_topo; /* the message when there is no snapshot to look into */
};

/* Explain SERVICE[:PORT], where SERVICE is a host name as applications use it, or
 * NAMESPACE/NAME. Without a port: the only one, else port 80. The snapshot may be NULL.
 */
enum explain_result explain_print(const struct topo *topo,
	const struct topo_policy *policy, const char *argument,
	const struct explain_settings *settings);

/* The JSON object of one port, for cJSON_Delete. */
struct cJSON *explain_json(
	const struct topo_service *service, const struct topo_port *port);
