/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request and response heads. Each row is also given cut in two at each place and byte by
 * byte. `llhttp_takes` says what llhttp alone makes of the same bytes: in those rows that
 * are bad for us, our own byte check is all there is between the bytes and the upstream.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "http_fixture.h"
#include "llhttp_alone.h"

#define MAX     65536
#define GET     "GET / HTTP/1.1\r\n"
#define BLANK_4 "\r\n\r\n\r\n\r\n"
#define HOST    "Host: a\r\n"
#define OK      "HTTP/1.1 200 OK\r\n"

#define LLHTTP_TAKES true
#define BOTH_REFUSE  false

struct bad_row {
	const char *name;
	struct str bytes;
	bool llhttp_takes;
	const char *problem; /* part of it */
};

static const struct bad_row bad_requests[] = {
	/* Line ends that are not CRLF: CVE-2023-30589 and its kin. */
	{"CR alone before the request line", BYTES("\r" GET HOST "\r\n"), LLHTTP_TAKES,
		"bare CR"},
	{"LF alone before the request line", BYTES("\n" GET HOST "\r\n"), LLHTTP_TAKES,
		"LF alone"},
	{"LF ends the request line", BYTES("GET / HTTP/1.1\n" HOST "\r\n"), LLHTTP_TAKES,
		"LF alone"},
	{"LF ends the head", BYTES(GET HOST "\n"), LLHTTP_TAKES, "no name"},
	{"LF ends a field", BYTES(GET "Host: a\nX: b\r\n\r\n"), BOTH_REFUSE, "LF alone"},
	{"LF all over", BYTES("GET / HTTP/1.1\nHost: a\n\n"), BOTH_REFUSE, "LF alone"},
	{"LF after a field without value", BYTES(GET "X:\nY: b\r\n\r\n"), BOTH_REFUSE,
		"LF alone"},
	{"CR within a value", BYTES(GET "X: a\rb\r\n\r\n"), BOTH_REFUSE, "bare CR"},
	{"CR between value and what may be a field",
		BYTES(GET "X: a\rTransfer-Encoding: chunked\r\n\r\n"), BOTH_REFUSE,
		"bare CR"},
	{"CR in place of a value", BYTES(GET "X:\rTransfer-Encoding: chunked\r\n\r\n"),
		BOTH_REFUSE, "bare CR"},
	{"CR after an empty value", BYTES(GET "X: \rY: b\r\n\r\n"), BOTH_REFUSE,
		"bare CR"},
	{"two CR and LF", BYTES(GET "X: a\r\r\n\r\n"), BOTH_REFUSE, "bare CR"},
	{"CR ends the request line", BYTES("GET / HTTP/1.1\r" HOST "\r\n"), BOTH_REFUSE,
		"bare CR"},
	{"CR in the request line", BYTES("GET /\r HTTP/1.1\r\n\r\n"), BOTH_REFUSE,
		"bare CR"},
	{"CR in place of the empty line", BYTES(GET HOST "\rX"), BOTH_REFUSE, "bare CR"},
	{"CR in a name", BYTES(GET "X\rY: b\r\n\r\n"), BOTH_REFUSE, "no header name"},
	/* Folding, and what looks like it. */
	{"folded with a space", BYTES(GET HOST "X: a\r\n b\r\n\r\n"), LLHTTP_TAKES,
		"folded"},
	{"folded with a tab", BYTES(GET HOST "X: a\r\n\tb\r\n\r\n"), LLHTTP_TAKES,
		"folded"},
	{"a field folded into an empty one",
		BYTES(GET "X:\r\n Content-Length: 5\r\n\r\n"), LLHTTP_TAKES, "folded"},
	{"a folded empty line", BYTES(GET HOST " \r\n\r\n"), LLHTTP_TAKES, "folded"},
	{"folded request line", BYTES(GET " " HOST "\r\n"), BOTH_REFUSE, "folded"},
	{"space before the request line", BYTES(" " GET HOST "\r\n"), BOTH_REFUSE, ""},
	{"tab before the request line", BYTES("\t" GET HOST "\r\n"), BOTH_REFUSE, ""},
	/* Names. */
	{"no name", BYTES(GET ": a\r\n\r\n"), LLHTTP_TAKES, "no name"},
	{"no colon", BYTES(GET "Host\r\n\r\n"), BOTH_REFUSE, "no header name"},
	{"space before the colon", BYTES(GET "Host : a\r\n\r\n"), BOTH_REFUSE,
		"before a header's colon"},
	{"tab before the colon", BYTES(GET "Host\t: a\r\n\r\n"), BOTH_REFUSE,
		"before a header's colon"},
	{"space in a name", BYTES(GET "Ho st: a\r\n\r\n"), BOTH_REFUSE, ""},
	{"a name in brackets", BYTES(GET "[X]: a\r\n\r\n"), BOTH_REFUSE, "no name"},
	{"a high byte in a name", BYTES(GET "X\xe4: a\r\n\r\n"), BOTH_REFUSE,
		"no header name"},
	/* Control characters. */
	{"NUL in a value", BYTES(GET "X: a\0b\r\n\r\n"), BOTH_REFUSE, "NUL"},
	{"NUL in a name", BYTES(GET "X\0: a\r\n\r\n"), BOTH_REFUSE, "NUL"},
	{"NUL in the target", BYTES("GET /\0 HTTP/1.1\r\n\r\n"), BOTH_REFUSE, "NUL"},
	{"NUL in the method", BYTES("GE\0T / HTTP/1.1\r\n\r\n"), BOTH_REFUSE, "NUL"},
	{"NUL first", BYTES("\0GET / HTTP/1.1\r\n\r\n"), BOTH_REFUSE, "NUL"},
	{"NUL for the empty line", BYTES(GET "\0\r\n"), BOTH_REFUSE, "NUL"},
	{"control character in a value", BYTES(GET "X: a\1b\r\n\r\n"), BOTH_REFUSE,
		"control"},
	{"backspace in a value", BYTES(GET "X: a\bb\r\n\r\n"), BOTH_REFUSE, "control"},
	{"vertical tab before a value", BYTES(GET "Transfer-Encoding: \vchunked\r\n\r\n"),
		BOTH_REFUSE, "control"},
	{"form feed in a value", BYTES(GET "X: a\fb\r\n\r\n"), BOTH_REFUSE, "control"},
	{"DEL in a value", BYTES(GET "X: a\177\r\n\r\n"), BOTH_REFUSE, "control"},
	{"DEL in the target", BYTES("GET /\177 HTTP/1.1\r\n\r\n"), BOTH_REFUSE,
		"control"},
	{"escape in the request line", BYTES("GET /\33 HTTP/1.1\r\n\r\n"), BOTH_REFUSE,
		"control"},
	/* Request lines. */
	{"two spaces before the target", BYTES("GET  / HTTP/1.1\r\n" HOST "\r\n"),
		LLHTTP_TAKES, "request line"},
	{"two spaces behind the target", BYTES("GET /  HTTP/1.1\r\n" HOST "\r\n"),
		LLHTTP_TAKES, "request line"},
	{"a space behind the version", BYTES("GET / HTTP/1.1 \r\n\r\n"), BOTH_REFUSE,
		"request line"},
	{"a space in the target", BYTES("GET /a b HTTP/1.1\r\n\r\n"), BOTH_REFUSE,
		"request line"},
	{"tab for a space", BYTES("GET\t/\tHTTP/1.1\r\n\r\n"), BOTH_REFUSE,
		"request line"},
	{"tab in the target", BYTES("GET /a\tb HTTP/1.1\r\n\r\n"), BOTH_REFUSE, "target"},
	{"a high byte in the target", BYTES("GET /\xe4 HTTP/1.1\r\n\r\n"), BOTH_REFUSE,
		"target"},
	{"an empty target of CONNECT", BYTES("CONNECT  HTTP/1.1\r\n\r\n"), LLHTTP_TAKES,
		"request line"},
	{"no target", BYTES("GET HTTP/1.1\r\n\r\n"), BOTH_REFUSE, "request line"},
	{"HTTP/0.9 as it was", BYTES("GET /\r\n\r\n"), LLHTTP_TAKES, "request line"},
	/* Who waits for the answer now sends no more. */
	{"HTTP/0.9 without an empty line", BYTES("GET /\r\n"), BOTH_REFUSE,
		"request line"},
	{"another protocol's greeting", BYTES("EHLO a.test\r\n"), BOTH_REFUSE,
		"request line"},
	{"HTTP/0.9 by name", BYTES("GET / HTTP/0.9\r\n\r\n"), LLHTTP_TAKES,
		"request line"},
	{"http in lower case", BYTES("GET / http/1.1\r\n\r\n"), BOTH_REFUSE,
		"request line"},
	{"a version of three digits", BYTES("GET / HTTP/1.10\r\n\r\n"), BOTH_REFUSE,
		"request line"},
	{"a version without minor", BYTES("GET / HTTP/1\r\n\r\n"), BOTH_REFUSE,
		"request line"},
	{"another protocol", BYTES("GET / RTSP/1.0\r\n\r\n"), LLHTTP_TAKES,
		"request line"},
	{"a method that is no token", BYTES("GE(T / HTTP/1.1\r\n\r\n"), BOTH_REFUSE,
		"request line"},
	{"a quoted method", BYTES("\"GET\" / HTTP/1.1\r\n\r\n"), BOTH_REFUSE, ""},
	{"TLS", BYTES("\x16\x03\x01\x02\x00\x01"), BOTH_REFUSE, ""},
	/* Framing that llhttp knows to be wrong. */
	{"Content-Length of two numbers", BYTES(GET "Content-Length: 1 2\r\n\r\n"),
		BOTH_REFUSE, "Content-Length"},
};

static const struct bad_row bad_responses[] = {
	{"a body and nothing else", BYTES("hello"), BOTH_REFUSE, "status line"},
	{"another protocol's greeting", BYTES("220 a.test ESMTP\r\n"), BOTH_REFUSE,
		"status line"},
	{"a status line that is none", BYTES("HTTP/1.1 OK\r\n"), BOTH_REFUSE,
		"status line"},
	{"LF ends the status line", BYTES("HTTP/1.1 200 OK\nA: b\r\n\r\n"), LLHTTP_TAKES,
		"LF alone"},
	{"LF ends the head", BYTES(OK "A: b\r\n\n"), LLHTTP_TAKES, "no name"},
	{"LF ends a field", BYTES(OK "A: b\nC: d\r\n\r\n"), BOTH_REFUSE, "LF alone"},
	{"CR alone before the status line", BYTES("\r" OK "\r\n"), LLHTTP_TAKES,
		"bare CR"},
	{"CR in the reason", BYTES("HTTP/1.1 200 O\rK\r\n\r\n"), BOTH_REFUSE, "bare CR"},
	{"CR behind the code", BYTES("HTTP/1.1 200\rA: b\r\n\r\n"), BOTH_REFUSE,
		"bare CR"},
	{"CR in a value", BYTES(OK "A: b\rC: d\r\n\r\n"), BOTH_REFUSE, "bare CR"},
	{"CR in place of a value", BYTES(OK "A:\rC: d\r\n\r\n"), BOTH_REFUSE, "bare CR"},
	{"CR in place of the empty line", BYTES(OK "A: b\r\n\rX"), BOTH_REFUSE,
		"bare CR"},
	{"folded", BYTES(OK "A: b\r\n C: d\r\n\r\n"), LLHTTP_TAKES, "folded"},
	{"a field folded into an empty one",
		BYTES(OK "A:\r\n\tContent-Length: 5\r\n\r\n"), LLHTTP_TAKES, "folded"},
	{"NUL in the reason", BYTES("HTTP/1.1 200 O\0K\r\n\r\n"), LLHTTP_TAKES, "NUL"},
	{"control character in the reason", BYTES("HTTP/1.1 200 O\1K\r\n\r\n"),
		LLHTTP_TAKES, "control"},
	{"NUL in a value", BYTES(OK "A: \0b\r\n\r\n"), BOTH_REFUSE, "NUL"},
	{"space before the colon", BYTES(OK "A : b\r\n\r\n"), BOTH_REFUSE,
		"before a header's colon"},
	{"no name", BYTES(OK ": b\r\n\r\n"), LLHTTP_TAKES, "no name"},
	{"two spaces before the code", BYTES("HTTP/1.1  200 OK\r\n\r\n"), LLHTTP_TAKES,
		""},
	{"a code of one digit", BYTES("HTTP/1.1 2\r\n\r\n"), LLHTTP_TAKES, "status line"},
	{"a code of two digits", BYTES("HTTP/1.1 20 OK\r\n\r\n"), LLHTTP_TAKES, ""},
	{"a code of four digits", BYTES("HTTP/1.1 2000 OK\r\n\r\n"), BOTH_REFUSE,
		"status line"},
	{"a code with a letter", BYTES("HTTP/1.1 2a0 OK\r\n\r\n"), BOTH_REFUSE, ""},
	{"a negative code", BYTES("HTTP/1.1 -20 OK\r\n\r\n"), BOTH_REFUSE, ""},
	{"a code below 100", BYTES("HTTP/1.1 099 OK\r\n\r\n"), LLHTTP_TAKES, "below 100"},
	{"code and reason in one", BYTES("HTTP/1.1 200OK\r\n\r\n"), BOTH_REFUSE,
		"status line"},
	{"tab for a space", BYTES("HTTP/1.1\t200 OK\r\n\r\n"), BOTH_REFUSE,
		"status line"},
	{"HTTP/2.0", BYTES("HTTP/2.0 200 OK\r\n\r\n"), LLHTTP_TAKES, "status line"},
	{"HTTP/0.9", BYTES("HTTP/0.9 200 OK\r\n\r\n"), LLHTTP_TAKES, "status line"},
	{"http in lower case", BYTES("http/1.1 200 OK\r\n\r\n"), BOTH_REFUSE,
		"status line"},
	{"another protocol", BYTES("ICY 200 OK\r\n\r\n"), BOTH_REFUSE, "status line"},
	{"a request", BYTES(GET HOST "\r\n"), BOTH_REFUSE, "status line"},
	{"no head at all", BYTES("<html>\r\n\r\n"), BOTH_REFUSE, ""},
};

static void expect_bad(enum head_kind kind, const struct bad_row *row)
{
	const char *problem;
	enum head_result result =
		head_everyway(kind, row->bytes, MAX, row->name, &problem);
	struct llhttp_outcome alone = llhttp_alone(kind, row->bytes);

	cr_expect(result == HEAD_BAD, "%s: %d", row->name, result);
	cr_expect(problem[0] && strstr(problem, row->problem), "%s: %s", row->name,
		problem);
	cr_expect((alone.has_head && !alone.refused) == row->llhttp_takes,
		"%s: llhttp takes it: %d", row->name, !row->llhttp_takes);
}

Test(http_head, bad_requests)
{
	for (size_t i = 0; i < sizeof(bad_requests) / sizeof(*bad_requests); i++)
		expect_bad(HEAD_REQUEST, &bad_requests[i]);
}

Test(http_head, bad_responses)
{
	for (size_t i = 0; i < sizeof(bad_responses) / sizeof(*bad_responses); i++)
		expect_bad(HEAD_RESPONSE, &bad_responses[i]);
}

static const struct {
	const char *name;
	struct str bytes;
	enum head_result result;
} request_rows[] = {
	{"nothing", BYTES(""), HEAD_MORE},
	{"a part", BYTES(GET HOST "\r"), HEAD_MORE},
	{"an empty line first", BYTES("\r\n" GET HOST "\r\n"), HEAD_DONE},
	{"16 empty lines first", BYTES(BLANK_4 BLANK_4 BLANK_4 BLANK_4 GET "\r\n"),
		HEAD_DONE},
	{"17 empty lines first", BYTES(BLANK_4 BLANK_4 BLANK_4 BLANK_4 "\r\n" GET "\r\n"),
		HEAD_BAD},
	{"no fields", BYTES(GET "\r\n"), HEAD_DONE},
	{"HTTP/1.0", BYTES("GET / HTTP/1.0\r\n\r\n"), HEAD_DONE},
	{"HTTP/1.2", BYTES("GET / HTTP/1.2\r\n" HOST "\r\n"), HEAD_DONE},
	{"HTTP/1.9 of CONNECT", BYTES("CONNECT a:1 HTTP/1.9\r\n" HOST "\r\n"), HEAD_DONE},
	{"HTTP/1.:", BYTES("GET / HTTP/1.:\r\n" HOST "\r\n"), HEAD_BAD},
	{"HTTP/2.0", BYTES("GET / HTTP/2.0\r\n" HOST "\r\n"), HEAD_VERSION},
	{"preface of HTTP/2", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HEAD_VERSION},
	{"a method nobody knows", BYTES("M-1.x_~!#$%&'*+^`| / HTTP/1.1\r\n" HOST "\r\n"),
		HEAD_DONE},
	{"PRI, which llhttp keeps for HTTP/2", BYTES("PRI / HTTP/1.1\r\n\r\n"),
		HEAD_DONE},
	{"SOURCE, which llhttp keeps for Icecast", BYTES("SOURCE / HTTP/1.1\r\n\r\n"),
		HEAD_DONE},
	{"a method in lower case", BYTES("get / HTTP/1.1\r\n\r\n"), HEAD_DONE},
	{"CONNECT", BYTES("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"), HEAD_DONE},
	{"CONNECT to IPv6", BYTES("CONNECT [::1]:80 HTTP/1.1\r\n\r\n"), HEAD_DONE},
	{"absolute form", BYTES("GET http://a:80/b?c HTTP/1.1\r\n\r\n"), HEAD_DONE},
	{"asterisk form", BYTES("OPTIONS * HTTP/1.1\r\n\r\n"), HEAD_DONE},
	{"escapes and marks in the target",
		BYTES("GET /%7e;a=b/~-._!$&'()*+,:@?x=/?%00 HTTP/1.1\r\n\r\n"),
		HEAD_DONE},
	{"a quote in the target", BYTES("GET /\"{}|^`<>\\ HTTP/1.1\r\n\r\n"), HEAD_DONE},
	{"fields without a value", BYTES(GET "A:\r\nB: \r\nC:\t \r\n\r\n"), HEAD_DONE},
	{"white space within and around", BYTES(GET "A: \t b \t c\t \r\n\r\n"),
		HEAD_DONE},
	{"high bytes in a value", BYTES(GET "A: \xc3\xa4\xff\r\n\r\n"), HEAD_DONE},
	{"colons in a value", BYTES(GET "A::b::\r\n\r\n"), HEAD_DONE},
	{"names of all marks", BYTES(GET "!#$%&'*+-.^_`|~09az: b\r\n\r\n"), HEAD_DONE},
	{"more behind the head", BYTES(GET HOST "\r\nGET /\0\r\r\n"), HEAD_DONE},
};

Test(http_head, requests)
{
	for (size_t i = 0; i < sizeof(request_rows) / sizeof(*request_rows); i++) {
		enum head_result result = head_everyway(HEAD_REQUEST,
			request_rows[i].bytes, MAX, request_rows[i].name, NULL);

		cr_expect(result == request_rows[i].result, "%s: %d",
			request_rows[i].name, result);
	}
}

Test(http_head, responses)
{
	static const struct {
		struct str bytes;
		unsigned status;
		const char *reason;
	} rows[] = {
		{BYTES(OK "\r\n"), 200, " OK"},
		{BYTES("HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n"), 404, " Not Found"},
		{BYTES("HTTP/1.1 200\r\n\r\n"), 200, ""},
		{BYTES("HTTP/1.1 200 \r\n\r\n"), 200, " "},
		{BYTES("HTTP/1.1 200  a  b \r\n\r\n"), 200, "  a  b "},
		{BYTES("HTTP/1.1 200 \t\xc3\xa4\r\n\r\n"), 200, " \t\xc3\xa4"},
		{BYTES("HTTP/1.1 100 Continue\r\n\r\n" OK "\r\n"), 100, " Continue"},
		{BYTES("HTTP/1.1 101 Switching Protocols\r\n"
		       "Connection: upgrade\r\nUpgrade: x\r\n\r\n"),
			101, " Switching Protocols"},
		{BYTES("HTTP/1.1 999 ?\r\n\r\n"), 999, " ?"},
	};
	struct head *head = malloc(sizeof(*head));

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct head_scan scan = {0};

		cr_expect(head_everyway(HEAD_RESPONSE, rows[i].bytes, MAX, rows[i].reason,
				  NULL) == HEAD_DONE);
		cr_assert(head_parse(head, &scan, HEAD_RESPONSE, rows[i].bytes, MAX) ==
			  HEAD_DONE);
		cr_expect(head->status == rows[i].status, "%u", head->status);
		cr_expect(str_is(head->reason, str_of(rows[i].reason)), "[%.*s]",
			STR_ARG(head->reason));
	}
	free(head);
}

/* A head of n_bytes with one long field, or of n_fields. */
static char *large_head(size_t n_bytes)
{
	static const char before[] = GET "A: ";
	char *head = malloc(n_bytes);

	memset(head, 'x', n_bytes);
	memcpy(head, before, sizeof(before) - 1);
	memcpy(head + n_bytes - 4, "\r\n\r\n", 4);
	return head;
}

Test(http_head, limit)
{
	static const size_t limits[] = {64, 1024, 65536};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		size_t max = limits[i];
		enum head_result result;

		for (size_t n = max - 1; n <= max + 3; n++) {
			char *head = large_head(n);
			size_t cuts[] = {0, 1, max - 5, max - 1, max, n};

			for (size_t k = 0; k < sizeof(cuts) / sizeof(*cuts); k++) {
				if (cuts[k] > n)
					continue;
				free(head_text(HEAD_REQUEST, (struct str){head, n}, max,
					cuts[k], &result));
				cr_expect(result == (n > max ? HEAD_LARGE : HEAD_DONE),
					"%zu of %zu, cut at %zu: %d", n, max, cuts[k],
					result);
			}
			free(head);
		}
	}
}

/* What is wrong behind the limit is not looked at: how the bytes come must not matter. */
Test(http_head, bad_behind_the_limit)
{
	static const struct str rows[] = {BYTES(GET "A: 3456\0\r\n\r\n"),
		BYTES(GET "A: 3456\n\n"), BYTES(GET "A: 3456\r \r\n")};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t max = 18; max <= rows[i].len; max++)
			head_everyway(
				HEAD_REQUEST, rows[i], max, "behind the limit", NULL);
}

Test(http_head, blank_lines_count)
{
	static const struct str bytes = BYTES("\r\n\r\n" GET HOST "\r\n");

	cr_expect(head_everyway(HEAD_REQUEST, bytes, bytes.len, "at the limit", NULL) ==
		  HEAD_DONE);
	cr_expect(head_everyway(HEAD_REQUEST, bytes, bytes.len - 1, "above it", NULL) ==
		  HEAD_LARGE);
}

Test(http_head, number_of_fields)
{
	for (int n = HEAD_FIELDS_MAX - 1; n <= HEAD_FIELDS_MAX + 1; n++) {
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);
		enum head_result result;

		fputs(GET, out);
		for (int i = 0; i < n; i++)
			fprintf(out, "X-%d: %d\r\n", i, i);
		fputs("\r\n", out);
		fclose(out);
		free(head_text(HEAD_REQUEST, (struct str){text, len}, MAX, 0, &result));
		cr_expect(result == (n > HEAD_FIELDS_MAX ? HEAD_LARGE : HEAD_DONE),
			"%d: %d", n, result);
		free(text);
	}
}

/* More of one field than the counter holds. */
Test(http_head, many_of_one_field)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct head *head = malloc(sizeof(*head));
	struct head_scan scan = {0};

	fputs(GET, out);
	for (int i = 0; i < 300; i++)
		fprintf(out, "Host: h%d\r\n", i);
	fputs("\r\n", out);
	fclose(out);
	cr_assert(head_parse(head, &scan, HEAD_REQUEST, (struct str){text, len}, MAX) ==
		  HEAD_DONE);
	cr_expect(head->n_of[FIELD_HOST] == UINT8_MAX);
	cr_expect(str_is(head_last(head, FIELD_HOST)->value, STR("h299")));
	free(head);
	free(text);
}

/* Which fields of the row are taken off, in capitals: by their place in the head. */
Test(http_head, hop_by_hop)
{
	static const struct {
		const char *fields;
		const char *dropped; /* one letter per field: d, or k for kept */
		const char *says;    /* c(lose), k(eep-alive), u(pgrade) */
	} rows[] = {
		{"Connection: close\r\n", "d", "c"},
		{"Connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n", "dd", "k"},
		{"Connection: keep-alive, Upgrade\r\nUpgrade: x\r\n", "dk", "ku"},
		{"Connection: X-A, x-b\r\nX-A: 1\r\nX-B: 2\r\nX-AB: 3\r\n", "dddk", ""},
		{"X-A: 1\r\nConnection: ,x-a ,\t, CLOSE\r\nX-a: 2\r\n", "ddd", "c"},
		{"Connection: x-a\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 2\r\n", "dddd",
			""},
		{"Connection: host, content-length, transfer-encoding\r\nHost: a\r\n"
		 "Content-Length: 0\r\n",
			"dkk", ""},
		{"Connection: closed\r\nClosed: a\r\n", "dd", ""},
		{"Connection: \"close\"\r\n", "d", ""},
		{"Connection: x-forwarded-for, expect, te\r\nX-Forwarded-For: 1\r\n"
		 "Expect: 100-continue\r\nTE: trailers\r\n",
			"dddd", ""},
		{"connection: x\r\nX: 1\r\nTE: trailers\r\nTrailer: a\r\nVia: b\r\n",
			"dddkk", ""},
		{"Proxy-Connection: close\r\nKeep-Alive: x\r\n", "dd", ""},
		{"Connection:\r\nX: 1\r\n", "dk", ""},
		{"Nigh-Not-Processed: refused\r\n", "d", ""},
	};
	struct head *head = malloc(sizeof(*head));

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct head_scan scan = {0};
		bool close = strchr(rows[i].says, 'c'), keep = strchr(rows[i].says, 'k');
		char text[512];
		int n = snprintf(text, sizeof(text), GET "%s\r\n", rows[i].fields);

		cr_assert(head_parse(head, &scan, HEAD_REQUEST,
				  (struct str){text, (size_t)n}, MAX) == HEAD_DONE,
			"%s", rows[i].fields);
		cr_assert(
			head->n_fields == strlen(rows[i].dropped), "%s", rows[i].fields);
		for (size_t k = 0; k < head->n_fields; k++)
			cr_expect(head->fields[k].drop == (rows[i].dropped[k] == 'd'),
				"%s: %zu", rows[i].fields, k);
		cr_expect(head->says_close == close && head->says_keep_alive == keep &&
				  head->says_upgrade == !!strchr(rows[i].says, 'u'),
			"%s", rows[i].fields);
		cr_expect(head_keeps_alive(head) == !close, "%s", rows[i].fields);
		head->minor = 0;
		cr_expect(
			head_keeps_alive(head) == (keep && !close), "%s", rows[i].fields);
	}
	free(head);
}

Test(http_head, too_many_connection_options)
{
	for (int n = 64; n <= 65; n++) {
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);
		enum head_result result;

		fputs(GET "Connection: a", out);
		for (int i = 1; i < n; i++)
			fputs(i == 30 ? "\r\nConnection: a" : ", ,a", out);
		fputs("\r\n\r\n", out);
		fclose(out);
		free(head_text(HEAD_REQUEST, (struct str){text, len}, MAX, 0, &result));
		cr_expect(result == (n > 64 ? HEAD_BAD : HEAD_DONE), "%d: %d", n, result);
		free(text);
	}
}

/* The fields as llhttp_alone prints them. */
static bool same_fields(const struct head *head, const struct llhttp_outcome *alone)
{
	const char *at = alone->fields;

	for (size_t i = 0; i < head->n_fields; i++) {
		struct str name = head->fields[i].name, value = head->fields[i].value;

		if (strncmp(at, name.ptr, name.len) != 0 || at[name.len] != ':')
			return false;
		at += name.len + 1;
		if (strncmp(at, value.ptr, value.len) != 0 || at[value.len] != '\n')
			return false;
		at += value.len + 1;
	}
	return *at == '\0';
}

/*
 * Some thousand heads with something wrong here and there: no crash, no difference by how
 * they come, and what passes has the same fields for llhttp alone.
 */
static void mutate_heads(enum head_kind kind, const char *const *seeds, size_t n_seeds)
{
	struct head *head = malloc(sizeof(*head));
	unsigned n_of[HEAD_VERSION + 1] = {0};
	struct rng rng;

	rng_init(&rng, 30589);
	for (int round = 0; round < 4000; round++) {
		const char *seed = seeds[rng_below(&rng, (uint32_t)n_seeds)];
		char text[512], *a, *b, *c;
		enum head_result whole, cut, bytewise;
		struct head_scan scan = {0};
		struct str bytes = {text, strlen(seed)};
		size_t max = rng_below(&rng, 4) ? MAX : 40 + rng_below(&rng, 80);

		memcpy(text, seed, bytes.len);
		bytes.len = mutate(&rng, text, bytes.len, sizeof(text));
		a = head_text(kind, bytes, max, 0, &whole);
		b = head_text(
			kind, bytes, max, rng_below(&rng, (uint32_t)bytes.len + 1), &cut);
		c = head_text_bytewise(kind, bytes, max, &bytewise);
		cr_assert(whole == cut && whole == bytewise && strcmp(a, b) == 0 &&
				  strcmp(a, c) == 0,
			"round %d, %d %d %d: %.*s\n%s%s%s", round, whole, cut, bytewise,
			STR_ARG(bytes), a, b, c);
		n_of[whole]++;
		if (whole == HEAD_DONE) {
			struct llhttp_outcome alone;

			cr_assert(head_parse(head, &scan, kind, bytes, max) == HEAD_DONE);
			alone = llhttp_alone(kind, (struct str){text, head->len});
			/* llhttp does not know every method that we take. */
			cr_assert(!alone.has_head || same_fields(head, &alone),
				"round %d: %.*s\n%s", round, STR_ARG(bytes),
				alone.fields);
		}
		free(a);
		free(b);
		free(c);
	}
	cr_expect(n_of[HEAD_DONE] > 500 && n_of[HEAD_BAD] > 500 && n_of[HEAD_MORE] > 30 &&
			  n_of[HEAD_LARGE] > 50,
		"%u done, %u more, %u bad, %u large", n_of[HEAD_DONE], n_of[HEAD_MORE],
		n_of[HEAD_BAD], n_of[HEAD_LARGE]);
	free(head);
}

Test(http_head, mutated_requests)
{
	static const char *const seeds[] = {
		GET HOST "Connection: close, x-a\r\nX-A: b\r\n\r\n",
		"\r\nPOST /a?b HTTP/1.0\r\nContent-Length: 15\r\nX: \t y z \r\n\r\n",
		"PUT http://a:80/ HTTP/1.1\r\nHost:a:80\r\nTransfer-Encoding: "
		"chunked\r\n\r\n",
		"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nA:\r\nB: c\r\n\r\n",
		"GET /chat HTTP/1.1\r\nHost: b.c\r\nConnection: Upgrade\r\nUpgrade: "
		"w\r\n\r\n",
	};

	mutate_heads(HEAD_REQUEST, seeds, sizeof(seeds) / sizeof(*seeds));
}

Test(http_head, mutated_responses)
{
	static const char *const seeds[] = {
		OK "Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
		"HTTP/1.0 200\r\nContent-Type: a/b\r\nX:y\r\nX: z\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nTE: \t\r\n\r\n",
		"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	};

	mutate_heads(HEAD_RESPONSE, seeds, sizeof(seeds) / sizeof(*seeds));
}
