/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Fills one scope of a store from the Kubernetes API, through one reflector. What it
 * brings is only noted there and in the feed; whoever holds the feeds looks at them in
 * the turn.
 */
#include <stdbool.h>
#include <stddef.h>

#include "topo/store.h"

struct api;
struct event;
struct event_base;
struct reflector;

/* What all feeds stand on. */
struct feed_ground {
	struct event_base *base;
	struct topo_store *store;
	struct api *api;    /* NULL: no credentials yet */
	struct event *turn; /* made active when a feed has changed */
};

struct feed {
	const struct feed_ground *ground;
	struct topo_scope scope;
	struct reflector *reflector;
	struct topo_store *fresh; /* the list that is being read */
	bool synced;              /* a list has been complete once */
	char *problem;
	char *told; /* the problem that was reported last, by whoever holds the feed */
};

/* Borrows all of them. */
void feed_init(struct feed *feed, const struct feed_ground *ground,
	enum topo_scope_kind kind, const char *namespace_, const char *name);

/* Takes what it has brought out of the store. */
void feed_fini(struct feed *feed);

/* `relist_s` as the reflector's. Nothing without credentials or when it has started. */
void feed_start(struct feed *feed, unsigned relist_s);

/* Whether no more will be known for waiting. */
bool feed_is_settled(const struct feed *feed);

/* Kind, namespace and name. */
void feed_name(const struct feed *feed, char *out, size_t cap);
