/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names to addresses by DNS and the hosts file, on the loop (libevent's evdns). */
#include "net/address.h"

struct loop;
struct resolve;

#define RESOLVE_MAX 16

/* n addresses with the port set; 0 when the name has none or nobody answered: then
 * `problem` says why. */
typedef void resolve_fn(
	void *arg, const union address *addresses, int n, const char *problem);

/*
 * Looks host up. done is called once, from the loop, unless the look-up is cancelled
 * before; its first act is to forget the handle. NULL when it cannot be started at all:
 * then done is not called.
 */
struct resolve *resolve_start(
	struct loop *loop, const char *host, uint16_t port, resolve_fn *done, void *arg);

/* NULL does nothing. */
void resolve_cancel(struct resolve *resolve);
