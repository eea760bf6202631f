/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints file: Lists of slices, services and nodes. A text that is refused changes
 * nothing; one that is taken gives a snapshot in which every endpoint that may be used
 * can be dialled, and which can be explained.
 */
#include "fuzz.h"
#include "topo/explain.h"
#include "topo/store.h"
#include "topo/topo.h"

static const char *const keys[] = {TOPO_LABEL_HOSTNAME, TOPO_LABEL_ZONE, "rack", "*"};
static const struct topo_policy policy = {.namespace_ = "shop",
	.cluster_domain = "cluster.local",
	.keys = keys,
	.n_keys = 4};
static const struct topo_self self = {.node_name = "n1", .pod_ip = "10.0.0.1"};
static FILE *nowhere;

static void check_port(const struct topo_port *port)
{
	uint32_t n = 0;

	CHECK(port->reason != NULL);
	CHECK((port->n_tiers > 0) == (port->domain != NULL));
	for (uint32_t t = 0; t < port->n_tiers; t++) {
		const struct topo_tier *tier = &port->tiers[t];

		CHECK(tier->first == n && tier->n_endpoints > 0);
		n += tier->n_endpoints;
		CHECK(n <= port->n_endpoints);
		for (uint32_t i = tier->first; i < n; i++) {
			const struct topo_endpoint *endpoint = &port->endpoints[i];

			CHECK(endpoint->tier == (int)t && endpoint->port > 0);
			CHECK(endpoint->state == TOPO_READY ||
				endpoint->state == TOPO_SERVING);
			CHECK(endpoint->addr.sa.sa_family == AF_INET ||
				endpoint->addr.sa.sa_family == AF_INET6);
		}
	}
	for (; n < port->n_endpoints; n++)
		CHECK(port->endpoints[n].tier == TOPO_TIER_NEVER &&
			port->endpoints[n].why);
}

static void check_topo(const struct topo *topo)
{
	for (size_t i = 0; i < topo_n_services(topo); i++) {
		const struct topo_service *service = topo_service_at(topo, i);

		CHECK(topo_find(topo, service->namespace_, service->name) == service);
		for (uint32_t k = 0; k < service->n_ports; k++) {
			struct explain_settings settings = {
				.out = nowhere, .err = nowhere, .json = k & 1};
			char name[300];

			check_port(&service->ports[k]);
			snprintf(name, sizeof(name), "%s:%u", service->full_name,
				service->ports[k].number);
			(void)explain_print(topo, &policy, name, &settings);
		}
	}
}

static void check_build(const struct topo_store *store)
{
	struct topo *topo = topo_build(store, &self, &policy);

	check_topo(topo);
	topo_unref(topo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct topo_store *store = topo_store_create();
	struct topo_report report = {0};
	uint64_t version = topo_store_version(store);

	if (!nowhere)
		nowhere = fopen("/dev/null", "we");
	if (topo_store_load(store, (const char *)data, size, &report) == 0) {
		CHECK(!report.error);
		check_build(store);
	} else {
		CHECK(report.error && topo_store_version(store) == version);
	}
	topo_report_fini(&report);
	topo_store_destroy(store);
	return 0;
}
