/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that can be wrong with a request is found before a byte of it goes on: head,
 * framing, target, Host, and as much of the body as came with the head.
 */
#include "flow/http_request.h"

#include <errno.h>
#include <sys/socket.h>

#include "flow/emit.h"
#include "http/authority.h"

#define HTTP_PORT 80

/* What begin learns of a request before it can be forwarded. */
struct intent {
	struct head *head;
	struct authority authority; /* where to, from the target or from Host */
	struct str origin;          /* request target in origin form */
	struct str body;            /* as much as came with the head */
	enum target_form form;
	bool has_host;
};

/* Known of most malformed heads too: their answer depends on it. */
static void read_method(struct exchange *exchange, struct str method)
{
	static const struct {
		const char *name;
		size_t len;
		uint8_t method;
		bool idempotent;
	} rows[] = {
		{"GET", 3, METHOD_OTHER, true},
		{"HEAD", 4, METHOD_HEAD, true},
		{"PUT", 3, METHOD_OTHER, true},
		{"DELETE", 6, METHOD_OTHER, true},
		{"OPTIONS", 7, METHOD_OTHER, true},
		{"TRACE", 5, METHOD_OTHER, true},
		{"CONNECT", 7, METHOD_CONNECT, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!str_is(method, (struct str){rows[i].name, rows[i].len}))
			continue;
		exchange->method = rows[i].method;
		exchange->idempotent = rows[i].idempotent;
		return;
	}
}

/* h2c would leave HTTP/1 behind our back; the server simply goes on in HTTP/1.1. */
static bool offers_h2c(struct str protocols)
{
	struct str protocol;

	while (str_next_element(&protocols, &protocol))
		if (str_is_nocase(protocol, STR("h2c")))
			return true;
	return false;
}

static void read_facts(struct exchange *exchange, const struct head *head)
{
	exchange->client_is_1_0 = head->minor == 0;
	/* Who did not wait for the answer to CONNECT has sent what is no request. */
	exchange->client_keeps_alive =
		head_keeps_alive(head) && exchange->method != METHOD_CONNECT;
	exchange->wants_upgrade = head->minor >= 1 && head->says_upgrade &&
				  head->n_of[FIELD_UPGRADE] == 1 &&
				  !offers_h2c(head_last(head, FIELD_UPGRADE)->value);
}

static void keep_trace(struct exchange *exchange, const struct head *head)
{
	size_t len = head->method.len + 1 + head->target.len;

	if (exchange->worker->config->access_log == CONFIG_ACCESS_OFF ||
		!head->method.ptr)
		return;
	exchange->trace = strndup(head->method.ptr, len < 512 ? len : 512);
}

/* RFC 9112 section 3.2: one valid Host in HTTP/1.1, and at most one in HTTP/1.0. */
static const char *check_host(struct intent *intent)
{
	const struct head *head = intent->head;
	struct authority host;
	int n = head->n_of[FIELD_HOST];

	if (n > 1)
		return "more than one Host";
	if (n == 0)
		return head->minor >= 1 ? "no Host" : NULL;
	if (!authority_parse(head_last(head, FIELD_HOST)->value, &host))
		return "a malformed Host";
	intent->has_host = true;
	if (intent->form == TARGET_ABSOLUTE || intent->form == TARGET_AUTHORITY)
		return NULL;
	intent->authority = host;
	/* An http URI without a host is invalid (RFC 9110 section 4.2.1). */
	return host.host.len > 0 ? NULL : "an empty Host";
}

/* Answers and gives false when the request cannot go on. */
static bool understand(struct exchange *exchange, struct intent *intent)
{
	struct head *head = intent->head;
	size_t max = exchange->worker->config->max_header_bytes;
	enum framing_result framing;
	const char *problem;
	size_t used;

	framing = framing_of_request(head, &exchange->request_body, max);
	if (framing != FRAMING_OK) {
		exchange_answer(exchange,
			framing == FRAMING_UNKNOWN ? OUTCOME_unsupported_coding
						   : OUTCOME_bad_request,
			head->problem);
		return false;
	}
	intent->form = target_parse(
		head->method, head->target, &intent->authority, &intent->origin);
	problem = intent->form == TARGET_BAD ? "a malformed request target"
					     : check_host(intent);
	if (!problem && exchange->method == METHOD_CONNECT &&
		!exchange->request_body.done)
		problem = "CONNECT with a body";
	if (!problem &&
		body_skim(&exchange->request_body, intent->body, &used) == BODY_BAD)
		problem = exchange->request_body.problem;
	if (problem) {
		exchange_answer(exchange, OUTCOME_bad_request, problem);
		return false;
	}
	if (intent->form == TARGET_HTTPS) {
		exchange_answer(exchange, OUTCOME_unsupported_coding,
			"https has to go through CONNECT");
		return false;
	}
	/* What follows the body is the next request, or the first bytes of a tunnel. */
	if (!buf_append(&exchange->worker->loop.bufs, &exchange->client->in,
		    intent->body.ptr + used, intent->body.len - used)) {
		exchange_answer(exchange, OUTCOME_no_resources, NULL);
		return false;
	}
	intent->body.len = used;
	return true;
}

static bool find_target(struct exchange *exchange, const struct intent *intent)
{
	struct client *client = exchange->client;
	const struct authority *to = &intent->authority;

	if (client->front->service || client->front->direction == INBOUND) {
		exchange->target = target_for_front(client->worker, client->front);
	} else if (to->host.len == 0) {
		exchange_answer(exchange, OUTCOME_bad_request,
			"neither the request target nor Host says where to");
		return false;
	} else {
		exchange->names_port = to->port_number != 0;
		exchange->target = target_for_host(
			client->worker, OUTBOUND, to->host, to->port_number, HTTP_PORT);
	}
	if (!exchange->target) {
		exchange_answer(exchange, OUTCOME_no_resources, NULL);
		return false;
	}
	target_hold(exchange->target);
	tally_count_request(exchange->target->tally, exchange->started_us / 1000);
	return true;
}

/*
 * Method, target in origin form (RFC 9112 section 3.2.1), and always our own version.
 * Where that is as it came the line is the first of those that go on as they are.
 */
static struct str emit_request_line(struct text *out, const struct intent *intent)
{
	const struct head *head = intent->head;
	bool is_absolute = intent->form == TARGET_ABSOLUTE;

	if (intent->form == TARGET_ORIGIN && head->minor == 1)
		return (struct str){head->first_line.ptr, head->first_line.len + 2};
	text_add(out, head->method);
	text_add(out, STR(" "));
	if (is_absolute && intent->origin.len == 0 &&
		str_is(head->method, STR("OPTIONS")))
		text_add(out, STR("*"));
	else if (is_absolute && (intent->origin.len == 0 || *intent->origin.ptr == '?'))
		text_add(out, STR("/"));
	text_add(out, intent->origin);
	text_add(out, STR(" HTTP/1.1\r\n"));
	return STR("");
}

/*
 * Host stays as received, unless the target says it in its place; one is made where an
 * HTTP/1.0 client gave none, because HTTP/1.1 needs it.
 */
static void emit_host(
	struct text *out, const struct exchange *exchange, const struct intent *intent)
{
	if (intent->form == TARGET_ABSOLUTE || intent->form == TARGET_AUTHORITY)
		text_add_field(out, STR("Host"), intent->authority.text);
	else if (!intent->has_host)
		text_add_field(out, STR("Host"),
			exchange->target->host ? str_of(exchange->target->host)
					       : STR(""));
}

/* Whether somebody before us has said it, to whom it may concern. */
static bool says(const struct head *head, enum field_id id)
{
	const struct field *field = head_last(head, id);

	return field && !field->drop;
}

static struct str peer_ip(const struct client *client)
{
	return (struct str){client->peer_ip, client->peer_ip_len};
}

static void emit_forwarded(
	struct text *out, const struct exchange *exchange, const struct intent *intent)
{
	const struct head *head = intent->head;

	if (!says(head, FIELD_X_FORWARDED_FOR))
		text_add_field(out, STR("X-Forwarded-For"), peer_ip(exchange->client));
	if (!says(head, FIELD_X_FORWARDED_PROTO))
		text_add_field(out, STR("X-Forwarded-Proto"), STR("http"));
	if (intent->authority.text.len > 0 && !says(head, FIELD_X_FORWARDED_HOST))
		text_add_field(out, STR("X-Forwarded-Host"), intent->authority.text);
}

/* X-Forwarded-For is a list: whoever came before us stays in front. */
static void emit_appended(
	struct text *out, const struct field *field, const struct client *client)
{
	text_add(out, field->name);
	text_add(out, STR(": "));
	text_add(out, field->value);
	text_add(out, field->value.len > 0 ? STR(", ") : STR(""));
	text_add(out, peer_ip(client));
	text_add(out, STR("\r\n"));
}

static bool is_forwarded(const struct exchange *exchange, const struct intent *intent,
	const struct field *field)
{
	switch (field->id) {
	case FIELD_HOST:
		return intent->form == TARGET_ORIGIN || intent->form == TARGET_ASTERISK;
	case FIELD_UPGRADE:
		return exchange->wants_upgrade;
	case FIELD_EXPECT:
		return !field->drop && !exchange->client_is_1_0;
	default:
		return !field->drop;
	}
}

/* The fields as they came, less those of this hop, plus ours. No empty line at the end.
 */
static void emit_head(
	struct text *out, const struct exchange *exchange, const struct intent *intent)
{
	const struct head *head = intent->head;
	bool is_inbound = exchange->direction == INBOUND;
	struct str run = emit_request_line(out, intent);

	emit_host(out, exchange, intent);
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct field *field = &head->fields[i];

		if (!is_forwarded(exchange, intent, field))
			continue;
		if (is_inbound && field == head_last(head, FIELD_X_FORWARDED_FOR)) {
			text_add(out, run);
			run = STR("");
			emit_appended(out, field, exchange->client);
		} else {
			emit_field(out, &run, field);
		}
	}
	text_add(out, run);
	if (is_inbound)
		emit_forwarded(out, exchange, intent);
	if (exchange->wants_upgrade)
		text_add(out, STR("Connection: Upgrade\r\n"));
}

/* What emit_head may add to what was received. */
#define ADDED_BYTES 320

static bool hold_request(struct exchange *exchange, const struct intent *intent)
{
	size_t cap = intent->head->len + 2 * intent->authority.text.len + ADDED_BYTES;
	struct buf *buf;
	struct text out;

	if (exchange->target->host)
		cap += strlen(exchange->target->host);
	buf = buf_get(&exchange->worker->loop.bufs, cap + intent->body.len);
	if (!buf)
		return false;
	exchange->request = buf;
	out = (struct text){.ptr = buf->data, .cap = cap};
	emit_head(&out, exchange, intent);
	if (out.overflow)
		return false;
	exchange->head_len = (uint32_t)out.len;
	memcpy(buf->data + out.len, intent->body.ptr, intent->body.len);
	buf->to = (uint32_t)(out.len + intent->body.len);
	exchange->complete_request_held = true;
	return true;
}

static bool answer_bad_head(
	struct exchange *exchange, enum head_result result, const struct head *head)
{
	switch (result) {
	case HEAD_BAD:
		exchange_answer(exchange, OUTCOME_bad_request, head->problem);
		return true;
	case HEAD_LARGE:
		exchange_answer(exchange, OUTCOME_head_too_large, NULL);
		return true;
	case HEAD_VERSION:
		exchange_answer(exchange, OUTCOME_unsupported_version, NULL);
		return true;
	default:
		return false;
	}
}

void http_request_begin(struct client *client, enum head_result result, struct str bytes)
{
	struct head *head = &client->worker->head;
	struct exchange *exchange = exchange_create(client);
	struct intent intent = {.head = head};

	if (!exchange) {
		client_refuse(client);
		return;
	}
	client->life.n_requests++;
	keep_trace(exchange, head);
	read_method(exchange, head->method);
	if (answer_bad_head(exchange, result, head))
		return;
	client->worker->counters.bytes[exchange->direction][DOWNSTREAM] += bytes.len;
	read_facts(exchange, head);
	intent.body = (struct str){bytes.ptr + head->len, bytes.len - head->len};
	if (!understand(exchange, &intent) || !find_target(exchange, &intent))
		return;
	if (!hold_request(exchange, &intent)) {
		exchange_answer(exchange, OUTCOME_no_resources, NULL);
		return;
	}
	exchange_dispatch(exchange);
}

void http_request_late(struct client *client)
{
	struct exchange *exchange = exchange_create(client);

	if (!exchange) {
		client_refuse(client);
		return;
	}
	client_enter(client, CLIENT_EXCHANGE);
	exchange_answer(exchange, OUTCOME_head_timeout, NULL);
}

void http_request_stalled(struct exchange *exchange)
{
	/* Two that talk to each other have their own pace. */
	if (exchange->head_sent)
		return;
	/* It is not the client whom the others wait for. */
	if (!exchange->sent || stream_is_blocked(&exchange->upstream->stream) ||
		stream_peek(&exchange->client->stream) != -EAGAIN)
		client_await_body(exchange->client);
	else
		exchange_answer(exchange, OUTCOME_body_timeout, NULL);
}

void http_connect_established(struct exchange *exchange)
{
	struct str line = STR("HTTP/1.1 200 Connection established\r\n\r\n");
	struct iovec iov = {(char *)line.ptr, line.len};

	exchange->status = 200;
	exchange->head_sent = true;
	if (stream_write(&exchange->client->stream, &iov, 1) != 0) {
		client_drop(exchange->client, false);
		return;
	}
	exchange_start_tunnel(exchange);
}
