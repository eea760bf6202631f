/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How many CPUs this process may use, which in a container is not how many there are. */

/*
 * The CPU quota of our cgroup and of those above it (version 1 or 2) rounded up, but not
 * more than the CPUs that we may be scheduled on; at least 1. What cannot be read is no
 * limit.
 */
int cpu_quota(void);

/* The same with root in front of /proc/self/cgroup and /sys/fs/cgroup. */
int cpu_quota_at(const char *root);
