/* SPDX-License-Identifier: Apache-2.0 */
#include "llhttp_alone.h"

#include <llhttp/llhttp.h>

static void add(char *to, size_t *len, size_t cap, const char *bytes, size_t n)
{
	if (cap - *len < n)
		n = cap - *len;
	memcpy(to + *len, bytes, n);
	*len += n;
}

struct reader {
	struct llhttp_outcome *out;
	size_t len; /* of out->fields */
	size_t value_at;
};

/* Trailers are not looked at. */
static int on_field_part(llhttp_t *parser, const char *at, size_t len)
{
	struct reader *reader = parser->data;

	if (!reader->out->has_head)
		add(reader->out->fields, &reader->len, sizeof(reader->out->fields) - 4,
			at, len);
	return 0;
}

static int on_name_end(llhttp_t *parser)
{
	struct reader *reader = parser->data;

	if (reader->out->has_head)
		return 0;
	reader->out->fields[reader->len++] = ':';
	reader->value_at = reader->len;
	return 0;
}

static int on_value_end(llhttp_t *parser)
{
	struct reader *reader = parser->data;
	struct str value;

	if (reader->out->has_head)
		return 0;
	value = str_trim((struct str){
		reader->out->fields + reader->value_at, reader->len - reader->value_at});
	memmove(reader->out->fields + reader->value_at, value.ptr, value.len);
	reader->len = reader->value_at + value.len;
	reader->out->fields[reader->len++] = '\n';
	reader->out->n_fields++;
	return 0;
}

static int on_head(llhttp_t *parser)
{
	struct reader *reader = parser->data;

	reader->out->has_head = true;
	reader->out->fields[reader->len] = '\0';
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct llhttp_outcome *out = ((struct reader *)parser->data)->out;

	add(out->payload, &out->n_payload, sizeof(out->payload), at, len);
	return 0;
}

static int on_complete(llhttp_t *parser)
{
	((struct reader *)parser->data)->out->complete = true;
	return HPE_PAUSED;
}

struct llhttp_outcome llhttp_alone(enum head_kind kind, struct str bytes)
{
	static const llhttp_settings_t settings = {
		.on_header_field = on_field_part,
		.on_header_field_complete = on_name_end,
		.on_header_value = on_field_part,
		.on_header_value_complete = on_value_end,
		.on_headers_complete = on_head,
		.on_body = on_body,
		.on_message_complete = on_complete,
	};
	struct llhttp_outcome out = {0};
	struct reader reader = {.out = &out};
	llhttp_errno_t err;
	llhttp_t parser;

	llhttp_init(
		&parser, kind == HEAD_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	parser.data = &reader;
	err = llhttp_execute(&parser, bytes.ptr, bytes.len);
	out.refused = err != HPE_OK && err != HPE_PAUSED && err != HPE_PAUSED_UPGRADE;
	if (out.complete)
		out.used = (size_t)(llhttp_get_error_pos(&parser) - bytes.ptr);
	return out;
}
