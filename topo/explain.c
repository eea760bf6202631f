/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/explain.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "topo/arena.h"
#include "topo/memory.h"
#include "topo/topo.h"

/* Names to suggest for a service that is not known. */
#define SUGGESTIONS_MAX 3

/* Longer names are no service names: two labels, "svc" and a domain of 255 bytes. */
#define ARGUMENT_MAX_BYTES 512

/* Of a port's name, which is a DNS label. */
#define PORT_NAME_MAX_BYTES 63

/* Edit distance, bounded by the length of service names; for suggestions only. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64];
	size_t n = strlen(b);
	if (n >= sizeof(row) / sizeof(*row))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t best = diagonal + (a[i] != b[j]);
			diagonal = row[j + 1];
			if (diagonal + 1 < best)
				best = diagonal + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

/* Near enough to be meant: the same name elsewhere, or two slips of the finger. */
static bool is_near(const struct topo_service *service, const struct topo_name *name)
{
	return distance(name->name, service->name) <= 2;
}

static void print_unknown(
	FILE *err, const struct topo *topo, const struct topo_name *name)
{
	size_t n_shown = 0;
	fprintf(err, "service %s/%s is not known", name->namespace_, name->name);
	for (size_t i = 0; i < topo_n_services(topo); i++) {
		const struct topo_service *service = topo_service_at(topo, i);
		if (!is_near(service, name) || n_shown == SUGGESTIONS_MAX)
			continue;
		fprintf(err, "%s%s",
			n_shown++ ? ", " : "; near names: ", service->full_name);
	}
}

static void print_ports(FILE *err, const struct topo_service *service)
{
	if (service->n_ports == 0)
		fprintf(err, "none for TCP");
	for (uint32_t i = 0; i < service->n_ports; i++) {
		const struct topo_port *port = &service->ports[i];
		fprintf(err, "%s", i ? ", " : "");
		if (port->number)
			fprintf(err, "%u%s", port->number, *port->name ? " " : "");
		if (*port->name)
			fprintf(err, port->number ? "(%s)" : "%s", port->name);
	}
}

/* The port meant by text, or by no text: the only one, or 80; NULL when there is none. */
static const struct topo_port *find_port(
	const struct topo_service *service, const char *text)
{
	if (!text && service->n_ports == 1)
		return &service->ports[0];
	return topo_service_port(service, text ? text : "80");
}

static void add_text(cJSON *object, const char *name, const char *text)
{
	if (text)
		cJSON_AddStringToObject(object, name, text);
	else
		cJSON_AddNullToObject(object, name);
}

static cJSON *endpoint_json(const struct topo_endpoint *endpoint)
{
	cJSON *object = cJSON_CreateObject();
	add_text(object, "address", endpoint->address);
	cJSON_AddNumberToObject(object, "port", endpoint->port);
	add_text(object, "node", endpoint->node);
	add_text(object, "zone", endpoint->zone);
	add_text(object, "state", topo_state_name(endpoint->state));
	cJSON_AddBoolToObject(object, "chosen", endpoint->tier == 0);
	add_text(object, "why", endpoint->why);
	return object;
}

cJSON *explain_json(const struct topo_service *service, const struct topo_port *port)
{
	cJSON *object = cJSON_CreateObject();
	add_text(object, "service", service->full_name);
	if (port->number)
		cJSON_AddNumberToObject(object, "port", port->number);
	else
		add_text(object, "port", port->name);
	add_text(object, "mode", topo_mode_name(port->mode));
	add_text(object, "domain", port->domain);
	add_text(object, "reason", port->reason);
	cJSON *endpoints = cJSON_AddArrayToObject(object, "endpoints");
	for (uint32_t i = 0; i < port->n_endpoints; i++)
		cJSON_AddItemToArray(endpoints, endpoint_json(&port->endpoints[i]));
	return object;
}

static void print_object(FILE *out, cJSON *object)
{
	char *text = cJSON_Print(object);
	fprintf(out, "%s\n", text ? text : "null");
	cJSON_free(text);
	cJSON_Delete(object);
}

static int larger(int width, const char *text)
{
	int len = text ? (int)strlen(text) : 1;
	return len > width ? len : width;
}

/* "10.0.0.1:80" or "[fd00::1]:80". */
static const char *address_text(const struct topo_endpoint *endpoint, char out[64])
{
	bool is_ipv6 = endpoint->addr.sa.sa_family == AF_INET6;
	snprintf(out, 64, is_ipv6 ? "[%s]:%u" : "%s:%u", endpoint->address,
		endpoint->port);
	return out;
}

static void print_table(FILE *out, const struct topo_port *port)
{
	int n_address = 7;
	int n_node = 4;
	int n_zone = 4;
	char text[64];
	for (uint32_t i = 0; i < port->n_endpoints; i++) {
		n_address = larger(n_address, address_text(&port->endpoints[i], text));
		n_node = larger(n_node, port->endpoints[i].node);
		n_zone = larger(n_zone, port->endpoints[i].zone);
	}
	fprintf(out, "\n   %-*s  %-*s  %-*s  %-11s  WHY\n", n_address, "ADDRESS", n_node,
		"NODE", n_zone, "ZONE", "STATE");
	for (uint32_t i = 0; i < port->n_endpoints; i++) {
		const struct topo_endpoint *endpoint = &port->endpoints[i];
		fprintf(out, " %c %-*s  %-*s  %-*s  %-11s  %s\n",
			endpoint->tier == 0 ? '*' : ' ', n_address,
			address_text(endpoint, text), n_node,
			endpoint->node ? endpoint->node : "-", n_zone,
			endpoint->zone ? endpoint->zone : "-",
			topo_state_name(endpoint->state), endpoint->why);
	}
}

static void print_text(
	FILE *out, const struct topo_service *service, const struct topo_port *port)
{
	fprintf(out, "service  %s", service->full_name);
	if (port->number)
		fprintf(out, ":%u", port->number);
	if (*port->name)
		fprintf(out, port->number ? " (%s)" : ":%s", port->name);
	fprintf(out,
		"\nmode     %s\ndomain   %s\nreason   %s\nchosen   %u of %u endpoints\n",
		topo_mode_name(port->mode), port->domain ? port->domain : "none",
		port->reason, port->n_tiers ? port->tiers[0].n_endpoints : 0,
		port->n_endpoints);
	if (port->n_endpoints > 0)
		print_table(out, port);
}

static bool is_number(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0';
}

/* A number, or what a name of a port may consist of. */
static bool is_port(const char *text)
{
	size_t len = strlen(text);
	if (is_number(text))
		return len > 0 && strtoul(text, NULL, 10) - 1 < UINT16_MAX;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
			!(c >= '0' && c <= '9') && (c != '-' || i == 0))
			return false;
	}
	return len <= PORT_NAME_MAX_BYTES;
}

/* NAMESPACE/NAME, as the JSON prints it, or a host name. */
static bool parse_service(
	const char *text, const struct topo_policy *policy, struct topo_name *out)
{
	const char *slash = strchr(text, '/');
	if (!slash)
		return topo_parse_host(text, strlen(text), policy, out);
	char *host = arena_xprintf("%s.%.*s.svc", slash + 1, (int)(slash - text), text);
	bool is_name = topo_parse_host(host, strlen(host), policy, out);
	free(host);
	return is_name;
}

/* No such service or port: a message, and for programs the object without endpoints. */
static enum explain_result print_nothing(const struct explain_settings *settings,
	const struct topo_name *name, const char *port_text, const char *problem)
{
	char full_name[sizeof(name->namespace_) + sizeof(name->name) + 1];

	if (!settings->json) {
		fprintf(settings->err, "%s\n", problem);
		return EXPLAIN_NONE;
	}
	snprintf(full_name, sizeof(full_name), "%s/%s", name->namespace_, name->name);
	cJSON *object = cJSON_CreateObject();
	add_text(object, "service", full_name);
	if (port_text && is_number(port_text))
		cJSON_AddNumberToObject(
			object, "port", (double)strtoul(port_text, NULL, 10));
	else
		add_text(object, "port", port_text);
	add_text(object, "mode", topo_mode_name(TOPO_MODE_NONE));
	add_text(object, "domain", NULL);
	add_text(object, "reason", problem);
	cJSON_AddArrayToObject(object, "endpoints");
	print_object(settings->out, object);
	return EXPLAIN_NONE;
}

static FILE *open_text(char **text, size_t *len)
{
	unsigned n_tries = 0;
	FILE *out;

	while (!(out = open_memstream(text, len)))
		memory_wait(&n_tries);
	return out;
}

/* A text that found no memory to grow in is lost when it is closed. */
static const char *said(const char *text)
{
	return text ? text : "out of memory";
}

static enum explain_result explain_service(const struct topo_service *service,
	const struct topo_name *name, const char *port_text,
	const struct explain_settings *settings)
{
	const struct topo_port *port = find_port(service, port_text);
	bool is_open_question = !port && !port_text && service->n_ports > 1;
	enum explain_result result = EXPLAIN_USAGE;
	char *problem = NULL;
	size_t len = 0;
	FILE *text;

	if (port && settings->json)
		print_object(settings->out, explain_json(service, port));
	else if (port)
		print_text(settings->out, service, port);
	if (port)
		return port->n_tiers ? EXPLAIN_CHOSEN : EXPLAIN_NONE;
	text = open_text(&problem, &len);
	if (is_open_question)
		fprintf(text,
			"which port of service %s? Its ports: ", service->full_name);
	else
		fprintf(text,
			"service %s has no port %s; its ports: ", service->full_name,
			port_text ? port_text : "80");
	print_ports(text, service);
	fclose(text);
	if (is_open_question)
		fprintf(settings->err, "%s\n", said(problem));
	else
		result = print_nothing(settings, name, port_text, said(problem));
	free(problem);
	return result;
}

static enum explain_result explain_unknown(const struct topo *topo,
	const struct topo_name *name, const char *port_text,
	const struct explain_settings *settings)
{
	enum explain_result result;
	char *problem = NULL;
	size_t len = 0;
	FILE *text = open_text(&problem, &len);

	print_unknown(text, topo, name);
	fclose(text);
	result = print_nothing(settings, name, port_text, said(problem));
	free(problem);
	return result;
}

enum explain_result explain_print(const struct topo *topo,
	const struct topo_policy *policy, const char *argument,
	const struct explain_settings *settings)
{
	char text[ARGUMENT_MAX_BYTES];
	struct topo_name name;
	size_t n_host = strcspn(argument, ":");
	const char *port_text = argument[n_host] ? argument + n_host + 1 : NULL;
	const struct topo_service *service;

	snprintf(text, sizeof(text), "%.*s", (int)n_host, argument);
	if (n_host >= sizeof(text) || (port_text && !is_port(port_text)) ||
		!parse_service(text, policy, &name)) {
		fprintf(settings->err, "'%s' is no SERVICE[:PORT]\n", argument);
		return EXPLAIN_USAGE;
	}
	if (!topo)
		return print_nothing(settings, &name, port_text, settings->no_topo);
	service = topo_find(topo, name.namespace_, name.name);
	return service ? explain_service(service, &name, port_text, settings)
		       : explain_unknown(topo, &name, port_text, settings);
}
