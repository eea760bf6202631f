/* SPDX-License-Identifier: Apache-2.0 */
/*
 *              api_start
 *                  | server away and somebody tries already
 *                  +-----------------------> QUEUED
 *                  v                           | the turn to try, or the server is back
 *   on_end <--- RUNNING <----------------------+
 *
 * libcurl tells which sockets and which time to watch, and is told what happened.
 */
#include "topo/source/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/rng.h"
#include "topo/arena.h"
#include "topo/memory.h"
#include "topo/source/easy.h"
#include "topo/source/token.h"

#define TOKEN_FRESH_MS 60000

/* How often silent calls are looked for. */
#define SWEEP_S 5

/* While the server is away one request tries. Two seconds, spread over twice that, keep
 * the return within sight and a thousand pods from speaking at once. */
#define TRY_FIRST_MS 250
#define TRY_MAX_MS   2000

struct api {
	struct event_base *base;
	struct cluster cluster;
	CURLM *multi;
	struct event *timer;
	struct event *try_timer; /* set while the server is away */
	struct event *sweep_timer;
	struct event *farewell; /* for streams that were given up */
	struct list calls;      /* running */
	struct list queue;      /* for the server's return */
	struct api_call *trying;
	char *token;
	uint64_t token_read_ms;
	uint64_t n_requests;
	uint64_t last_byte_ms; /* of any call */
	unsigned try_ms;       /* 0: the server is there */
	bool answered;         /* it is back, as a call has seen */
	struct rng rng;
	void (*on_outage)(void *arg);
	void *arg;
	char outage[320];
};

struct api_call {
	struct list node;
	struct api *api;
	struct easy easy;
	const struct api_handlers *handlers;
	void *arg;
	struct api_request request; /* of texts of its own */
	uint64_t began_ms, last_byte_ms;
	bool is_over; /* to its end, so that no stream is left open */
};

static void call_free(struct api_call *call)
{
	struct api *api = call->api;

	list_unlink(&call->node);
	if (api->trying == call)
		api->trying = NULL;
	if (call->easy.handle) {
		curl_multi_remove_handle(api->multi, call->easy.handle);
		if (!call->is_over || list_empty(&api->calls))
			event_active(api->farewell, EV_TIMEOUT, 0);
	}
	easy_fini(&call->easy);
	free((char *)call->request.path);
	free((char *)call->request.accept);
	free(call);
}

/* The file may be replaced at any time; while it cannot be read the old one stays. */
static const char *token_of(struct api *api)
{
	const char *path = api->cluster.token_path;
	char *fresh;

	if (!path)
		return api->cluster.token;
	if (api->token && clock_ms() - api->token_read_ms < TOKEN_FRESH_MS)
		return api->token;
	fresh = token_read(path);
	if (fresh) {
		free(api->token);
		api->token = fresh;
		api->token_read_ms = clock_ms();
	}
	return api->token;
}

static int call_status(const struct api_call *call)
{
	long status = 0;

	curl_easy_getinfo(call->easy.handle, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct api_call *call = arg;

	call->last_byte_ms = call->api->last_byte_ms = clock_ms();
	return call->handlers->on_bytes(call->arg, call_status(call), bytes, size * n)
		       ? size * n
		       : CURL_WRITEFUNC_ERROR;
}

/* Nothing may be started from within libcurl: the loop does it. */
/* NOLINTNEXTLINE(readability-non-const-parameter): so it is with libcurl */
static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
	struct api_call *call = arg;
	struct api *api = call->api;

	call->last_byte_ms = api->last_byte_ms = clock_ms();
	if (size * n == 2 && *bytes == '\r' && call_status(call) >= 200)
		call->handlers->on_answer(call->arg, call_status(call));
	if (api->try_ms > 0 && !api->answered) {
		api->answered = true;
		event_active(api->try_timer, EV_TIMEOUT, 0);
	}
	return size * n;
}

static void run(struct api_call *call)
{
	struct api *api = call->api;
	CURL *handle;

	list_unlink(&call->node);
	list_push(&api->calls, &call->node);
	easy_init(&call->easy, &api->cluster, token_of(api), &call->request);
	handle = call->easy.handle;
	curl_easy_setopt(handle, CURLOPT_PRIVATE, call);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(handle, CURLOPT_HEADERDATA, call);
	call->began_ms = call->last_byte_ms = clock_ms();
	api->n_requests++;
	curl_multi_add_handle(api->multi, handle);
}

static void try_later(struct api *api)
{
	struct timeval after;
	uint64_t ms;

	api->try_ms = api->try_ms == 0               ? TRY_FIRST_MS
		      : api->try_ms * 2 < TRY_MAX_MS ? api->try_ms * 2
						     : TRY_MAX_MS;
	ms = api->try_ms + rng_below(&api->rng, api->try_ms);
	after = clock_timeval(ms);
	event_add(api->try_timer, &after);
}

static void note_answer(struct api *api)
{
	if (api->try_ms == 0)
		return;
	api->try_ms = 0;
	api->trying = NULL; /* its answer may go on for long, and be of no help then */
	api->answered = false;
	*api->outage = '\0';
	event_del(api->try_timer);
	api->on_outage(api->arg);
	while (!list_empty(&api->queue))
		run(container_of(api->queue.next, struct api_call, node));
}

static void on_try(evutil_socket_t fd, short what, void *arg)
{
	struct api *api = arg;

	(void)fd;
	(void)what;
	if (api->answered) {
		note_answer(api);
		return;
	}
	if (list_empty(&api->queue))
		return; /* the next one that comes tries at once */
	api->trying = container_of(api->queue.next, struct api_call, node);
	run(api->trying);
}

/* "… after 12 ms: …": how long it took is another each time, and no news. */
static void cut_duration(char *text)
{
	static const char word[] = " after ";
	char *at = strstr(text, word), *rest;

	if (!at)
		return;
	rest = at + strlen(word);
	if (strspn(rest, "0123456789") == 0)
		return;
	rest += strspn(rest, "0123456789 ");
	rest += strcspn(rest, " :");
	memmove(at, rest, strlen(rest) + 1);
}

/* No answer: the others need not find out for themselves. */
static void note_outage(struct api *api, const struct api_call *call, const char *problem)
{
	char before[sizeof(api->outage)];

	memcpy(before, api->outage, sizeof(before));
	snprintf(api->outage, sizeof(api->outage), "the API server cannot be reached: %s",
		problem);
	cut_duration(api->outage);
	if (api->try_ms == 0 || api->trying == call)
		try_later(api);
	if (strcmp(before, api->outage) != 0)
		api->on_outage(api->arg);
}

static void end(struct api_call *call, CURLcode code)
{
	const struct api_handlers *handlers = call->handlers;
	struct api *api = call->api;
	struct api_result result = {.complete = code == CURLE_OK};
	curl_off_t retry_after = 0;
	void *arg = call->arg;
	int status = call_status(call);

	curl_easy_getinfo(call->easy.handle, CURLINFO_RETRY_AFTER, &retry_after);
	result.status = status;
	call->is_over = code == CURLE_OK;
	result.retry_after_s =
		retry_after > 0 && retry_after < 3600 ? (unsigned)retry_after : 0;
	/* Rejected credentials: the file may hold new ones. */
	if (status == 401)
		api->token_read_ms = 0;
	if (status == 401 && api->cluster.token_path) {
		free(api->token);
		api->token = NULL;
	}
	if (status == 0)
		note_outage(api, call,
			*call->easy.problem ? call->easy.problem
					    : curl_easy_strerror(code));
	call_free(call);
	handlers->on_end(arg, &result);
}

static void make_multi(struct api *api);

/* The connections are dead, though nobody has told: all begins anew on fresh ones. */
static void start_over(struct api *api)
{
	note_outage(api, NULL, "the server has gone silent");
	while (!list_empty(&api->calls))
		end(container_of(api->calls.next, struct api_call, node),
			CURLE_OPERATION_TIMEDOUT);
	curl_multi_cleanup(api->multi);
	make_multi(api);
}

/*
 * libcurl leaves the reset of a stream that is given up unsent until its connection has
 * something else to send, and the server goes on watching for nobody. A window update,
 * which going on after a pause sends, takes it along. When nothing is asked any more, the
 * connections go.
 */
static void on_farewell(evutil_socket_t fd, short what, void *arg)
{
	struct api *api = arg;

	(void)fd;
	(void)what;
	list_each_safe (node, next, &api->calls) {
		CURL *easy = container_of(node, struct api_call, node)->easy.handle;

		curl_easy_pause(easy, CURLPAUSE_RECV);
		curl_easy_pause(easy, CURLPAUSE_CONT);
	}
	if (!list_empty(&api->calls))
		return;
	curl_multi_cleanup(api->multi);
	make_multi(api);
}

/* Since that time; one in the future (of a call begun meanwhile) is not long ago. */
static bool is_silent(const struct api_call *call, uint64_t since_ms, uint64_t now)
{
	return call->request.silence_s > 0 &&
	       since_ms + (uint64_t)call->request.silence_s * 1000 < now;
}

static struct api_call *find_silent(const struct api *api, uint64_t now)
{
	list_each_safe (node, next, &api->calls) {
		struct api_call *call = container_of(node, struct api_call, node);

		if (is_silent(call, call->last_byte_ms, now))
			return call;
	}
	return NULL;
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct api *api = arg;
	uint64_t now = clock_ms();
	struct api_call *call;

	(void)fd;
	(void)what;
	/* From the beginning each time: an end may change more of the list. */
	while ((call = find_silent(api, now))) {
		if (is_silent(call, api->last_byte_ms, now))
			start_over(api);
		else
			end(call, CURLE_OPERATION_TIMEDOUT);
	}
}

static void end_what_is_done(struct api *api)
{
	CURLMsg *message;
	int n_left;

	while ((message = curl_multi_info_read(api->multi, &n_left))) {
		CURLcode code = message->data.result;
		struct api_call *call = NULL;
		bool gave_no_answer;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		gave_no_answer = code == CURLE_OPERATION_TIMEDOUT &&
				 call_status(call) == 0 &&
				 api->last_byte_ms < call->began_ms;
		end(call, code);
		if (gave_no_answer) {
			start_over(api);
			return;
		}
	}
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct api *api = arg;
	int n_running;
	int mask = ((what & EV_READ) ? CURL_CSELECT_IN : 0) |
		   ((what & EV_WRITE) ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(api->multi, fd, mask, &n_running);
	end_what_is_done(api);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct api *api = arg;
	int n_running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(api->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
	end_what_is_done(api);
}

/* libcurl wants this socket watched for other things than before. */
static int on_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct api *api = arg;
	struct event *event = socket_arg;
	short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) |
			       (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);

	(void)easy;
	if (event)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		event = event_new(api->base, fd, events, on_socket, api);
		event_add(event, NULL);
	}
	curl_multi_assign(api->multi, fd, event);
	return 0;
}

static int on_want_timer(CURLM *multi, long ms, void *arg)
{
	struct api *api = arg;
	struct timeval after = {ms / 1000, (ms % 1000) * 1000};

	(void)multi;
	if (ms < 0)
		event_del(api->timer);
	else
		event_add(api->timer, &after);
	return 0;
}

struct api *api_create(struct event_base *base, const struct cluster *cluster,
	void (*on_outage)(void *arg), void *arg)
{
	static const struct timeval sweep = {SWEEP_S, 0};
	struct api *api = memory_calloc(1, sizeof(*api));

	easy_begin();
	api->base = base;
	api->cluster = *cluster;
	api->on_outage = on_outage;
	api->arg = arg;
	list_init(&api->calls);
	list_init(&api->queue);
	rng_init(&api->rng, clock_us() ^ (uint64_t)(uintptr_t)api);
	api->timer = event_new(base, -1, 0, on_timer, api);
	api->try_timer = event_new(base, -1, 0, on_try, api);
	api->sweep_timer = event_new(base, -1, EV_PERSIST, on_sweep, api);
	api->farewell = event_new(base, -1, 0, on_farewell, api);
	event_add(api->sweep_timer, &sweep);
	make_multi(api);
	return api;
}

static void make_multi(struct api *api)
{
	unsigned n_tries = 0;

	while (!(api->multi = curl_multi_init()))
		memory_wait(&n_tries);
	curl_multi_setopt(api->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	curl_multi_setopt(api->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	curl_multi_setopt(api->multi, CURLMOPT_SOCKETDATA, api);
	curl_multi_setopt(api->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(api->multi, CURLMOPT_TIMERDATA, api);
}

void api_destroy(struct api *api)
{
	if (!api)
		return;
	curl_multi_cleanup(api->multi);
	event_free(api->timer);
	event_free(api->try_timer);
	event_free(api->sweep_timer);
	event_free(api->farewell);
	cluster_fini(&api->cluster);
	free(api->token);
	free(api);
	easy_end();
}

struct api_call *api_start(struct api *api, const struct api_request *request,
	const struct api_handlers *handlers, void *arg)
{
	struct api_call *call = memory_calloc(1, sizeof(*call));

	call->api = api;
	call->handlers = handlers;
	call->arg = arg;
	call->request = *request;
	call->request.path = arena_xprintf("%s", request->path);
	call->request.accept = arena_xprintf("%s", request->accept);
	list_push(&api->queue, &call->node);
	if (api->try_ms == 0)
		run(call);
	else if (!api->trying && !event_pending(api->try_timer, EV_TIMEOUT, NULL))
		on_try(-1, 0, api);
	return call;
}

void api_cancel(struct api_call *call)
{
	struct api *api;

	if (!call)
		return;
	api = call->api;
	call_free(call);
	/* Whoever was to try is gone: somebody else does. */
	if (api->try_ms > 0 && !api->trying &&
		!event_pending(api->try_timer, EV_TIMEOUT, NULL))
		on_try(-1, 0, api);
}

const char *api_outage(const struct api *api)
{
	return api->try_ms > 0 ? api->outage : NULL;
}

uint64_t api_n_requests(const struct api *api)
{
	return api->n_requests;
}

char *api_encode(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);
	char *copy = arena_xprintf("%s", escaped ? escaped : "");

	curl_free(escaped);
	return copy;
}
