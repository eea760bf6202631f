/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunked coding is followed by a machine that takes exactly the grammar of RFC 9112
 * section 7.1: white space around the size only before an extension, CRLF alone as line
 * end, extensions and trailers of printable text and bounded length. Content is skipped
 * by count.
 */
#include "http/framing.h"

#include "http/chars.h"

/* Nobody sends long extensions but those who look for a parser that counts wrong. */
#define CHUNK_LINE_MAX 4096

static enum framing_result bad(struct head *head, const char *problem)
{
	head->problem = problem;
	return FRAMING_BAD;
}

/* Without `chunked` at its end nobody can tell where a body ends (RFC 9112 section 6.3).
 */
static bool ends_with_chunked(struct str codings)
{
	struct str coding = {0};

	while (str_next_element(&codings, &coding))
		;
	return str_is_nocase(coding, STR("chunked"));
}

static enum framing_result read_coding(struct head *head, struct body *body)
{
	struct str codings = head_last(head, FIELD_TRANSFER_ENCODING)->value;

	if (head->n_of[FIELD_CONTENT_LENGTH])
		return bad(head, "Content-Length together with Transfer-Encoding");
	if (head->n_of[FIELD_TRANSFER_ENCODING] > 1)
		return bad(head, "more than one Transfer-Encoding");
	if (head->minor == 0)
		return bad(head, "Transfer-Encoding in HTTP/1.0");
	if (!ends_with_chunked(codings))
		return bad(head, "a Transfer-Encoding that does not end with chunked");
	if (!str_is_nocase(codings, STR("chunked"))) {
		head->problem = "a transfer coding other than chunked";
		return FRAMING_UNKNOWN;
	}
	body->kind = BODY_CHUNKED;
	return FRAMING_OK;
}

static enum framing_result read_length(struct head *head, struct body *body)
{
	if (head->n_of[FIELD_CONTENT_LENGTH] > 1)
		return bad(head, "more than one Content-Length");
	if (!str_to_u64(head_last(head, FIELD_CONTENT_LENGTH)->value, &body->left))
		return bad(head, "a Content-Length that is no plain decimal number");
	body->kind = BODY_LENGTH;
	body->done = body->left == 0;
	return FRAMING_OK;
}

enum framing_result framing_of_request(
	struct head *head, struct body *body, size_t max_trailer)
{
	*body = (struct body){
		.kind = BODY_NONE, .max_trailer_bytes = (uint32_t)max_trailer};
	if (head->n_of[FIELD_TRANSFER_ENCODING])
		return read_coding(head, body);
	if (head->n_of[FIELD_CONTENT_LENGTH])
		return read_length(head, body);
	body->done = true;
	return FRAMING_OK;
}

enum framing_result framing_of_response(struct head *head, struct str request_method,
	struct body *body, size_t max_trailer)
{
	enum framing_result result = FRAMING_OK;
	bool bodiless =
		head->status < 200 || head->status == 204 || head->status == 304 ||
		str_is(request_method, STR("HEAD")) ||
		(str_is(request_method, STR("CONNECT")) && head->status / 100 == 2);

	*body = (struct body){
		.kind = BODY_UNTIL_CLOSE,
		.max_trailer_bytes = (uint32_t)max_trailer,
	};
	if (head->n_of[FIELD_TRANSFER_ENCODING])
		result = read_coding(head, body);
	else if (head->n_of[FIELD_CONTENT_LENGTH])
		result = read_length(head, body);
	if (result == FRAMING_OK && bodiless) {
		body->kind = BODY_NONE;
		body->done = true;
	}
	return result;
}

enum chunk_state {
	SIZE,       /* at least one digit */
	SIZE_BLANK, /* behind the size, where only an extension may follow */
	EXTENSION_START,
	EXTENSION,
	EXTENSION_QUOTED,
	EXTENSION_ESCAPED,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_START,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
};

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_text(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static const char *on_size_end(struct body *body, uint8_t c)
{
	if (c == ';')
		body->state = EXTENSION_START;
	else if (c == '\r' && body->state == SIZE)
		body->state = SIZE_LF;
	else if (char_is_blank(c) && ++body->line_bytes <= CHUNK_LINE_MAX)
		body->state = SIZE_BLANK;
	else
		return "a malformed chunk size";
	return NULL;
}

static const char *on_size(struct body *body, uint8_t c)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		if (body->left >> 59 || ++body->n_digits > 16)
			return "a chunk size that is too large";
		body->left = body->left << 4 | (uint64_t)digit;
		return NULL;
	}
	if (body->n_digits == 0)
		return "a chunk size that is no hexadecimal number";
	return on_size_end(body, c);
}

/* A name at least, and quotes that are closed (RFC 9112 section 7.1.1). */
static const char *on_extension(struct body *body, uint8_t c)
{
	if (++body->line_bytes > CHUNK_LINE_MAX)
		return "chunk extensions that are too long";
	if (c == '\r' && body->state == EXTENSION) {
		body->state = SIZE_LF;
		return NULL;
	}
	if (body->state == EXTENSION_START) {
		if (char_is_token[c])
			body->state = EXTENSION;
		return char_is_token[c] || char_is_blank(c)
			       ? NULL
			       : "a chunk extension without a name";
	}
	if (!is_text(c))
		return "a control character in a chunk extension";
	switch (body->state) {
	case EXTENSION:
		if (c == ';')
			body->state = EXTENSION_START;
		else if (c == '"')
			body->state = EXTENSION_QUOTED;
		return NULL;
	case EXTENSION_QUOTED:
		if (c == '"')
			body->state = EXTENSION;
		else if (c == '\\')
			body->state = EXTENSION_ESCAPED;
		return NULL;
	default:
		body->state = EXTENSION_QUOTED;
		return NULL;
	}
}

/*
 * What frames or routes a message, or speaks of the connection, has no place behind it
 * (RFC 9110 section 6.5.1): whoever merges trailers into the head would be misled.
 */
static const char *const no_trailers[] = {"content-length", "transfer-encoding", "host",
	"connection", "keep-alive", "proxy-connection", "upgrade", "te", "expect",
	"trailer"};
#define N_NO_TRAILERS (sizeof(no_trailers) / sizeof(*no_trailers))

/* The name comes in pieces: it is compared with all of them at once, letter by letter. */
static void follow_name(struct body *body, uint8_t c)
{
	for (size_t i = 0; i < N_NO_TRAILERS; i++)
		if (body->suspects & 1u << i &&
			no_trailers[i][body->n_digits] != ascii_lower((char)c))
			body->suspects &= (uint16_t) ~(1u << i);
	if (body->suspects)
		body->n_digits++;
}

static bool is_no_trailer(const struct body *body)
{
	for (size_t i = 0; i < N_NO_TRAILERS; i++)
		if (body->suspects & 1u << i && !no_trailers[i][body->n_digits])
			return true;
	return false;
}

static const char *on_trailer_name(struct body *body, uint8_t c)
{
	if (c == ':') {
		body->state = TRAILER_VALUE;
		return is_no_trailer(body) ? "a trailer that belongs into the head"
					   : NULL;
	}
	if (!char_is_token[c])
		return "a malformed trailer name";
	follow_name(body, c);
	return NULL;
}

/* Consumes one byte of the framing; gives what is wrong with it, or NULL. */
static const char *on_framing_byte(struct body *body, uint8_t c)
{
	switch (body->state) {
	case SIZE:
		return on_size(body, c);
	case SIZE_BLANK:
		return on_size_end(body, c);
	case EXTENSION_START:
	case EXTENSION:
	case EXTENSION_QUOTED:
	case EXTENSION_ESCAPED:
		return on_extension(body, c);
	case SIZE_LF:
		body->state = body->left > 0 ? DATA : TRAILER_START;
		body->line_bytes = 0;
		return c == '\n' ? NULL : "a chunk size line that does not end with CRLF";
	case DATA_CR:
		body->state = DATA_LF;
		return c == '\r' ? NULL : "a chunk that is longer than its size";
	case DATA_LF:
		body->state = SIZE;
		body->n_digits = 0;
		return c == '\n' ? NULL : "a chunk that does not end with CRLF";
	case END_LF:
		body->done = c == '\n';
		return body->done ? NULL : "a chunked body that does not end with CRLF";
	default:
		break;
	}
	if (++body->line_bytes > body->max_trailer_bytes)
		return "trailers that are too long";
	switch (body->state) {
	case TRAILER_START:
		body->state = c == '\r' ? END_LF : TRAILER_NAME;
		body->n_digits = 0;
		body->suspects = (1u << N_NO_TRAILERS) - 1;
		follow_name(body, c);
		return c == '\r' || char_is_token[c] ? NULL
						     : "a trailer line without a name";
	case TRAILER_NAME:
		return on_trailer_name(body, c);
	case TRAILER_VALUE:
		if (c == '\r')
			body->state = TRAILER_LF;
		return c == '\r' || is_text(c) ? NULL
					       : "a control character in a trailer";
	default:
		body->state = TRAILER_START;
		return c == '\n' ? NULL : "a trailer line that does not end with CRLF";
	}
}

static enum body_result chunked_step(
	struct body *body, struct str in, size_t *used, struct str *payload)
{
	size_t i = 0;

	while (i < in.len && !body->done) {
		if (body->state == DATA) {
			size_t n =
				in.len - i < body->left ? in.len - i : (size_t)body->left;

			body->left -= n;
			if (body->left == 0)
				body->state = DATA_CR;
			if (payload)
				*payload = (struct str){in.ptr + i, n};
			i += n;
			if (payload)
				break;
			continue;
		}
		body->problem = on_framing_byte(body, (uint8_t)in.ptr[i++]);
		if (body->problem)
			return BODY_BAD;
	}
	*used = i;
	return body->done ? BODY_DONE : BODY_MORE;
}

enum body_result body_step(
	struct body *body, struct str in, size_t *used, struct str *payload)
{
	size_t n = in.len;

	*used = 0;
	if (payload)
		*payload = (struct str){in.ptr, 0};
	if (body->done)
		return BODY_DONE;
	if (body->kind == BODY_CHUNKED)
		return chunked_step(body, in, used, payload);
	if (body->kind == BODY_LENGTH) {
		n = n < body->left ? n : (size_t)body->left;
		body->left -= n;
		body->done = body->left == 0;
	}
	if (payload)
		payload->len = n;
	*used = n;
	return body->done ? BODY_DONE : BODY_MORE;
}

bool body_looks_whole(const struct body *body)
{
	if (body->kind != BODY_CHUNKED)
		return body->kind == BODY_UNTIL_CLOSE;
	switch (body->state) {
	case SIZE:
		return body->n_digits > 0 && body->left == 0;
	case DATA:
	case DATA_CR:
	case DATA_LF:
		return false;
	default:
		return body->left == 0;
	}
}

uint64_t body_unseen(const struct body *body)
{
	if (body->done || body->kind == BODY_NONE)
		return 0;
	if (body->kind == BODY_UNTIL_CLOSE)
		return UINT64_MAX;
	return body->kind == BODY_LENGTH || body->state == DATA ? body->left : 0;
}

enum body_result body_pass(struct body *body, uint64_t n)
{
	if (body->kind == BODY_UNTIL_CLOSE)
		return BODY_MORE;
	body->left -= n;
	if (body->left == 0 && body->kind == BODY_CHUNKED)
		body->state = DATA_CR;
	body->done = body->left == 0 && body->kind == BODY_LENGTH;
	return body->done ? BODY_DONE : BODY_MORE;
}

enum body_result body_skim(struct body *body, struct str in, size_t *used)
{
	return body_step(body, in, used, NULL);
}
