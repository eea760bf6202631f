/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool address_parse(const char *ip, uint16_t port, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, ip, &out->in.sin_addr) == 1) {
		out->in.sin_family = AF_INET;
		out->in.sin_port = htons(port);
		return true;
	}
	if (inet_pton(AF_INET6, ip, &out->in6.sin6_addr) == 1) {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons(port);
		return true;
	}
	return false;
}

void address_unmap(union address *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	if (address->sa.sa_family != AF_INET6 ||
		!IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr))
		return;
	in.sin_port = address->in6.sin6_port;
	memcpy(&in.sin_addr, &address->in6.sin6_addr.s6_addr[12], 4);
	address->in = in;
}

bool address_equal(const union address *a, const union address *b)
{
	if (a->sa.sa_family != b->sa.sa_family || address_port(a) != address_port(b))
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
}

bool address_is_loopback(const union address *address)
{
	if (address->sa.sa_family == AF_INET)
		return ntohl(address->in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

static void set_port(union address *address, uint16_t port)
{
	if (address->sa.sa_family == AF_INET)
		address->in.sin_port = htons(port);
	else
		address->in6.sin6_port = htons(port);
}

bool address_is_any(const union address *address)
{
	if (address->sa.sa_family == AF_INET)
		return address->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

/* To an address of its own the kernel speaks from the same address. Nothing is sent. */
bool address_is_local(const union address *address)
{
	union address from = {0};
	socklen_t len = sizeof(from);
	bool is_same = false;
	int fd = socket(address->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (connect(fd, &address->sa, address_len(address)) == 0 &&
		getsockname(fd, &from.sa, &len) == 0) {
		set_port(&from, address_port(address));
		is_same = address_equal(&from, address);
	}
	close(fd);
	return is_same;
}

uint16_t address_port(const union address *address)
{
	return ntohs(address->sa.sa_family == AF_INET ? address->in.sin_port
						      : address->in6.sin6_port);
}

socklen_t address_len(const union address *address)
{
	return address->sa.sa_family == AF_INET ? sizeof(address->in)
						: sizeof(address->in6);
}

/* By hand: done for each connection, and libc's goes through sprintf (1,500
 * instructions). */
static size_t print_ipv4(const uint8_t bytes[4], char out[INET_ADDRSTRLEN])
{
	char *to = out;

	for (int i = 0; i < 4; i++) {
		uint8_t byte = bytes[i];

		if (byte >= 100)
			*to++ = (char)('0' + byte / 100);
		if (byte >= 10)
			*to++ = (char)('0' + byte / 10 % 10);
		*to++ = (char)('0' + byte % 10);
		*to++ = i < 3 ? '.' : '\0';
	}
	return (size_t)(to - out) - 1;
}

size_t address_print_ip(const union address *address, char out[INET6_ADDRSTRLEN])
{
	if (address->sa.sa_family == AF_INET)
		return print_ipv4((const uint8_t *)&address->in.sin_addr, out);
	if (!inet_ntop(AF_INET6, &address->in6.sin6_addr, out, INET6_ADDRSTRLEN))
		out[0] = '\0';
	return strlen(out);
}

const char *address_print(const union address *address, char *out, size_t cap)
{
	char ip[INET6_ADDRSTRLEN];

	address_print_ip(address, ip);
	snprintf(out, cap, address->sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip,
		address_port(address));
	return out;
}
