/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses to listen on and to dial, and the two lists of rules that pair them:
 *
 *   inbound  [ADDR:]PORT=[HOST:]PORT[/PROTOCOL]
 *   route    [ADDR:]PORT=SERVICE[.NAMESPACE]:PORT[/PROTOCOL]
 *
 * An IPv6 address stands in brackets wherever a port follows it.
 */
#include <string.h>

#include "config/option.h"
#include "config/types.h"
#include "config/words.h"

/* Cut "[HOST:]PORT" in two. *host is NULL when there is none, loses its brackets, and is
 * in canonical spelling when it is an IP address: only then is is_ip set. */
static bool split_port(
	struct option_parser *parser, char *text, char **host, char **port, bool *is_ip)
{
	char *colon = strrchr(text, ':');
	bool in_brackets = text[0] == '[';
	char *ip;

	*host = NULL;
	*is_ip = false;
	*port = colon ? colon + 1 : text;
	if (!colon || colon == text)
		return true;
	*colon = '\0';
	if (in_brackets) {
		if (colon[-1] != ']')
			return option_fail(parser, "no port after the IPv6 address");
		colon[-1] = '\0';
		text++;
	}
	if (!in_brackets && strchr(text, ':'))
		return option_fail(parser, "an IPv6 address needs brackets");
	ip = word_keep_ip(parser->memory, text);
	if (in_brackets && (!ip || !strchr(ip, ':')))
		return option_fail(parser, "no IPv6 address in the brackets");
	*is_ip = ip;
	*host = ip ? ip : text;
	return true;
}

static bool listen_parse(struct option_parser *parser, char *text, void *value)
{
	struct listen_addr *listen = value;
	char *port;
	bool is_ip;

	*listen = (struct listen_addr){0};
	if (!split_port(parser, text, &listen->host, &port, &is_ip))
		return false;
	if (listen->host && !is_ip && strcmp(listen->host, "localhost") != 0)
		return option_fail(parser, "one listens on an IP address, localhost, or "
					   "on all by no address");
	if (!word_is_port(port, 0, &listen->port))
		return option_fail(parser, "a listening port is 0 to 65535");
	return true;
}

static bool listen_or_off_parse(struct option_parser *parser, char *text, void *value)
{
	if (strcmp(text, "off") == 0) {
		*(struct listen_addr *)value = (struct listen_addr){.off = true};
		return true;
	}
	return listen_parse(parser, text, value);
}

static void host_print(const char *host, FILE *out)
{
	fprintf(out, strchr(host, ':') ? "[%s]" : "%s", host);
}

static void listen_print(const void *value, FILE *out)
{
	const struct listen_addr *listen = value;

	if (listen->off) {
		fputs("off", out);
		return;
	}
	if (listen->host)
		host_print(listen->host, out);
	fprintf(out, ":%u", listen->port);
}

const struct option_type type_LISTEN = {
	.want = "[ADDR:]PORT or off",
	.parse = listen_or_off_parse,
	.print = listen_print,
};

static const char *const protocol_words[] = {
	[PROTOCOL_HTTP] = "http",
	[PROTOCOL_TCP] = "tcp",
};

/* Cut "LISTEN=TARGET[/PROTOCOL]" in three and read all but the target. */
static bool parse_rule(struct option_parser *parser, char *text,
	struct listen_addr *listen, enum protocol *protocol, char **target)
{
	char *equals = strchr(text, '=');
	char *slash;

	if (!equals)
		return option_fail(parser, "no '='");
	*equals = '\0';
	*target = equals + 1;
	*protocol = PROTOCOL_HTTP;
	slash = strrchr(*target, '/');
	if (slash) {
		*slash = '\0';
		if (strcmp(slash + 1, "tcp") == 0)
			*protocol = PROTOCOL_TCP;
		else if (strcmp(slash + 1, "http") != 0)
			return option_fail(
				parser, "the protocol is neither http nor tcp");
	}
	return listen_parse(parser, text, listen);
}

static bool inbound_parse(struct option_parser *parser, char *text, void *item)
{
	struct inbound_rule *rule = item;
	char *target, *port;
	bool is_ip;

	if (!parse_rule(parser, text, &rule->listen, &rule->protocol, &target) ||
		!split_port(parser, target, &rule->host, &port, &is_ip))
		return false;
	if (!rule->host)
		rule->host = config_strdup(parser->memory, "127.0.0.1");
	else if (!is_ip && !word_is_dns_name(rule->host))
		return option_fail(
			parser, "the host is neither an IP address nor a DNS name");
	if (!word_is_port(port, 1, &rule->port))
		return option_fail(parser, "the application's port is 1 to 65535");
	return true;
}

static void inbound_print(const void *item, FILE *out)
{
	const struct inbound_rule *rule = item;

	listen_print(&rule->listen, out);
	fputc('=', out);
	host_print(rule->host, out);
	fprintf(out, ":%u/%s", rule->port, protocol_words[rule->protocol]);
}

const struct option_type type_INBOUND = {
	.want = "list of [ADDR:]PORT=[HOST:]PORT[/http|tcp]",
	.parse = inbound_parse,
	.print = inbound_print,
	.item_size = sizeof(struct inbound_rule),
	.max_items = OPTION_MAX_ITEMS,
};

static bool route_parse(struct option_parser *parser, char *text, void *item)
{
	struct route_rule *rule = item;
	char *dot;
	uint16_t number;
	bool is_ip;

	if (!parse_rule(parser, text, &rule->listen, &rule->protocol, &rule->service) ||
		!split_port(parser, rule->service, &rule->service, &rule->port, &is_ip))
		return false;
	if (!rule->service || is_ip)
		return option_fail(parser, "no service and port after the '='");
	dot = strchr(rule->service, '.');
	if (dot) {
		*dot = '\0';
		rule->namespace_ = dot + 1;
	}
	if (!word_is_dns_label(rule->service))
		return option_fail(parser, "not the name of a service");
	if (rule->namespace_ && !word_is_dns_label(rule->namespace_))
		return option_fail(parser, "not the name of a namespace");
	if (strspn(rule->port, "0123456789") == strlen(rule->port)
			? !word_is_port(rule->port, 1, &number)
			: !word_is_dns_label(rule->port))
		return option_fail(
			parser, "the service's port is 1 to 65535, or its name");
	return true;
}

static void route_print(const void *item, FILE *out)
{
	const struct route_rule *rule = item;

	listen_print(&rule->listen, out);
	fprintf(out, "=%s", rule->service);
	if (rule->namespace_)
		fprintf(out, ".%s", rule->namespace_);
	fprintf(out, ":%s/%s", rule->port, protocol_words[rule->protocol]);
}

const struct option_type type_ROUTES = {
	.want = "list of [ADDR:]PORT=SERVICE[.NAMESPACE]:PORT[/http|tcp]",
	.parse = route_parse,
	.print = route_print,
	.item_size = sizeof(struct route_rule),
	.max_items = OPTION_MAX_ITEMS,
};
