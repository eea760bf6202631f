/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chars.h"

/* A row for sixteen bytes, none above ASCII. */
#define T true
#define F false
/* clang-format off */
const bool char_is_token[256] = {
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, T, F, T, T, T, T, T, F, F, T, T, F, T, T, F,
	T, T, T, T, T, T, T, T, T, T, F, F, F, F, F, F,
	F, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
	T, T, T, T, T, T, T, T, T, T, T, F, F, F, T, T,
	T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
	T, T, T, T, T, T, T, T, T, T, T, F, T, F, T, F,
};

const bool char_is_label[256] = {
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, T, F, F, T, F, T, T, T, T, T, T, F, T, F, F,
	T, T, T, T, T, T, T, T, T, T, F, T, F, T, F, F,
	F, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
	T, T, T, T, T, T, T, T, T, T, T, F, F, F, F, T,
	F, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
	T, T, T, T, T, T, T, T, T, T, T, F, F, F, T, F,
};
/* clang-format on */
#undef T
#undef F
