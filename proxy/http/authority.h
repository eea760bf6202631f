/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Host and authority: `name`, `name:port`, `[v6]:port` (RFC 3986 section 3.2). */
#include "base/str.h"

struct authority {
	struct str text;      /* as it stood */
	struct str host;      /* without brackets and port, without a trailing dot */
	struct str port;      /* decimal digits; empty when none was given */
	uint16_t port_number; /* 0 when none was given */
};

/* False when it is malformed; userinfo is refused. An empty host is well formed here. */
bool authority_parse(struct str text, struct authority *out);

enum target_form {
	TARGET_BAD,
	TARGET_ORIGIN,    /* /path?query */
	TARGET_ABSOLUTE,  /* http://authority/path */
	TARGET_HTTPS,     /* the same for a scheme that we cannot speak */
	TARGET_AUTHORITY, /* host:port, for CONNECT */
	TARGET_ASTERISK,  /* for OPTIONS */
};

/*
 * Splits a request target (RFC 9112 section 3.2). In absolute form *authority is filled
 * and *origin is what an origin server is to be asked for; it may be empty or begin with
 * `?`: then a `/` goes before it, or `*` stands for it when the method is OPTIONS.
 */
enum target_form target_parse(struct str method, struct str target,
	struct authority *authority, struct str *origin);
