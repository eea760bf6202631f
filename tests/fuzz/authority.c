/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and addresses: Host values, request targets, service names, IP literals. The
 * first line of the input is a method, the rest the text. Whatever is taken is written
 * anew from its parts and read again: it has to be the same.
 */
#include "fuzz.h"
#include "http/authority.h"
#include "net/address.h"
#include "topo/address.h"
#include "topo/topo.h"

static const struct topo_policy policy = {
	.namespace_ = "shop", .cluster_domain = "cluster.local"};

static void check_authority(struct str text)
{
	struct authority first, second;
	char again[600];
	int n;

	if (!authority_parse(text, &first))
		return;
	CHECK(first.text.ptr == text.ptr && first.text.len == text.len);
	CHECK(first.host.len <= text.len && first.port.len <= text.len);
	for (size_t i = 0; i < text.len; i++)
		CHECK(text.ptr[i] > ' ' && text.ptr[i] < 0x7f &&
			!strchr("/?#@,\"<>\\^`{|}", text.ptr[i]));
	if (first.host.len > 255 || first.host.len == 0)
		return;
	n = snprintf(again, sizeof(again),
		memchr(first.host.ptr, ':', first.host.len) ? "[%.*s]" : "%.*s",
		STR_ARG(first.host));
	if (first.port_number)
		n += snprintf(
			again + n, sizeof(again) - (size_t)n, ":%u", first.port_number);
	CHECK(authority_parse((struct str){again, (size_t)n}, &second));
	CHECK(str_is(first.host, second.host));
	CHECK(first.port_number == second.port_number);
}

static void check_target(struct str method, struct str text)
{
	struct authority authority;
	struct str origin;

	switch (target_parse(method, text, &authority, &origin)) {
	case TARGET_ABSOLUTE:
		CHECK(authority.host.len > 0);
		CHECK(origin.ptr + origin.len == text.ptr + text.len);
		CHECK(authority.text.ptr + authority.text.len == origin.ptr);
		CHECK(origin.len == 0 || *origin.ptr == '/' || *origin.ptr == '?');
		break;
	case TARGET_AUTHORITY:
		CHECK(authority.host.len > 0 && authority.port_number > 0);
		break;
	case TARGET_ORIGIN:
		CHECK(*text.ptr == '/' && str_is(origin, text));
		break;
	default:
		break;
	}
}

static bool is_label(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n < 64 && text[n] == '\0';
}

static void check_service(struct str text)
{
	struct topo_name first, second;
	char again[200];
	int n;

	if (!topo_parse_host(text.ptr, text.len, &policy, &first))
		return;
	CHECK(is_label(first.name) && is_label(first.namespace_));
	n = snprintf(again, sizeof(again), "%s.%s.svc.cluster.local", first.name,
		first.namespace_);
	CHECK(topo_parse_host(again, (size_t)n, &policy, &second));
	CHECK(strcmp(first.name, second.name) == 0);
	CHECK(strcmp(first.namespace_, second.namespace_) == 0);
}

static void check_address(const char *text)
{
	char shown[ADDRESS_TEXT_MAX], canonical[INET6_ADDRSTRLEN],
		twice[INET6_ADDRSTRLEN];
	union address first, second;
	uint8_t ip[16] = {0}, ip_again[16] = {0};

	if (address_parse(text, 80, &first)) {
		address_print_ip(&first, shown);
		CHECK(address_parse(shown, 80, &second));
		CHECK(address_equal(&first, &second));
	}
	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;

		if (!topo_address_parse(text, family, ip, canonical))
			continue;
		CHECK(topo_address_parse(canonical, family, ip_again, twice));
		CHECK(strcmp(canonical, twice) == 0);
		CHECK(memcmp(ip, ip_again, family == AF_INET ? 4 : 16) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct str method = fuzz_until(&text, '\n');
	char *copy = fuzz_copy(text), *string = fuzz_string(text);

	text.ptr = copy;
	check_authority(text);
	check_target(method, text);
	check_service(text);
	check_address(string);
	free(copy);
	free(string);
	return 0;
}
