/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside config/ only: what is a number, an address, or a name by the rules of
 * Kubernetes. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_memory;

/* Decimal digits only, at least one, at most max. */
bool word_is_number(const char *text, size_t len, uint64_t max, uint64_t *out);

/* A port in decimal, from min (0 or 1) to 65535. */
bool word_is_port(const char *text, uint16_t min, uint16_t *out);

/* 1 to 63 of a-z, 0-9 and '-', the first and the last no '-': namespaces, services,
 * ports. */
bool word_is_dns_label(const char *text);

/* DNS labels with dots between them, 253 characters at most. */
bool word_is_dns_subdomain(const char *text);

/* The same, to be dialled: so that 10.0.0.256 is no name, the last label is no number. */
bool word_is_dns_name(const char *text);

/* A label key: a DNS subdomain and '/' if it has a prefix, then 1 to 63 letters, digits,
 * '-', '_' and '.', the first and the last a letter or digit. */
bool word_is_qualified_name(const char *text);

/* A label value: "", or like the name of a key. */
bool word_is_label_value(const char *text);

/* The family of an IP literal without brackets, or 0; addr has room for 16 bytes. */
int word_is_ip(const char *text, void *addr);

/* The canonical spelling of an IP literal, or NULL when text is none. */
char *word_keep_ip(struct config_memory **memory, const char *text);
