/* SPDX-License-Identifier: Apache-2.0 */
/*
 *              +-------- too old, or not to be understood ---------+
 *              v                                                   |
 *   start --> LIST -- all pages are there --> WATCH -- its end --> |
 *              ^                                ^                  |
 *              +--- failed, after a pause ------+------------------+
 *
 * The version that a watch resumes from is the list's, then that of each event and
 * bookmark. Pauses grow as client-go's do: from 0.8 s by two to 30 s, each times 1 to 2,
 * from the beginning after two quiet minutes. While the server cannot be reached at all,
 * it is api.c that decides when to try.
 */
#include "topo/source/reflector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/rng.h"
#include "topo/arena.h"
#include "topo/memory.h"
#include "topo/json.h"
#include "topo/source/api.h"
#include "topo/source/json_split.h"

#define LIST_TIMEOUT_S  30
#define PAGE_ITEMS      "500"
#define WATCH_MIN_S     300
#define WATCH_SPREAD_S  300
#define WATCH_GRACE_S   30
#define PAUSE_FIRST_MS  800
#define PAUSE_MAX_MS    30000
#define PAUSE_FORGET_MS 120000
/* A watch is told a bookmark about each minute. */
#define WATCH_SILENCE_S 130
/* One that ends sooner without anything new is no clean end: two could spin. */
#define WATCH_SHORT_MS   1000
#define STATUS_MAX_BYTES 4096
/* A list that has no end is none; ten thousand endpoints are 4 MiB. */
#define PAGES_MAX      200
#define LIST_MAX_BYTES (64u << 20)
/* Of a version (20 digits today) and of what names the next page: they go into a URL. */
#define VERSION_MAX  128
#define CONTINUE_MAX 4096

#define FULL          "application/json"
#define METADATA      "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#define METADATA_LIST "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

enum phase { PHASE_LIST, PHASE_WATCH };

struct reflector {
	struct event_base *base;
	struct api *api;
	const struct reflector_handlers *handlers;
	void *arg;
	char *path, *selector;
	bool metadata_only;
	unsigned relist_s;
	enum phase phase;
	struct api_call *call;
	struct event *timer;
	struct json_split split;
	char *version;      /* to resume from; NULL: none yet */
	char *list_version; /* of the list that is being read */
	char *continue_;    /* its next page */
	bool list_is_open;  /* its items have begun */
	bool has_items;     /* and so have those of this page */
	size_t list_bytes;
	bool wants_newest; /* a list not older than version cannot be had */
	bool relists;      /* an event said so */
	bool advanced;     /* a watch has brought a new version */
	unsigned n_pages;
	int event_code;    /* of an ERROR event, or 0 */
	char *status_text; /* the beginning of a body that is no success */
	size_t status_len;
	uint64_t began_ms;  /* the call */
	uint64_t failed_ms; /* the last failure */
	unsigned pause_ms;
	struct rng rng;
	char problem[512];
};

static void say(struct reflector *reflector, const char *problem)
{
	if (strcmp(reflector->problem, problem ? problem : "") == 0)
		return;
	snprintf(reflector->problem, sizeof(reflector->problem), "%s",
		problem ? problem : "");
	reflector->handlers->on_state(reflector->arg, problem);
}

static void set_text(char **to, const char *from)
{
	char *copy = from && *from ? arena_xprintf("%s", from) : NULL;

	free(*to);
	*to = copy;
}

static const char *text_of(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(json_member(object, name));
}

static void close_list(struct reflector *reflector)
{
	reflector->n_pages = 0;
	reflector->list_bytes = 0;
	free(reflector->list_version);
	free(reflector->continue_);
	reflector->list_version = reflector->continue_ = NULL;
	reflector->list_is_open = false;
}

static bool is_longer(const char *text, size_t max)
{
	return text && strlen(text) > max;
}

static bool on_list_metadata(struct reflector *reflector, const cJSON *metadata)
{
	const char *version = text_of(metadata, "resourceVersion");
	const char *next = text_of(metadata, "continue");

	if (is_longer(version, VERSION_MAX) || is_longer(next, CONTINUE_MAX))
		return false;
	set_text(&reflector->list_version, version);
	set_text(&reflector->continue_, next);
	return true;
}

/* Members and items of a list. */
static bool on_list_value(void *arg, const char *key, const char *text, size_t len)
{
	struct reflector *reflector = arg;
	cJSON *value;
	bool fine = true;

	if (!text) {
		/* A second page goes on with the list of the first. So does a second
		 * "items": that it is empty is no reason to forget the first. */
		if (!reflector->list_is_open)
			reflector->handlers->on_list(reflector->arg);
		reflector->list_is_open = reflector->has_items = true;
		return true;
	}
	value = cJSON_ParseWithLength(text, len);
	if (!value)
		return false;
	if (strcmp(key, "metadata") == 0)
		fine = on_list_metadata(reflector, value);
	else if (strcmp(key, "items") == 0)
		fine = cJSON_IsObject(value) &&
		       reflector->handlers->on_item(reflector->arg, value);
	cJSON_Delete(value);
	return fine;
}

static void on_error_event(struct reflector *reflector, const cJSON *status)
{
	const cJSON *code = json_member(status, "code");

	reflector->event_code =
		cJSON_IsNumber(code) && code->valuedouble > 0 && code->valuedouble < 1000
			? (int)code->valuedouble
			: 500;
	set_text(&reflector->status_text, text_of(status, "message"));
}

static void note_version(struct reflector *reflector, const char *version)
{
	if (!version || *version == '\0' || is_longer(version, VERSION_MAX) ||
		strcmp(version, reflector->version) == 0)
		return;
	set_text(&reflector->version, version);
	reflector->advanced = true;
}

/* One {"type": …, "object": …} of a watch. */
static bool on_watch_value(void *arg, const char *key, const char *text, size_t len)
{
	struct reflector *reflector = arg;
	cJSON *event = cJSON_ParseWithLength(text, len);
	const char *type = text_of(event, "type");
	cJSON *object = (cJSON *)json_member(event, "object");
	const char *version = text_of(json_member(object, "metadata"), "resourceVersion");
	bool fine = type != NULL && object != NULL, has_version = true;

	(void)key;
	if (!fine || strcmp(type, "ERROR") == 0) {
		if (fine)
			on_error_event(reflector, object);
		reflector->relists = !fine;
		cJSON_Delete(event);
		return false;
	}
	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0)
		fine = reflector->handlers->on_event(
			reflector->arg, REFLECTOR_UPSERT, object);
	else if (strcmp(type, "DELETED") == 0)
		fine = reflector->handlers->on_event(
			reflector->arg, REFLECTOR_DELETE, object);
	else
		has_version = strcmp(type, "BOOKMARK") == 0;
	reflector->relists = !fine;
	if (fine && has_version)
		note_version(reflector, version);
	cJSON_Delete(event);
	return fine;
}

static bool on_bytes(void *arg, int status, const char *bytes, size_t len)
{
	struct reflector *reflector = arg;

	if (status == 200 && reflector->phase == PHASE_LIST) {
		reflector->list_bytes += len;
		if (reflector->list_bytes > LIST_MAX_BYTES)
			reflector->split.fault = "a list of more than 64 MiB";
	}
	if (status == 200)
		return json_split_feed(&reflector->split, bytes, len);
	/* The beginning of a Status, for its words. */
	if (reflector->status_len + len > STATUS_MAX_BYTES)
		len = STATUS_MAX_BYTES - reflector->status_len;
	reflector->status_text = arena_xrealloc(
		reflector->status_text, reflector->status_len + len + 1, 1);
	memcpy(reflector->status_text + reflector->status_len, bytes, len);
	reflector->status_len += len;
	reflector->status_text[reflector->status_len] = '\0';
	return true;
}

static void on_end(void *arg, const struct api_result *result);

/* A watch that is accepted may stay silent for long. */
static void on_answer(void *arg, int status)
{
	struct reflector *reflector = arg;

	if (status == 200 && reflector->phase == PHASE_WATCH)
		say(reflector, NULL);
}

static const struct api_handlers api_handlers = {on_answer, on_bytes, on_end};

static void call(struct reflector *reflector, char *path, const char *accept,
	unsigned timeout_s, unsigned silence_s, json_split_fn *on_value)
{
	struct api_request request = {path, accept, timeout_s, silence_s};

	free(reflector->status_text);
	reflector->status_text = NULL;
	reflector->status_len = 0;
	reflector->event_code = 0;
	reflector->relists = reflector->advanced = reflector->has_items = false;
	json_split_fini(&reflector->split);
	json_split_init(&reflector->split,
		reflector->phase == PHASE_LIST ? JSON_SPLIT_LIST : JSON_SPLIT_STREAM,
		on_value, reflector);
	reflector->began_ms = clock_ms();
	reflector->call = api_start(reflector->api, &request, &api_handlers, reflector);
	free(path);
}

/*
 * The first list may come from the server's cache (version 0), a later one must not be
 * older than what we have seen; the pages of a list all have its version.
 */
static void start_list(struct reflector *reflector)
{
	const char *accept = reflector->metadata_only ? METADATA_LIST ", " FULL : FULL;
	const char *name = "";
	char *value = NULL, *path;

	reflector->phase = PHASE_LIST;
	if (reflector->continue_) {
		name = "&continue=";
		value = api_encode(reflector->continue_);
	} else if (!reflector->wants_newest) {
		name = "&resourceVersionMatch=NotOlderThan&resourceVersion=";
		value = api_encode(reflector->version ? reflector->version : "0");
	}
	path = arena_xprintf("%s?%s&limit=" PAGE_ITEMS "%s%s", reflector->path,
		reflector->selector, name, value ? value : "");
	free(value);
	reflector->n_pages++;
	set_text(&reflector->list_version, NULL);
	set_text(&reflector->continue_, NULL);
	call(reflector, path, accept, LIST_TIMEOUT_S, 0, on_list_value);
}

static void start_watch(struct reflector *reflector)
{
	const char *accept = reflector->metadata_only ? METADATA ", " FULL : FULL;
	unsigned timeout_s = WATCH_MIN_S + rng_below(&reflector->rng, WATCH_SPREAD_S);

	char *version = api_encode(reflector->version);
	char *path =
		arena_xprintf("%s?%s&watch=1&allowWatchBookmarks=true&resourceVersion=%s"
			      "&timeoutSeconds=%u",
			reflector->path, reflector->selector, version, timeout_s);

	free(version);
	reflector->phase = PHASE_WATCH;
	call(reflector, path, accept, timeout_s + WATCH_GRACE_S, WATCH_SILENCE_S,
		on_watch_value);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct reflector *reflector = arg;

	(void)fd;
	(void)what;
	if (reflector->phase == PHASE_LIST)
		start_list(reflector);
	else
		start_watch(reflector);
}

static void go_on_after(struct reflector *reflector, enum phase phase, uint64_t ms)
{
	struct timeval after = clock_timeval(ms);

	reflector->phase = phase;
	if (phase == PHASE_LIST)
		close_list(reflector);
	event_add(reflector->timer, &after);
}

static uint64_t next_pause(struct reflector *reflector, unsigned retry_after_s)
{
	uint64_t now = clock_ms();

	if (now - reflector->failed_ms > PAUSE_FORGET_MS || reflector->pause_ms == 0)
		reflector->pause_ms = PAUSE_FIRST_MS;
	else if (reflector->pause_ms < PAUSE_MAX_MS / 2)
		reflector->pause_ms *= 2;
	else
		reflector->pause_ms = PAUSE_MAX_MS;
	reflector->failed_ms = now;
	if (retry_after_s > 0)
		return (uint64_t)retry_after_s * 1000 + rng_below(&reflector->rng, 1000);
	return reflector->pause_ms + rng_below(&reflector->rng, reflector->pause_ms);
}

/* Whether a list, or this page of it, is whole: else it must not empty anything. */
static bool is_whole(struct reflector *reflector, const struct api_result *result)
{
	struct json_split *split = &reflector->split;

	if (split->fault)
		return false;
	if (!result->complete || !split->ended)
		split->fault = "it breaks off";
	else if (!reflector->list_version || !reflector->has_items)
		split->fault = "a list without a version or items";
	else if (reflector->continue_ && reflector->n_pages == PAGES_MAX)
		split->fault = "a list of too many pages";
	return !split->fault;
}

static void page_is_complete(struct reflector *reflector)
{
	if (reflector->continue_) {
		start_list(reflector);
		return;
	}
	reflector->wants_newest = false;
	set_text(&reflector->version, reflector->list_version);
	close_list(reflector);
	reflector->handlers->on_list_end(reflector->arg);
	say(reflector, NULL);
	if (reflector->relist_s > 0)
		go_on_after(reflector, PHASE_LIST,
			(uint64_t)reflector->relist_s * 1000 +
				rng_below(&reflector->rng, reflector->relist_s * 500));
	else
		start_watch(reflector);
}

/* "services: 403: services is forbidden: User … cannot list resource …" */
static void say_status(struct reflector *reflector, int code)
{
	const char *resource = strrchr(reflector->path, '/') + 1;
	cJSON *status =
		reflector->status_text ? cJSON_Parse(reflector->status_text) : NULL;
	const char *message = text_of(status, "message");
	char problem[sizeof(reflector->problem)];

	if (!message && reflector->event_code)
		message = reflector->status_text;
	snprintf(problem, sizeof(problem), "%s: %d%s%s", resource, code,
		message ? ": " : "", message ? message : "");
	cJSON_Delete(status);
	say(reflector, problem);
}

static void say_broken(struct reflector *reflector)
{
	char problem[256];

	snprintf(problem, sizeof(problem), "%s: the API's answer is not usable: %s",
		strrchr(reflector->path, '/') + 1,
		reflector->split.fault &&
				strcmp(reflector->split.fault, "not wanted") != 0
			? reflector->split.fault
			: "not the JSON of such an object");
	say(reflector, problem);
}

/* What is likely to be well at once is tried again at once, but once only. */
static uint64_t no_pause(struct reflector *reflector)
{
	uint64_t quiet_ms = clock_ms() - reflector->failed_ms;

	if (quiet_ms <= PAUSE_MAX_MS)
		return next_pause(reflector, 0);
	if (quiet_ms > PAUSE_FORGET_MS)
		reflector->pause_ms = 0;
	reflector->failed_ms = clock_ms();
	return 0;
}

/* What the HTTP status of a request, or the code of an ERROR event, leads to. */
static void after_status(struct reflector *reflector, int code, unsigned retry_after_s)
{
	bool is_list = reflector->phase == PHASE_LIST;
	uint64_t pause;

	/* Too old for a watch: a list tells. A list from a version that the server does
	 * not know yet, or whose next page it has forgotten: the newest there is. */
	if (code == 410 || (code == 504 && is_list)) {
		reflector->wants_newest = is_list;
		go_on_after(reflector, PHASE_LIST, no_pause(reflector));
		return;
	}
	say_status(reflector, code);
	/* A new token may be there. */
	pause = code == 401 ? no_pause(reflector) : next_pause(reflector, retry_after_s);
	/* A watch that is refused for good, and not for the server's load: lists, then.
	 */
	is_list = is_list || code == 400 || code == 404 || code == 422 ||
		  (code != 429 && reflector->pause_ms == PAUSE_MAX_MS);
	go_on_after(reflector, is_list ? PHASE_LIST : PHASE_WATCH, pause);
}

static void after_watch(struct reflector *reflector, const struct api_result *result)
{
	bool was_short = clock_ms() - reflector->began_ms < WATCH_SHORT_MS;

	if (reflector->event_code) {
		after_status(reflector, reflector->event_code, result->retry_after_s);
	} else if (reflector->relists || reflector->split.fault) {
		say_broken(reflector);
		go_on_after(reflector, PHASE_LIST, next_pause(reflector, 0));
	} else {
		/* A clean end, or the connection's: go on from the last version. */
		go_on_after(reflector, PHASE_WATCH,
			was_short && !reflector->advanced ? next_pause(reflector, 0) : 0);
	}
}

static void on_end(void *arg, const struct api_result *result)
{
	struct reflector *reflector = arg;

	reflector->call = NULL;
	if (result->status == 0) { /* api_outage says why, and waits */
		go_on_after(reflector, reflector->phase, 0);
	} else if (result->status != 200) {
		after_status(reflector, result->status, result->retry_after_s);
	} else if (reflector->phase == PHASE_WATCH) {
		after_watch(reflector, result);
	} else if (is_whole(reflector, result)) {
		page_is_complete(reflector);
	} else {
		say_broken(reflector);
		go_on_after(reflector, PHASE_LIST, next_pause(reflector, 0));
	}
}

struct reflector *reflector_start(struct event_base *base, struct api *api,
	const struct reflector_settings *settings,
	const struct reflector_handlers *handlers, void *arg)
{
	struct reflector *reflector = memory_calloc(1, sizeof(*reflector));

	*reflector = (struct reflector){
		.base = base,
		.api = api,
		.handlers = handlers,
		.arg = arg,
		.path = arena_xprintf("%s", settings->path),
		.selector = arena_xprintf("%s", settings->selector),
		.metadata_only = settings->metadata_only,
		.relist_s = settings->relist_s,
	};
	rng_init(&reflector->rng, clock_us() ^ (uint64_t)(uintptr_t)reflector);
	reflector->timer = event_new(base, -1, 0, on_timer, reflector);
	start_list(reflector);
	return reflector;
}

void reflector_cancel(struct reflector *reflector)
{
	if (!reflector)
		return;
	api_cancel(reflector->call);
	event_free(reflector->timer);
	json_split_fini(&reflector->split);
	close_list(reflector);
	free(reflector->status_text);
	free(reflector->version);
	free(reflector->path);
	free(reflector->selector);
	free(reflector);
}
