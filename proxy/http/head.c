/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The byte check is a state machine with one state per place in a line. It takes nothing
 * but CRLF as a line end, no control characters, no folding, and tokens only as field
 * names; so a head that passes has the same lines for every reader (RFC 9112 sections 2.2
 * and 5, request smuggling in section 11.2). Only then llhttp sees the bytes, all at
 * once, if there is anything in them that readers could differ about.
 */
#include "http/head.h"

#include <endian.h>

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

/*
 * How many of the next eight bytes stand before a control character or DEL. (The classic
 * test for a byte below a bound: above the first that it finds it may find too many.)
 */
static unsigned n_plain(const uint8_t *bytes)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	uint64_t word, del, found;

	memcpy(&word, bytes, sizeof(word));
	word = le64toh(word);
	del = word ^ (ones * 0x7f);
	found = (((word - ones * ' ') & ~word) | ((del - ones) & ~del)) & highs;
	return found ? (unsigned)__builtin_ctzll(found) / 8 : 8;
}

/* From i on, the first byte that no line has inside: its end, or what may not be there.
 */
static size_t skip_text(const uint8_t *bytes, size_t i, size_t len)
{
	for (unsigned n = 8; n == 8 && i + 8 <= len; i += n)
		n = n_plain(bytes + i);
	for (; i < len; i++) {
		uint8_t klass = byte_class[bytes[i]];

		if (klass < TEXT || klass == CR || klass == LF)
			break;
	}
	return i;
}

static bool is_version(struct str s)
{
	return s.len == 8 && memcmp(s.ptr, "HTTP/", 5) == 0 && s.ptr[5] >= '0' &&
	       s.ptr[5] <= '9' && s.ptr[6] == '.' && s.ptr[7] >= '0' && s.ptr[7] <= '9';
}

/* method SP request-target SP HTTP-version, one space each (RFC 9112 section 3). */
static enum head_result split_request_line(struct head *head, struct str line)
{
	const char *end = line.ptr + line.len;
	const char *space = memchr(line.ptr, ' ', line.len);
	const char *second =
		space ? memchr(space + 1, ' ', (size_t)(end - space) - 1) : NULL;

	head->problem = "a malformed request line";
	if (!second || !is_version((struct str){second + 1, (size_t)(end - second) - 1}))
		return HEAD_BAD;
	head->method = (struct str){line.ptr, (size_t)(space - line.ptr)};
	head->target = (struct str){space + 1, (size_t)(second - space) - 1};
	for (size_t i = 0; i < head->method.len; i++)
		if (byte_class[(uint8_t)head->method.ptr[i]] != TOKEN)
			return HEAD_BAD;
	if (second[6] != '1' || second[8] > '1')
		return second[6] == '0' ? HEAD_BAD : HEAD_VERSION;
	head->minor = (uint8_t)(second[8] - '0');
	return HEAD_DONE;
}

/* HTTP-version SP three digits, then nothing or SP and a phrase (RFC 9112 section 4). */
static enum head_result split_status_line(struct head *head, struct str line)
{
	const size_t at_code = sizeof("HTTP/1.1 ") - 1;
	uint64_t status;

	head->problem = "a malformed status line";
	if (line.len < at_code + 3 || !is_version((struct str){line.ptr, 8}) ||
		line.ptr[5] != '1' || line.ptr[8] != ' ' ||
		!str_to_u64((struct str){line.ptr + at_code, 3}, &status))
		return HEAD_BAD;
	head->minor = (uint8_t)(line.ptr[7] - '0');
	head->status = (uint16_t)status;
	head->reason = (struct str){line.ptr + at_code + 3, line.len - at_code - 3};
	if (head->reason.len > 0 && head->reason.ptr[0] != ' ')
		return HEAD_BAD;
	return HEAD_DONE;
}

/*
 * Checked as soon as it is there: who speaks another protocol, or HTTP/0.9, may never
 * send the rest of a head.
 */
static enum head_result split_first_line(
	struct head *head, enum head_kind kind, const char *line)
{
	while (*line == '\r')
		line += 2;
	head->first_line.ptr = line;
	head->first_line.len = (size_t)((const char *)rawmemchr(line, '\r') - line);
	return kind == HEAD_REQUEST ? split_request_line(head, head->first_line)
				    : split_status_line(head, head->first_line);
}

/* The same for what does not even send a line: a response begins with HTTP. */
static bool begins_like_http(enum head_kind kind, struct str buf)
{
	struct str name = STR("HTTP/");

	if (buf.len < name.len)
		name.len = buf.len;
	return kind == HEAD_REQUEST || *buf.ptr == '\r' ||
	       memcmp(buf.ptr, name.ptr, name.len) == 0;
}

/* One step per byte; the two long runs, names and values, are inner loops. */
static enum head_result scan_bytes(
	struct head *head, struct head_scan *scan, enum head_kind kind, struct str buf)
{
	const uint8_t *bytes = (const uint8_t *)buf.ptr;
	size_t i = scan->pos;
	uint8_t state = scan->state;
	enum head_result result;

	for (; i < buf.len; i++) {
		uint8_t klass = byte_class[bytes[i]];

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
			i = skip_text(bytes, i, buf.len);
			if (i == buf.len)
				goto more;
			if (bytes[i] != '\r')
				goto bad;
			state = state == VALUE ? VALUE_CR : FIRST_CR;
			break;
		case FIRST_CR:
			if (klass != LF)
				goto bad;
			result = split_first_line(head, kind, buf.ptr);
			if (result != HEAD_DONE)
				return result;
			state = LINE_START;
			break;
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
			while (i < buf.len && byte_class[bytes[i]] == TOKEN)
				i++;
			if (i == buf.len)
				goto more;
			if (bytes[i] != ':')
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

/* Cuts the checked lines into fields. False when there are too many. */
static bool split_fields(struct head *head, const char *line)
{
	const char *end = head->base + head->len - 2; /* the empty line */

	while (line < end) {
		struct field *field = &head->fields[head->n_fields];
		const char *stop = memchr(line, '\r', (size_t)(end - line));
		const char *colon = memchr(line, ':', (size_t)(stop - line));

		if (head->n_fields == HEAD_FIELDS_MAX)
			return false;
		field->line = (struct str){line, (size_t)(stop - line)};
		field->name = (struct str){line, (size_t)(colon - line)};
		field->value =
			str_trim((struct str){colon + 1, (size_t)(stop - colon) - 1});
		field->id = field_identify(field->name);
		field->drop = field_is_hop[field->id];
		head->n_fields++;
		line = stop + 2;
	}
	return true;
}

/* The head is all we asked for; the body is ours (framing.h). */
static int on_headers_complete(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_headers_complete = on_headers_complete};

static bool is_ascii(struct str s)
{
	uint8_t all = 0;

	for (size_t i = 0; i < s.len; i++)
		all |= (uint8_t)s.ptr[i];
	return all < 0x80;
}

/*
 * Framing said once in its plainest form, or not at all, and a path in ASCII: nearly
 * every head is like that, and what the byte check lets pass of it llhttp reads alike
 * (tests/fuzz holds them against each other). A quarter of all instructions of a request
 * would go there.
 */
static bool is_plain(const struct head *head, enum head_kind kind)
{
	int n_lengths = head->n_of[FIELD_CONTENT_LENGTH],
	    n_codings = head->n_of[FIELD_TRANSFER_ENCODING];
	uint64_t length;

	if (n_lengths + n_codings > 1 || head->n_of[FIELD_UPGRADE] > 0 || head->minor > 1)
		return false;
	if (n_lengths > 0 &&
		!str_to_u64(head->last[FIELD_CONTENT_LENGTH]->value, &length))
		return false;
	if (n_codings > 0 && !str_is_nocase(head->last[FIELD_TRANSFER_ENCODING]->value,
				     STR("chunked")))
		return false;
	return kind == HEAD_RESPONSE ||
	       (head->target.len > 0 && *head->target.ptr == '/' &&
		       is_ascii(head->target));
}

/*
 * The second lock. llhttp knows a list of methods, while any token is one (RFC 9110
 * section 9.1): it is shown POST in place of all but CONNECT, whose target has a form of
 * its own.
 */
static llhttp_errno_t show_llhttp(struct head *head, llhttp_t *parser, const char *rest)
{
	const char *end = head->base + head->len;
	llhttp_errno_t err = HPE_OK;

	if (parser->type == HTTP_REQUEST && str_is(head->method, STR("CONNECT")))
		err = llhttp_execute(parser, "CONNECT", 7);
	else if (parser->type == HTTP_REQUEST)
		err = llhttp_execute(parser, "POST", 4);
	return err == HPE_OK ? llhttp_execute(parser, rest, (size_t)(end - rest)) : err;
}

static __attribute__((cold)) enum head_result run_llhttp(
	struct head *head, enum head_kind kind, const char *line)
{
	llhttp_t parser;
	llhttp_errno_t err;

	llhttp_init(
		&parser, kind == HEAD_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	err = show_llhttp(head, &parser, line + head->method.len);
	if (err == HPE_PAUSED)
		return HEAD_DONE;
	head->problem = err == HPE_INVALID_URL            ? "a malformed request target"
			: parser.reason && *parser.reason ? parser.reason
							  : "a malformed head";
	return HEAD_BAD;
}

/* A field that Connection names speaks of this hop too; framing and routing are never the
 * sender's to take off. */
static void drop_named(struct head *head, struct str name)
{
	for (size_t i = 0; i < head->n_fields; i++) {
		struct field *f = &head->fields[i];

		if (f->id != FIELD_CONTENT_LENGTH && f->id != FIELD_HOST &&
			f->id != FIELD_TRANSFER_ENCODING && str_is_nocase(f->name, name))
			f->drop = true;
	}
}

/* Each name costs a walk over the fields, so there is an end to them. */
#define CONNECTION_OPTIONS_MAX 64

/* RFC 9110 section 7.6.1. False when there are too many options to be honest. */
static bool read_connection(struct head *head, struct str list, int *n_options)
{
	struct str option;

	while (str_next_element(&list, &option)) {
		if (option.len == 0)
			continue;
		if (++*n_options > CONNECTION_OPTIONS_MAX)
			return false;
		if (str_is_nocase(option, STR("close")))
			head->says_close = true;
		else if (str_is_nocase(option, STR("keep-alive")))
			head->says_keep_alive = true;
		else if (str_is_nocase(option, STR("upgrade")))
			head->says_upgrade = true;
		else
			drop_named(head, option);
	}
	return true;
}

static bool read_fields(struct head *head)
{
	int n_options = 0;

	for (size_t i = 0; i < head->n_fields; i++) {
		struct field *f = &head->fields[i];

		if (f->id == FIELD_OTHER)
			continue;
		if (head->n_of[f->id] < UINT8_MAX)
			head->n_of[f->id]++;
		head->last[f->id] = f;
	}
	for (size_t i = 0; head->n_of[FIELD_CONNECTION] && i < head->n_fields; i++)
		if (head->fields[i].id == FIELD_CONNECTION &&
			!read_connection(head, head->fields[i].value, &n_options))
			return false;
	return true;
}

static void head_reset(struct head *head, const char *base)
{
	memset(head, 0, offsetof(struct head, fields));
	head->base = base;
}

enum head_result head_parse(struct head *head, struct head_scan *scan,
	enum head_kind kind, struct str buf, size_t max_bytes)
{
	const char *fields;
	enum head_result result;

	head_reset(head, buf.ptr);
	/* What stands behind the limit must not matter, or the answer depends on how the
	 * bytes were cut. */
	if (buf.len > max_bytes)
		buf.len = max_bytes;
	if (!begins_like_http(kind, buf)) {
		head->problem = "a malformed status line";
		return HEAD_BAD;
	}
	if (scan->state >= LINE_START) /* the buffer may be another by now */
		(void)split_first_line(head, kind, buf.ptr);
	result = scan_bytes(head, scan, kind, buf);
	if (result == HEAD_MORE && buf.len == max_bytes)
		return HEAD_LARGE;
	if (result != HEAD_DONE)
		return result;
	fields = head->first_line.ptr + head->first_line.len + 2;
	if (!split_fields(head, fields))
		return HEAD_LARGE;
	if (!read_fields(head)) {
		head->problem = "too many Connection options";
		return HEAD_BAD;
	}
	if (!is_plain(head, kind))
		result = run_llhttp(head, kind, head->first_line.ptr);
	if (result == HEAD_DONE && kind == HEAD_RESPONSE && head->status < 100) {
		head->problem = "a status code below 100";
		return HEAD_BAD;
	}
	return result;
}
