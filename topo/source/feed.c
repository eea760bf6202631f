/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/source/feed.h"

#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <event2/event.h>

#include "topo/arena.h"
#include "topo/json.h"
#include "topo/record.h"
#include "topo/source/api.h"
#include "topo/source/reflector.h"

static const struct resource {
	const char *kind;
	const char *api_version;
	const char *path;     /* with the namespace */
	const char *selector; /* with the name */
	bool metadata_only;
} resources[] = {
	[TOPO_SCOPE_SLICES] = {"EndpointSlice", "discovery.k8s.io/v1",
		"/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices",
		"labelSelector=kubernetes.io%%2Fservice-name%%3D%s", false},
	[TOPO_SCOPE_SERVICE] = {"Service", "v1", "/api/v1/namespaces/%s/services",
		"fieldSelector=metadata.name%%3D%s", false},
	[TOPO_SCOPE_NODE] = {"Node", "v1", "/api/v1/nodes%s",
		"fieldSelector=metadata.name%%3D%s", true},
};

static void turn_soon(const struct feed *feed)
{
	event_active(feed->ground->turn, EV_TIMEOUT, 0);
}

/* Items of a list do not say what they are, and metadata alone says it differently. */
static void name_kind(const struct feed *feed, cJSON *object)
{
	const struct resource *resource = &resources[feed->scope.kind];

	cJSON_DeleteItemFromObjectCaseSensitive(object, "kind");
	cJSON_DeleteItemFromObjectCaseSensitive(object, "apiVersion");
	cJSON_AddStringToObject(object, "kind", resource->kind);
	cJSON_AddStringToObject(object, "apiVersion", resource->api_version);
}

/* What is not said of an object, or in a wrong way, could make it look like nobody's. */
static bool says_whose_it_is(const cJSON *object)
{
	struct json_fault fault = {0};
	const cJSON *metadata = json_object(object, "metadata", &fault);
	const cJSON *labels = json_object(metadata, "labels", &fault);
	const char *name = json_string(metadata, "name", &fault);
	bool fine;

	json_string(metadata, "namespace", &fault);
	json_string(labels, "kubernetes.io/service-name", &fault);
	fine = !fault.text && name && *name;
	free(fault.text);
	return fine;
}

static bool upsert(const struct feed *feed, struct topo_store *store, cJSON *object)
{
	struct topo_report report = {0};
	bool fine = says_whose_it_is(object);

	name_kind(feed, object);
	/* What was not asked for is none of ours, whoever sends it. */
	if (fine && topo_scope_has(&feed->scope, object))
		fine = topo_store_upsert(store, object, &report) == 0;
	topo_report_fini(&report);
	return fine;
}

static void on_list(void *arg)
{
	struct feed *feed = arg;

	topo_store_destroy(feed->fresh);
	feed->fresh = topo_store_create();
}

static bool on_item(void *arg, cJSON *object)
{
	struct feed *feed = arg;

	return feed->fresh && upsert(feed, feed->fresh, object);
}

static void on_list_end(void *arg)
{
	struct feed *feed = arg;

	topo_store_replace(feed->ground->store, &feed->scope, feed->fresh);
	feed->fresh = NULL;
	feed->synced = true;
	turn_soon(feed);
}

static bool on_event(void *arg, enum reflector_event event, cJSON *object)
{
	struct feed *feed = arg;
	struct topo_store *store = feed->ground->store;
	bool fine = true;

	if (event == REFLECTOR_UPSERT) {
		fine = upsert(feed, store, object);
	} else {
		name_kind(feed, object);
		topo_store_delete(store, &feed->scope, object);
	}
	turn_soon(feed);
	return fine;
}

static void on_state(void *arg, const char *problem)
{
	struct feed *feed = arg;
	char *copy = problem ? arena_xprintf("%s", problem) : NULL;

	free(feed->problem);
	feed->problem = copy;
	turn_soon(feed);
}

void feed_start(struct feed *feed, unsigned relist_s)
{
	static const struct reflector_handlers handlers = {
		on_list, on_item, on_list_end, on_event, on_state};
	const struct resource *resource = &resources[feed->scope.kind];
	const struct feed_ground *ground = feed->ground;
	char path[512], selector[1024], *namespace_, *name;

	if (!ground->api || feed->reflector)
		return;
	namespace_ = api_encode(feed->scope.namespace_);
	name = api_encode(feed->scope.name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(path, sizeof(path), resource->path, namespace_);
	snprintf(selector, sizeof(selector), resource->selector, name);
#pragma GCC diagnostic pop
	feed->reflector = reflector_start(ground->base, ground->api,
		&(struct reflector_settings){
			path, selector, resource->metadata_only, relist_s},
		&handlers, feed);
	free(namespace_);
	free(name);
}

void feed_init(struct feed *feed, const struct feed_ground *ground,
	enum topo_scope_kind kind, const char *namespace_, const char *name)
{
	*feed = (struct feed){.ground = ground, .scope = {kind, namespace_, name}};
}

void feed_fini(struct feed *feed)
{
	reflector_cancel(feed->reflector);
	topo_store_destroy(feed->fresh);
	topo_store_clear(feed->ground->store, &feed->scope);
	free(feed->problem);
	free(feed->told);
}

bool feed_is_settled(const struct feed *feed)
{
	return feed->synced || feed->problem || !feed->reflector ||
	       api_outage(feed->ground->api);
}

void feed_name(const struct feed *feed, char *out, size_t cap)
{
	snprintf(out, cap, "%s %s%s%s", resources[feed->scope.kind].kind,
		feed->scope.namespace_, *feed->scope.namespace_ ? "/" : "",
		feed->scope.name);
}
