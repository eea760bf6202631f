/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request and response heads. The input is the head (FUZZ_KIND says which). However it is
 * cut, the answer is the same; and what is taken for a head has exactly the lines and
 * fields that the reference reads, and llhttp, which nigh shows the doubtful ones only.
 */
#include "../unit/llhttp_alone.h"
#include "fuzz.h"
#include "http/head.h"
#include "reference.h"

#define MAX_BYTES 2048

static struct head whole, cut;
static struct reference_message reference;

/* The head in pieces, each in memory of its own, as they grow in a connection's buffer.
 */
static enum head_result parse_in_pieces(struct str bytes, size_t first, size_t step)
{
	struct head_scan scan = {0};
	enum head_result result = HEAD_MORE;
	static char *copy; /* the fields point into it until the next run */

	for (size_t n = first; result == HEAD_MORE; n += step) {
		if (n > bytes.len)
			n = bytes.len;
		free(copy);
		copy = fuzz_copy((struct str){bytes.ptr, n});
		result = head_parse(
			&cut, &scan, FUZZ_KIND, (struct str){copy, n}, MAX_BYTES);
		if (n == bytes.len)
			break;
	}
	return result;
}

static void check_same(enum head_result a, enum head_result b)
{
	CHECK(a == b);
	if (a == HEAD_BAD)
		CHECK(strcmp(whole.problem, cut.problem) == 0);
	if (a != HEAD_DONE)
		return;
	CHECK(whole.len == cut.len && whole.n_fields == cut.n_fields);
	CHECK(whole.minor == cut.minor && whole.status == cut.status);
	CHECK(whole.says_close == cut.says_close);
	CHECK(memcmp(whole.n_of, cut.n_of, sizeof(whole.n_of)) == 0);
	for (size_t i = 0; i < whole.n_fields; i++) {
		CHECK(whole.fields[i].id == cut.fields[i].id);
		CHECK(whole.fields[i].drop == cut.fields[i].drop);
		CHECK(str_is(whole.fields[i].line, cut.fields[i].line));
	}
}

static void check_reference(struct str bytes)
{
	struct str method = STR("GET");

	(void)reference_read(
		&reference, bytes, FUZZ_KIND == HEAD_RESPONSE ? &method : NULL);
	CHECK(reference.head_done);
	CHECK(reference.head_len == whole.len && reference.minor == whole.minor);
	CHECK(str_is(reference.method, whole.method));
	CHECK(str_is(reference.target, whole.target));
	CHECK(reference.status == whole.status);
	CHECK(reference.n_fields == whole.n_fields);
	for (size_t i = 0; i < whole.n_fields; i++) {
		CHECK(str_is(reference.fields[i].name, whole.fields[i].name));
		CHECK(str_is(reference.fields[i].value, whole.fields[i].value));
	}
	reference_fini(&reference);
}

/* What it does not know is put as what it does: any method but CONNECT, HTTP/1.2, and a
 * tab behind a length. */
static void check_llhttp(void)
{
	static char text[MAX_BYTES + sizeof("POST")];
	bool is_request = FUZZ_KIND == HEAD_REQUEST;
	struct str line = whole.first_line, method = whole.method;
	const char *rest = line.ptr + method.len;
	size_t len = 0, n_rest = (size_t)(whole.base + whole.len - rest);
	const struct field *length = head_last(&whole, FIELD_CONTENT_LENGTH);
	struct llhttp_outcome alone;

	if (is_request && !str_is(method, STR("CONNECT")))
		method = STR("POST");
	if (is_request)
		memcpy(text, method.ptr, len = method.len);
	memcpy(text + len, rest, n_rest);
	if (length)
		for (size_t i = 0, at = len + (size_t)(length->line.ptr - rest);
			i < length->line.len; i++)
			if (text[at + i] == '\t')
				text[at + i] = ' ';
	if (whole.minor > 1)
		text[is_request ? len + (size_t)(line.ptr + line.len - rest) - 1
				: sizeof("HTTP/1.x") - 2] = '1';
	alone = llhttp_alone(FUZZ_KIND, (struct str){text, len + n_rest});
	CHECK(alone.has_head);
	CHECK(alone.n_fields == whole.n_fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};
	struct head_scan scan = {0};
	enum head_result result;

	if (size == 0)
		return 0;
	result = head_parse(&whole, &scan, FUZZ_KIND, bytes, MAX_BYTES);
	check_same(result, parse_in_pieces(bytes, 1 + size / 2, size));
	check_same(result, parse_in_pieces(bytes, 1 + data[size / 3] % size, 7));
	if (size < 64)
		check_same(result, parse_in_pieces(bytes, 1, 1));
	if (result == HEAD_DONE) {
		check_reference(bytes);
		check_llhttp();
	}
	return 0;
}
