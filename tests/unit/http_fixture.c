/* SPDX-License-Identifier: Apache-2.0 */
#include "http_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static char *copy(const char *bytes, size_t len)
{
	char *out = malloc(len ? len : 1);

	cr_assert(out);
	memcpy(out, bytes, len);
	return out;
}

static void print_head(FILE *out, const struct head *head)
{
	fprintf(out, "len=%zu minor=%u method=%.*s target=%.*s status=%u reason=%.*s\n",
		head->len, head->minor, STR_ARG(head->method), STR_ARG(head->target),
		head->status, STR_ARG(head->reason));
	fprintf(out, "close=%d keep-alive=%d upgrade=%d\n", head->says_close,
		head->says_keep_alive, head->says_upgrade);
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct field *field = &head->fields[i];

		fprintf(out, "[%.*s] [%.*s] [%.*s] id=%u drop=%d\n", STR_ARG(field->line),
			STR_ARG(field->name), STR_ARG(field->value), field->id,
			field->drop);
	}
	for (int id = 0; id < FIELD_IDS; id++)
		if (head->n_of[id])
			fprintf(out, "%u of %d, last %td\n", head->n_of[id], id,
				head_last(head, id) - head->fields);
}

/* Parses the first len bytes, from a place of their own. */
static enum head_result parse_part(struct head_scan *scan, enum head_kind kind,
	struct str bytes, size_t max_bytes, char **text)
{
	static struct head head;
	char *own = copy(bytes.ptr, bytes.len);
	enum head_result result;
	size_t size;
	FILE *out;

	result = head_parse(&head, scan, kind, (struct str){own, bytes.len}, max_bytes);
	if (result != HEAD_MORE && text) {
		out = open_memstream(text, &size);
		/* The answer depends on the method, whatever is wrong behind it. */
		fprintf(out, "%s %.*s\n", result == HEAD_BAD ? head.problem : "",
			STR_ARG(head.method));
		if (result == HEAD_DONE) {
			print_head(out, &head);
			cr_expect(head_is_whole(&head, kind), "%.*s", STR_ARG(bytes));
		}
		fclose(out);
	}
	free(own);
	return result;
}

char *head_text(enum head_kind kind, struct str bytes, size_t max_bytes, size_t cut,
	enum head_result *result)
{
	struct head_scan scan = {0};
	char *text = NULL;

	if (cut > 0) {
		*result = parse_part(
			&scan, kind, (struct str){bytes.ptr, cut}, max_bytes, &text);
		if (*result != HEAD_MORE)
			return text;
	}
	*result = parse_part(&scan, kind, bytes, max_bytes, &text);
	return text ? text : strdup("");
}

char *head_text_bytewise(
	enum head_kind kind, struct str bytes, size_t max_bytes, enum head_result *result)
{
	struct head_scan scan = {0};
	char *text = NULL;

	*result = HEAD_MORE;
	for (size_t n = 1; n <= bytes.len && *result == HEAD_MORE; n++)
		*result = parse_part(
			&scan, kind, (struct str){bytes.ptr, n}, max_bytes, &text);
	return text ? text : strdup("");
}

enum head_result head_everyway(enum head_kind kind, struct str bytes, size_t max_bytes,
	const char *name, const char **problem)
{
	static char kept[128];
	enum head_result whole, result;
	char *expected = head_text(kind, bytes, max_bytes, 0, &whole);
	char *text = head_text_bytewise(kind, bytes, max_bytes, &result);

	cr_expect(result == whole && strcmp(text, expected) == 0,
		"%s: byte by byte %d, not %d:\n%s%s", name, result, whole, text,
		expected);
	free(text);
	for (size_t cut = 1; cut < bytes.len; cut++) {
		text = head_text(kind, bytes, max_bytes, cut, &result);
		cr_expect(result == whole && strcmp(text, expected) == 0,
			"%s: cut at %zu %d, not %d:\n%s%s", name, cut, result, whole,
			text, expected);
		free(text);
	}
	snprintf(kept, sizeof(kept), "%.*s", (int)strcspn(expected, "\n"), expected);
	if (problem)
		*problem = kept;
	free(expected);
	return whole;
}

static bool takes(struct str *rest, struct str part)
{
	bool same = rest->len >= part.len && memcmp(rest->ptr, part.ptr, part.len) == 0;

	if (same)
		*rest = (struct str){rest->ptr + part.len, rest->len - part.len};
	for (size_t i = 0; i < part.len; i++) {
		uint8_t c = (uint8_t)part.ptr[i];

		same = same && (c >= ' ' || c == '\t') && c != 0x7f;
	}
	return same;
}

static bool takes_crlf(struct str *rest)
{
	if (rest->len < 2 || memcmp(rest->ptr, "\r\n", 2) != 0)
		return false;
	*rest = (struct str){rest->ptr + 2, rest->len - 2};
	return true;
}

static bool takes_digit(struct str *rest, uint8_t value)
{
	char digit = (char)('0' + value);

	return takes(rest, (struct str){&digit, 1});
}

bool head_is_whole(const struct head *head, enum head_kind kind)
{
	struct str rest = {head->base, head->len};
	bool same = true;

	while (takes_crlf(&rest))
		;
	if (kind == HEAD_REQUEST) {
		same = takes(&rest, head->method) && takes(&rest, STR(" ")) &&
		       takes(&rest, head->target) && takes(&rest, STR(" HTTP/1.")) &&
		       takes_digit(&rest, head->minor);
	} else {
		char code[8];

		snprintf(code, sizeof(code), "%03u", head->status);
		same = takes(&rest, STR("HTTP/1.")) && takes_digit(&rest, head->minor) &&
		       takes(&rest, STR(" ")) && takes(&rest, str_of(code)) &&
		       takes(&rest, head->reason);
	}
	same = same && takes_crlf(&rest);
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct field *field = &head->fields[i];

		same = same && field->name.len > 0 &&
		       field->name.ptr == field->line.ptr &&
		       field->name.ptr[field->name.len] == ':' &&
		       takes(&rest, field->line) && takes_crlf(&rest);
	}
	return same && takes_crlf(&rest) && rest.len == 0;
}

struct body_outcome body_fed(
	struct body body, struct str bytes, size_t first, size_t rest, bool skim)
{
	struct body_outcome out = {.result = body.done ? BODY_DONE : BODY_MORE};
	size_t piece = first;

	for (size_t at = 0; at < bytes.len && out.result == BODY_MORE; at += piece) {
		size_t used, i = 0;
		char *own;

		piece = at == 0 ? first : rest;
		if (piece == 0 || piece > bytes.len - at)
			piece = bytes.len - at;
		own = copy(bytes.ptr + at, piece);
		do {
			struct str run = {0}, in = {own + i, piece - i};

			out.result = skim ? body_skim(&body, in, &used)
					  : body_step(&body, in, &used, &run);
			if (out.result == BODY_BAD)
				break;
			cr_assert(used <= in.len && run.len <= used);
			i += used;
			out.used += used;
			cr_assert(out.n_payload + run.len <= sizeof(out.payload));
			if (run.len > 0)
				memcpy(out.payload + out.n_payload, run.ptr, run.len);
			out.n_payload += run.len;
		} while (out.result == BODY_MORE && i < piece);
		free(own);
	}
	out.problem = out.result == BODY_BAD ? body.problem : NULL;
	return out;
}

bool body_outcome_equal(const struct body_outcome *a, const struct body_outcome *b)
{
	if (a->result != b->result || a->problem != b->problem)
		return false;
	return a->result == BODY_BAD ||
	       (a->used == b->used && a->n_payload == b->n_payload &&
		       memcmp(a->payload, b->payload, a->n_payload) == 0);
}

struct body_outcome body_everyway(struct body body, struct str bytes, const char *name)
{
	struct body_outcome whole = body_fed(body, bytes, 0, 0, false);
	struct body_outcome other = body_fed(body, bytes, 1, 1, false);

	cr_expect(body_outcome_equal(&whole, &other), "%s: byte by byte %d, not %d", name,
		other.result, whole.result);
	for (size_t cut = 1; cut < bytes.len; cut++) {
		other = body_fed(body, bytes, cut, 0, false);
		cr_expect(body_outcome_equal(&whole, &other), "%s: cut at %zu %d, not %d",
			name, cut, other.result, whole.result);
		other = body_fed(body, bytes, cut, 0, true);
		cr_expect(other.result == whole.result &&
				  other.problem == whole.problem &&
				  (other.result == BODY_BAD || other.used == whole.used),
			"%s: skimmed with a cut at %zu %d, not %d", name, cut,
			other.result, whole.result);
	}
	return whole;
}

size_t mutate(struct rng *rng, char *bytes, size_t len, size_t cap)
{
	static const char spice[] =
		"\r\n\r\n\r\n\0\t ::,;0159afAFxX+-%/@[]\"\\\x01\x7f\x80\xff";
	uint32_t n_changes = 1 + rng_below(rng, 3);

	while (n_changes-- > 0 && len > 0) {
		size_t at = rng_below(rng, (uint32_t)len);
		char c = spice[rng_below(rng, sizeof(spice) - 1)];
		size_t run = 1 + rng_below(rng, 4);

		switch (rng_below(rng, 4)) {
		case 0:
			bytes[at] = c;
			break;
		case 1: /* put one in */
			if (len == cap)
				break;
			memmove(bytes + at + 1, bytes + at, len - at);
			bytes[at] = c;
			len++;
			break;
		case 2: /* take some out */
			run = run < len - at ? run : len - at;
			memmove(bytes + at, bytes + at + run, len - at - run);
			len -= run;
			break;
		default: /* the same once more */
			run = run < len - at ? run : len - at;
			if (len + run > cap)
				break;
			memmove(bytes + at + run, bytes + at, len - at);
			len += run;
			break;
		}
	}
	return len;
}
