/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Short forms for the tests of topo/: endpoints in one line of text, JSON from them, and
 * a snapshot from JSON.
 *
 * Endpoints are separated by blanks, the parts of one by colons: last byte of the address
 * (10.0.0.N), state, node, zone, then hints. "-" is absent. States: r ready, n nothing
 * said, u not ready, s terminating and serving, t terminating, p ready and terminating,
 * v serving only. Hints: z=a+b for zones, n=a+b for nodes; "z=" is an empty list.
 */
#include <stdio.h>

#include "topo/store.h"
#include "topo/topo.h"

/* Print an EndpointSlice "shop/NAME" of service "orders" with port http 8080. */
void fixture_print_slice(FILE *out, const char *name, const char *endpoints);

/* A store loaded with that JSON; the test fails when it does not load. */
struct topo_store *fixture_load(const char *json);

/* The policy of a default configuration, in namespace shop. */
struct topo_policy fixture_policy(void);

/* Self at "NODE/ZONE", each may be "-" for unknown; strings live in the buffers. */
struct topo_self fixture_self(const char *place, char node[64], char zone[64]);

/* A snapshot of that JSON, seen from place. */
struct topo *fixture_topo(const char *json, const char *place);

/* The last bytes of the addresses by tier: "1 3|2"; "" for none. */
const char *fixture_tiers(const struct topo_port *port, char out[256]);
