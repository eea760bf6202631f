/* SPDX-License-Identifier: Apache-2.0 */
#include "net/web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "base/list.h"

#define IDLE_TIMEOUT_S   30
#define MAX_HEADERS      (16 << 10)
#define MAX_BODY         (4 << 10)
#define ANSWER_MAX_BYTES (64 << 20)

/* Connections at one time, and where descriptors are few their part of them. Beyond that
 * the oldest goes, not the newest: a probe that comes now is answered whoever has come
 * before and stays. */
#define CONNECTIONS_MAX  64
#define CONNECTIONS_PART 8
#define ACCEPTED_AT_ONCE 4

/* How long accepting pauses when there is no descriptor left. */
#define PAUSE_US 250000

struct web {
	struct evhttp *http;
	struct evconnlistener *listeners[LISTEN_FDS_MAX];
	struct event *resume;
	web_fn *handler;
	void *arg;
	struct event *newcomers;
	struct list guests; /* the oldest first */
	unsigned n_guests, max_guests;
	unsigned n_new; /* not yet looked at by on_newcomers */
};

/* A connection. evhttp tells only of its end, and tells that who has the connection,
 * which exists a little later than what it is read through. */
struct guest {
	struct web *web;
	struct list node; /* in guests, unless told to go */
	struct bufferevent *socket;
	bool is_known; /* evhttp will tell */
};

static void guest_leaves(struct guest *guest)
{
	guest->web->n_guests -= list_linked(&guest->node);
	list_unlink(&guest->node);
}

static void on_gone(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	guest_leaves(arg);
	free(arg);
}

/* evhttp gives its connection to all callbacks of what it reads it through. */
static void get_to_know(struct guest *guest)
{
	void *connection = NULL;

	bufferevent_getcb(guest->socket, NULL, NULL, NULL, &connection);
	guest->is_known = connection;
	bufferevent_decref(guest->socket);
	if (connection)
		evhttp_connection_set_closecb(connection, on_gone, guest);
	else
		on_gone(NULL, guest);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct web *web = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < LISTEN_FDS_MAX && web->listeners[i]; i++)
		evconnlistener_enable(web->listeners[i]);
}

static void pause_accepting(struct web *web)
{
	for (int i = 0; i < LISTEN_FDS_MAX && web->listeners[i]; i++)
		evconnlistener_disable(web->listeners[i]);
}

static void on_newcomers(evutil_socket_t fd, short what, void *arg)
{
	struct web *web = arg;

	(void)fd;
	(void)what;
	list_each_safe (node, next, &web->guests) {
		struct guest *guest = container_of(node, struct guest, node);

		if (!guest->is_known)
			get_to_know(guest);
	}
	while (web->n_guests > web->max_guests) {
		struct guest *oldest = container_of(web->guests.next, struct guest, node);

		guest_leaves(oldest);
		shutdown(bufferevent_getfd(oldest->socket), SHUT_RDWR);
	}
	if (web->n_new >= ACCEPTED_AT_ONCE)
		on_resume(-1, 0, web);
	web->n_new = 0;
}

/* NULL: evhttp makes its own, which is not counted. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct web *web = arg;
	struct guest *guest = calloc(1, sizeof(*guest));
	struct bufferevent *socket = bufferevent_socket_new(base, -1, 0);

	if (!guest || !socket) {
		free(guest);
		return socket;
	}
	*guest = (struct guest){.web = web, .socket = socket};
	bufferevent_incref(socket);
	list_push(&web->guests, &guest->node);
	web->n_guests++;
	event_active(web->newcomers, EV_TIMEOUT, 0);
	if (++web->n_new == ACCEPTED_AT_ONCE)
		pause_accepting(web);
	return socket;
}

/* libevent answers 501 in HTML to what it is not told of; the handler knows better. */
#define METHODS                                                                          \
	(EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |           \
		EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |              \
		EVHTTP_REQ_PATCH)

static const char *method_name(enum evhttp_cmd_type method)
{
	return method == EVHTTP_REQ_GET    ? "GET"
	       : method == EVHTTP_REQ_HEAD ? "HEAD"
	       : method == EVHTTP_REQ_POST ? "POST"
					   : "other";
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
	bool is_head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
	struct evbuffer *body = evbuffer_new();
	char number[24];

	evhttp_add_header(headers, "Server", "nigh");
	evhttp_add_header(headers, "Content-Type", reply->type);
	if (reply->status == 405)
		evhttp_add_header(headers, "Allow", reply->allow);
	/* libevent would send the body to HEAD too. */
	snprintf(number, sizeof(number), "%zu", len);
	evhttp_add_header(headers, "Content-Length", number);
	if (!body || (!is_head && evbuffer_add(body, text, len) != 0))
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
	bool is_whole;

	if (!request.path || !*request.path)
		request.path = "/";
	reply.out = open_memstream(&text, &len);
	if (!reply.out) {
		evhttp_send_error(evrequest, HTTP_INTERNAL, NULL);
		return;
	}
	web->handler(web->arg, &request, &reply);
	is_whole = !ferror(reply.out);
	/* Closing may take memory too, and gives no text then. */
	is_whole = fclose(reply.out) == 0 && text && is_whole;
	if (is_whole)
		send_reply(evrequest, &reply, text, len);
	else
		evhttp_send_error(evrequest, HTTP_INTERNAL, NULL);
	free(text);
}

/* The connection waits in the queue; without this the loop would try again at once, and
 * libevent would write a line each time. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)arg;
	evconnlistener_disable(listener);
}

static int accept_on(struct web *web, const struct listen_set *listen)
{
	static const struct timeval interval = {0, PAUSE_US};

	for (int i = 0; i < listen->n; i++) {
		struct evhttp_bound_socket *bound =
			evhttp_accept_socket_with_handle(web->http, listen->fds[i]);

		if (!bound)
			return -ENOMEM;
		web->listeners[i] = evhttp_bound_socket_get_listener(bound);
		evconnlistener_set_error_cb(web->listeners[i], on_accept_error);
	}
	return event_add(web->resume, &interval) == 0 ? 0 : -ENOMEM;
}

static unsigned connections_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
		limit.rlim_cur / CONNECTIONS_PART >= CONNECTIONS_MAX)
		return CONNECTIONS_MAX;
	return (unsigned)limit.rlim_cur / CONNECTIONS_PART;
}

int web_start(struct web **out, struct event_base *base, const struct listen_set *listen,
	web_fn *handler, void *arg)
{
	struct web *web = calloc(1, sizeof(*web));

	if (!web)
		return -ENOMEM;
	web->handler = handler;
	web->arg = arg;
	list_init(&web->guests);
	web->max_guests = connections_max();
	web->http = evhttp_new(base);
	web->resume = event_new(base, -1, EV_PERSIST, on_resume, web);
	web->newcomers = event_new(base, -1, 0, on_newcomers, web);
	if (!web->http || !web->resume || !web->newcomers) {
		web_stop(web);
		return -ENOMEM;
	}
	evhttp_set_timeout(web->http, IDLE_TIMEOUT_S);
	evhttp_set_max_headers_size(web->http, MAX_HEADERS);
	evhttp_set_max_body_size(web->http, MAX_BODY);
	evhttp_set_allowed_methods(web->http, METHODS);
	evhttp_set_gencb(web->http, on_request, web);
	evhttp_set_bevcb(web->http, on_connection, web);
	if (accept_on(web, listen) != 0) {
		web_stop(web);
		return -ENOMEM;
	}
	*out = web;
	return 0;
}

void web_stop(struct web *web)
{
	if (!web)
		return;
	/* None may be left that evhttp does not tell of. */
	if (web->http)
		on_newcomers(-1, 0, web);
	if (web->http)
		evhttp_free(web->http);
	if (web->newcomers)
		event_free(web->newcomers);
	if (web->resume)
		event_free(web->resume);
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
	struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000L};
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
