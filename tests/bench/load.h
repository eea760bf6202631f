// SPDX-License-Identifier: Apache-2.0
//
// What pong and bulk have in common.
#pragma once
#include <arpa/inet.h>
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

// CPU time of the threads whose schedstat files these are; NULL ends the list.
static unsigned long long cpu_ns(char *const *schedstats)
{
	unsigned long long sum = 0, ns;
	for (; *schedstats; schedstats++) {
		FILE *f = fopen(*schedstats, "r");
		if (!f)
			die(*schedstats);
		if (fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		fclose(f);
	}
	return sum;
}
