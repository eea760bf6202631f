/* SPDX-License-Identifier: Apache-2.0 */
/* Host values and request targets: what they name, and what is no such thing. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/authority.h"

#define BYTES(literal)                                                                   \
	{                                                                                \
		(literal), sizeof(literal) - 1                                           \
	}

/* The bytes in memory of exactly their size. */
static struct str own(struct str bytes)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);

	memcpy(copy, bytes.ptr, bytes.len);
	return (struct str){copy, bytes.len};
}

static const struct {
	struct str text;
	const char *host; /* NULL: malformed */
	const char *port;
	unsigned number;
} authorities[] = {
	{BYTES("a"), "a", "", 0},
	{BYTES("a:80"), "a", "80", 80},
	{BYTES("a:"), "a", "", 0},
	{BYTES("a:00080"), "a", "00080", 80},
	{BYTES("a:65535"), "a", "65535", 65535},
	{BYTES("a:65536"), NULL, NULL, 0},
	{BYTES("a:0"), NULL, NULL, 0},
	{BYTES("a:4294967376"), NULL, NULL, 0}, /* 2^32 + 80 */
	{BYTES("a:18446744073709551696"), NULL, NULL, 0},
	{BYTES("a:+80"), NULL, NULL, 0},
	{BYTES("a:-80"), NULL, NULL, 0},
	{BYTES("a: 80"), NULL, NULL, 0},
	{BYTES("a:80 "), NULL, NULL, 0},
	{BYTES("a:80:80"), NULL, NULL, 0},
	{BYTES("a:http"), NULL, NULL, 0},
	{BYTES("a:80/"), NULL, NULL, 0},
	{BYTES(""), "", "", 0},
	{BYTES(":80"), NULL, NULL, 0},
	{BYTES(":"), NULL, NULL, 0},
	{BYTES("Orders.Shop.svc.cluster.local"), "Orders.Shop.svc.cluster.local", "", 0},
	{BYTES("orders.shop.svc.cluster.local.:80"), "orders.shop.svc.cluster.local",
		"80", 80},
	{BYTES("."), NULL, NULL, 0},
	{BYTES(".a"), NULL, NULL, 0},
	{BYTES("a..b:80"), NULL, NULL, 0},
	{BYTES("a.."), NULL, NULL, 0},
	{BYTES("a."), "a", "", 0},
	{BYTES("a_b-c~1"), "a_b-c~1", "", 0},
	{BYTES("!$&'()*+;="), "!$&'()*+;=", "", 0},
	{BYTES("a%20b"), "a%20b", "", 0},
	{BYTES("a%2"), NULL, NULL, 0},
	{BYTES("a%"), NULL, NULL, 0},
	{BYTES("a%g0"), NULL, NULL, 0},
	{BYTES("1.2.3.4:80"), "1.2.3.4", "80", 80},
	{BYTES("[::1]"), "::1", "", 0},
	{BYTES("[::1]:80"), "::1", "80", 80},
	{BYTES("[::1]:"), "::1", "", 0},
	{BYTES("[::ffff:1.2.3.4]:80"), "::ffff:1.2.3.4", "80", 80},
	{BYTES("[ABCD:ef01:2345:6789:abcd:ef01:2345:6789]:65535"),
		"ABCD:ef01:2345:6789:abcd:ef01:2345:6789", "65535", 65535},
	{BYTES("["), NULL, NULL, 0},
	{BYTES("[]"), NULL, NULL, 0},
	{BYTES("[::1"), NULL, NULL, 0},
	{BYTES("[::1]80"), NULL, NULL, 0},
	{BYTES("[::1]]"), NULL, NULL, 0},
	{BYTES("[[::1]]"), NULL, NULL, 0},
	{BYTES("[1.2.3.4]"), NULL, NULL, 0},
	{BYTES("[v1.a]"), NULL, NULL, 0},
	{BYTES("[fe80::1%25eth0]"), NULL, NULL, 0},
	{BYTES("[fe80::1%eth0]"), NULL, NULL, 0},
	{BYTES("[::1\0]"), NULL, NULL, 0},
	{BYTES("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"), NULL, NULL,
		0},
	{BYTES("::1"), NULL, NULL, 0},
	{BYTES("a@b"), NULL, NULL, 0},
	{BYTES("user:pass@b:80"), NULL, NULL, 0},
	{BYTES("a,b"), NULL, NULL, 0},
	{BYTES("a b"), NULL, NULL, 0},
	{BYTES("a\tb"), NULL, NULL, 0},
	{BYTES("a/b"), NULL, NULL, 0},
	{BYTES("a\\b"), NULL, NULL, 0},
	{BYTES("a?b"), NULL, NULL, 0},
	{BYTES("a#b"), NULL, NULL, 0},
	{BYTES("a\"b"), NULL, NULL, 0},
	{BYTES("<a>"), NULL, NULL, 0},
	{BYTES("{a}"), NULL, NULL, 0},
	{BYTES("a\0b"), NULL, NULL, 0},
	{BYTES("a\xe4"), NULL, NULL, 0},
};

Test(http_authority, parse)
{
	for (size_t i = 0; i < sizeof(authorities) / sizeof(*authorities); i++) {
		const char *name = authorities[i].text.ptr;
		struct str text = own(authorities[i].text);
		struct authority out;
		bool good = authority_parse(text, &out);

		cr_expect(good == !!authorities[i].host, "%s: %d", name, good);
		if (good && authorities[i].host) {
			cr_expect(str_is(out.text, text), "%s", name);
			cr_expect(str_is(out.host, str_of(authorities[i].host)),
				"%s: %.*s", name, STR_ARG(out.host));
			cr_expect(str_is(out.port, str_of(authorities[i].port)),
				"%s: %.*s", name, STR_ARG(out.port));
			cr_expect(out.port_number == authorities[i].number, "%s: %u",
				name, out.port_number);
		}
		free((char *)text.ptr);
	}
}

static const struct {
	const char *method;
	struct str target;
	enum target_form form;
	const char *authority, *origin; /* origin also of origin form */
} targets[] = {
	{"GET", BYTES("/"), TARGET_ORIGIN, NULL, "/"},
	{"GET", BYTES("/a?b=c"), TARGET_ORIGIN, NULL, "/a?b=c"},
	{"GET", BYTES("//a/b"), TARGET_ORIGIN, NULL, "//a/b"},
	{"GET", BYTES("/http://a/"), TARGET_ORIGIN, NULL, "/http://a/"},
	{"GET", BYTES("/a#b"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES(""), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("a"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("?a"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("a:80"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("*"), TARGET_BAD, NULL, NULL},
	{"OPTIONS", BYTES("*"), TARGET_ASTERISK, NULL, "*"},
	{"options", BYTES("*"), TARGET_BAD, NULL, NULL},
	{"OPTIONS", BYTES("**"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http://a"), TARGET_ABSOLUTE, "a", ""},
	{"GET", BYTES("http://a/"), TARGET_ABSOLUTE, "a", "/"},
	{"GET", BYTES("HTTP://A:80/b?c"), TARGET_ABSOLUTE, "A:80", "/b?c"},
	{"GET", BYTES("http://a?b"), TARGET_ABSOLUTE, "a", "?b"},
	{"OPTIONS", BYTES("http://a:81"), TARGET_ABSOLUTE, "a:81", ""},
	{"GET", BYTES("http://[::1]:80/"), TARGET_ABSOLUTE, "[::1]:80", "/"},
	{"GET", BYTES("http://a/b@c"), TARGET_ABSOLUTE, "a", "/b@c"},
	{"GET", BYTES("http://"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http:///a"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http://?a"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http://:80/"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http://u@a/"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http://a\\@b/"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http://a#@b/"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http://a:0/"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http:/a"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http:a"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("http"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("ftp://a/"), TARGET_BAD, NULL, NULL},
	{"GET", BYTES("https://a/"), TARGET_HTTPS, NULL, NULL},
	{"GET", BYTES("hTTps://"), TARGET_HTTPS, NULL, NULL},
	{"CONNECT", BYTES("a:443"), TARGET_AUTHORITY, "a:443", NULL},
	{"CONNECT", BYTES("[::1]:443"), TARGET_AUTHORITY, "[::1]:443", NULL},
	{"CONNECT", BYTES("a"), TARGET_BAD, NULL, NULL},
	{"CONNECT", BYTES("a:"), TARGET_BAD, NULL, NULL},
	{"CONNECT", BYTES(":443"), TARGET_BAD, NULL, NULL},
	{"CONNECT", BYTES("a:0"), TARGET_BAD, NULL, NULL},
	{"CONNECT", BYTES("/"), TARGET_BAD, NULL, NULL},
	{"CONNECT", BYTES("*"), TARGET_BAD, NULL, NULL},
	{"CONNECT", BYTES("http://a:443/"), TARGET_BAD, NULL, NULL},
	{"CONNECT", BYTES("u@a:443"), TARGET_BAD, NULL, NULL},
	{"connect", BYTES("a:443"), TARGET_BAD, NULL, NULL},
};

Test(http_authority, targets)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		struct str target = own(targets[i].target), origin;
		const char *name = targets[i].target.ptr;
		struct authority authority = {0};
		enum target_form form = target_parse(
			str_of(targets[i].method), target, &authority, &origin);

		cr_expect(form == targets[i].form, "%s %s: %d", targets[i].method, name,
			form);
		if (targets[i].authority)
			cr_expect(str_is(authority.text, str_of(targets[i].authority)),
				"%s: %.*s", name, STR_ARG(authority.text));
		if (targets[i].origin)
			cr_expect(str_is(origin, str_of(targets[i].origin)), "%s: %.*s",
				name, STR_ARG(origin));
		free((char *)target.ptr);
	}
}
