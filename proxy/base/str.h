/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A borrowed view of bytes. It owns nothing and is not terminated: it is valid only as
 * long as the buffer it points into, on the data path until the callback returns. The
 * zeroed one is empty.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct str {
	const char *ptr;
	size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

/* For "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_of(const char *text)
{
	return (struct str){text, strlen(text)};
}

static inline bool str_is(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII letters compare without case. */
static inline bool str_is_nocase(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static inline char ascii_lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* FNV-1a. */
static inline uint32_t str_hash(struct str s)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (uint8_t)s.ptr[i]) * 16777619u;
	return hash;
}

/* Without the spaces and tabs at both ends. */
static inline struct str str_trim(struct str s)
{
	while (s.len > 0 && (*s.ptr == ' ' || *s.ptr == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Takes the next element off a comma list, trimmed; false at the end of the list. */
static inline bool str_next_element(struct str *list, struct str *element)
{
	const char *comma;
	size_t len;

	if (!list->ptr)
		return false;
	comma = memchr(list->ptr, ',', list->len);
	len = comma ? (size_t)(comma - list->ptr) : list->len;
	*element = str_trim((struct str){list->ptr, len});
	if (comma)
		*list = (struct str){comma + 1, list->len - len - 1};
	else
		list->ptr = NULL;
	return true;
}

/* Decimal digits only, no sign, no overflow; false when it is anything else. */
static inline bool str_to_u64(struct str s, uint64_t *out)
{
	uint64_t value = 0;

	while (s.len > 19 && *s.ptr == '0')
		s = (struct str){s.ptr + 1, s.len - 1};
	if (s.len == 0 || s.len > 19)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	if (value > INT64_MAX)
		return false;
	*out = value;
	return true;
}
