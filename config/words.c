/* SPDX-License-Identifier: Apache-2.0 */
#include "config/words.h"

#include <arpa/inet.h>
#include <string.h>

#include "config/memory.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

bool word_is_number(const char *text, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, text[i] - '0', &n))
			return false;
	}
	*out = n;
	return len > 0 && n <= max;
}

bool word_is_port(const char *text, uint16_t min, uint16_t *out)
{
	uint64_t n;

	if (!word_is_number(text, strlen(text), UINT16_MAX, &n) || n < min)
		return false;
	*out = (uint16_t)n;
	return true;
}

/* len characters of the alphabet, which is alphanumeric at both ends */
static bool is_label(const char *text, size_t len, const char *alphabet)
{
	static const char ends[] = LOWER UPPER DIGIT;

	return len >= 1 && len <= 63 && strspn(text, alphabet) >= len &&
	       strchr(ends, text[0]) && strchr(ends, text[len - 1]);
}

bool word_is_dns_label(const char *text)
{
	return is_label(text, strlen(text), LOWER DIGIT "-");
}

static bool is_dns_subdomain(const char *text, size_t len)
{
	const char *end = text + len;

	for (;;) {
		const char *dot = memchr(text, '.', end - text);

		if (!is_label(text, (dot ? dot : end) - text, LOWER DIGIT "-"))
			return false;
		if (!dot)
			return len <= 253;
		text = dot + 1;
	}
}

bool word_is_dns_subdomain(const char *text)
{
	return is_dns_subdomain(text, strlen(text));
}

bool word_is_dns_name(const char *text)
{
	const char *dot = strrchr(text, '.');
	const char *last = dot ? dot + 1 : text;

	return word_is_dns_subdomain(text) && last[strspn(last, DIGIT)] != '\0';
}

bool word_is_qualified_name(const char *text)
{
	const char *slash = strchr(text, '/');
	const char *name = slash ? slash + 1 : text;

	return (!slash || is_dns_subdomain(text, slash - text)) &&
	       is_label(name, strlen(name), LOWER UPPER DIGIT "-_.");
}

bool word_is_label_value(const char *text)
{
	return text[0] == '\0' || is_label(text, strlen(text), LOWER UPPER DIGIT "-_.");
}

int word_is_ip(const char *text, void *addr)
{
	if (inet_pton(AF_INET, text, addr) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, text, addr) == 1 ? AF_INET6 : 0;
}

char *word_keep_ip(struct config_memory **memory, const char *text)
{
	char addr[16], canonical[INET6_ADDRSTRLEN];
	int family = word_is_ip(text, addr);

	if (!family)
		return NULL;
	inet_ntop(family, addr, canonical, sizeof(canonical));
	return config_strdup(memory, canonical);
}
