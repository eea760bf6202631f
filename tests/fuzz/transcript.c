/* SPDX-License-Identifier: Apache-2.0 */
#include "transcript.h"

#include "fuzz.h"
#include "reference.h"
#include "sim.h"

#define EXCHANGES_MAX 512

/* What one message is known by. Views point into the socket's bytes. */
struct message {
	bool head_done, done, bad;
	struct str method, target;
	unsigned status, minor;
	const char *content;
	size_t n_content;
	char *owned;
	size_t begin; /* in the bytes of the connection */
	bool is_local, says_not_processed, until_close;
	bool refuses; /* our own word that the request is not forwarded */
};

struct exchange_seen {
	const struct sim_socket *socket;
	struct message request, response;
	bool has_response;
	struct str line_begun; /* all that an upstream took of its request's first line */
	size_t answers_begin;  /* then: where the answers to it begin */
};

struct tunnel {
	const struct sim_socket *socket;
	struct str in, out; /* as seen by the socket's peer: sent, received */
};

static struct seen {
	struct exchange_seen items[EXCHANGES_MAX];
	size_t n;
	struct tunnel tunnels[SIM_SOCKETS_MAX];
	size_t n_tunnels;
} clients, upstreams;

static struct reference_message parsed;

static struct str bytes_from(const struct sim_bytes *bytes, size_t from)
{
	return (struct str){bytes->data ? bytes->data + from : "", bytes->len - from};
}

/* The content goes over to the message. */
static void note(struct message *to, enum reference_result result, size_t begin)
{
	static const char malformed[] = "nigh: the request is malformed";
	struct str server = {0};

	*to = (struct message){
		.head_done = parsed.head_done,
		.done = result == REFERENCE_DONE,
		.bad = result == REFERENCE_BAD,
		.method = parsed.method,
		.target = parsed.target,
		.status = parsed.status,
		.minor = parsed.minor,
		.content = parsed.content,
		.n_content = parsed.n_content,
		.owned = parsed.owned,
		.begin = begin,
		.until_close = parsed.until_close,
	};
	to->is_local = parsed.is_response &&
		       reference_field(&parsed, "server", &server) &&
		       str_is(server, STR("nigh"));
	to->refuses = to->is_local && parsed.n_content >= sizeof(malformed) - 1 &&
		      memcmp(parsed.content, malformed, sizeof(malformed) - 1) == 0;
	to->says_not_processed = reference_count(&parsed, "nigh-not-processed") > 0;
	parsed.owned = NULL;
}

static void add_tunnel(
	struct seen *seen, const struct sim_socket *socket, size_t in, size_t out)
{
	seen->tunnels[seen->n_tunnels++] = (struct tunnel){
		socket, bytes_from(&socket->in, in), bytes_from(&socket->out, out)};
}

static bool begins_tunnel(struct str method, unsigned status)
{
	return status == 101 || (str_is(method, STR("CONNECT")) && status / 100 == 2);
}

/* Skips what is not final. */
static enum reference_result read_response(
	const struct sim_bytes *bytes, size_t *at, struct str method)
{
	enum reference_result result;

	for (;;) {
		result = reference_read(&parsed, bytes_from(bytes, *at), &method);
		if (result != REFERENCE_DONE || parsed.status >= 200 ||
			parsed.status == 101)
			return result;
		*at += parsed.len;
		reference_fini(&parsed);
	}
}

/* --- upstream connections --- */

/* All that we write is whole, strict HTTP/1.1, with one Host and no field of a hop. */
static void check_forwarded(enum reference_result result)
{
	static const char *const hops[] = {"keep-alive", "proxy-connection", "te",
		"proxy-authorization", "http2-settings", "nigh-not-processed"};
	struct str host, connection;

	CHECK(result != REFERENCE_BAD);
	if (!parsed.head_done)
		return;
	CHECK(parsed.minor == 1);
	CHECK(reference_field(&parsed, "host", &host));
	for (size_t i = 0; i < sizeof(hops) / sizeof(*hops); i++)
		CHECK(reference_count(&parsed, hops[i]) == 0);
	CHECK(reference_count(&parsed, "connection") <= 1);
	if (reference_field(&parsed, "connection", &connection))
		CHECK(str_is(connection, STR("close")) ||
			str_is(connection, STR("Upgrade")));
}

static enum reference_result note_response(struct message *to,
	const struct sim_socket *socket, size_t *at, struct str method)
{
	enum reference_result result = read_response(&socket->in, at, method);

	note(to, result, *at);
	if (to->until_close && socket->fin_in && socket->fin_told)
		to->done = true;
	return result;
}

/*
 * An upstream may answer a request of which it has not taken all of the head. Where that
 * ends within the first line, it is the client's request that tells how the answer reads.
 */
static void read_early_answer(struct exchange_seen *seen, struct str taken, size_t in)
{
	struct str method = seen->request.method;

	if (!method.ptr) {
		seen->line_begun = taken;
		seen->answers_begin = in;
		method = STR("CONNECT"); /* of which the most may begin a tunnel */
	}
	(void)note_response(&seen->response, seen->socket, &in, method);
	seen->has_response = !seen->line_begun.ptr && seen->response.head_done;
	if (seen->response.done && begins_tunnel(method, seen->response.status))
		add_tunnel(
			&upstreams, seen->socket, in + parsed.len, seen->socket->out.len);
}

static void read_upstream(const struct sim_socket *socket)
{
	size_t in = 0, out = 0;

	if (socket->is_raw) {
		add_tunnel(&upstreams, socket, 0, 0);
		return;
	}
	while (out < socket->out.len && upstreams.n < EXCHANGES_MAX) {
		struct exchange_seen *seen = &upstreams.items[upstreams.n++];
		enum reference_result result =
			reference_read(&parsed, bytes_from(&socket->out, out), NULL);
		size_t next = out + parsed.len;

		*seen = (struct exchange_seen){.socket = socket};
		check_forwarded(result);
		note(&seen->request, result, out);
		if (!seen->request.head_done) {
			read_early_answer(seen, bytes_from(&socket->out, out), in);
			return;
		}
		result =
			note_response(&seen->response, socket, &in, seen->request.method);
		seen->has_response = seen->response.head_done;
		if (result == REFERENCE_DONE &&
			begins_tunnel(seen->request.method, seen->response.status)) {
			add_tunnel(&upstreams, socket, in + parsed.len, next);
			return;
		}
		if (!seen->request.done)
			return;
		in += parsed.len;
		out = next;
	}
}

/* --- client connections --- */

/* Our own answer to what was no request goes without a body where we took it for HEAD. */
static enum reference_result read_answer_to_none(
	const struct sim_socket *socket, size_t *at)
{
	size_t begin = *at;
	enum reference_result result = read_response(&socket->out, at, STR("HEAD"));

	if (result == REFERENCE_DONE && *at + parsed.len == socket->out.len)
		return result;
	reference_fini(&parsed);
	*at = begin;
	return read_response(&socket->out, at, STR("GET"));
}

/* A response that the client cannot take for a whole one unless it is. */
static void check_response(const struct sim_socket *socket, enum reference_result result)
{
	CHECK(result != REFERENCE_BAD);
	if (parsed.head_done && result == REFERENCE_DONE)
		CHECK(parsed.minor == 1);
}

static bool says_close(void)
{
	return reference_lists(&parsed, "connection", "close");
}

static void read_client(const struct sim_socket *socket)
{
	size_t in = 0, out = 0;

	while (in < socket->in.len && clients.n < EXCHANGES_MAX) {
		struct exchange_seen *seen = &clients.items[clients.n++];
		enum reference_result result =
			reference_read(&parsed, bytes_from(&socket->in, in), NULL);
		size_t next = in + parsed.len;
		struct str method;
		bool closes;

		*seen = (struct exchange_seen){.socket = socket};
		note(&seen->request, result, in);
		method = seen->request.head_done ? seen->request.method : STR("GET");
		if (out == socket->out.len) {
			in = next;
			if (!seen->request.done)
				return;
			continue;
		}
		result = seen->request.head_done
				 ? read_response(&socket->out, &out, method)
				 : read_answer_to_none(socket, &out);
		check_response(socket, result);
		closes = says_close();
		/* One who knows no chunks gets none. */
		if (seen->request.head_done && seen->request.minor == 0)
			CHECK(reference_count(&parsed, "transfer-encoding") == 0);
		note(&seen->response, result, out);
		seen->has_response = seen->response.head_done;
		if (result == REFERENCE_DONE &&
			begins_tunnel(method, seen->response.status)) {
			add_tunnel(&clients, socket, next, out + parsed.len);
			return;
		}
		if (seen->response.until_close && socket->end == SIM_FIN &&
			!socket->dead && !socket->peer_gone)
			seen->response.done = true;
		if (result != REFERENCE_DONE)
			return;
		out += parsed.len;
		if (closes)
			CHECK(out == socket->out.len);
		in = next;
	}
	CHECK(out == socket->out.len || in < socket->in.len);
}

/* --- both together --- */

static bool is_same_content(const struct message *a, const struct message *b)
{
	return a->n_content == b->n_content &&
	       (a->n_content == 0 || memcmp(a->content, b->content, a->n_content) == 0);
}

/* The target that the client's stands for, in origin form: one part behind the other. */
static void origin_form(const struct message *client, struct str *lead, struct str *rest)
{
	struct str target = client->target, scheme = STR("http://");

	*lead = STR("");
	*rest = target;
	if (target.len >= scheme.len &&
		str_is_nocase((struct str){target.ptr, scheme.len}, scheme)) {
		const char *at = target.ptr + scheme.len, *end = target.ptr + target.len;

		while (at < end && *at != '/' && *at != '?')
			at++;
		*rest = (struct str){at, (size_t)(end - at)};
		if (rest->len == 0 && str_is(client->method, STR("OPTIONS")))
			*lead = STR("*");
		else if (rest->len == 0 || *rest->ptr == '?')
			*lead = STR("/");
	}
}

/* Takes the part off, or what there is of it. */
static bool take(struct str *bytes, struct str part)
{
	size_t n = bytes->len < part.len ? bytes->len : part.len;

	if (n > 0 && memcmp(bytes->ptr, part.ptr, n) != 0)
		return false;
	*bytes = (struct str){bytes->ptr + n, bytes->len - n};
	return true;
}

static bool is_same_target(const struct message *client, const struct message *upstream)
{
	struct str target = upstream->target, lead, rest;

	origin_form(client, &lead, &rest);
	return target.len == lead.len + rest.len && take(&target, lead) &&
	       take(&target, rest);
}

static bool is_begun_by(struct str line, const struct message *client)
{
	struct str lead, rest;

	origin_form(client, &lead, &rest);
	return client->head_done && take(&line, client->method) &&
	       take(&line, STR(" ")) && take(&line, lead) && take(&line, rest) &&
	       take(&line, STR(" HTTP/1.1\r\n")) && line.len == 0;
}

static bool is_same_request(
	const struct exchange_seen *from, const struct exchange_seen *to)
{
	const struct message *client = &from->request, *upstream = &to->request;

	if (to->line_begun.ptr)
		return is_begun_by(to->line_begun, client);
	/* Nothing whole of a request that was answered 400 has gone on. */
	if (upstream->done && from->has_response && from->response.refuses)
		return false;
	if (!client->head_done || !str_is(client->method, upstream->method) ||
		!is_same_target(client, upstream))
		return false;
	if (upstream->done)
		return client->done && is_same_content(client, upstream);
	return client->n_content >= upstream->n_content &&
	       (upstream->n_content == 0 || memcmp(client->content, upstream->content,
						    upstream->n_content) == 0);
}

static bool is_idempotent(struct str method)
{
	static const char *const names[] = {
		"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_is(method, str_of(names[i])))
			return true;
	return false;
}

/* How often the upstreams' kernels have taken a byte of such a request. */
static size_t n_seen(const struct message *request)
{
	size_t n = 0;

	for (size_t i = 0; i < upstreams.n; i++) {
		const struct exchange_seen *seen = &upstreams.items[i];

		n += !seen->response.says_not_processed &&
		     seen->socket->n_acked > seen->request.begin &&
		     str_is(request->method, seen->request.method) &&
		     str_is(request->target, seen->request.target);
	}
	return n;
}

static size_t n_sent(const struct message *request)
{
	size_t n = 0;

	for (size_t i = 0; i < clients.n; i++) {
		const struct message *client = &clients.items[i].request;

		n += client->head_done && str_is(client->method, request->method) &&
		     is_same_target(client, request);
	}
	return n;
}

/* What came to an upstream, a client has sent; and what must not come twice, did not. */
static void check_requests(void)
{
	for (size_t i = 0; i < upstreams.n; i++) {
		const struct exchange_seen *to = &upstreams.items[i];
		bool found = false;

		for (size_t k = 0; k < clients.n && !found; k++)
			found = is_same_request(&clients.items[k], to);
		CHECK(found);
		if (!to->line_begun.ptr && !is_idempotent(to->request.method))
			CHECK(n_seen(&to->request) <= n_sent(&to->request));
	}
}

static bool is_same_response(const struct message *a, const struct message *b)
{
	if (!b->head_done || a->status != b->status)
		return false;
	if (a->done)
		return b->done && is_same_content(a, b);
	return a->n_content <= b->n_content &&
	       (a->n_content == 0 || memcmp(a->content, b->content, a->n_content) == 0);
}

static bool is_from_early(
	const struct exchange_seen *client, const struct exchange_seen *upstream)
{
	size_t at = upstream->answers_begin;
	struct message response;
	bool same;

	if (!is_begun_by(upstream->line_begun, &client->request))
		return false;
	(void)note_response(&response, upstream->socket, &at, client->request.method);
	same = is_same_response(&client->response, &response);
	free(response.owned);
	return same;
}

static bool is_from(
	const struct exchange_seen *client, const struct exchange_seen *upstream)
{
	if (upstream->line_begun.ptr)
		return is_from_early(client, upstream);
	return upstream->has_response &&
	       str_is(client->request.method, upstream->request.method) &&
	       is_same_target(&client->request, &upstream->request) &&
	       is_same_response(&client->response, &upstream->response);
}

/* What a client can take for a response to its request, an upstream has sent for it. */
static void check_responses(void)
{
	for (size_t i = 0; i < clients.n; i++) {
		const struct exchange_seen *client = &clients.items[i];
		bool found = client->response.is_local;

		if (!client->has_response)
			continue;
		if (str_is(client->request.method, STR("CONNECT")) &&
			client->response.status == 200)
			found = true; /* ours; the tunnel is checked */
		for (size_t k = 0; k < upstreams.n && !found; k++)
			found = is_from(client, &upstreams.items[k]);
		CHECK(found);
	}
}

static bool begins_with(struct str whole, struct str part)
{
	return part.len <= whole.len &&
	       (part.len == 0 || memcmp(whole.ptr, part.ptr, part.len) == 0);
}

static bool is_pair(const struct tunnel *client, const struct tunnel *upstream)
{
	return begins_with(client->in, upstream->out) &&
	       begins_with(upstream->in, client->out);
}

static bool has_pair(const struct tunnel *client)
{
	for (size_t i = 0; i < upstreams.n_tunnels; i++)
		if (is_pair(client, &upstreams.tunnels[i]))
			return true;
	return false;
}

/* Bytes of a tunnel come out as they went in. */
static void check_tunnels(void)
{
	for (size_t i = 0; i < clients.n_tunnels; i++)
		CHECK(clients.tunnels[i].out.len == 0 || has_pair(&clients.tunnels[i]));
	for (size_t i = 0; i < upstreams.n_tunnels; i++) {
		bool found = upstreams.tunnels[i].out.len == 0;

		for (size_t k = 0; k < clients.n_tunnels && !found; k++)
			found = is_pair(&clients.tunnels[k], &upstreams.tunnels[i]);
		CHECK(found);
	}
}

static void forget(struct seen *seen)
{
	for (size_t i = 0; i < seen->n; i++) {
		free(seen->items[i].request.owned);
		free(seen->items[i].response.owned);
	}
	seen->n = seen->n_tunnels = 0;
}

void transcript_check(void)
{
	for (size_t i = 0; i < sim.n_sockets; i++) {
		const struct sim_socket *socket = &sim.sockets[i];

		if (socket->kind == SIM_UPSTREAM)
			read_upstream(socket);
		else if (socket->kind == SIM_CLIENT && socket->is_raw)
			add_tunnel(&clients, socket, 0, 0);
		else if (socket->kind == SIM_CLIENT)
			read_client(socket);
	}
	check_requests();
	check_responses();
	check_tunnels();
	forget(&clients);
	forget(&upstreams);
}
