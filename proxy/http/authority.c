/* SPDX-License-Identifier: Apache-2.0 */
#include "http/authority.h"

#include <arpa/inet.h>

#include "http/chars.h"

static bool is_hex(char c)
{
	c = ascii_lower(c);
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Without empty labels: servers of the DNS do not even answer to those. */
static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (char_is_label[(uint8_t)c])
			continue;
		if (c == '.' && i > 0 && s.ptr[i - 1] != '.')
			continue;
		if (c != '%' || s.len - i < 3 || !is_hex(s.ptr[i + 1]) ||
			!is_hex(s.ptr[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

static bool is_ipv6(struct str host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	return strlen(text) == host.len && inet_pton(AF_INET6, text, &addr) == 1;
}

static bool parse_port(struct str text, struct authority *out)
{
	uint64_t number;

	out->port = text;
	if (text.len == 0)
		return true;
	if (!str_to_u64(text, &number) || number == 0 || number > UINT16_MAX)
		return false;
	out->port_number = (uint16_t)number;
	return true;
}

bool authority_parse(struct str text, struct authority *out)
{
	const char *end = text.ptr + text.len, *colon;

	*out = (struct authority){.text = text, .port = {end, 0}};
	if (text.len > 0 && text.ptr[0] == '[') {
		const char *close = memchr(text.ptr, ']', text.len);

		if (!close)
			return false;
		out->host = (struct str){text.ptr + 1, (size_t)(close - text.ptr) - 1};
		if (!is_ipv6(out->host))
			return false;
		if (close + 1 == end)
			return true;
		return close[1] == ':' &&
		       parse_port(
			       (struct str){close + 2, (size_t)(end - close) - 2}, out);
	}
	colon = memchr(text.ptr, ':', text.len);
	out->host = (struct str){text.ptr, colon ? (size_t)(colon - text.ptr) : text.len};
	if (!is_name(out->host))
		return false;
	if (out->host.len > 1 && out->host.ptr[out->host.len - 1] == '.')
		out->host.len--;
	if (out->host.len == 0 && colon)
		return false;
	return !colon ||
	       parse_port((struct str){colon + 1, (size_t)(end - colon) - 1}, out);
}

/* Length of `scheme://`, 0 when the target does not begin like that. */
static size_t scheme_len(struct str target, struct str scheme)
{
	if (target.len < scheme.len ||
		!str_is_nocase((struct str){target.ptr, scheme.len}, scheme))
		return 0;
	return scheme.len;
}

static enum target_form parse_absolute(
	struct str target, struct authority *authority, struct str *origin)
{
	size_t skip = scheme_len(target, STR("http://")), len = 0;

	if (skip == 0)
		return scheme_len(target, STR("https://")) ? TARGET_HTTPS : TARGET_BAD;
	target = (struct str){target.ptr + skip, target.len - skip};
	while (len < target.len && target.ptr[len] != '/' && target.ptr[len] != '?')
		len++;
	if (!authority_parse((struct str){target.ptr, len}, authority) ||
		authority->host.len == 0)
		return TARGET_BAD;
	*origin = (struct str){target.ptr + len, target.len - len};
	return TARGET_ABSOLUTE;
}

enum target_form target_parse(struct str method, struct str target,
	struct authority *authority, struct str *origin)
{
	*origin = target;
	if (target.len == 0 || memchr(target.ptr, '#', target.len))
		return TARGET_BAD;
	if (str_is(method, STR("CONNECT")))
		return authority_parse(target, authority) && authority->host.len > 0 &&
				       authority->port_number > 0
			       ? TARGET_AUTHORITY
			       : TARGET_BAD;
	if (target.ptr[0] == '/')
		return TARGET_ORIGIN;
	if (str_is(target, STR("*")))
		return str_is(method, STR("OPTIONS")) ? TARGET_ASTERISK : TARGET_BAD;
	return parse_absolute(target, authority, origin);
}
