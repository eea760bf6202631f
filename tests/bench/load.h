// SPDX-License-Identifier: Apache-2.0
//
// What pong and bulk have in common.
#pragma once
#include <arpa/inet.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(const char *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.sin_port = htons((uint16_t)atoi(port));
	return at;
}

// CPU time of all threads of these processes; NULL ends the list. Threads come and go:
// each time they are looked up anew.
static unsigned long long cpu_ns(char *const *pids)
{
	unsigned long long sum = 0, ns;
	for (; *pids; pids++) {
		char pattern[64];
		glob_t threads;

		snprintf(pattern, sizeof(pattern), "/proc/%s/task/*/schedstat", *pids);
		if (glob(pattern, 0, NULL, &threads) != 0)
			die(pattern);
		for (size_t i = 0; i < threads.gl_pathc; i++) {
			FILE *f = fopen(threads.gl_pathv[i], "r");
			if (!f)
				continue;
			if (fscanf(f, "%llu", &ns) == 1)
				sum += ns;
			fclose(f);
		}
		globfree(&threads);
	}
	return sum;
}
