/* SPDX-License-Identifier: Apache-2.0 */
#include "capacity.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/cgroup.h"
#include "base/log.h"
#include "flow/worker.h"

/* Descriptors beside those of connections: listeners, logs, loops, DNS, the API server,
 * the admin port. Of a very low limit a half, for that is what they take there. */
#define FDS_RESERVED 128

/*
 * Of the memory limit of our cgroup, which also has to do for what is not bytes in
 * flight: connections (1 KiB each), endpoints, and the kernel's own queues of our
 * sockets, which it charges us too.
 */
#define MEMORY_SHARE 4
#define MEMORY_LEAST (8 << 20)

/* Each downstream connection may need one upstream. */
static unsigned connections_for(rlim_t descriptors)
{
	rlim_t reserved = descriptors / 2 < FDS_RESERVED ? descriptors / 2 : FDS_RESERVED,
	       room = (descriptors - reserved) / 2;

	return room < 1 ? 1 : room < UINT32_MAX ? (unsigned)room : UINT32_MAX;
}

static int apply_descriptors(struct shared *shared)
{
	unsigned wanted = shared->config->max_connections, room;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	room = connections_for(limit.rlim_cur);
	if (room < wanted)
		log_at(LOG_WARN, NULL, "limit",
			"descriptors=%lu max_connections=%u wanted=%u",
			(unsigned long)limit.rlim_cur, room, wanted);
	shared->max_downstream = room < wanted ? room : wanted;
	return 0;
}

static void apply_memory(struct shared *shared)
{
	size_t bytes = shared->config->max_memory;
	int64_t limit = cgroup_memory();

	/* What version 1 says for "none" is more than any machine has. */
	if (bytes == 0 && limit < INT64_MAX >> 8)
		bytes = limit / MEMORY_SHARE > MEMORY_LEAST
				? (size_t)(limit / MEMORY_SHARE)
				: MEMORY_LEAST;
	ceiling_init(&shared->ceiling, bytes);
	if (bytes > 0)
		log_at(LOG_INFO, NULL, "limit", "max_memory=%lu", (unsigned long)bytes);
}

int capacity_apply(struct shared *shared)
{
	apply_memory(shared);
	return apply_descriptors(shared);
}
