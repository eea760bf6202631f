/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Monotonic time; on Linux it is read from the vDSO, without a system call. */
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

static inline uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Seconds since the epoch: to be shown, never to be counted with. */
static inline double clock_wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}

/* A span of time as timers want it. */
static inline struct timeval clock_timeval(uint64_t ms)
{
	return (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
}
