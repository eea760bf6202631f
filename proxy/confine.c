/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A refused call gives ENOSYS and goes on; one that only an intruder makes ends the
 * process, which the container's status then tells (SIGSYS). The kernel's audit log has
 * both.
 *
 * It begins when all has started: what the start takes and serving does not (listening,
 * loading libraries, more descriptors) is gone by then. Name services that libc has to
 * load first (other than files and dns) are gone too, and count as unavailable.
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CONFINE_SANITIZED
#endif
#endif

struct row {
	int call;
	uint32_t action;
	unsigned n_conditions;
	struct scmp_arg_cmp condition;
};

#define IS(argument, value) BITS(argument, UINT32_MAX, (uint32_t)(value))
#define BITS(argument, mask, bits)                                                       \
	{                                                                                \
		argument, SCMP_CMP_MASKED_EQ, mask, bits                                 \
	}

static int add_rows(scmp_filter_ctx filter)
{
	const struct row rows[] = {
#define CALL(name, why)          {SCMP_SYS(name), SCMP_ACT_ALLOW, 0, {0}},
#define CALL_IF(name, when, why) {SCMP_SYS(name), SCMP_ACT_ALLOW, 1, when},
#define FATAL(name)              {SCMP_SYS(name), SCMP_ACT_KILL_PROCESS, 0, {0}},
#include "confine.def"
	};
	int err = 0;

	for (size_t i = 0; err == 0 && i < sizeof(rows) / sizeof(*rows); i++)
		err = seccomp_rule_add_array(filter, rows[i].action, rows[i].call,
			rows[i].n_conditions, &rows[i].condition);
	return err;
}

/*
 * SSB: no foreign code runs here that could be stopped from guessing, and older kernels
 * would slow down all of ours. OPTIMIZE: a search tree, for kernels that do not remember
 * (before 5.11).
 */
static int set_attributes(scmp_filter_ctx filter)
{
	static const struct {
		enum scmp_filter_attr name;
		uint32_t value;
	} attributes[] = {
		{SCMP_FLTATR_CTL_TSYNC, 1},
		{SCMP_FLTATR_CTL_LOG, 1},
		{SCMP_FLTATR_CTL_SSB, 1},
		{SCMP_FLTATR_CTL_OPTIMIZE, 2},
		{SCMP_FLTATR_API_SYSRAWRC, 1},
		{SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS},
	};
	int err = 0;

	for (size_t i = 0; err == 0 && i < sizeof(attributes) / sizeof(*attributes); i++)
		err = seccomp_attr_set(filter, attributes[i].name, attributes[i].value);
	return err;
}

int confine_rights(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

/* Of an old kernel, of one without filters, of a container that does not let us. */
static bool is_refusal(int err)
{
	return err == -EINVAL || err == -ENOSYS || err == -EPERM || err == -EACCES;
}

int confine_calls(void)
{
	scmp_filter_ctx filter;
	int err;

	/* A kernel that has none, or a container that does not let us ask. */
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return -EOPNOTSUPP;
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!filter)
		return -ENOMEM;
	err = set_attributes(filter);
	if (err == 0)
		err = add_rows(filter);
	if (err == 0)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return is_refusal(err) ? -EOPNOTSUPP : err;
}
