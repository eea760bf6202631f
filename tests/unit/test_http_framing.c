/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where bodies end. Each chunked row is also given cut in two at each place, byte by
 * byte, and with the content skipped; what passes must end at the same place for llhttp
 * alone.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "http_fixture.h"
#include "llhttp_alone.h"

#define MAX_TRAILER 64
#define CHUNKED     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

static const struct body chunked = {
	.kind = BODY_CHUNKED, .max_trailer_bytes = MAX_TRAILER};

/* llhttp's answer to the same body behind a head of its own. */
static struct llhttp_outcome llhttp_body(struct str bytes)
{
	struct llhttp_outcome out;
	size_t skip = sizeof(CHUNKED) - 1;
	char *message = malloc(skip + bytes.len);

	memcpy(message, CHUNKED, skip);
	memcpy(message + skip, bytes.ptr, bytes.len);
	out = llhttp_alone(HEAD_REQUEST, (struct str){message, skip + bytes.len});
	out.used -= out.complete ? skip : 0;
	free(message);
	return out;
}

static const struct {
	struct str bytes;
	const char *payload;
	size_t n_behind; /* bytes that are no longer the body's */
} good_bodies[] = {
	{BYTES("0\r\n\r\n"), "", 0},
	{BYTES("00000\r\n\r\nGET"), "", 3},
	{BYTES("5\r\nhello\r\n0\r\n\r\n"), "hello", 0},
	{BYTES("0005\r\nhello\r\n0\r\n\r\n\r\n"), "hello", 2},
	{BYTES("1\r\na\r\n2\r\nbc\r\nA\r\n0123456789\r\n0\r\n\r\n"), "abc0123456789", 0},
	{BYTES("a\r\n\r\n0\r\n\r\n\r\n0\r\n0\r\n\r\n"), "\r\n0\r\n\r\n\r\n0", 0},
	{BYTES("5;a=b\r\nhello\r\n0;c\r\n\r\n"), "hello", 0},
	{BYTES("5;a=\"b c\"\r\nhello\r\n0\r\n\r\n"), "hello", 0},
	{BYTES("5; a = b\t; c=\"\xc3\xa4\"\r\nhello\r\n0\r\n\r\n"), "hello", 0},
	{BYTES("5;a=\";\\\";\";b\r\nhello\r\n0\r\n\r\n"), "hello", 0},
	{BYTES("0\r\nHosts: y\r\nHos: y\r\nX-Host: y\r\nContent-Type: y\r\nt: "
	       "y\r\n\r\n"),
		"", 0},
	{BYTES("0\r\nX: y\r\n\r\n"), "", 0},
	{BYTES("5 ;a\r\nhello\r\n0\t \t;a\r\n\r\n"), "hello", 0},
	{BYTES("0\r\nX:\r\nY: \t\xff:\t\r\n\r\nZ"), "", 1},
	{BYTES("000000000000001\r\na\r\n0000000000000000\r\n\r\n"), "a", 0},
};

Test(http_framing, good_chunked)
{
	for (size_t i = 0; i < sizeof(good_bodies) / sizeof(*good_bodies); i++) {
		struct str bytes = good_bodies[i].bytes;
		struct llhttp_outcome alone = llhttp_body(bytes);
		struct body_outcome out = body_everyway(chunked, bytes, bytes.ptr);

		cr_expect(out.result == BODY_DONE, "%s", bytes.ptr);
		cr_expect(bytes.len - out.used == good_bodies[i].n_behind, "%s: %zu",
			bytes.ptr, out.used);
		cr_expect(out.n_payload == strlen(good_bodies[i].payload) &&
				  memcmp(out.payload, good_bodies[i].payload,
					  out.n_payload) == 0,
			"%s: %.*s", bytes.ptr, (int)out.n_payload, out.payload);
		cr_expect(alone.refused || alone.used == out.used, "%s: %zu for llhttp",
			bytes.ptr, alone.used);
	}
}

/* Whoever asks later must not take the body for complete. */
Test(http_framing, bad_end_is_no_end)
{
	struct body body = chunked;
	size_t used;

	cr_expect(body_skim(&body, STR("0\r\n\r\r"), &used) == BODY_BAD);
	cr_expect(!body.done);
}

Test(http_framing, unfinished_chunked)
{
	static const struct str rows[] = {BYTES(""), BYTES("5"), BYTES("5\r"),
		BYTES("5;x"), BYTES("5\r\nhell"), BYTES("5\r\nhello"),
		BYTES("5\r\nhello\r\n"), BYTES("0\r\n"), BYTES("0\r\n\r"),
		BYTES("0\r\nX"), BYTES("0\r\nX: y\r\n\r"),
		BYTES("7fffffffffffffff\r\nhello")};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect(
			body_everyway(chunked, rows[i], rows[i].ptr).result == BODY_MORE,
			"%s", rows[i].ptr);
}

static const struct {
	const char *name;
	struct str bytes;
	bool llhttp_takes;
	const char *problem; /* part of it */
} bad_bodies[] = {
	{"no size", BYTES("\r\nhello\r\n0\r\n\r\n"), false, "no hexadecimal"},
	{"an extension without size", BYTES(";a\r\n0\r\n\r\n"), false, "no hexadecimal"},
	{"0x", BYTES("0x5\r\nhello\r\n0\r\n\r\n"), false, "malformed chunk size"},
	{"a plus sign", BYTES("+5\r\nhello\r\n0\r\n\r\n"), false, "no hexadecimal"},
	{"a minus sign", BYTES("-5\r\nhello\r\n0\r\n\r\n"), false, "no hexadecimal"},
	{"a space before the size", BYTES(" 5\r\nhello\r\n0\r\n\r\n"), false,
		"no hexadecimal"},
	{"a space behind the size", BYTES("5 \r\nhello\r\n0\r\n\r\n"), false,
		"malformed chunk size"},
	{"a tab behind the size", BYTES("5\t\r\nhello\r\n0\r\n\r\n"), false,
		"malformed chunk size"},
	{"a digit behind a space", BYTES("5 5;a\r\nhello\r\n0\r\n\r\n"), false,
		"malformed chunk size"},
	{"LF behind a space", BYTES("5 \nhello\r\n0\r\n\r\n"), false,
		"malformed chunk size"},
	{"two sizes", BYTES("5 5\r\nhello\r\n0\r\n\r\n"), false, "malformed chunk size"},
	{"an underscore", BYTES("1_0\r\nhello\r\n0\r\n\r\n"), false,
		"malformed chunk size"},
	{"a letter that is no digit", BYTES("5g\r\nhello\r\n0\r\n\r\n"), false,
		"malformed chunk size"},
	{"NUL in the size", BYTES("5\0\r\nhello\r\n0\r\n\r\n"), false,
		"malformed chunk size"},
	{"a digit with the high bit", BYTES("\xb5\r\nhello\r\n0\r\n\r\n"), false,
		"no hexadecimal"},
	{"what would be 5 in 64 bits", BYTES("10000000000000005\r\nhello\r\n0\r\n\r\n"),
		false, "too large"},
	{"the largest of 64 bits", BYTES("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), true,
		"too large"},
	{"the smallest negative", BYTES("8000000000000000\r\nhello"), true, "too large"},
	{"many zeros", BYTES("00000000000000005\r\nhello\r\n0\r\n\r\n"), true,
		"too large"},
	{"LF ends the size", BYTES("5\nhello\r\n0\r\n\r\n"), false,
		"malformed chunk size"},
	{"CR ends the size", BYTES("5\rhello\r\n0\r\n\r\n"), false, "end with CRLF"},
	{"CR, CR, LF end the size", BYTES("5\r\r\nhello\r\n0\r\n\r\n"), false,
		"end with CRLF"},
	{"LF ends the last size", BYTES("0\n\r\n"), false, "malformed chunk size"},
	{"LF ends an extension", BYTES("5;a\nhello\r\n0\r\n\r\n"), false, "control"},
	{"LF in an extension", BYTES("5;a\n2\r\nhello\r\n0\r\n\r\n"), false, "control"},
	{"CR in an extension", BYTES("5;a\rb\r\nhello\r\n0\r\n\r\n"), false,
		"end with CRLF"},
	{"NUL in an extension", BYTES("5;a\0\r\nhello\r\n0\r\n\r\n"), false, "control"},
	{"LF in a quoted extension", BYTES("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), false,
		"control"},
	{"a quote over the line end", BYTES("5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n"), false,
		"control"},
	{"an escape over the line end", BYTES("5;a=\"\\\r\n\"\r\nhello\r\n0\r\n\r\n"),
		false, "control"},
	{"an extension without a name", BYTES("5;\r\nhello\r\n0\r\n\r\n"), false,
		"extension without a name"},
	{"one of two without a name", BYTES("5;a; ;b\r\nhello\r\n0\r\n\r\n"), false,
		"extension without a name"},
	{"an extension that is only a value", BYTES("5;=a\r\nhello\r\n0\r\n\r\n"), true,
		"extension without a name"},
	{"a length as a trailer", BYTES("0\r\nX: y\r\nContent-Length: 5\r\n\r\n"), true,
		"belongs into the head"},
	{"a coding as a trailer", BYTES("0\r\ntransfer-encoding: chunked\r\n\r\n"), false,
		"belongs into the head"},
	{"a host as a trailer", BYTES("0\r\nHOST: a\r\n\r\n"), true,
		"belongs into the head"},
	{"keep-alive as a trailer", BYTES("0\r\nKeep-Alive: x\r\n\r\n"), true,
		"belongs into the head"},
	{"te as a trailer", BYTES("0\r\nte:\r\n\r\n"), true, "belongs into the head"},
	{"nothing behind the data", BYTES("5\r\nhello0\r\n\r\n"), false,
		"longer than its size"},
	{"LF behind the data", BYTES("5\r\nhello\n0\r\n\r\n"), false,
		"longer than its size"},
	{"CR behind the data", BYTES("5\r\nhello\r0\r\n\r\n"), false, "end with CRLF"},
	{"two bytes more than the size", BYTES("5\r\nhelloXX0\r\n\r\n"), false,
		"longer than its size"},
	{"LF ends the body", BYTES("0\r\n\n"), true, "without a name"},
	{"LF ends a trailer", BYTES("0\r\nX: y\n\r\n"), false, "control"},
	{"CR in a trailer", BYTES("0\r\nX: y\rZ: w\r\n\r\n"), false, "end with CRLF"},
	{"CR in place of a value", BYTES("0\r\nX:\rZ: w\r\n\r\n"), false,
		"end with CRLF"},
	{"CR ends the body", BYTES("0\r\n\rX"), false, "end with CRLF"},
	{"LF ends the body behind trailers", BYTES("0\r\nX: y\r\n\n"), true,
		"without a name"},
	{"a folded trailer", BYTES("0\r\nX: y\r\n z\r\n\r\n"), true, "without a name"},
	{"a trailer without name", BYTES("0\r\n: y\r\n\r\n"), true, "without a name"},
	{"a trailer without colon", BYTES("0\r\nGET / HTTP/1.1\r\n\r\n"), false,
		"trailer name"},
	{"a space before a trailer's colon", BYTES("0\r\nX : y\r\n\r\n"), false,
		"trailer name"},
	{"NUL in a trailer", BYTES("0\r\nX: \0\r\n\r\n"), false, "control"},
};

Test(http_framing, bad_chunked)
{
	for (size_t i = 0; i < sizeof(bad_bodies) / sizeof(*bad_bodies); i++) {
		const char *name = bad_bodies[i].name;
		struct body_outcome out =
			body_everyway(chunked, bad_bodies[i].bytes, name);

		cr_expect(out.result == BODY_BAD, "%s: %d", name, out.result);
		cr_expect(out.problem && strstr(out.problem, bad_bodies[i].problem),
			"%s: %s", name, out.problem);
		cr_expect(!llhttp_body(bad_bodies[i].bytes).refused ==
				  bad_bodies[i].llhttp_takes,
			"%s: llhttp takes it: %d", name, !bad_bodies[i].llhttp_takes);
	}
}

/* What stands before the part that is repeated, how often, and what is behind it. */
static enum body_result long_body(
	struct body body, const char *before, size_t n, const char *behind)
{
	size_t len = strlen(before) + n + strlen(behind);
	char *text = malloc(len + 1);
	enum body_result result;
	size_t used;

	strcpy(text, before);
	memset(text + strlen(before), 'x', n);
	strcpy(text + strlen(before) + n, behind);
	result = body_skim(&body, (struct str){text, len}, &used);
	free(text);
	return result;
}

Test(http_framing, limits_within_chunked)
{
	size_t around = strlen("X:\r\n\r"); /* counted with the x */

	cr_expect(long_body(chunked, "0\r\nX:", MAX_TRAILER - around, "\r\n\r\n") ==
		  BODY_DONE);
	cr_expect(long_body(chunked, "0\r\nX:", MAX_TRAILER - around + 1, "\r\n\r\n") ==
		  BODY_BAD);
	cr_expect(long_body(chunked, "0;", 4095, "\r\n\r\n") == BODY_DONE);
	cr_expect(long_body(chunked, "0;", 4096, "\r\n\r\n") == BODY_BAD);
	/* Not one limit for all lines: a long stream may have many. */
	cr_expect(long_body(chunked, "1;a\r\nx\r\n1;", 4090, "\r\nx\r\n0\r\n\r\n") ==
		  BODY_DONE);
}

Test(http_framing, mutated_chunked)
{
	static const char *const seeds[] = {
		"5\r\nhello\r\n0\r\n\r\n",
		"1\r\na\r\n2;x=y\r\nbc\r\nA\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\nGET",
		"0010\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n1\r\n0\r\nA: b\r\n\r\n",
	};
	unsigned n_of[BODY_BAD + 1] = {0};
	struct rng rng;

	rng_init(&rng, 9112);
	for (int round = 0; round < 6000; round++) {
		const char *seed = seeds[rng_below(&rng, 3)];
		char text[256];
		struct str bytes = {text, strlen(seed)};
		struct body_outcome whole, other;

		memcpy(text, seed, bytes.len);
		bytes.len = mutate(&rng, text, bytes.len, sizeof(text));
		whole = body_fed(chunked, bytes, 0, 0, false);
		for (int way = 0; way < 4; way++) {
			other = body_fed(chunked, bytes, 1 + rng_below(&rng, 40),
				1 + rng_below(&rng, 9), false);
			cr_assert(body_outcome_equal(&whole, &other), "round %d: %.*s",
				round, STR_ARG(bytes));
		}
		n_of[whole.result]++;
		if (whole.result == BODY_DONE) {
			struct llhttp_outcome alone = llhttp_body(bytes);

			/* It is stricter with extensions. */
			cr_assert(alone.refused ||
					  (alone.used == whole.used &&
						  alone.n_payload == whole.n_payload &&
						  memcmp(alone.payload, whole.payload,
							  whole.n_payload) == 0),
				"round %d: %.*s", round, STR_ARG(bytes));
		}
	}
	cr_expect(n_of[BODY_DONE] > 500 && n_of[BODY_BAD] > 500 && n_of[BODY_MORE] > 50,
		"%u done, %u more, %u bad", n_of[BODY_DONE], n_of[BODY_MORE],
		n_of[BODY_BAD]);
}

Test(http_framing, lengths)
{
	static const struct body ten = {.kind = BODY_LENGTH, .left = 10};
	static const struct body open_end = {.kind = BODY_UNTIL_CLOSE};
	static const struct body none = {.kind = BODY_NONE, .done = true};
	static const struct str bytes = BYTES("0123456789ab");
	struct body_outcome out = body_everyway(ten, bytes, "ten");

	cr_expect(out.result == BODY_DONE && out.used == 10 && out.n_payload == 10);
	out = body_everyway(ten, (struct str){bytes.ptr, 9}, "nine of ten");
	cr_expect(out.result == BODY_MORE && out.used == 9);
	out = body_everyway(open_end, bytes, "until close");
	cr_expect(out.result == BODY_MORE && out.used == 12 && out.n_payload == 12);
	out = body_everyway(none, bytes, "none");
	cr_expect(out.result == BODY_DONE && out.used == 0);
}

enum asked { NONE, LENGTH, CHUNKS, TO_CLOSE, BAD, UNKNOWN };

static enum asked what_is_asked(enum framing_result result, const struct body *body)
{
	static const enum asked kinds[] = {
		[BODY_NONE] = NONE,
		[BODY_LENGTH] = LENGTH,
		[BODY_CHUNKED] = CHUNKS,
		[BODY_UNTIL_CLOSE] = TO_CLOSE,
	};

	return result == FRAMING_BAD       ? BAD
	       : result == FRAMING_UNKNOWN ? UNKNOWN
					   : kinds[body->kind];
}

/* What a head says: llhttp refuses some of these before framing.c sees them. */
static enum asked read_framing(const char *text, const char *method, struct body *body)
{
	enum head_kind kind = method ? HEAD_RESPONSE : HEAD_REQUEST;
	struct head *head = malloc(sizeof(*head));
	struct head_scan scan = {0};
	enum asked asked = BAD;

	*body = (struct body){0};
	if (head_parse(head, &scan, kind, str_of(text), 65536) == HEAD_DONE)
		asked = what_is_asked(
			method ? framing_of_response(head, str_of(method), body, 100)
			       : framing_of_request(head, body, 100),
			body);
	free(head);
	return asked;
}

#define TE "Transfer-Encoding: "
#define CL "Content-Length: "

static const struct {
	const char *fields;
	enum asked asked;
	uint64_t length;
} request_framings[] = {
	{"", NONE, 0},
	{CL "0\r\n", LENGTH, 0},
	{CL "5\r\n", LENGTH, 5},
	{CL " \t 005 \r\n", LENGTH, 5},
	{CL "9223372036854775807\r\n", LENGTH, INT64_MAX},
	{CL "9223372036854775808\r\n", BAD, 0},
	{CL "18446744073709551621\r\n", BAD, 0}, /* 2^64 + 5 */
	{CL "99999999999999999999999999\r\n", BAD, 0},
	{CL "\r\n", BAD, 0},
	{CL "+5\r\n", BAD, 0},
	{CL "-5\r\n", BAD, 0},
	{CL "-0\r\n", BAD, 0},
	{CL "0x5\r\n", BAD, 0},
	{CL "5.0\r\n", BAD, 0},
	{CL "5 5\r\n", BAD, 0},
	{CL "5,\r\n", BAD, 0},
	{CL "5, 5\r\n", BAD, 0},
	{CL "5\xd9\xa0\r\n", BAD, 0},
	{CL "5\r\n" CL "5\r\n", BAD, 0},
	{CL "5\r\n" CL "6\r\n", BAD, 0},
	{CL "5\r\ncontent-length: 0\r\n", BAD, 0},
	{TE "chunked\r\n", CHUNKS, 0},
	{"transfer-encoding:CHUNKED\r\n", CHUNKS, 0},
	{TE "chunked\r\n" CL "5\r\n", BAD, 0},
	{CL "5\r\n" TE "chunked\r\n", BAD, 0},
	{CL "0\r\n" TE "identity\r\n", BAD, 0},
	{TE "chunked\r\n" TE "chunked\r\n", BAD, 0},
	{TE "gzip\r\n" TE "chunked\r\n", BAD, 0},
	{TE "chunked\r\n" TE "identity\r\n", BAD, 0},
	{TE "gzip, chunked\r\n", UNKNOWN, 0},
	{TE "chunked, gzip\r\n", BAD, 0},
	{TE "chunked,\r\n", BAD, 0},
	{TE "gzip\r\n", BAD, 0},
	{TE "identity\r\n", BAD, 0},
	{TE "xchunked\r\n", BAD, 0},
	{TE "\"chunked\"\r\n", BAD, 0},
	{TE "chunked;a=b\r\n", BAD, 0},
	{TE "\r\n", BAD, 0},
	{TE "\xa0"
	    "chunked\r\n",
		BAD, 0},
	{"Transfer-Encodin\xc4\xa0: chunked\r\n", BAD, 0},
	{"Transfer_Encoding: chunked\r\n", NONE, 0},
};

Test(http_framing, of_requests)
{
	for (size_t i = 0; i < sizeof(request_framings) / sizeof(*request_framings);
		i++) {
		const char *fields = request_framings[i].fields;
		enum asked asked;
		struct body body;
		char text[256];

		snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n",
			fields);
		asked = read_framing(text, NULL, &body);
		cr_expect(asked == request_framings[i].asked ||
				  (asked == BAD && request_framings[i].asked == UNKNOWN),
			"%s: %d", fields, asked);
		if (asked <= LENGTH)
			cr_expect(body.left == request_framings[i].length &&
					  body.done == (body.left == 0),
				"%s: %ju", fields, (uintmax_t)body.left);
		snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n%s\r\n", fields);
		asked = read_framing(text, NULL, &body);
		cr_expect(asked == request_framings[i].asked ||
				  (asked == BAD && request_framings[i].asked >= CHUNKS),
			"HTTP/1.0 %s: %d", fields, asked);
	}
}

Test(http_framing, of_responses)
{
	static const struct {
		const char *method, *line, *fields;
		enum asked asked;
	} rows[] = {
		{"GET", "1.1 200", "", TO_CLOSE},
		{"GET", "1.0 200", "", TO_CLOSE},
		{"GET", "1.1 200", CL "5\r\n", LENGTH},
		{"GET", "1.1 200", CL "0\r\n", LENGTH},
		{"GET", "1.1 200", TE "chunked\r\n", CHUNKS},
		{"GET", "1.0 200", TE "chunked\r\n", BAD},
		{"GET", "1.1 200", TE "chunked\r\n" CL "5\r\n", BAD},
		{"GET", "1.1 200", CL "5\r\n" CL "6\r\n", BAD},
		{"GET", "1.1 200", CL "x\r\n", BAD},
		{"GET", "1.1 200", TE "gzip\r\n", BAD},
		{"GET", "1.1 200", TE "gzip, chunked\r\n", UNKNOWN},
		{"HEAD", "1.1 200", CL "5\r\n", NONE},
		{"HEAD", "1.1 200", TE "chunked\r\n", NONE},
		{"HEAD", "1.1 200", "", NONE},
		{"HEAD", "1.1 200", CL "5\r\n" CL "6\r\n", BAD},
		{"head", "1.1 200", CL "5\r\n", LENGTH},
		{"GET", "1.1 100", "", NONE},
		{"GET", "1.1 103", "", NONE},
		{"GET", "1.1 101", "", NONE},
		{"GET", "1.1 204", "", NONE},
		{"GET", "1.1 204", CL "5\r\n", NONE},
		{"GET", "1.1 304", CL "5\r\n", NONE},
		{"GET", "1.1 304", TE "chunked\r\n", NONE},
		{"GET", "1.1 205", "", TO_CLOSE},
		{"CONNECT", "1.1 200", CL "5\r\n", NONE},
		{"CONNECT", "1.1 299", "", NONE},
		{"CONNECT", "1.1 407", CL "5\r\n", LENGTH},
		{"CONNECT", "1.1 502", "", TO_CLOSE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		enum asked asked;
		struct body body;
		char text[256];

		snprintf(text, sizeof(text), "HTTP/%s X\r\n%s\r\n", rows[i].line,
			rows[i].fields);
		asked = read_framing(text, rows[i].method, &body);
		cr_expect(asked == rows[i].asked ||
				  (asked == BAD && rows[i].asked == UNKNOWN),
			"%s %s: %d", rows[i].method, text, asked);
		if (asked == NONE)
			cr_expect(body.done, "%s %s", rows[i].method, text);
	}
}

/* What passes unseen leaves the body where a look at it would have. */
Test(http_framing, unseen_bytes_count_as_seen)
{
	struct body length = {.kind = BODY_LENGTH, .left = 5};
	struct body chunks = {.kind = BODY_CHUNKED, .max_trailer_bytes = 100};
	struct body endless = {.kind = BODY_UNTIL_CLOSE};
	size_t used;

	cr_expect(body_unseen(&length) == 5 && body_pass(&length, 3) == BODY_MORE);
	cr_expect(body_unseen(&length) == 2 && body_pass(&length, 2) == BODY_DONE);
	cr_expect(body_unseen(&length) == 0 && length.done);
	cr_expect(body_unseen(&endless) == UINT64_MAX &&
		  body_pass(&endless, 9) == BODY_MORE && !endless.done);
	cr_expect(body_unseen(&chunks) == 0);
	cr_expect(body_skim(&chunks, STR("a\r\n123"), &used) == BODY_MORE);
	cr_expect(body_unseen(&chunks) == 7 && body_pass(&chunks, 7) == BODY_MORE);
	cr_expect(body_unseen(&chunks) == 0);
	cr_expect(body_skim(&chunks, STR("\r\n0\r\n\r\n"), &used) == BODY_DONE);
}

/* Where an end of the connection could pass for that of the body. */
Test(http_framing, looks_whole)
{
	static const struct {
		const char *bytes;
		bool looks_whole;
	} rows[] = {
		{"", false},
		{"a", false},
		{"a\r\n", false},
		{"2\r\nab", false},
		{"2\r\nab\r", false},
		{"2\r\nab\r\n", false},
		{"2;a\r\na", false},
		{"0", true}, /* of 0a, maybe */
		{"0a", false},
		{"2\r\nab\r\n0", true},
		{"2\r\nab\r\n0 ", true},
		{"2\r\nab\r\n0;a=\"", true},
		{"2\r\nab\r\n0\r", true},
		{"2\r\nab\r\n0\r\n", true},
		{"2\r\nab\r\n0\r\na", true},
		{"2\r\nab\r\n0\r\na: b\r\n", true},
		{"2\r\nab\r\n0\r\n\r", true},
	};
	struct body length = {.kind = BODY_LENGTH, .left = 5};
	struct body endless = {.kind = BODY_UNTIL_CLOSE};

	cr_expect(!body_looks_whole(&length) && body_looks_whole(&endless));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct body body = {.kind = BODY_CHUNKED, .max_trailer_bytes = 100};
		size_t used;

		cr_assert(body_skim(&body, str_of(rows[i].bytes), &used) == BODY_MORE);
		cr_expect(body_looks_whole(&body) == rows[i].looks_whole, "%s",
			rows[i].bytes);
	}
}
