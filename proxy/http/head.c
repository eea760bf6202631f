/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The byte check is a state machine with one state per place in a line. It takes nothing
 * but CRLF as a line end, no control characters, no folding, and tokens only as field
 * names; so a head that passes has the same lines for every reader (RFC 9112 sections 2.2
 * and 5, request smuggling in section 11.2). Only then llhttp sees the bytes, all at
 * once.
 */
#include "http/head.h"

#include <llhttp/llhttp.h>

#define HEAD_BLANK_LINES_MAX 4

enum scan_state {
	AT_START, /* before the first line: empty lines are skipped, RFC 9112 section 2.2
		   */
	START_CR, /* CR of such an empty line */
	FIRST_LINE,
	FIRST_CR,
	LINE_START, /* a field or the empty line that ends the head */
	NAME,
	VALUE,
	VALUE_CR,
	END_CR,
};

enum byte_class { CTL, TEXT, TOKEN, COLON, CR, LF, BLANK };

/* One row per sixteen bytes. */
#define C CTL
#define X TEXT
#define T TOKEN
#define L COLON
#define R CR
#define N LF
#define _ BLANK
/* clang-format off */
static const uint8_t byte_class[256] = {
	C, C, C, C, C, C, C, C, C, _, N, C, C, R, C, C,
	C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C,
	_, T, X, T, T, T, T, T, X, X, T, T, X, T, T, X,
	T, T, T, T, T, T, T, T, T, T, L, X, X, X, X, X,
	X, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
	T, T, T, T, T, T, T, T, T, T, T, X, X, X, T, T,
	T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
	T, T, T, T, T, T, T, T, T, T, T, X, T, X, T, C,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
	X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
};
/* clang-format on */
#undef C
#undef X
#undef T
#undef L
#undef R
#undef N
#undef _

static const char *scan_problem(uint8_t state, uint8_t c)
{
	if (c == 0)
		return "a NUL byte in the head";
	switch (state) {
	case START_CR:
	case FIRST_CR:
	case VALUE_CR:
	case END_CR:
		return "a bare CR in the head";
	case LINE_START:
		return byte_class[c] == BLANK ? "a folded header line (obs-fold)"
					      : "a header line that begins with no name";
	case NAME:
		return byte_class[c] == BLANK
			       ? "white space before a header's colon"
			       : "a character that no header name may have";
	default:
		return c == '\n' ? "a line that ends with LF alone"
				 : "a control character in the head";
	}
}

/* One step per byte; the two long runs, names and values, are inner loops. */
static enum head_result scan_bytes(
	struct head *head, struct head_scan *scan, struct str buf)
{
	const uint8_t *bytes = (const uint8_t *)buf.ptr;
	size_t i = scan->pos;
	uint8_t state = scan->state;

	for (; i < buf.len; i++) {
		uint8_t c = bytes[i];
		uint8_t klass = byte_class[c];

		switch (state) {
		case AT_START:
			if (klass == CR && scan->n_blank++ < HEAD_BLANK_LINES_MAX)
				state = START_CR;
			else if (klass == TOKEN)
				state = FIRST_LINE;
			else
				goto bad;
			break;
		case START_CR:
			if (klass != LF)
				goto bad;
			state = AT_START;
			break;
		case FIRST_LINE:
		case VALUE:
			while (klass >= TEXT && klass != CR && klass != LF) {
				if (++i == buf.len)
					goto more;
				c = bytes[i];
				klass = byte_class[c];
			}
			if (klass != CR)
				goto bad;
			state = state == VALUE ? VALUE_CR : FIRST_CR;
			break;
		case FIRST_CR:
		case VALUE_CR:
			if (klass != LF)
				goto bad;
			state = LINE_START;
			break;
		case LINE_START:
			if (klass == CR)
				state = END_CR;
			else if (klass == TOKEN)
				state = NAME;
			else
				goto bad;
			break;
		case NAME:
			while (klass == TOKEN) {
				if (++i == buf.len)
					goto more;
				c = bytes[i];
				klass = byte_class[c];
			}
			if (klass != COLON)
				goto bad;
			state = VALUE;
			break;
		case END_CR:
			if (klass != LF)
				goto bad;
			head->len = i + 1;
			return HEAD_DONE;
		}
	}
more:
	scan->pos = (uint32_t)i;
	scan->state = state;
	return HEAD_MORE;
bad:
	head->problem = scan_problem(state, bytes[i]);
	return HEAD_BAD;
}

/* Known names by length; the few of one length are compared in turn. */
static uint16_t field_identify(struct str name)
{
	static const struct {
		uint8_t len;
		char first;
		uint16_t id;
		const char *name;
	} rows[] = {
#define FIELD(id, text, treatment) {sizeof(text) - 1, text[0], FIELD_##id, text},
#include "http/fields.def"
#undef FIELD
	};
	/* Lengths that occur; most names of real heads are told off here. */
	static const uint32_t lengths =
#define FIELD(id, text, treatment) | 1u << (sizeof(text) - 1)
		0
#include "http/fields.def"
#undef FIELD
		;

	if (name.len >= 32 || !(lengths & 1u << name.len))
		return FIELD_OTHER;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].len == name.len &&
			rows[i].first == ascii_lower(name.ptr[0]) &&
			strncasecmp(rows[i].name, name.ptr, name.len) == 0)
			return rows[i].id;
	return FIELD_OTHER;
}

static const bool field_is_hop[FIELD_IDS] = {
#define HOP                        true
#define KEEP                       false
#define OURS                       false
#define FIELD(id, text, treatment) [FIELD_##id] = treatment,
#include "http/fields.def"
#undef FIELD
#undef HOP
#undef KEEP
#undef OURS
};

static int on_target(llhttp_t *parser, const char *at, size_t len)
{
	struct head *head = parser->data;

	if (!head->target.ptr)
		head->target.ptr = at;
	head->target.len = (size_t)(at + len - head->target.ptr);
	return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
	struct head *head = parser->data;

	if (head->n_fields == HEAD_FIELDS_MAX)
		return -1;
	head->fields[head->n_fields].name = (struct str){at, len};
	head->fields[head->n_fields].value = (struct str){at + len, 0};
	head->n_fields++;
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct head *head = parser->data;

	if (head->n_fields == 0)
		return -1;
	head->fields[head->n_fields - 1].value = str_trim((struct str){at, len});
	return 0;
}

/* The head is all we asked for; the body is ours (framing.h). */
static int on_headers_complete(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_target,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
};

/*
 * llhttp knows a list of methods; any other token is a method too (RFC 9110 section 9.1).
 * So it is shown POST in place of all but CONNECT, whose target has a form of its own.
 */
static const char *parse_method(struct head *head, const char *line, const char *end)
{
	const char *space = memchr(line, ' ', (size_t)(end - line));

	if (!space)
		return NULL;
	for (const char *c = line; c < space; c++)
		if (byte_class[(uint8_t)*c] != TOKEN)
			return NULL;
	head->method = (struct str){line, (size_t)(space - line)};
	return space;
}

static enum head_result parse_error(
	struct head *head, llhttp_t *parser, llhttp_errno_t err)
{
	if (head->n_fields == HEAD_FIELDS_MAX)
		return HEAD_LARGE;
	head->problem = "a malformed head";
	if (err == HPE_INVALID_VERSION)
		return HEAD_VERSION;
	if (err == HPE_INVALID_URL)
		head->problem = "a character that a request target may not have";
	else if (parser->reason && *parser->reason)
		head->problem = parser->reason;
	return HEAD_BAD;
}

static enum head_result run_llhttp(
	struct head *head, enum head_kind kind, const char *line)
{
	llhttp_t parser;
	const char *end = head->base + head->len;
	llhttp_errno_t err = HPE_OK;

	llhttp_init(
		&parser, kind == HEAD_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	parser.data = head;
	if (kind == HEAD_REQUEST) {
		line = parse_method(head, line, end);
		if (!line) {
			head->problem = "a malformed request line";
			return HEAD_BAD;
		}
		if (!str_is(head->method, STR("CONNECT")))
			err = llhttp_execute(&parser, "POST", 4);
		else
			err = llhttp_execute(&parser, "CONNECT", 7);
	}
	if (err == HPE_OK)
		err = llhttp_execute(&parser, line, (size_t)(end - line));
	if (err != HPE_PAUSED)
		return parse_error(head, &parser, err);
	head->minor = parser.http_minor;
	head->status = parser.status_code;
	if (parser.http_major != 1) {
		head->problem = "an HTTP version other than 1.0 and 1.1";
		return parser.http_major == 0 ? HEAD_BAD : HEAD_VERSION;
	}
	return HEAD_DONE;
}

/* Connection: its options speak of this hop, and each may name one more field that does.
 */
static void read_connection(struct head *head, struct str list)
{
	struct str option;

	while (str_next_element(&list, &option)) {
		if (option.len == 0)
			continue;
		if (str_is_nocase(option, STR("close"))) {
			head->says_close = true;
			continue;
		}
		if (str_is_nocase(option, STR("keep-alive"))) {
			head->says_keep_alive = true;
			continue;
		}
		if (str_is_nocase(option, STR("upgrade"))) {
			head->says_upgrade = true;
			continue;
		}
		for (size_t i = 0; i < head->n_fields; i++) {
			struct field *f = &head->fields[i];

			/* Framing and routing are never the sender's to take off. */
			if (f->id != FIELD_CONTENT_LENGTH && f->id != FIELD_HOST &&
				f->id != FIELD_TRANSFER_ENCODING &&
				str_is_nocase(f->name, option))
				f->drop = true;
		}
	}
}

static void read_fields(struct head *head)
{
	for (size_t i = 0; i < head->n_fields; i++) {
		struct field *f = &head->fields[i];

		f->id = field_identify(f->name);
		f->drop = field_is_hop[f->id];
		if (f->id == FIELD_OTHER)
			continue;
		if (head->n_of[f->id] < UINT8_MAX)
			head->n_of[f->id]++;
		head->last[f->id] = f;
	}
	if (head->n_of[FIELD_CONNECTION])
		for (size_t i = 0; i < head->n_fields; i++)
			if (head->fields[i].id == FIELD_CONNECTION)
				read_connection(head, head->fields[i].value);
	if (head->n_of[FIELD_EXPECT])
		head->expects_continue = str_is_nocase(
			head->last[FIELD_EXPECT]->value, STR("100-continue"));
}

/* The status line's tail: what is forwarded behind a version of our own. */
static enum head_result read_status_line(struct head *head, const char *line)
{
	const char *end = memchr(line, '\r', (size_t)(head->base + head->len - line));
	const size_t at_code = sizeof("HTTP/1.1 ") - 1;

	if ((size_t)(end - line) < at_code + 3 || head->status < 100) {
		head->problem = "a malformed status line";
		return HEAD_BAD;
	}
	head->reason =
		(struct str){line + at_code + 3, (size_t)(end - line) - at_code - 3};
	if (head->reason.len > 0 && head->reason.ptr[0] != ' ') {
		head->problem = "a status code that is not three digits";
		return HEAD_BAD;
	}
	return HEAD_DONE;
}

static void head_reset(struct head *head, const char *base)
{
	memset(head, 0, offsetof(struct head, fields));
	head->base = base;
}

enum head_result head_parse(struct head *head, struct head_scan *scan,
	enum head_kind kind, struct str buf, size_t max_bytes)
{
	enum head_result result;
	const char *line = buf.ptr;

	head_reset(head, buf.ptr);
	result = scan_bytes(head, scan, buf);
	if (result == HEAD_MORE && buf.len >= max_bytes)
		return HEAD_LARGE;
	if (result != HEAD_DONE)
		return result;
	if (head->len > max_bytes)
		return HEAD_LARGE;
	while (*line == '\r')
		line += 2;
	result = run_llhttp(head, kind, line);
	if (result == HEAD_DONE && kind == HEAD_RESPONSE)
		result = read_status_line(head, line);
	if (result == HEAD_DONE)
		read_fields(head);
	return result;
}
