/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of names: labels, services, topology keys. */
#include <string.h>

#include "config/option.h"
#include "config/types.h"
#include "config/words.h"

static bool label_parse(struct option_parser *parser, char *text, void *item)
{
	struct config_label *label = item;
	char *equals = strchr(text, '=');

	if (!equals)
		return option_fail(parser, "no '='");
	*equals = '\0';
	if (!word_is_qualified_name(text))
		return option_fail(parser, "the key is not one of a label");
	if (!word_is_label_value(equals + 1))
		return option_fail(parser, "the value is not one of a label");
	label->key = text;
	label->value = equals + 1;
	return true;
}

static void label_print(const void *item, FILE *out)
{
	const struct config_label *label = item;

	fprintf(out, "%s=%s", label->key, label->value);
}

static bool labels_check(struct option_parser *parser, const struct option_list *list)
{
	const struct config_label *labels = list->items;

	for (size_t i = 0; i < list->n_items; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(labels[i].key, labels[k].key) == 0) {
				parser->item = labels[i].key;
				return option_fail(parser, "twice");
			}
		}
	}
	return true;
}

const struct option_type type_LABELS = {
	.want = "list of KEY=VALUE",
	.parse = label_parse,
	.print = label_print,
	.item_size = sizeof(struct config_label),
	.max_items = OPTION_MAX_ITEMS,
	.check = labels_check,
};

static bool service_parse(struct option_parser *parser, char *text, void *item)
{
	struct config_service *service = item;
	char *dot = strchr(text, '.');

	if (dot)
		*dot = '\0';
	service->name = text;
	service->namespace_ = dot ? dot + 1 : NULL;
	if (!word_is_dns_label(text) || (dot && !word_is_dns_label(dot + 1)))
		return option_fail(parser, "not the name of a service");
	return true;
}

static void service_print(const void *item, FILE *out)
{
	const struct config_service *service = item;

	fputs(service->name, out);
	if (service->namespace_)
		fprintf(out, ".%s", service->namespace_);
}

const struct option_type type_SERVICES = {
	.want = "list of NAME[.NAMESPACE]",
	.parse = service_parse,
	.print = service_print,
	.item_size = sizeof(struct config_service),
	.max_items = OPTION_MAX_ITEMS,
};

static bool topology_key_parse(struct option_parser *parser, char *text, void *item)
{
	*(char **)item = text;
	if (strcmp(text, "*") != 0 && !word_is_qualified_name(text))
		return option_fail(parser, "neither the key of a label nor *");
	return true;
}

static void topology_key_print(const void *item, FILE *out)
{
	fputs(*(char *const *)item, out);
}

/* What the API server of Kubernetes 1.17 to 1.21 accepted in spec.topologyKeys. */
static bool topology_keys_check(
	struct option_parser *parser, const struct option_list *list)
{
	char *const *keys = list->items;

	for (size_t i = 0; i < list->n_items; i++) {
		parser->item = keys[i];
		for (size_t k = 0; k < i; k++) {
			if (strcmp(keys[i], keys[k]) == 0)
				return option_fail(parser, "twice");
		}
		if (strcmp(keys[i], "*") == 0 && i + 1 < list->n_items)
			return option_fail(parser, "not the last");
	}
	return true;
}

const struct option_type type_TOPOLOGY_KEYS = {
	.want = "list of at most 16 label keys, the last may be *",
	.parse = topology_key_parse,
	.print = topology_key_print,
	.item_size = sizeof(char *),
	.max_items = 16,
	.check = topology_keys_check,
};
