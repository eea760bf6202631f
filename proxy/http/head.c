/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The byte check goes line by line. It takes nothing but CRLF as a line end, no control
 * characters, no folding, and tokens only as field names; so a head that passes has the
 * same lines for every reader (RFC 9112 sections 2.2 and 5, request smuggling in section
 * 11.2). Only then llhttp sees the bytes, all at once, if there is anything in them that
 * readers could differ about.
 */
#include "http/head.h"

#include <endian.h>

#include <llhttp/llhttp.h>

#include "http/chars.h"

#define HEAD_BLANK_LINES_MAX 16

enum scan_state {
	FIRST_LINE, /* or an empty one before it, which is skipped: RFC 9112 section 2.2
		     */
	NAME,       /* of a field, or the empty line that ends the head */
	VALUE,
};

static const char *scan_problem(uint8_t state, bool begins, uint8_t c)
{
	if (c == 0)
		return "a NUL byte in the head";
	if (state != NAME)
		return c == '\n' ? "a line that ends with LF alone"
				 : "a control character in the head";
	if (begins)
		return char_is_blank(c) ? "a folded header line (obs-fold)"
					: "a header line that begins with no name";
	return char_is_blank(c) ? "white space before a header's colon"
				: "a character that no header name may have";
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
	if (!second || second == space + 1 ||
		!is_version((struct str){second + 1, (size_t)(end - second) - 1}))
		return HEAD_BAD;
	head->method = (struct str){line.ptr, (size_t)(space - line.ptr)};
	head->target = (struct str){space + 1, (size_t)(second - space) - 1};
	for (size_t i = 0; i < head->method.len; i++)
		if (!char_is_token[(uint8_t)head->method.ptr[i]])
			return HEAD_BAD;
	if (second[6] != '1')
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
	struct head *head, enum head_kind kind, struct str line)
{
	head->first_line = line;
	return kind == HEAD_REQUEST ? split_request_line(head, line)
				    : split_status_line(head, line);
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

/* A row's name has letters, digits and `-` only; of the bytes that a token may have just
 * those and their capitals become them by this bit. */
static bool is_name(struct str name, const char *lower)
{
	size_t i = 0;

	for (; i + 4 <= name.len; i += 4) {
		uint32_t ours, theirs;

		memcpy(&ours, lower + i, sizeof(ours));
		memcpy(&theirs, name.ptr + i, sizeof(theirs));
		if ((theirs | 0x20202020) != ours)
			return false;
	}
	for (; i < name.len; i++)
		if ((name.ptr[i] | 0x20) != lower[i])
			return false;
	return true;
}

/* Length and first letter, of six bits: nearly every name that is in no row is told by
 * it. Names are compared without case. */
#define NAME_KEY(len, first) (((len)*5 + ((first) | 0x20)) & 63)

static uint16_t field_identify(struct str name)
{
	static const struct {
		size_t len;
		const char *name;
	} rows[FIELD_IDS] = {
#define FIELD(id, text, treatment) [FIELD_##id] = {sizeof(text) - 1, text},
#include "http/fields.def"
#undef FIELD
	};
	static const uint64_t keys =
#define FIELD(id, text, treatment) | UINT64_C(1) << NAME_KEY(sizeof(text) - 1, text[0])
		0
#include "http/fields.def"
#undef FIELD
		;

	if (!(keys & UINT64_C(1) << NAME_KEY(name.len, (uint8_t)name.ptr[0])))
		return FIELD_OTHER;
	for (int id = FIELD_OTHER + 1; id < FIELD_IDS; id++)
		if (rows[id].len == name.len && is_name(name, rows[id].name))
			return (uint16_t)id;
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

/* A checked line. False when there are too many. */
static bool add_field(struct head *head, struct str line, size_t name_len)
{
	struct field *field = &head->fields[head->n_fields];

	if (head->n_fields == HEAD_FIELDS_MAX)
		return false;
	field->line = line;
	field->name = (struct str){line.ptr, name_len};
	field->value =
		str_trim((struct str){line.ptr + name_len + 1, line.len - name_len - 1});
	field->id = field_identify(field->name);
	field->drop = field_is_hop[field->id];
	head->n_fields++;
	if (field->id == FIELD_OTHER)
		return true;
	if (head->n_of[field->id] < UINT8_MAX)
		head->n_of[field->id]++;
	head->last[field->id] = field;
	return true;
}

/* From i to the next byte that no line may have within it. */
static size_t skip_text(const uint8_t *bytes, size_t i, size_t len)
{
	for (unsigned n = 8; n == 8 && i + 8 <= len; i += n)
		n = n_plain(bytes + i);
	while (i < len && ((bytes[i] >= ' ' && bytes[i] != 0x7f) || bytes[i] == '\t'))
		i++;
	return i;
}

static size_t skip_token(const uint8_t *bytes, size_t i, size_t len)
{
	const bool *is = char_is_token;

	while (i + 4 <= len &&
		(is[bytes[i]] & is[bytes[i + 1]] & is[bytes[i + 2]] & is[bytes[i + 3]]))
		i += 4;
	while (i < len && char_is_token[bytes[i]])
		i++;
	return i;
}

/* To the end of the line, which is whole with HEAD_DONE: scan->pos is at its CR. */
static enum head_result scan_line(
	struct head_scan *scan, const uint8_t *bytes, size_t len, const char **problem)
{
	size_t i = scan->pos;

	if (scan->state == NAME) {
		i = skip_token(bytes, i, len);
		if (i < len && bytes[i] == ':' && i > scan->line) {
			scan->colon = (uint32_t)i;
			scan->state = VALUE;
		} else if (i < len && (bytes[i] != '\r' || i > scan->line)) {
			goto bad;
		}
	} else if (i < len && i == scan->line && bytes[i] != '\r' &&
		   !char_is_token[bytes[i]]) {
		goto bad;
	}
	if (scan->state != NAME)
		i = skip_text(bytes, i, len);
	scan->pos = (uint32_t)i;
	if (i == len || (bytes[i] == '\r' && i + 1 == len))
		return HEAD_MORE;
	if (bytes[i] == '\r' && bytes[i + 1] == '\n')
		return HEAD_DONE;
	if (bytes[i] == '\r' && bytes[i + 1] != '\0') {
		*problem = "a bare CR in the head";
		return HEAD_BAD;
	}
	i += bytes[i] == '\r';
bad:
	*problem = scan_problem(scan->state, i == scan->line, bytes[i]);
	return HEAD_BAD;
}

/* The byte check, line by line, and each field is cut. */
static enum head_result scan_lines(
	struct head *head, struct head_scan *scan, enum head_kind kind, struct str buf)
{
	enum head_result result;

	for (;;) {
		struct str line;

		result = scan_line(
			scan, (const uint8_t *)buf.ptr, buf.len, &head->problem);
		if (result != HEAD_DONE)
			return result;
		line = (struct str){buf.ptr + scan->line, scan->pos - scan->line};
		if (scan->state == NAME) {
			head->len = scan->pos + 2;
			return HEAD_DONE;
		}
		if (scan->state == VALUE) {
			if (!add_field(head, line, scan->colon - scan->line))
				return HEAD_LARGE;
			scan->state = NAME;
		} else if (line.len > 0) {
			result = split_first_line(head, kind, line);
			if (result != HEAD_DONE)
				return result;
			scan->state = NAME;
		} else if (scan->n_blank++ == HEAD_BLANK_LINES_MAX) {
			head->problem = "too many empty lines before the head";
			return HEAD_BAD;
		}
		scan->line = scan->pos += 2;
	}
}

/* The head is all we asked for; the body is ours (framing.h). */
static int on_headers_complete(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_headers_complete = on_headers_complete};

static bool is_visible_ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((uint8_t)s.ptr[i] <= ' ' || (uint8_t)s.ptr[i] >= 0x7f)
			return false;
	return true;
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
		!str_to_u64(head_last(head, FIELD_CONTENT_LENGTH)->value, &length))
		return false;
	if (n_codings > 0 &&
		!str_is_nocase(
			head_last(head, FIELD_TRANSFER_ENCODING)->value, STR("chunked")))
		return false;
	return kind == HEAD_RESPONSE ||
	       (head->target.len > 0 && *head->target.ptr == '/' &&
		       is_visible_ascii(head->target));
}

/* The digit of HTTP/1.x: at the end of a request line, near the start of a status line.
 */
static const char *minor_version(const struct head *head, enum head_kind kind)
{
	const struct str *line = &head->first_line;

	return line->ptr + (kind == HEAD_REQUEST ? line->len : sizeof("HTTP/1.x") - 1) -
	       1;
}

/*
 * The second lock. llhttp knows a list of methods, while any token is one (RFC 9110
 * section 9.1): it is shown POST in place of all but CONNECT, whose target has a form of
 * its own. And it knows no HTTP/1.2, which is to be taken for 1.1 (section 2.5).
 */
static llhttp_errno_t show_llhttp(
	struct head *head, enum head_kind kind, llhttp_t *parser, const char *rest)
{
	const char *end = head->base + head->len, *minor = minor_version(head, kind);
	llhttp_errno_t err = HPE_OK;

	if (kind == HEAD_REQUEST && str_is(head->method, STR("CONNECT")))
		err = llhttp_execute(parser, "CONNECT", 7);
	else if (kind == HEAD_REQUEST)
		err = llhttp_execute(parser, "POST", 4);
	if (err == HPE_OK && *minor > '1') {
		err = llhttp_execute(parser, rest, (size_t)(minor - rest));
		if (err == HPE_OK)
			err = llhttp_execute(parser, "1", 1);
		rest = minor + 1;
	}
	return err == HPE_OK ? llhttp_execute(parser, rest, (size_t)(end - rest)) : err;
}

static __attribute__((cold)) enum head_result run_llhttp(
	struct head *head, enum head_kind kind, const char *line)
{
	llhttp_t parser;
	llhttp_errno_t err;

	llhttp_init(
		&parser, kind == HEAD_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	err = show_llhttp(head, kind, &parser, line + head->method.len);
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

static bool read_connections(struct head *head)
{
	int n_options = 0;

	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == FIELD_CONNECTION &&
			!read_connection(head, head->fields[i].value, &n_options))
			return false;
	return true;
}

static void head_reset(struct head *head, const char *base)
{
	memset(head, 0, offsetof(struct head, last));
	head->base = base;
}

enum head_result head_parse(struct head *head, struct head_scan *scan,
	enum head_kind kind, struct str buf, size_t max_bytes)
{
	bool goes_on = scan->pos > 0;
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
	result = scan_lines(head, scan, kind, buf);
	if (result == HEAD_MORE && buf.len < max_bytes)
		return HEAD_MORE;
	if (goes_on) { /* the lines before were cut out of another buffer */
		head_reset(head, buf.ptr);
		*scan = (struct head_scan){0};
		result = scan_lines(head, scan, kind, buf);
	}
	if (result != HEAD_DONE)
		return result == HEAD_MORE ? HEAD_LARGE : result;
	if (head->n_of[FIELD_CONNECTION] && !read_connections(head)) {
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
