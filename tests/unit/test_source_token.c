/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/source/token.h"

/* JSON to base64url without padding. */
static void encode(FILE *out, const char *json)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_";
	size_t len = strlen(json);

	for (size_t i = 0; i < len; i += 3) {
		unsigned bits = (unsigned)(unsigned char)json[i] << 16;

		if (i + 1 < len)
			bits |= (unsigned)(unsigned char)json[i + 1] << 8;
		if (i + 2 < len)
			bits |= (unsigned char)json[i + 2];
		for (size_t k = 0; k < 4 && k <= len - i; k++)
			fputc(digits[bits >> (18 - 6 * k) & 63], out);
	}
}

struct row {
	const char *claims; /* between the dots, encoded */
	const char *raw;    /* or the whole file */
	const char *node;
};

#define NODE(json) "{\"iss\":\"k\",\"kubernetes.io\":{\"node\":" json "}}"

static const struct row rows[] = {
	{NODE("{\"name\":\"n1\",\"uid\":\"7\"}"), NULL, "n1"},
	{NODE("{\"name\":\"n12\"}"), NULL, "n12"},
	{NODE("{\"name\":\"n123\"}"), NULL, "n123"},
	{NODE("{\"name\":\"n\xc3\xbf\xc3\xbe?>\"}"), NULL, "n\xc3\xbf\xc3\xbe?>"},
	{NODE("{\"name\":\"\"}"), NULL, NULL},
	{NODE("{\"name\":7}"), NULL, NULL},
	{NODE("{}"), NULL, NULL},
	{NODE("null"), NULL, NULL},
	{NODE("[\"name\"]"), NULL, NULL},
	{"{\"kubernetes.io\":\"node\"}", NULL, NULL},
	{"{}", NULL, NULL},
	{"[1]", NULL, NULL},
	{"{\"kubernetes.io\":", NULL, NULL},
	{NULL, "", NULL},
	{NULL, ".", NULL},
	{NULL, "..", NULL},
	{NULL, "a.b", NULL},
	{NULL, "a.b.", NULL},
	{NULL, "a.b.c", NULL},
	{NULL, "a.bc.c", NULL},
	{NULL, "a.bcd.c", NULL},
	{NULL, "a.====.c", NULL},
	{NULL, "a.!!!!.c", NULL},
	{NULL, "a.\xff\xfe\xfd\xfc.c", NULL},
	{NULL, "opaque-token", NULL},
};

Test(token, node_name)
{
	char path[] = "/tmp/nigh-test-XXXXXX";

	close(mkstemp(path));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		FILE *file = fopen(path, "w");
		char *node;

		if (rows[i].claims) {
			fputs("eyJhbGciOiJSUzI1NiJ9.", file);
			encode(file, rows[i].claims);
			fputs(".c2lnbmF0dXJl\n", file);
		} else {
			fputs(rows[i].raw, file);
		}
		fclose(file);
		node = token_node_name(path);
		cr_expect((node && rows[i].node && !strcmp(node, rows[i].node)) ||
				  (!node && !rows[i].node),
			"%zu: %s", i, node ? node : "NULL");
		free(node);
	}
	unlink(path);
	cr_expect_null(token_node_name(path));
}

/* No more is read than has room; the last bytes are decoded in place. */
Test(token, long_files)
{
	char path[] = "/tmp/nigh-test-XXXXXX";

	close(mkstemp(path));
	for (size_t n = 16370; n < 16390; n++) {
		FILE *file = fopen(path, "w");
		char *node;

		fputs("a.", file);
		for (size_t i = 4; i < n; i++)
			fputc('A', file);
		fputs(".c", file);
		fclose(file);
		node = token_node_name(path);
		cr_expect_null(node, "%zu", n);
		free(node);
	}
	unlink(path);
}
