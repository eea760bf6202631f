/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where a message body begins and ends (RFC 9112 sections 6 and 7): which of the framings
 * a head asks for, and a body that is followed byte by byte while it streams past.
 * Nothing is stored but counters.
 */
#include "http/head.h"

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct body {
	enum body_kind kind;
	bool done;
	uint8_t state;     /* chunked: place in the grammar */
	uint8_t n_digits;  /* of the chunk size; letters of a trailer's name */
	uint16_t suspects; /* what that name may still turn out to be */
	uint32_t
		line_bytes; /* of a chunk-size line with extensions, or of the trailers */
	uint32_t max_trailer_bytes;
	uint64_t left;       /* bytes to come: of the body, or of the chunk */
	const char *problem; /* after BODY_BAD */
};

enum framing_result {
	FRAMING_OK = 0,
	FRAMING_BAD,     /* ambiguous or malformed; head->problem says why */
	FRAMING_UNKNOWN, /* a transfer coding that is not `chunked` */
};

/* What a request head says of its body. */
enum framing_result framing_of_request(
	struct head *head, struct body *body, size_t max_trailer);

/*
 * What a response head says of its body, given the request it answers. Informational
 * responses have none.
 */
enum framing_result framing_of_response(struct head *head, struct str request_method,
	struct body *body, size_t max_trailer);

enum body_result { BODY_DONE = 0, BODY_MORE, BODY_BAD };

/*
 * Follows the body through the bytes of `in`. *used says how many of them belong to it.
 * With `payload` not NULL the step ends at each run of content, given there (length 0
 * when there was none): the caller comes again with the rest while *used is short of
 * in.len.
 */
enum body_result body_step(
	struct body *body, struct str in, size_t *used, struct str *payload);

/*
 * Whether there are readers who would take an end of the connection here for that of the
 * body: where it is, and behind what begins like the last chunk (Python's http.client).
 */
bool body_looks_whole(const struct body *body);

/* How many of the next bytes are content whatever they are: nobody has to look at them.
 */
uint64_t body_unseen(const struct body *body);

/* That many of them, at most, have passed. */
enum body_result body_pass(struct body *body, uint64_t n);

/* Follows it to the end of `in` or of the body, whichever comes first. */
enum body_result body_skim(struct body *body, struct str in, size_t *used);
