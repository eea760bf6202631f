/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/self/cgroup has one line per hierarchy, "ID:CONTROLLERS:PATH"; that of version 2
 * has no controllers. A container often sees its own cgroup mounted as the root of the
 * tree while the path is still the host's, so each part of the path may be missing: all
 * levels are tried.
 */
#include "base/cgroup.h"

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

/* What a cgroup limits: the name of its controller in version 1, and the limit that the
 * files of one directory set, INT64_MAX if none. */
struct resource {
	const char *controller;
	int64_t (*limit_of)(const char *dir);
};

static int64_t cpus_of(const char *dir)
{
	long long quota, period = 0, unused;

	if (!read_numbers(dir, "cpu.max", &quota, &period) &&
		!(read_numbers(dir, "cpu.cfs_quota_us", &quota, &unused) &&
			read_numbers(dir, "cpu.cfs_period_us", &period, &unused)))
		return INT64_MAX;
	if (period <= 0)
		return INT64_MAX;
	return quota / period + (quota % period != 0);
}

static int64_t memory_of(const char *dir)
{
	long long bytes, unused;

	if (!read_numbers(dir, "memory.max", &bytes, &unused) &&
		!read_numbers(dir, "memory.limit_in_bytes", &bytes, &unused))
		return INT64_MAX;
	return bytes;
}

static const struct resource cpus = {"cpu", cpus_of}, memory = {"memory", memory_of};

static bool has_controller(const char *controllers, const char *name)
{
	char list[256], element[32];

	snprintf(list, sizeof(list), ",%s,", controllers);
	snprintf(element, sizeof(element), ",%s,", name);
	return strstr(list, element);
}

/* The least limit of the cgroup that a line names and of those above it. */
static int64_t limit_of_line(
	const struct resource *resource, const char *root, char *line)
{
	char dir[PATH_MAX];
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	int64_t least = INT64_MAX, limit;
	bool is_v2;
	size_t base;

	if (!path)
		return INT64_MAX;
	*path++ = '\0';
	controllers++;
	path[strcspn(path, "\n")] = '\0';
	is_v2 = controllers[0] == '\0';
	if (!is_v2 && !has_controller(controllers, resource->controller))
		return INT64_MAX;
	base = (size_t)snprintf(dir, sizeof(dir), "%s/sys/fs/cgroup%s%s", root,
		is_v2 ? "" : "/", is_v2 ? "" : resource->controller);
	if (base + strlen(path) >= sizeof(dir))
		return INT64_MAX;
	memcpy(dir + base, path, strlen(path) + 1);
	for (;;) {
		limit = resource->limit_of(dir);
		if (limit < least)
			least = limit;
		if (strlen(dir) <= base)
			return least;
		*strrchr(dir, '/') = '\0';
	}
}

static int64_t limit_at(const struct resource *resource, const char *root)
{
	char path[PATH_MAX], line[PATH_MAX];
	int64_t least = INT64_MAX, limit;
	FILE *file;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	file = fopen(path, "re");
	if (!file)
		return INT64_MAX;
	while (fgets(line, sizeof(line), file)) {
		limit = limit_of_line(resource, root, line);
		if (limit < least)
			least = limit;
	}
	fclose(file);
	return least;
}

int cgroup_cpus_at(const char *root)
{
	int64_t quota = limit_at(&cpus, root);
	cpu_set_t set;
	int n_cpus = 1;

	/* Fails on more than 1024 CPUs: one worker is then a poor answer, but not a wrong
	 * one. */
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n_cpus = CPU_COUNT(&set);
	return quota < n_cpus ? (int)quota : n_cpus;
}

int cgroup_cpus(void)
{
	return cgroup_cpus_at("");
}

int64_t cgroup_memory_at(const char *root)
{
	return limit_at(&memory, root);
}

int64_t cgroup_memory(void)
{
	return cgroup_memory_at("");
}
