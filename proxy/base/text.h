/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Appending to memory of fixed size; what does not fit is left out and remembered. */
#include "base/str.h"

struct text {
	char *ptr;
	size_t len, cap;
	bool overflow;
};

static inline void text_add(struct text *text, struct str s)
{
	if (text->cap - text->len < s.len) {
		text->overflow = true;
		return;
	}
	if (s.len > 0)
		memcpy(text->ptr + text->len, s.ptr, s.len);
	text->len += s.len;
}

/* A header field's whole line. */
static inline void text_add_field(struct text *text, struct str name, struct str value)
{
	char *to = text->ptr + text->len;

	if (text->cap - text->len < name.len + value.len + 4) {
		text->overflow = true;
		return;
	}
	memcpy(to, name.ptr, name.len);
	to += name.len;
	*to++ = ':';
	*to++ = ' ';
	if (value.len > 0)
		memcpy(to, value.ptr, value.len);
	to += value.len;
	*to++ = '\r';
	*to++ = '\n';
	text->len = (size_t)(to - text->ptr);
}

/*
 * A line with the CRLF that stands behind it. Lines that stand together are copied
 * together: the last run of them waits in *run, which the caller adds in the end.
 */
static inline void text_add_line(struct text *text, struct str *run, struct str line)
{
	if (run->ptr + run->len == line.ptr) {
		run->len += line.len + 2;
		return;
	}
	text_add(text, *run);
	*run = (struct str){line.ptr, line.len + 2};
}

static inline void text_add_u64(struct text *text, uint64_t value)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	text_add(text, (struct str){digits + i, sizeof(digits) - i});
}
