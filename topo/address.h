/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* IP addresses as the API server lets them through: kube-proxy reads them leniently and
 * prints them canonically, so that addresses can be compared. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Read text as an address of that family (AF_INET, AF_INET6). Leading zeros in IPv4 are
 * decimal, an IPv4-mapped IPv6 address is an IPv4 one. ip gets 4 or 16 bytes, canonical
 * the text to print. False when it is none of that family.
 */
bool topo_address_parse(
	const char *text, int family, uint8_t ip[16], char canonical[INET6_ADDRSTRLEN]);
