/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each service that is held has two feeds, for its slices and its Service; each node
 * whose labels matter has one. What a feed brings is only noted; the turn then decides
 * once for all of it which nodes are needed now, which services are settled, and tells.
 */
#include "topo/source/kubernetes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/list.h"
#include "topo/arena.h"
#include "topo/needs.h"
#include "topo/source/api.h"
#include "topo/source/feed.h"
#include "topo/source/token.h"
#include "topo/store.h"

/* Beyond this names go to DNS: each service is two watches. */
#define SERVICES_MAX 1000

/* So many other nodes are watched; labels of the rest are asked for now and then, because
 * a watch for each of a thousand nodes in each pod is too much for any API server. */
#define NODES_WATCHED_MAX 32
#define NODE_RELIST_S     3600

/* Without credentials they are looked for this often. */
#define CREDENTIALS_S 5

struct held {
	struct list node;
	struct kubernetes *kubernetes;
	char *namespace_, *name;
	struct feed slices, service;
	unsigned n_holds;
	bool settled;
};

struct node {
	struct feed feed;
	char *name;
	bool needed;
	bool watched; /* else listed now and then */
};

struct kubernetes {
	struct feed_ground feeds;
	char *kubeconfig;
	char *node_name;
	const struct topo_policy *policy;
	const struct kubernetes_handlers *handlers;
	void *arg;
	struct event *credentials;
	struct list held;
	size_t n_held;
	struct node **nodes; /* by name */
	size_t n_nodes;
	char *problem; /* of the credentials */
	char *told;
	uint64_t version; /* of the store when on_change was called last */
};

static void set_text(char **to, const char *from)
{
	char *copy = from ? arena_xprintf("%s", from) : NULL;

	free(*to);
	*to = copy;
}

static void turn_soon(struct kubernetes *kubernetes)
{
	event_active(kubernetes->feeds.turn, EV_TIMEOUT, 0);
}

/* --- nodes --- */

static int compare_nodes(const void *a, const void *b)
{
	return strcmp((*(struct node *const *)a)->name, (*(struct node *const *)b)->name);
}

static struct node *find_node(
	const struct kubernetes *kubernetes, size_t n_sorted, const char *name)
{
	struct node key = {.name = (char *)name}, *pointer = &key, **found;

	if (n_sorted == 0)
		return NULL;
	found = bsearch(
		&pointer, kubernetes->nodes, n_sorted, sizeof(*found), compare_nodes);
	return found ? *found : NULL;
}

static struct node *node_create(struct kubernetes *kubernetes, const char *name)
{
	struct node *node = arena_xrealloc(NULL, 1, sizeof(*node));

	*node = (struct node){.name = arena_xprintf("%s", name)};
	feed_init(&node->feed, &kubernetes->feeds, TOPO_SCOPE_NODE, "", node->name);
	return node;
}

static void node_destroy(struct node *node)
{
	feed_fini(&node->feed);
	free(node->name);
	free(node);
}

/* New ones stand behind those that were there and are sorted. */
static void need_node(struct kubernetes *kubernetes, size_t n_sorted, const char *name)
{
	struct node *node = find_node(kubernetes, n_sorted, name);

	if (!node)
		node = kubernetes->nodes[kubernetes->n_nodes++] =
			node_create(kubernetes, name);
	node->needed = true;
}

static void drop_unneeded_nodes(struct kubernetes *kubernetes)
{
	size_t n_kept = 0;

	for (size_t i = 0; i < kubernetes->n_nodes; i++) {
		if (kubernetes->nodes[i]->needed)
			kubernetes->nodes[n_kept++] = kubernetes->nodes[i];
		else
			node_destroy(kubernetes->nodes[i]);
	}
	kubernetes->n_nodes = n_kept;
	if (n_kept > 0)
		qsort(kubernetes->nodes, n_kept, sizeof(*kubernetes->nodes),
			compare_nodes);
}

static bool is_own(const struct kubernetes *kubernetes, const char *name)
{
	return kubernetes->node_name && strcmp(kubernetes->node_name, name) == 0;
}

static void start_node_feeds(struct kubernetes *kubernetes)
{
	size_t n_watched = 0;

	for (size_t i = 0; i < kubernetes->n_nodes; i++)
		n_watched += kubernetes->nodes[i]->watched;
	for (size_t i = 0; i < kubernetes->n_nodes; i++) {
		struct node *node = kubernetes->nodes[i];

		if (node->feed.reflector)
			continue;
		node->watched =
			is_own(kubernetes, node->name) || n_watched < NODES_WATCHED_MAX;
		n_watched += node->watched;
		feed_start(&node->feed, node->watched ? 0 : NODE_RELIST_S);
	}
}

/* Our own node, and those whose labels a key asks for. */
static void follow_nodes(struct kubernetes *kubernetes)
{
	const char *own = kubernetes->n_held > 0 ? kubernetes->node_name : NULL;
	size_t n, n_sorted = kubernetes->n_nodes;
	const char **names =
		topo_needed_nodes(kubernetes->feeds.store, kubernetes->policy, &n);

	for (size_t i = 0; i < n_sorted; i++)
		kubernetes->nodes[i]->needed = false;
	kubernetes->nodes = arena_xrealloc(
		kubernetes->nodes, n_sorted + n + 1, sizeof(*kubernetes->nodes));
	for (size_t i = 0; i < n; i++) {
		need_node(kubernetes, n_sorted, names[i]);
		if (own && strcmp(own, names[i]) == 0)
			own = NULL;
	}
	if (own)
		need_node(kubernetes, n_sorted, own);
	free(names);
	drop_unneeded_nodes(kubernetes);
	start_node_feeds(kubernetes);
}

static bool nodes_are_settled(const struct kubernetes *kubernetes)
{
	for (size_t i = 0; i < kubernetes->n_nodes; i++)
		if (!feed_is_settled(&kubernetes->nodes[i]->feed))
			return false;
	return true;
}

/* --- the turn --- */

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void tell(
	struct kubernetes *kubernetes, const char *what, char **told, const char *problem)
{
	if (is_same(*told, problem))
		return;
	set_text(told, problem);
	kubernetes->handlers->on_problem(kubernetes->arg, what, problem);
}

static void tell_feed(struct kubernetes *kubernetes, struct feed *feed)
{
	char what[256];

	feed_name(feed, what, sizeof(what));
	tell(kubernetes, what, &feed->told, feed->problem);
}

static const char *problem_of(const struct held *held)
{
	const char *problem = kubernetes_problem(held->kubernetes);

	if (!problem && !held->slices.reflector)
		problem = "more services are called than nigh watches";
	if (!problem)
		problem = held->slices.problem;
	if (!problem && held->settled && !held->slices.synced)
		problem = "not listed yet";
	return problem ? problem : held->service.problem;
}

/* The oldest have them; the others when one of those is released. */
static void start_held_feeds(struct kubernetes *kubernetes)
{
	size_t n = 0;

	list_each_safe (node, next, &kubernetes->held) {
		struct held *held = container_of(node, struct held, node);

		if (n++ == SERVICES_MAX)
			return;
		feed_start(&held->slices, 0);
		feed_start(&held->service, 0);
	}
}

static void follow_held(struct held *held, bool nodes_settled)
{
	/* Once settled it stays so: what was known goes on being used. */
	held->settled =
		held->settled || (nodes_settled && feed_is_settled(&held->slices) &&
					 feed_is_settled(&held->service));
	topo_store_set_watch(
		held->kubernetes->feeds.store, &(struct topo_watch){
						       .namespace_ = held->namespace_,
						       .name = held->name,
						       .problem = problem_of(held),
						       .settled = held->settled,
						       .has_slices = held->slices.synced,
					       });
	tell_feed(held->kubernetes, &held->slices);
	tell_feed(held->kubernetes, &held->service);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct kubernetes *kubernetes = arg;
	bool nodes_settled;

	(void)fd;
	(void)what;
	tell(kubernetes, "the API server", &kubernetes->told,
		kubernetes_problem(kubernetes));
	start_held_feeds(kubernetes);
	follow_nodes(kubernetes);
	nodes_settled = nodes_are_settled(kubernetes);
	for (size_t i = 0; i < kubernetes->n_nodes; i++)
		tell_feed(kubernetes, &kubernetes->nodes[i]->feed);
	list_each_safe (node, next, &kubernetes->held)
		follow_held(container_of(node, struct held, node), nodes_settled);
	if (topo_store_version(kubernetes->feeds.store) == kubernetes->version)
		return;
	kubernetes->version = topo_store_version(kubernetes->feeds.store);
	kubernetes->handlers->on_change(kubernetes->arg);
}

/* --- services --- */

static struct held *find_held(
	struct kubernetes *kubernetes, const char *namespace_, const char *name)
{
	list_each_safe (node, next, &kubernetes->held) {
		struct held *held = container_of(node, struct held, node);

		if (strcmp(held->name, name) == 0 &&
			strcmp(held->namespace_, namespace_) == 0)
			return held;
	}
	return NULL;
}

void kubernetes_hold(
	struct kubernetes *kubernetes, const char *namespace_, const char *name)
{
	struct held *held = find_held(kubernetes, namespace_, name);

	if (held) {
		held->n_holds++;
		return;
	}
	held = arena_xrealloc(NULL, 1, sizeof(*held));
	*held = (struct held){
		.kubernetes = kubernetes,
		.namespace_ = arena_xprintf("%s", namespace_),
		.name = arena_xprintf("%s", name),
		.n_holds = 1,
	};
	list_push(&kubernetes->held, &held->node);
	kubernetes->n_held++;
	feed_init(&held->slices, &kubernetes->feeds, TOPO_SCOPE_SLICES, held->namespace_,
		held->name);
	feed_init(&held->service, &kubernetes->feeds, TOPO_SCOPE_SERVICE,
		held->namespace_, held->name);
	turn_soon(kubernetes);
}

static void held_destroy(struct held *held)
{
	list_unlink(&held->node);
	held->kubernetes->n_held--;
	feed_fini(&held->slices);
	feed_fini(&held->service);
	topo_store_drop_watch(
		held->kubernetes->feeds.store, held->namespace_, held->name);
	free(held->namespace_);
	free(held->name);
	free(held);
}

void kubernetes_release(
	struct kubernetes *kubernetes, const char *namespace_, const char *name)
{
	struct held *held = find_held(kubernetes, namespace_, name);

	if (!held || --held->n_holds > 0)
		return;
	held_destroy(held);
	turn_soon(kubernetes);
}

/* --- the whole --- */

static void on_outage(void *arg)
{
	turn_soon(arg);
}

/* Tried until it works: a token may be mounted late. */
static void on_credentials(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = {CREDENTIALS_S, 0};
	struct kubernetes *kubernetes = arg;
	struct cluster cluster;
	char *fault = kubernetes->kubeconfig
			      ? cluster_of_kubeconfig(&cluster, kubernetes->kubeconfig)
			      : cluster_of_pod(&cluster);

	(void)fd;
	(void)what;
	free(kubernetes->problem);
	kubernetes->problem = fault;
	turn_soon(kubernetes);
	if (fault) {
		cluster_fini(&cluster);
		event_add(kubernetes->credentials, &again);
		return;
	}
	if (!kubernetes->node_name && cluster.token_path)
		kubernetes->node_name = token_node_name(cluster.token_path);
	kubernetes->feeds.api =
		api_create(kubernetes->feeds.base, &cluster, on_outage, kubernetes);
}

struct kubernetes *kubernetes_create(struct event_base *base,
	const struct kubernetes_settings *settings, struct topo_store *store,
	const struct kubernetes_handlers *handlers, void *arg)
{
	struct kubernetes *kubernetes = arena_xrealloc(NULL, 1, sizeof(*kubernetes));

	*kubernetes = (struct kubernetes){
		.feeds = {.base = base, .store = store},
		.policy = settings->policy,
		.handlers = handlers,
		.arg = arg,
	};
	set_text(&kubernetes->kubeconfig, settings->kubeconfig);
	if (settings->node_name && *settings->node_name)
		set_text(&kubernetes->node_name, settings->node_name);
	list_init(&kubernetes->held);
	kubernetes->feeds.turn = event_new(base, -1, 0, on_turn, kubernetes);
	kubernetes->credentials = event_new(base, -1, 0, on_credentials, kubernetes);
	on_credentials(-1, 0, kubernetes);
	return kubernetes;
}

void kubernetes_destroy(struct kubernetes *kubernetes)
{
	if (!kubernetes)
		return;
	list_each_safe (node, next, &kubernetes->held)
		held_destroy(container_of(node, struct held, node));
	for (size_t i = 0; i < kubernetes->n_nodes; i++)
		node_destroy(kubernetes->nodes[i]);
	free(kubernetes->nodes);
	api_destroy(kubernetes->feeds.api);
	event_free(kubernetes->feeds.turn);
	event_free(kubernetes->credentials);
	free(kubernetes->kubeconfig);
	free(kubernetes->node_name);
	free(kubernetes->problem);
	free(kubernetes->told);
	free(kubernetes);
}

const char *kubernetes_problem(const struct kubernetes *kubernetes)
{
	return kubernetes->feeds.api ? api_outage(kubernetes->feeds.api)
				     : kubernetes->problem;
}

uint64_t kubernetes_n_requests(const struct kubernetes *kubernetes)
{
	return kubernetes->feeds.api ? api_n_requests(kubernetes->feeds.api) : 0;
}

const char *kubernetes_node_name(const struct kubernetes *kubernetes)
{
	return kubernetes->node_name;
}
