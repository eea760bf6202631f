/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The types that an environment variable can have, as they are in struct config. What
 * reads and prints them is declared in option.h.
 *
 * Owns no memory: whatever a value points at lives in the memory that its parser was
 * given, which is that of one struct config and ends with it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config_memory;
struct sockaddr;

/* What is spoken on a listener; http where nothing is said. */
enum protocol { PROTOCOL_HTTP, PROTOCOL_TCP };

enum endpoints_source {
	ENDPOINTS_AUTO, /* kubernetes inside a cluster, else dns */
	ENDPOINTS_KUBERNETES,
	ENDPOINTS_FILE,
	ENDPOINTS_DNS,
};

enum config_log_level {
	CONFIG_LOG_ERROR,
	CONFIG_LOG_WARN,
	CONFIG_LOG_INFO,
	CONFIG_LOG_DEBUG,
};

enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

enum config_switch { CONFIG_OFF, CONFIG_ON };

enum config_access_log { CONFIG_ACCESS_OFF, CONFIG_ACCESS_ERRORS, CONFIG_ACCESS_ON };

/*
 * Where to listen. host is NULL for every address of both families, "localhost" for both
 * loopbacks, else an IP literal without brackets. Port 0 lets the kernel choose.
 */
struct listen_addr {
	char *host;
	uint16_t port;
	bool off;
};

/* Inbound: host is an IP literal without brackets or a DNS name, never NULL. */
struct inbound_rule {
	struct listen_addr listen;
	char *host;
	uint16_t port;
	enum protocol protocol;
};

/* One listener for one service. namespace_ NULL means NIGH_NAMESPACE; port is 1..65535 in
 * decimal, or the name of a service port. */
struct route_rule {
	struct listen_addr listen;
	char *service;
	char *namespace_;
	char *port;
	enum protocol protocol;
};

/* An address range; the host bits of addr are zero. IPv4 uses the first 4 bytes. */
struct cidr {
	int family; /* AF_INET or AF_INET6 */
	uint8_t addr[16];
	uint8_t n_bits;
};

struct config_endpoints {
	enum endpoints_source source;
	char *path; /* of ENDPOINTS_FILE, else NULL */
};

/* A service by name; namespace_ NULL means NIGH_NAMESPACE. */
struct config_service {
	char *name;
	char *namespace_;
};

struct config_label {
	char *key;
	char *value; /* may be "" */
};

/* Lists: n_items may be 0, items is then NULL. */
struct inbound_list {
	struct inbound_rule *items;
	size_t n_items;
};

struct route_list {
	struct route_rule *items;
	size_t n_items;
};

struct cidr_list {
	struct cidr *items;
	size_t n_items;
};

struct service_list {
	struct config_service *items;
	size_t n_items;
};

struct label_list {
	struct config_label *items;
	size_t n_items;
};

struct string_list {
	char **items;
	size_t n_items;
};

/* The C type behind each type column of options.def: UINT in the row, unsigned in the
 * struct. Strings are NULL when there is neither a value nor a default. */
#define C_TYPE_ACCESS_LOG    enum config_access_log
#define C_TYPE_BYTES         size_t
#define C_TYPE_CIDRS         struct cidr_list
#define C_TYPE_DOMAIN        char *
#define C_TYPE_DURATION      uint64_t
#define C_TYPE_ENDPOINTS     struct config_endpoints
#define C_TYPE_INBOUND       struct inbound_list
#define C_TYPE_IP            char *
#define C_TYPE_LABELS        struct label_list
#define C_TYPE_LABEL_VALUE   char *
#define C_TYPE_LISTEN        struct listen_addr
#define C_TYPE_LOG_FORMAT    enum config_log_format
#define C_TYPE_LOG_LEVEL     enum config_log_level
#define C_TYPE_MEMORY        size_t
#define C_TYPE_NAMESPACE     char *
#define C_TYPE_NODE_NAME     char *
#define C_TYPE_PATH          char *
#define C_TYPE_ROUTES        struct route_list
#define C_TYPE_SERVICES      struct service_list
#define C_TYPE_SWITCH        enum config_switch
#define C_TYPE_TOPOLOGY_KEYS struct string_list
#define C_TYPE_UINT          unsigned
#define C_TYPE_WORKERS       unsigned

/* Whether the range holds the address; an IPv4-mapped IPv6 address counts as IPv4. */
bool cidr_contains(const struct cidr *range, const struct sockaddr *address);
