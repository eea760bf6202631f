/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/self/cgroup has one line per hierarchy, "ID:CONTROLLERS:PATH"; that of version 2
 * has no controllers. A container often sees its own cgroup mounted as the root of the
 * tree while the path is still the host's, so each part of the path may be missing: all
 * levels are tried.
 */
#include "base/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Read the one or two numbers of a file; "max" and "-1" mean that there is no limit. */
static bool read_numbers(const char *dir, const char *name, long long *a, long long *b)
{
	char path[PATH_MAX + 32];
	FILE *file;
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fscanf(file, "%lld %lld", a, b);
	fclose(file);
	return n >= 1 && *a > 0;
}

static int quota_of(const char *dir)
{
	long long quota, period = 0, unused;

	if (!read_numbers(dir, "cpu.max", &quota, &period) &&
		!(read_numbers(dir, "cpu.cfs_quota_us", &quota, &unused) &&
			read_numbers(dir, "cpu.cfs_period_us", &period, &unused)))
		return INT_MAX;
	if (period <= 0 || quota / period >= INT_MAX)
		return INT_MAX;
	return (int)(quota / period + (quota % period != 0));
}

static bool has_cpu(const char *controllers)
{
	char list[256];

	snprintf(list, sizeof(list), ",%s,", controllers);
	return strstr(list, ",cpu,");
}

/* The least quota of the cgroup that a line names and of those above it. */
static int quota_of_line(const char *root, char *line)
{
	char dir[PATH_MAX];
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	int least = INT_MAX, quota;
	bool is_v2;
	size_t base;

	if (!path)
		return INT_MAX;
	*path++ = '\0';
	controllers++;
	path[strcspn(path, "\n")] = '\0';
	is_v2 = controllers[0] == '\0';
	if (!is_v2 && !has_cpu(controllers))
		return INT_MAX;
	base = (size_t)snprintf(
		dir, sizeof(dir), "%s/sys/fs/cgroup%s", root, is_v2 ? "" : "/cpu");
	if (base + strlen(path) >= sizeof(dir))
		return INT_MAX;
	memcpy(dir + base, path, strlen(path) + 1);
	for (;;) {
		quota = quota_of(dir);
		if (quota < least)
			least = quota;
		if (strlen(dir) <= base)
			return least;
		*strrchr(dir, '/') = '\0';
	}
}

int cpu_quota_at(const char *root)
{
	char path[PATH_MAX], line[PATH_MAX];
	cpu_set_t set;
	int least = 1, quota;
	FILE *file;

	/* Fails on more than 1024 CPUs: one worker is then a poor answer, but not a wrong
	 * one. */
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		least = CPU_COUNT(&set);
	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	file = fopen(path, "re");
	if (!file)
		return least;
	while (fgets(line, sizeof(line), file)) {
		quota = quota_of_line(root, line);
		if (quota < least)
			least = quota;
	}
	fclose(file);
	return least;
}

int cpu_quota(void)
{
	return cpu_quota_at("");
}
