/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "topo/keys.h"

#define TEN   "aaaaaaaaaa"
#define SIXTY TEN TEN TEN TEN TEN TEN

struct keys_row {
	const char *text;
	const char *result; /* the keys with blanks between them, or the error */
};

static const struct keys_row rows[] = {
	{"", ""},
	{"  ", ""},
	{"[]", ""},
	{"*", "*"},
	{"kubernetes.io/hostname", "kubernetes.io/hostname"},
	{" a , b,* ", "a b *"},
	{"[\"a\",\"b\",\"*\"]", "a b *"},
	{" [ \"a\" ] ", "a"},
	{"a.b-c_D9", "a.b-c_D9"},
	{"A/B", "'A/B' is no label name"},
	{"a/B", "a/B"},
	{"a..b/c", "'a..b/c' is no label name"},
	{"a.-b/c", "'a.-b/c' is no label name"},
	{"a-.b/c", "'a-.b/c' is no label name"},
	{"-a/c", "'-a/c' is no label name"},
	{"a-/c", "'a-/c' is no label name"},
	{".a/c", "'.a/c' is no label name"},
	{"a./c", "'a./c' is no label name"},
	{"a_b/c", "'a_b/c' is no label name"},
	{"/c", "'/c' is no label name"},
	{"a/", "'a/' is no label name"},
	{"a/b/c", "'a/b/c' is no label name"},
	{"-a", "'-a' is no label name"},
	{"a-", "'a-' is no label name"},
	{"a.", "'a.' is no label name"},
	{"a b", "'a b' is no label name"},
	{"**", "'**' is no label name"},
	{"\xc3\xa4", "'\xc3\xa4' is no label name"},
	{SIXTY "aaa", SIXTY "aaa"},
	{SIXTY "aaaa", "'" SIXTY "aaaa' is no label name"},
	{SIXTY SIXTY SIXTY SIXTY TEN "aaa/a", SIXTY SIXTY SIXTY SIXTY TEN "aaa/a"},
	{SIXTY SIXTY SIXTY SIXTY TEN "aaaa/a",
		"'" SIXTY SIXTY SIXTY SIXTY TEN "aaaa/a' is no label name"},
	{"a,,b", "'' is no label name"},
	{",", "'' is no label name"},
	{"a,", "'' is no label name"},
	{"[\"\"]", "'' is no label name"},
	{"[\" a\"]", "' a' is no label name"},
	{"a,b,a", "'a' occurs twice"},
	{"*,*", "'*' may only be the last key"},
	{"*,a", "'*' may only be the last key"},
	{"a,*,b", "'*' may only be the last key"},
	{"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,*", "a b c d e f g h i j k l m n o *"},
	{"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,*", "17 keys, at most 16 are allowed"},
	{"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s", "17 keys, at most 16 are allowed"},
	{"[\"a\",7]", "an entry is not a string"},
	{"[\"a\"", "not a JSON array"},
	{"[\"a\"] b", "not a JSON array"},
};

Test(keys, parse)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct topo_keys keys;
		char text[1024] = "";
		char *error = topo_keys_parse(rows[i].text, &keys);
		for (size_t k = 0; k < keys.n_items; k++) {
			strcat(text, k ? " " : "");
			strcat(text, keys.items[k]);
		}
		cr_expect(!error || keys.n_items == 0, "%s", rows[i].text);
		cr_expect_str_eq(error ? error : text, rows[i].result, "%s: %s",
			rows[i].text, error ? error : text);
		free(error);
		topo_keys_fini(&keys);
	}
}
