/* SPDX-License-Identifier: Apache-2.0 */
#include "reference.h"

#include <stdlib.h>

/* A line without its CRLF. */
static enum reference_result take_line(struct str bytes, size_t *at, struct str *line)
{
	const char *begin = bytes.ptr + *at;
	const char *lf = *at < bytes.len ? memchr(begin, '\n', bytes.len - *at) : NULL;
	size_t len = lf ? (size_t)(lf - begin) : bytes.len - *at;

	if (!lf)
		return REFERENCE_MORE;
	if (len == 0 || begin[len - 1] != '\r')
		return REFERENCE_BAD;
	*line = (struct str){begin, len - 1};
	*at += len + 1;
	for (size_t i = 0; i < line->len; i++) {
		unsigned char c = (unsigned char)line->ptr[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return REFERENCE_BAD;
	}
	return REFERENCE_DONE;
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				(c >= 'A' && c <= 'Z');

		if (!is_alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.len > 0;
}

static bool read_version(struct str s, unsigned *minor)
{
	if (s.len != 8 || memcmp(s.ptr, "HTTP/1.", 7) != 0 || s.ptr[7] < '0' ||
		s.ptr[7] > '9')
		return false;
	*minor = (unsigned)(s.ptr[7] - '0');
	return true;
}

static bool read_request_line(struct reference_message *message, struct str line)
{
	const char *end = line.ptr + line.len;
	const char *a = memchr(line.ptr, ' ', line.len);
	const char *b = a ? memchr(a + 1, ' ', (size_t)(end - a) - 1) : NULL;

	if (!b)
		return false;
	message->method = (struct str){line.ptr, (size_t)(a - line.ptr)};
	message->target = (struct str){a + 1, (size_t)(b - a) - 1};
	return is_token(message->method) && message->target.len > 0 &&
	       read_version((struct str){b + 1, (size_t)(end - b) - 1}, &message->minor);
}

static bool read_status_line(struct reference_message *message, struct str line)
{
	if (line.len < 12 || line.ptr[8] != ' ' || (line.len > 12 && line.ptr[12] != ' '))
		return false;
	for (size_t i = 9; i < 12; i++) {
		if (line.ptr[i] < '0' || line.ptr[i] > '9')
			return false;
		message->status = message->status * 10 + (unsigned)(line.ptr[i] - '0');
	}
	return read_version((struct str){line.ptr, 8}, &message->minor);
}

static bool split_field(struct str line, struct reference_field *field)
{
	const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;

	if (!colon)
		return false;
	field->name = (struct str){line.ptr, (size_t)(colon - line.ptr)};
	field->value = str_trim((struct str){colon + 1, line.len - field->name.len - 1});
	return is_token(field->name);
}

static enum reference_result read_head(
	struct reference_message *message, struct str bytes)
{
	enum reference_result result;
	struct str line;
	size_t at = 0;

	do {
		result = take_line(bytes, &at, &line);
		if (result != REFERENCE_DONE)
			return result;
	} while (line.len == 0);
	if (!(message->is_response ? read_status_line : read_request_line)(message, line))
		return REFERENCE_BAD;
	for (;;) {
		result = take_line(bytes, &at, &line);
		if (result != REFERENCE_DONE)
			return result;
		if (line.len == 0)
			break;
		if (message->n_fields == REFERENCE_FIELDS_MAX ||
			!split_field(line, &message->fields[message->n_fields]))
			return REFERENCE_BAD;
		message->n_fields++;
	}
	message->head_len = message->len = at;
	message->head_done = true;
	return REFERENCE_DONE;
}

size_t reference_count(const struct reference_message *message, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < message->n_fields; i++)
		n += str_is_nocase(message->fields[i].name, str_of(name));
	return n;
}

bool reference_field(
	const struct reference_message *message, const char *name, struct str *value)
{
	for (size_t i = 0; i < message->n_fields; i++)
		if (str_is_nocase(message->fields[i].name, str_of(name)))
			*value = message->fields[i].value;
	return reference_count(message, name) == 1;
}

bool reference_lists(
	const struct reference_message *message, const char *name, const char *word)
{
	for (size_t i = 0; i < message->n_fields; i++) {
		struct str list = message->fields[i].value, element;

		if (!str_is_nocase(message->fields[i].name, str_of(name)))
			continue;
		while (str_next_element(&list, &element))
			if (str_is_nocase(element, str_of(word)))
				return true;
	}
	return false;
}

/* Only the content of chunks is put together. */
static void add_content(struct reference_message *message, const char *bytes, size_t len)
{
	if (message->owned && len > 0)
		memcpy(message->owned + message->n_content, bytes, len);
	else if (!message->owned)
		message->content = bytes;
	message->n_content += len;
}

static enum reference_result read_counted(
	struct reference_message *message, struct str bytes, uint64_t n)
{
	size_t there = bytes.len - message->len;

	if (n < there)
		there = (size_t)n;
	add_content(message, bytes.ptr + message->len, there);
	message->len += there;
	return there == n ? REFERENCE_DONE : REFERENCE_MORE;
}

/* Hexadecimal digits, then nothing or an extension. */
static bool read_size(struct str line, uint64_t *size)
{
	size_t i = 0;

	*size = 0;
	for (; i < line.len && i < 17; i++) {
		const char *digits = "0123456789abcdef";
		const char *digit = strchr(digits, ascii_lower(line.ptr[i]));

		if (line.ptr[i] == '\0' || !digit)
			break;
		*size = *size << 4 | (uint64_t)(digit - digits);
	}
	if (i == 0 || i == 17)
		return false;
	line = (struct str){line.ptr + i, line.len - i};
	return line.len == 0 || *str_trim(line).ptr == ';';
}

static enum reference_result read_trailers(
	struct reference_message *message, struct str bytes)
{
	struct reference_field field;
	enum reference_result result;
	struct str line;

	for (;;) {
		result = take_line(bytes, &message->len, &line);
		if (result != REFERENCE_DONE || line.len == 0)
			return result;
		if (!split_field(line, &field))
			return REFERENCE_BAD;
	}
}

static enum reference_result read_chunks(
	struct reference_message *message, struct str bytes)
{
	enum reference_result result;
	struct str line;
	uint64_t size;

	message->content = message->owned = malloc(bytes.len - message->len + 1);
	if (!message->owned)
		abort();
	for (;;) {
		result = take_line(bytes, &message->len, &line);
		if (result != REFERENCE_DONE)
			return result;
		if (!read_size(line, &size))
			return REFERENCE_BAD;
		if (size == 0)
			return read_trailers(message, bytes);
		result = read_counted(message, bytes, size);
		if (result != REFERENCE_DONE)
			return result;
		/* What stands here already has to be the end of the chunk. */
		if (message->len < bytes.len && bytes.ptr[message->len] != '\r')
			return REFERENCE_BAD;
		result = take_line(bytes, &message->len, &line);
		if (result != REFERENCE_DONE)
			return result;
		if (line.len > 0)
			return REFERENCE_BAD;
	}
}

static bool has_no_body(
	const struct reference_message *message, const struct str *request_method)
{
	if (!message->is_response)
		return false;
	return message->status < 200 || message->status == 204 ||
	       message->status == 304 || str_is(*request_method, STR("HEAD")) ||
	       (str_is(*request_method, STR("CONNECT")) && message->status / 100 == 2);
}

static enum reference_result read_body(struct reference_message *message,
	struct str bytes, const struct str *request_method)
{
	struct str value;
	uint64_t n;

	if (has_no_body(message, request_method))
		return REFERENCE_DONE;
	if (reference_count(message, "transfer-encoding") > 0) {
		if (reference_count(message, "content-length") > 0 ||
			message->minor == 0 ||
			!reference_field(message, "transfer-encoding", &value) ||
			!str_is_nocase(value, STR("chunked")))
			return REFERENCE_BAD;
		return read_chunks(message, bytes);
	}
	if (reference_count(message, "content-length") > 0) {
		if (!reference_field(message, "content-length", &value) ||
			!str_to_u64(value, &n))
			return REFERENCE_BAD;
		return read_counted(message, bytes, n);
	}
	if (!message->is_response)
		return REFERENCE_DONE;
	message->until_close = true;
	(void)read_counted(message, bytes, bytes.len - message->len);
	return REFERENCE_MORE;
}

enum reference_result reference_read(struct reference_message *message, struct str bytes,
	const struct str *request_method)
{
	enum reference_result result;

	memset(message, 0, offsetof(struct reference_message, fields));
	message->n_fields = 0;
	message->head_len = message->len = message->n_content = 0;
	message->head_done = message->until_close = false;
	message->is_response = request_method != NULL;
	message->content = message->owned = NULL;
	result = read_head(message, bytes);
	if (result != REFERENCE_DONE)
		return result;
	return read_body(message, bytes, request_method);
}

void reference_fini(struct reference_message *message)
{
	free(message->owned);
	message->content = message->owned = NULL;
}
