/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The classes of bytes that the grammar of HTTP/1 is made of. */
#include <stdbool.h>
#include <stdint.h>

/* tchar: what methods and names of fields consist of (RFC 9110 section 5.6.2). */
extern const bool char_is_token[256];

/* reg-name of RFC 3986, but for its dots and escapes (%41), and for the comma: readers
 * who know lists would see two hosts. */
extern const bool char_is_label[256];

static inline bool char_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}
