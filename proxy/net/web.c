/* SPDX-License-Identifier: Apache-2.0 */
#include "net/web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#define IDLE_TIMEOUT_S   30
#define MAX_HEADERS      (16 << 10)
#define MAX_BODY         (4 << 10)
#define ANSWER_MAX_BYTES (64 << 20)

struct web {
	struct evhttp *http;
	web_fn *handler;
	void *arg;
};

static const char *method_name(enum evhttp_cmd_type method)
{
	return method == EVHTTP_REQ_POST   ? "POST"
	       : method == EVHTTP_REQ_HEAD ? "HEAD"
					   : "GET";
}

static union address peer_of(struct evhttp_request *request)
{
	const struct sockaddr *sa =
		evhttp_connection_get_addr(evhttp_request_get_connection(request));
	union address peer = {0};

	if (sa)
		memcpy(&peer, sa,
			sa->sa_family == AF_INET6 ? sizeof(peer.in6) : sizeof(peer.in));
	address_unmap(&peer);
	return peer;
}

static void send_reply(struct evhttp_request *request, const struct web_reply *reply,
	const char *text, size_t len)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(headers, "Server", "nigh");
	evhttp_add_header(headers, "Content-Type", reply->type);
	if (!body || evbuffer_add(body, text, len) != 0)
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	else
		evhttp_send_reply(request, reply->status, NULL, body);
	if (body)
		evbuffer_free(body);
}

static void on_request(struct evhttp_request *evrequest, void *arg)
{
	struct web *web = arg;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(evrequest);
	struct web_request request = {
		.method = method_name(evhttp_request_get_command(evrequest)),
		.path = uri ? evhttp_uri_get_path(uri) : NULL,
		.query = uri ? evhttp_uri_get_query(uri) : NULL,
		.peer = peer_of(evrequest),
	};
	struct web_reply reply = {.status = 200, .type = "text/plain; charset=utf-8"};
	char *text = NULL;
	size_t len = 0;

	if (!request.path || !*request.path)
		request.path = "/";
	reply.out = open_memstream(&text, &len);
	if (!reply.out) {
		evhttp_send_error(evrequest, HTTP_INTERNAL, NULL);
		return;
	}
	web->handler(web->arg, &request, &reply);
	fclose(reply.out);
	send_reply(evrequest, &reply, text, len);
	free(text);
}

int web_start(struct web **out, struct event_base *base, const struct listen_set *listen,
	web_fn *handler, void *arg)
{
	struct web *web = calloc(1, sizeof(*web));

	if (!web)
		return -ENOMEM;
	web->handler = handler;
	web->arg = arg;
	web->http = evhttp_new(base);
	if (!web->http) {
		free(web);
		return -ENOMEM;
	}
	evhttp_set_timeout(web->http, IDLE_TIMEOUT_S);
	evhttp_set_max_headers_size(web->http, MAX_HEADERS);
	evhttp_set_max_body_size(web->http, MAX_BODY);
	evhttp_set_allowed_methods(
		web->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
	evhttp_set_gencb(web->http, on_request, web);
	for (int i = 0; i < listen->n; i++) {
		if (evhttp_accept_socket(web->http, listen->fds[i]) != 0) {
			web_stop(web);
			return -ENOMEM;
		}
	}
	*out = web;
	return 0;
}

void web_stop(struct web *web)
{
	if (!web)
		return;
	evhttp_free(web->http);
	free(web);
}

char *web_query_value(const char *query, const char *name)
{
	struct evkeyvalq pairs = {0};
	const char *value = NULL;
	char *copy;

	if (query && evhttp_parse_query_str(query, &pairs) == 0)
		value = evhttp_find_header(&pairs, name);
	copy = value ? strdup(value) : NULL;
	evhttp_clear_headers(&pairs);
	return copy;
}

struct call {
	struct event_base *base;
	int status;
	char *body;
};

static void on_answer(struct evhttp_request *request, void *arg)
{
	struct call *call = arg;

	if (request && evhttp_request_get_response_code(request) > 0) {
		struct evbuffer *body = evhttp_request_get_input_buffer(request);
		size_t len = evbuffer_get_length(body);

		call->status = evhttp_request_get_response_code(request);
		call->body = calloc(1, len + 1);
		if (call->body)
			evbuffer_remove(body, call->body, len);
	}
	event_base_loopbreak(call->base);
}

int web_call(const char *ip, uint16_t port, const char *method, const char *path,
	unsigned timeout_ms, char **body)
{
	struct timeval timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
	struct call call = {.base = event_base_new(), .status = -ECONNREFUSED};
	struct evhttp_connection *conn;
	struct evhttp_request *request;

	*body = NULL;
	if (!call.base)
		return -ENOMEM;
	conn = evhttp_connection_base_new(call.base, NULL, ip, port);
	request = conn ? evhttp_request_new(on_answer, &call) : NULL;
	if (request) {
		evhttp_connection_set_timeout_tv(conn, &timeout);
		evhttp_connection_set_max_body_size(conn, ANSWER_MAX_BYTES);
		evhttp_add_header(
			evhttp_request_get_output_headers(request), "Host", "nigh");
		if (evhttp_make_request(conn, request,
			    strcmp(method, "POST") == 0 ? EVHTTP_REQ_POST
							: EVHTTP_REQ_GET,
			    path) == 0)
			event_base_dispatch(call.base);
	}
	if (conn)
		evhttp_connection_free(conn);
	event_base_free(call.base);
	*body = call.body;
	return call.status;
}
