/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/needs.h"
#include "topo_fixture.h"

#define HOST   "kubernetes.io/hostname"
#define ZONE   "topology.kubernetes.io/zone"
#define REGION "topology.kubernetes.io/region"

struct row {
	const char *policy;    /* keys, separated by blanks */
	const char *service;   /* its annotation, or NULL */
	const char *endpoints; /* as the fixture has them */
	const char *nodes;
};

static const struct row rows[] = {
	/* slices say these themselves */
	{"", NULL, "1:r:n1:z1", ""},
	{HOST " " ZONE " *", NULL, "1:r:n1:z1 2:r:n2:z2", ""},
	{"*", NULL, "1:r:n1:-", ""},
	/* any other key, wherever it stands */
	{REGION, NULL, "1:r:n1:z1", "n1 "},
	{HOST " " REGION " *", NULL, "1:r:n2:- 2:r:n1:-", "n1 n2 "},
	{"example.com/rack", NULL, "1:r:n1:- 2:r:n1:- 3:u:n1:-", "n1 "},
	{REGION, NULL, "1:r:-:- 2:r:-:z1", ""},
	{REGION, NULL, "", ""},
	/* a service's own keys count, whatever the policy says */
	{"*", REGION, "1:r:n1:-", "n1 "},
	{REGION, "*", "1:r:n1:-", ""},
	{REGION, HOST, "1:r:n1:-", ""},
	{REGION, "not a key", "1:r:n1:-", "n1 "},
};

static struct topo_store *store_of(const struct row *row)
{
	struct topo_store *store;
	char *json;
	size_t len;
	FILE *out = open_memstream(&json, &len);

	fputs("{\"kind\":\"List\",\"items\":[", out);
	fixture_print_slice(out, "a", row->endpoints);
	fputs(",", out);
	fixture_print_slice(out, "b", row->endpoints);
	fputs(",", out);
	fixture_print_slice(out, "c", "");
	if (row->service)
		fprintf(out,
			",{\"kind\":\"Service\",\"metadata\":{\"name\":\"orders\","
			"\"namespace\":\"shop\",\"annotations\":{\"nigh/topology-keys\":"
			"\"%s\"}}}",
			row->service);
	fputs("]}", out);
	fclose(out);
	store = fixture_load(json);
	free(json);
	return store;
}

Test(needs, rows)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct topo_store *store = store_of(&rows[i]);
		struct topo_policy policy = fixture_policy();
		const char *keys[8], **names;
		char text[256], found[256] = "";
		size_t n;

		snprintf(text, sizeof(text), "%s", rows[i].policy);
		policy.keys = keys;
		policy.n_keys = 0;
		for (char *key = strtok(text, " "); key; key = strtok(NULL, " "))
			keys[policy.n_keys++] = key;
		names = topo_needed_nodes(store, &policy, &n);
		for (size_t k = 0; k < n; k++) {
			strcat(found, names[k]);
			strcat(found, " ");
		}
		cr_expect_str_eq(found, rows[i].nodes, "row %zu: %s", i, found);
		free(names);
		topo_store_destroy(store);
	}
}
