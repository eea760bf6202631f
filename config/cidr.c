/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <string.h>

#include "config/option.h"
#include "config/types.h"
#include "config/words.h"

static bool cidr_parse(struct option_parser *parser, char *text, void *item)
{
	struct cidr *range = item;
	char *slash = strchr(text, '/');
	uint64_t n_bits;
	unsigned max_bits;

	if (slash)
		*slash = '\0';
	range->family = word_is_ip(text, range->addr);
	if (!range->family)
		return option_fail(parser, "not an IP address");
	max_bits = range->family == AF_INET ? 32 : 128;
	n_bits = max_bits;
	if (slash && !word_is_number(slash + 1, strlen(slash + 1), max_bits, &n_bits))
		return option_fail(
			parser, "the prefix is longer than the address, or no number");
	range->n_bits = (uint8_t)n_bits;
	for (unsigned bit = range->n_bits; bit < max_bits; bit++)
		range->addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return true;
}

static void cidr_print(const void *item, FILE *out)
{
	const struct cidr *range = item;
	char text[INET6_ADDRSTRLEN];

	inet_ntop(range->family, range->addr, text, sizeof(text));
	fprintf(out, "%s/%u", text, range->n_bits);
}

const struct option_type type_CIDRS = {
	.want = "list of ADDRESS[/BITS]",
	.parse = cidr_parse,
	.print = cidr_print,
	.item_size = sizeof(struct cidr),
	.max_items = OPTION_MAX_ITEMS,
};

bool cidr_contains(const struct cidr *range, const struct sockaddr *address)
{
	int family = address->sa_family;
	const uint8_t *bytes;
	unsigned n_bytes = range->n_bits / 8, n_rest = range->n_bits % 8;

	if (family == AF_INET) {
		bytes = (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
	} else if (family == AF_INET6) {
		const struct in6_addr *in6 =
			&((const struct sockaddr_in6 *)address)->sin6_addr;

		bytes = in6->s6_addr;
		if (IN6_IS_ADDR_V4MAPPED(in6)) {
			family = AF_INET;
			bytes += 12;
		}
	} else {
		return false;
	}
	return family == range->family && memcmp(bytes, range->addr, n_bytes) == 0 &&
	       (n_rest == 0 ||
		       (bytes[n_bytes] ^ range->addr[n_bytes]) >> (8 - n_rest) == 0);
}
