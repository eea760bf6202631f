/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig, which the user names but others may have written. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "topo/source/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct cluster cluster;
	char path[40], *fault;

	if (fd < 0)
		fd = memfd_create("kubeconfig", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
	CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fault = cluster_of_kubeconfig(&cluster, path);
	if (!fault) {
		CHECK(cluster.url && *cluster.url);
		CHECK(cluster.url[strlen(cluster.url) - 1] != '/');
	}
	free(fault);
	cluster_fini(&cluster);
	return 0;
}
