/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of a host are its literal one, or what the DNS says, looked up again when
 * the answer is older than a few seconds, with the old one in use until the new one is
 * there.
 */
#include "flow/target_kinds.h"

#include <stdlib.h>

#include "base/text.h"
#include "net/resolve.h"

#define DNS_FRESH_MS 5000
#define DNS_RETRY_MS 1000
#define PASSTHROUGH  "passthrough"

static void address_known(struct target *target, const union address *addresses, int n)
{
	struct endpoints_wanted wanted = {.addresses = addresses, .n = (uint32_t)n};

	if (!endpoints_replace(target, &wanted))
		return;
	target->n_tiers = 1;
	target->tiers[0].first = 0;
	target->tiers[0].n = target->n_endpoints;
	target->problem = NULL;
}

struct target *target_host_find(struct worker *worker, enum direction direction,
	struct str host, uint16_t port, const struct topo_name *may_be)
{
	bool is_ipv6 = memchr(host.ptr, ':', host.len) != NULL;
	char key[TARGET_KEY_MAX];
	struct text text = {.ptr = key, .cap = sizeof(key) - 1};
	struct target *target;
	union address literal;
	bool is_literal;

	text_add(&text, is_ipv6 ? STR("[") : STR(""));
	text_add(&text, host);
	text_add(&text, is_ipv6 ? STR("]:") : STR(":"));
	text_add_u64(&text, port);
	if (text.overflow)
		return NULL;
	key[text.len] = '\0';
	for (size_t i = 0; i < text.len; i++)
		key[i] = ascii_lower(key[i]);
	target = target_find(worker, direction, key, text.len);
	if (target)
		return target;
	target = target_create(
		worker, direction, key, direction == INBOUND ? key : PASSTHROUGH);
	if (!target)
		return NULL;
	target->host = strndup(host.ptr, host.len);
	target->number = port;
	is_literal = target->host && address_parse(target->host, port, &literal);
	if (!target->host ||
		(!is_literal && may_be && !discovery_begin(target, may_be))) {
		target_unlist(target);
		return NULL;
	}
	if (is_literal) {
		target->resolved_ms = UINT64_MAX;
		address_known(target, &literal, 1);
	}
	return target;
}

void target_host_follow(struct target *target)
{
	union address literal;

	if (address_parse(target->host, target->number, &literal))
		address_known(target, &literal, 1);
}

static void on_resolved(
	void *arg, const union address *addresses, int n, const char *problem)
{
	struct target *target = arg;

	target->resolve = NULL;
	target->resolved_ms = loop_ms(&target->worker->loop);
	target->is_stale = false;
	if (n > 0)
		address_known(target, addresses, n);
	else
		target->problem = problem;
	if (target->is_stale)
		target->resolved_ms = 0; /* the answer is lost: it is looked up again */
	target_wake(target);
}

enum target_state target_host_prepare(struct target *target)
{
	uint64_t now = loop_ms(&target->worker->loop);
	uint64_t fresh_ms = target->problem ? DNS_RETRY_MS : DNS_FRESH_MS;

	if (target->number == 0) {
		target->problem = "a named port of a service that is not known";
		return TARGET_FAILED;
	}
	if (!target->resolve && (target->resolved_ms == 0 ||
					(target->resolved_ms != UINT64_MAX &&
						now - target->resolved_ms >= fresh_ms))) {
		target->resolve = resolve_start(&target->worker->loop, target->host,
			target->number, on_resolved, target);
		if (!target->resolve && target->n_endpoints == 0)
			return TARGET_NO_RESOURCES;
	}
	if (target->n_endpoints > 0)
		return TARGET_READY;
	return target->resolve ? TARGET_WAIT : TARGET_FAILED;
}
