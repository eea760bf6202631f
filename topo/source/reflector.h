/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keeps up with the objects of one kind that one selector chooses: a list, then a watch
 * from the list's version on, again and again (Kubernetes API concepts, "Efficient
 * detection of changes"; KEP-365, KEP-956). What was known stays known when the server
 * goes away.
 */
#include <stdbool.h>

struct api;
struct cJSON;
struct event_base;
struct reflector;

struct reflector_settings {
	const char *path;     /* "/api/v1/nodes" */
	const char *selector; /* "fieldSelector=metadata.name%3Dn1", encoded */
	bool metadata_only;   /* objects without spec and status */
	unsigned relist_s;    /* instead of a watch, a list this often; 0: watch */
};

enum reflector_event { REFLECTOR_UPSERT, REFLECTOR_DELETE };

/* None of these may start or cancel a reflector: they may be called while the API is
 * being read. */
struct reflector_handlers {
	/* A list begins: what comes until its end is everything there is. It may begin
	 * again before its end. */
	void (*on_list)(void *arg);
	/* The object may be changed. False: it cannot be right, and nothing of this list
	 * is believed. */
	bool (*on_item)(void *arg, struct cJSON *object);
	void (*on_list_end)(void *arg);
	/* False: the object cannot be right; a list follows. */
	bool (*on_event)(void *arg, enum reflector_event event, struct cJSON *object);
	/* What is in the way, once per different text; NULL: all is well again. */
	void (*on_state)(void *arg, const char *problem);
};

/* The settings are copied. */
struct reflector *reflector_start(struct event_base *base, struct api *api,
	const struct reflector_settings *settings,
	const struct reflector_handlers *handlers, void *arg);

/* NULL is fine. */
void reflector_cancel(struct reflector *reflector);
