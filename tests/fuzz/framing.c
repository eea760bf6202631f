/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole message: what its head says of the body, and the body followed to its end. The
 * first byte of the input is the kind of message (and the method that a response
 * answers), the second how the body is cut. What nigh takes for a complete body has the
 * same end and the same content for the reference, however it is cut and whether it is
 * stepped, skimmed or passed unseen.
 */
#include "fuzz.h"
#include "http/framing.h"
#include "reference.h"

#define MAX_BYTES 4096

static struct head head;
static struct reference_message reference;

struct reading {
	enum body_result result;
	struct body body;
	size_t used;
	char *content;
	size_t n_content;
};

/* One piece, by runs of content. */
static void read_piece(struct reading *reading, struct str piece)
{
	size_t used = 0, step;

	do {
		struct str run;

		reading->result = body_step(&reading->body,
			(struct str){piece.ptr + used, piece.len - used}, &step, &run);
		if (reading->result == BODY_BAD)
			return;
		if (run.len > 0)
			memcpy(reading->content + reading->n_content, run.ptr, run.len);
		reading->n_content += run.len;
		used += step;
	} while (reading->result == BODY_MORE && used < piece.len);
	reading->used += used;
}

static void skim_piece(struct reading *reading, struct str piece)
{
	size_t used = 0;

	reading->result = body_skim(&reading->body, piece, &used);
	if (reading->result != BODY_BAD)
		reading->used += used;
}

/* Content that nobody has to look at is not looked at. */
static void pass_piece(struct reading *reading, struct str piece)
{
	while (piece.len > 0 && reading->result == BODY_MORE) {
		uint64_t n = body_unseen(&reading->body);

		if (n > piece.len)
			n = piece.len;
		if (n > 0) {
			reading->result = body_pass(&reading->body, n);
			reading->used += n;
		} else {
			n = 1;
			skim_piece(reading, (struct str){piece.ptr, 1});
		}
		piece = (struct str){piece.ptr + n, piece.len - n};
	}
}

static struct reading read_all(struct body body, struct str bytes, size_t step,
	void (*read_one)(struct reading *, struct str))
{
	struct reading reading = {.body = body,
		.result = body.done ? BODY_DONE : BODY_MORE,
		.content = malloc(bytes.len + 1)};

	for (size_t at = 0; at < bytes.len && reading.result == BODY_MORE; at += step) {
		size_t n = bytes.len - at < step ? bytes.len - at : step;
		char *copy = fuzz_copy((struct str){bytes.ptr + at, n});

		read_one(&reading, (struct str){copy, n});
		free(copy);
	}
	return reading;
}

static void check_same(const struct reading *a, const struct reading *b)
{
	CHECK(a->result == b->result);
	if (a->result == BODY_BAD)
		CHECK(strcmp(a->body.problem, b->body.problem) == 0);
	else
		CHECK(a->used == b->used);
}

static void check_reference(
	const struct reading *reading, struct str bytes, const struct str *method)
{
	enum reference_result result = reference_read(&reference, bytes, method);

	CHECK(reference.head_done && reference.head_len == head.len);
	CHECK(result != REFERENCE_BAD);
	CHECK((result == REFERENCE_DONE) == (reading->result == BODY_DONE));
	CHECK(reference.len == head.len + reading->used || result == REFERENCE_MORE);
	CHECK(reference.n_content == reading->n_content);
	CHECK(reading->n_content == 0 ||
		memcmp(reference.content, reading->content, reading->n_content) == 0);
	reference_fini(&reference);
}

static bool read_framing(struct body *body, const struct str *method)
{
	return (method ? framing_of_response(&head, *method, body, MAX_BYTES)
		       : framing_of_request(&head, body, MAX_BYTES)) == FRAMING_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str methods[] = {{"GET", 3}, {"HEAD", 4}, {"CONNECT", 7}};
	struct str bytes = {(const char *)data, size};
	uint8_t kind = fuzz_byte(&bytes) & 3, cut = fuzz_byte(&bytes);
	const struct str *method = kind == 0 ? NULL : &methods[kind - 1];
	struct head_scan scan = {0};
	struct reading whole, pieces, skimmed, passed;
	struct body body;
	struct str rest;

	if (bytes.len == 0 ||
		head_parse(&head, &scan, method ? HEAD_RESPONSE : HEAD_REQUEST, bytes,
			MAX_BYTES) != HEAD_DONE ||
		!read_framing(&body, method))
		return 0;
	rest = (struct str){bytes.ptr + head.len, bytes.len - head.len};
	whole = read_all(body, rest, rest.len + 1, read_piece);
	pieces = read_all(body, rest, 1 + cut % 16u, read_piece);
	skimmed = read_all(body, rest, 1 + cut / 16u, skim_piece);
	passed = read_all(body, rest, 1 + cut, pass_piece);
	check_same(&whole, &pieces);
	check_same(&whole, &skimmed);
	check_same(&whole, &passed);
	if (whole.result != BODY_BAD) {
		CHECK(whole.n_content == pieces.n_content);
		CHECK(memcmp(whole.content, pieces.content, whole.n_content) == 0);
		check_reference(&whole, bytes, method);
	}
	free(whole.content);
	free(pieces.content);
	free(skimmed.content);
	free(passed.content);
	return 0;
}
