/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

/* Four decimal numbers with any leading zeros; inet_pton refuses those. */
static bool parse_ipv4(const char *text, uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned value = 0;
		const char *start = text;
		while (*text >= '0' && *text <= '9' && value <= 255)
			value = value * 10 + (unsigned)(*text++ - '0');
		if (text == start || value > 255)
			return false;
		ip[i] = (uint8_t)value;
		if (*text != (i < 3 ? '.' : '\0'))
			return false;
		text++;
	}
	return true;
}

static bool parse_mapped(const char *text, uint8_t ip[4])
{
	struct in6_addr address;
	if (inet_pton(AF_INET6, text, &address) != 1 || !IN6_IS_ADDR_V4MAPPED(&address))
		return false;
	memcpy(ip, &address.s6_addr[12], 4);
	return true;
}

bool topo_address_parse(
	const char *text, int family, uint8_t ip[16], char canonical[INET6_ADDRSTRLEN])
{
	memset(ip, 0, 16);
	if (family == AF_INET) {
		if (!parse_ipv4(text, ip) && !parse_mapped(text, ip))
			return false;
	} else {
		struct in6_addr address;
		if (inet_pton(AF_INET6, text, &address) != 1 ||
			IN6_IS_ADDR_V4MAPPED(&address))
			return false;
		memcpy(ip, &address, 16);
	}
	return inet_ntop(family, ip, canonical, INET6_ADDRSTRLEN) != NULL;
}
