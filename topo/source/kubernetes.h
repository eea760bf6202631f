/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Endpoints from the Kubernetes API, of those services only that somebody holds: their
 * slices by label, their Service and our Node by name, and other nodes' labels where a
 * topology key needs them. Keeps them in a store; whoever uses the store is told when it
 * has changed. Main thread only.
 */
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct kubernetes;
struct topo_policy;
struct topo_store;

struct kubernetes_settings {
	const char *kubeconfig; /* NULL: the service account of the pod */
	const char *node_name;  /* ours; NULL or "": as the token says, or unknown */
	const struct topo_policy *policy;
};

struct kubernetes_handlers {
	/* The store has changed; several changes may come as one. */
	void (*on_change)(void *arg);
	/* Something is in the way of `what`, or (NULL) no longer. */
	void (*on_problem)(void *arg, const char *what, const char *problem);
};

/* Borrows all but the path; starts nothing before the first hold. */
struct kubernetes *kubernetes_create(struct event_base *base,
	const struct kubernetes_settings *settings, struct topo_store *store,
	const struct kubernetes_handlers *handlers, void *arg);
void kubernetes_destroy(struct kubernetes *kubernetes);

/* Watch a service, as long as it is held. */
void kubernetes_hold(
	struct kubernetes *kubernetes, const char *namespace_, const char *name);
void kubernetes_release(
	struct kubernetes *kubernetes, const char *namespace_, const char *name);

/* What keeps it from working at all, or NULL. */
const char *kubernetes_problem(const struct kubernetes *kubernetes);

/* Requests sent to the API server so far. */
uint64_t kubernetes_n_requests(const struct kubernetes *kubernetes);

/* The node that we run on as far as it is known: set, or named by the token; or NULL. */
const char *kubernetes_node_name(const struct kubernetes *kubernetes);
