/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig, which the user names but others may have written. */
#include "fuzz.h"
#include "topo/source/cluster.h"

static const char path[] = "(the input)";
static struct str input;

FILE *__real_fopen64(const char *name, const char *mode);
FILE *__wrap_fopen64(const char *name, const char *mode);

/* From memory: a file took half of the time. */
FILE *__wrap_fopen64(const char *name, const char *mode)
{
	return name == path ? fmemopen((char *)input.ptr, input.len, "r")
			    : __real_fopen64(name, mode);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cluster cluster;
	char *fault;

	input = (struct str){(const char *)data, size};
	fault = cluster_of_kubeconfig(&cluster, path);
	if (!fault) {
		CHECK(cluster.url && *cluster.url);
		CHECK(cluster.url[strlen(cluster.url) - 1] != '/');
	}
	free(fault);
	cluster_fini(&cluster);
	return 0;
}
