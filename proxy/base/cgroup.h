/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How much of the machine this process may use, which in a container is not all of it.
 * Of our cgroup and those above it (version 1 or 2); what cannot be read is no limit. */
#include <stdint.h>

/*
 * The CPU quota rounded up, but not more than the CPUs that we may be scheduled on; at
 * least 1.
 */
int cgroup_cpus(void);

/* The least limit of memory, in bytes; INT64_MAX when there is none. */
int64_t cgroup_memory(void);

/* The same with root in front of /proc/self/cgroup and /sys/fs/cgroup. */
int cgroup_cpus_at(const char *root);
int64_t cgroup_memory_at(const char *root);
