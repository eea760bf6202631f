/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Fields on their way out. They go as they came, but for those that frame: these are
 * written with one blank before the value and none behind it. nginx takes a tab, and
 * Python's http.client a blank behind it, for a part of `chunked`, and would then read
 * another message than we do.
 */
#include "base/text.h"
#include "http/head.h"

static inline bool field_is_tidy(const struct field *field)
{
	return field->value.ptr[-1] == ' ' &&
	       field->line.len == field->name.len + 2 + field->value.len;
}

/* Adds its line, to the run of those that go on as they are where it can. */
static inline void emit_field(
	struct text *out, struct str *run, const struct field *field)
{
	if ((field->id != FIELD_TRANSFER_ENCODING && field->id != FIELD_CONTENT_LENGTH) ||
		field_is_tidy(field)) {
		text_add_line(out, run, field->line);
		return;
	}
	text_add(out, *run);
	*run = STR("");
	text_add_field(out, field->name, field->value);
}
