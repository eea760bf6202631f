/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kubernetes API as a hostile server: what it sends in answer to the lists and
 * watches of one service and of our node. The input is a script: an operation is 0xff and
 * a letter; what stands before the first one is a piece of the answer that waits longest.
 *
 *	a…    a piece of the body of the current answer
 *	cN    another becomes the current one
 *	sN    it has another status
 *	e E   it ends, whole or broken off
 *	tN    time passes
 *	h r   the service is held, released
 *
 * The same bytes also go through json_split alone, whole and in pieces. After each
 * operation the store builds a snapshot that can be explained.
 */
#include <event2/event.h>

#include "fuzz.h"
#include "sim.h"
#include "topo/explain.h"
#include "topo/source/api.h"
#include "topo/source/cluster.h"
#include "topo/source/json_split.h"
#include "topo/source/kubernetes.h"
#include "topo/store.h"
#include "topo/topo.h"

#define CALLS_MAX 32

struct api_call {
	const struct api_handlers *handlers;
	void *arg;
	int status;
	bool answered;
};

static struct api_call *calls[CALLS_MAX]; /* the oldest first */
static size_t n_calls, current;
static FILE *nowhere;

static const char *const keys[] = {TOPO_LABEL_HOSTNAME, "rack", "*"};
static const struct topo_policy policy = {.namespace_ = "shop",
	.cluster_domain = "cluster.local",
	.keys = keys,
	.n_keys = 3};

/* --- in place of api.c and cluster.c --- */

struct api *api_create(struct event_base *base, const struct cluster *cluster,
	void (*on_outage)(void *arg), void *arg)
{
	(void)cluster;
	(void)on_outage;
	(void)arg;
	return (struct api *)base;
}

void api_destroy(struct api *api)
{
	(void)api;
	CHECK(n_calls == 0);
}

struct api_call *api_start(struct api *api, const struct api_request *request,
	const struct api_handlers *handlers, void *arg)
{
	struct api_call *call = malloc(sizeof(*call));

	(void)api;
	CHECK(n_calls < CALLS_MAX && *request->path == '/');
	for (const char *c = request->path; *c; c++)
		CHECK(*c > ' ' && *c < 0x7f);
	*call = (struct api_call){.handlers = handlers, .arg = arg, .status = 200};
	calls[n_calls++] = call;
	return call;
}

static void forget(struct api_call *call)
{
	size_t i = 0;

	while (calls[i] != call)
		CHECK(++i < n_calls);
	memmove(calls + i, calls + i + 1, (--n_calls - i) * sizeof(*calls));
	current = n_calls ? current % n_calls : 0;
	free(call);
}

void api_cancel(struct api_call *call)
{
	if (call)
		forget(call);
}

char *api_encode(const char *text)
{
	char *out = malloc(strlen(text) * 3 + 1), *to = out;

	for (; *text; text++)
		to += sprintf(
			to, strchr("-._~", *text) ? "%c" : "%%%02X", (uint8_t)*text);
	*to = '\0';
	return out;
}

const char *api_outage(const struct api *api)
{
	(void)api;
	return NULL;
}

uint64_t api_n_requests(const struct api *api)
{
	(void)api;
	return 0;
}

char *cluster_of_pod(struct cluster *out)
{
	*out = (struct cluster){0};
	return NULL;
}

char *cluster_of_kubeconfig(struct cluster *out, const char *path)
{
	(void)path;
	return cluster_of_pod(out);
}

void cluster_fini(struct cluster *cluster)
{
	(void)cluster;
}

/* --- json_split alone --- */

struct pieces {
	char *text;
	size_t len, cap;
};

static bool on_value(void *arg, const char *key, const char *text, size_t len)
{
	struct pieces *pieces = arg;

	len = text ? len : 0;
	if (pieces->cap < pieces->len + len + 80) {
		pieces->cap = (pieces->len + len + 80) * 2;
		pieces->text = realloc(pieces->text, pieces->cap);
	}
	pieces->len +=
		(size_t)sprintf(pieces->text + pieces->len, "\n%s=", key ? key : "");
	if (len > 0)
		memcpy(pieces->text + pieces->len, text, len);
	pieces->len += len;
	return true;
}

static bool split(
	struct str bytes, enum json_split_form form, size_t step, struct pieces *out)
{
	struct json_split split;
	bool fine = true;

	json_split_init(&split, form, on_value, out);
	for (size_t at = 0; fine && at < bytes.len; at += step) {
		size_t n = bytes.len - at < step ? bytes.len - at : step;
		char *copy = fuzz_copy((struct str){bytes.ptr + at, n});

		fine = json_split_feed(&split, copy, n);
		free(copy);
	}
	CHECK(fine == !split.fault);
	json_split_fini(&split);
	return fine;
}

static void check_split(struct str bytes)
{
	enum json_split_form form = bytes.len & 1 ? JSON_SPLIT_LIST : JSON_SPLIT_STREAM;
	struct pieces whole = {0}, parts = {0};
	size_t step = 1 + bytes.len % 13 + bytes.len / 16;
	bool fine = split(bytes, form, bytes.len + 1, &whole);

	CHECK(fine == split(bytes, form, step, &parts));
	CHECK(whole.len == parts.len);
	CHECK(whole.len == 0 || memcmp(whole.text, parts.text, whole.len) == 0);
	free(whole.text);
	free(parts.text);
}

/* --- the source --- */

static void on_change(void *arg)
{
	struct topo_store *store = *(struct topo_store **)arg;
	struct topo_self self = {.node_name = "n1"};
	struct topo *topo = topo_build(store, &self, &policy);

	for (size_t i = 0; i < topo_n_services(topo); i++) {
		const struct topo_service *service = topo_service_at(topo, i);
		struct explain_settings settings = {.out = nowhere, .err = nowhere};

		/* Nobody asked for another one. */
		CHECK(strcmp(service->full_name, "shop/orders") == 0);
		(void)explain_print(topo, &policy, "orders:80", &settings);
	}
	topo_unref(topo);
}

static void on_problem(void *arg, const char *what, const char *problem)
{
	(void)arg;
	CHECK(what && (!problem || *problem));
}

static void answer(struct api_call *call)
{
	if (call->answered)
		return;
	call->answered = true;
	call->handlers->on_answer(call->arg, call->status);
}

static void end_call(struct api_call *call, bool complete)
{
	const struct api_handlers *handlers = call->handlers;
	struct api_result result = {.status = call->status, .complete = complete};
	void *arg = call->arg;

	if (result.status)
		answer(call);
	forget(call);
	handlers->on_end(arg, &result);
}

static void send_body(struct api_call *call, struct str bytes)
{
	char *copy = fuzz_copy(bytes);
	bool goes_on = true;

	if (call->status) {
		answer(call);
		goes_on = call->handlers->on_bytes(
			call->arg, call->status, copy, bytes.len);
	}
	free(copy);
	if (!goes_on)
		end_call(call, false);
}

static void pass_time(struct str arg)
{
	static const uint64_t spans[] = {
		1, 900, 2000, 31000, 61000, 130000, 600000, 4000000};

	sim_advance(spans[fuzz_byte(&arg) & 7]);
}

static void op(struct kubernetes *kubernetes, char letter, struct str arg)
{
	static const int statuses[] = {200, 0, 401, 403, 404, 410, 429, 500, 504, 400};
	struct api_call *call = n_calls ? calls[current] : NULL;

	if (letter == 't')
		pass_time(arg);
	else if (letter == 'h')
		kubernetes_hold(kubernetes, "shop", "orders");
	else if (letter == 'r')
		kubernetes_release(kubernetes, "shop", "orders");
	else if (!call)
		return;
	else if (letter == 'a')
		send_body(call, arg);
	else if (letter == 'e' || letter == 'E')
		end_call(call, letter == 'e');
	else if (letter == 'c')
		current = (fuzz_byte(&arg) & 15) % n_calls;
	else if (letter == 's' && !call->answered)
		call->status = statuses[(fuzz_byte(&arg) & 15) % 10];
}

static void settle(struct event_base *base)
{
	for (int i = 0; !sim_is_idle(); i++) {
		CHECK(i < 1000);
		event_base_loop(base, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct kubernetes_handlers handlers = {on_change, on_problem};
	struct kubernetes_settings settings = {.node_name = "n1", .policy = &policy};
	struct str input = {(const char *)data, size};
	struct event_base *base = event_base_new();
	struct topo_store *store = topo_store_create();
	struct kubernetes *kubernetes;
	char letter = 'a';

	if (!nowhere)
		nowhere = fopen("/dev/null", "we");
	check_split(input);
	sim_reset();
	sim.runs = true;
	current = 0;
	kubernetes = kubernetes_create(base, &settings, store, &handlers, &store);
	kubernetes_hold(kubernetes, "shop", "orders");
	settle(base);
	while (input.len > 0) {
		op(kubernetes, letter, fuzz_until(&input, '\xff'));
		settle(base);
		letter = (char)fuzz_byte(&input);
	}
	kubernetes_destroy(kubernetes);
	CHECK(n_calls == 0 && topo_store_count(store).n_slices == 0);
	topo_store_destroy(store);
	event_base_free(base);
	sim.runs = false;
	return 0;
}
