/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Socket addresses of the two families in one union, and their text. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

#define ADDRESS_TEXT_MAX 56 /* "[v6]:port" and its NUL */

/* From an IP literal without brackets; false when it is none. */
bool address_parse(const char *ip, uint16_t port, union address *out);

/* An IPv4-mapped IPv6 address becomes IPv4. */
void address_unmap(union address *address);

bool address_equal(const union address *a, const union address *b);
bool address_is_loopback(const union address *address);

/* 0.0.0.0 or ::, which means every address to listen at, and this machine to dial. */
bool address_is_any(const union address *address);

/* Whether it is an address of this machine. Asks the kernel. */
bool address_is_local(const union address *address);

uint16_t address_port(const union address *address);
socklen_t address_len(const union address *address);

/* The IP alone, without brackets: gives its length. */
size_t address_print_ip(const union address *address, char out[INET6_ADDRSTRLEN]);

/* "1.2.3.4:80" or "[::1]:80". */
const char *address_print(const union address *address, char *out, size_t cap);
