/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of both versions of cgroups, from trees of files in a temporary folder. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"

static void write_file(const char *root, const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "w");
	cr_assert(file, "%s", full);
	fputs(text, file);
	fclose(file);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

#define SELF   "proc/self/cgroup"
#define MANY   100 /* more than the CPUs of any machine that runs this: no limit */
#define V1_CPU "3:cpuset:/x\n2:cpu,cpuacct:/pods/p\n1:name=systemd:/\n"

static const struct {
	const char *name;
	const char *files[8]; /* path, text, path, text … */
	int quota;
} rows[] = {
	{"nothing is there", {NULL}, MANY},
	{"no limit", {SELF, "0::/\n", "sys/fs/cgroup/cpu.max", "max 100000\n"}, MANY},
	{"own namespace", {SELF, "0::/\n", "sys/fs/cgroup/cpu.max", "100000 100000\n"},
		1},
	{"part of a CPU", {SELF, "0::/\n", "sys/fs/cgroup/cpu.max", "5000 100000\n"}, 1},
	{"rounded up", {SELF, "0::/\n", "sys/fs/cgroup/cpu.max", "100001 100000\n"}, 2},
	{"path of the host, mounted as root",
		{SELF, "0::/kubepods/a/b\n", "sys/fs/cgroup/cpu.max", "100000 100000\n"},
		1},
	{"a limit further up",
		{SELF, "0::/pods/p\n", "sys/fs/cgroup/pods/p/cpu.max", "max 100000\n",
			"sys/fs/cgroup/pods/cpu.max", "100000 100000\n"},
		1},
	{"outside of the namespace", {SELF, "0::/../other\n"}, MANY},
	{"version 1",
		{SELF, V1_CPU, "sys/fs/cgroup/cpu/pods/p/cpu.cfs_quota_us", "50000\n",
			"sys/fs/cgroup/cpu/pods/p/cpu.cfs_period_us", "100000\n"},
		1},
	{"version 1, mounted as root",
		{SELF, V1_CPU, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
		1},
	{"version 1 without limit",
		{SELF, V1_CPU, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
		MANY},
	{"no period", {SELF, "0::/\n", "sys/fs/cgroup/cpu.max", "100000 0\n"}, MANY},
	{"garbage", {SELF, "0\n:::\n0::x\n\n", "sys/fs/cgroup/cpu.max", "a b\n"}, MANY},
	{"empty file", {SELF, "0::/\n", "sys/fs/cgroup/cpu.max", ""}, MANY},
};

#define V1_MEMORY "2:cpu,cpuacct:/\n4:memory:/pods/p\n"
#define V1_NONE   "9223372036854771712\n" /* what version 1 shows for none */

static const struct {
	const char *name;
	const char *files[8];
	int64_t bytes;
} memory_rows[] = {
	{"nothing is there", {NULL}, INT64_MAX},
	{"no limit", {SELF, "0::/\n", "sys/fs/cgroup/memory.max", "max\n"}, INT64_MAX},
	{"own namespace", {SELF, "0::/\n", "sys/fs/cgroup/memory.max", "134217728\n"},
		128 << 20},
	{"the least on the way",
		{SELF, "0::/pods/p\n", "sys/fs/cgroup/pods/p/memory.max", "134217728\n",
			"sys/fs/cgroup/pods/memory.max", "67108864\n"},
		64 << 20},
	{"version 1",
		{SELF, V1_MEMORY, "sys/fs/cgroup/memory/pods/p/memory.limit_in_bytes",
			"134217728\n"},
		128 << 20},
	{"version 1 without limit",
		{SELF, V1_MEMORY, "sys/fs/cgroup/memory/memory.limit_in_bytes", V1_NONE},
		9223372036854771712},
};

static void make_tree(char *root, const char *const *files)
{
	cr_assert(mkdtemp(root));
	for (size_t k = 0; files[k]; k += 2)
		write_file(root, files[k], files[k + 1]);
}

Test(base_cgroup, quotas)
{
	cpu_set_t set;
	int n_cpus;

	cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	n_cpus = CPU_COUNT(&set);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char root[] = "/tmp/nigh-cgroup-XXXXXX";
		int want = rows[i].quota < n_cpus ? rows[i].quota : n_cpus;

		make_tree(root, rows[i].files);
		cr_expect_eq(cgroup_cpus_at(root), want, "%s: %d", rows[i].name,
			cgroup_cpus_at(root));
		nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	}
}

Test(base_cgroup, memory)
{
	for (size_t i = 0; i < sizeof(memory_rows) / sizeof(*memory_rows); i++) {
		char root[] = "/tmp/nigh-cgroup-XXXXXX";

		make_tree(root, memory_rows[i].files);
		cr_expect_eq(cgroup_memory_at(root), memory_rows[i].bytes, "%s: %ld",
			memory_rows[i].name, (long)cgroup_memory_at(root));
		nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	}
}

Test(base_cgroup, this_machine_has_at_least_one)
{
	cr_expect_geq(cgroup_cpus(), 1);
}
