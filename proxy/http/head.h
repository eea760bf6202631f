/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One request or response head, parsed in place: every view points into the bytes that
 * were given. Two locks stand one behind the other: a strict check of each byte (head.c),
 * which closes what llhttp 8.1 is lenient about (bare CR, bare LF, obs-fold, spaces
 * before the colon), then llhttp for every head that is not of the plainest kind. What
 * the head says about its body is in framing.h.
 */
#include "base/str.h"

#define HEAD_FIELDS_MAX 512

enum field_id {
	FIELD_OTHER,
#define FIELD(id, name, treatment) FIELD_##id,
#include "http/fields.def"
#undef FIELD
	FIELD_IDS,
};

struct field {
	struct str line; /* as received, without its CRLF */
	struct str name;
	struct str value; /* without the white space around it */
	uint16_t id;      /* enum field_id */
	bool drop;        /* hop-by-hop: not to be forwarded */
};

enum head_kind { HEAD_REQUEST, HEAD_RESPONSE };

enum head_result {
	HEAD_DONE = 0,
	HEAD_MORE,    /* not complete yet: come again with more bytes */
	HEAD_BAD,     /* head->problem says why */
	HEAD_LARGE,   /* longer than allowed, or too many fields */
	HEAD_VERSION, /* well formed, of a version that is not HTTP/1 */
};

/* How far the byte check has come in a head that arrives in pieces. Zero it to begin. */
struct head_scan {
	uint32_t line;  /* where the line begins that is not complete yet */
	uint32_t pos;   /* all before it has been checked */
	uint32_t colon; /* behind the name, when state is past it */
	uint8_t state;
	uint8_t n_blank; /* empty lines before the first line */
};

struct head {
	const char *base;
	size_t len; /* of the whole head with its empty line, and empty lines before it */
	const char *problem;

	struct str first_line;
	struct str method; /* requests */
	struct str target;
	uint16_t status; /* responses */
	struct str
		reason; /* the rest of the status line behind the code, with its space */
	uint8_t minor;  /* HTTP/1.minor; above 1 means 1 (RFC 9110 section 2.5) */

	/* What Connection says. */
	bool says_close, says_keep_alive, says_upgrade;

	size_t n_fields;
	uint8_t n_of[FIELD_IDS]; /* of each known field */

	/* What follows is not cleared for the next head. */
	const struct field *last[FIELD_IDS]; /* where n_of is not 0: see head_last */
	struct field fields[HEAD_FIELDS_MAX];
};

/*
 * Parses the head at the beginning of buf (RFC 9112 sections 2 to 5). `scan` remembers
 * where the byte check stopped when the answer was HEAD_MORE; buf then has to begin with
 * the same bytes the next time. Marks what is hop-by-hop in fields[].drop.
 */
enum head_result head_parse(struct head *head, struct head_scan *scan,
	enum head_kind kind, struct str buf, size_t max_bytes);

/* The last field of that name, or NULL. */
static inline const struct field *head_last(const struct head *head, enum field_id id)
{
	return head->n_of[id] > 0 ? head->last[id] : NULL;
}

/* True when the connection stays open after this message, by its version and Connection.
 */
static inline bool head_keeps_alive(const struct head *head)
{
	return head->minor >= 1 ? !head->says_close
				: head->says_keep_alive && !head->says_close;
}
