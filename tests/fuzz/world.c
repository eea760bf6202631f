/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdlib.h>

#include "base/log.h"
#include "fuzz.h"
#include "topo/store.h"

static const char *const keys[] = {TOPO_LABEL_HOSTNAME, "*"};
const struct topo_policy world_policy = {.namespace_ = "shop",
	.cluster_domain = "cluster.local",
	.keys = keys,
	.n_keys = 2};

static char *const environments[2][8] = {
	{"NIGH_MAX_HEADER_BYTES=1KiB", "NIGH_INBOUND=15080=8080"},
	{"NIGH_MAX_HEADER_BYTES=1KiB", "NIGH_INBOUND=15080=8080", "NIGH_MAX_REQUESTS=2",
		"NIGH_RESPONSE_TIMEOUT=2s", "NIGH_RETRY_BUDGET=100",
		"NIGH_ACCESS_LOG=on"},
};
struct config world_configs[2];

const struct front world_fronts[WORLD_FRONTS] = {
	{.direction = INBOUND, .host = "127.0.0.1", .port = 8080, .side = "inbound"},
	{.direction = OUTBOUND, .side = "outbound"},
	{.direction = OUTBOUND,
		.side = "route",
		.service = "orders",
		.namespace_ = "shop",
		.service_port = "80"},
	{.direction = INBOUND,
		.protocol = PROTOCOL_TCP,
		.host = "127.0.0.1",
		.port = 9000,
		.side = "inbound"},
	{.direction = OUTBOUND,
		.protocol = PROTOCOL_TCP,
		.side = "route",
		.service = "db",
		.namespace_ = "shop",
		.service_port = "5432"},
	{.direction = OUTBOUND,
		.side = "route",
		.service = "unknown",
		.namespace_ = "shop",
		.service_port = "web"},
};

#define SLICE(service, port, addresses)                                                  \
	"{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\","            \
	"\"metadata\":{\"name\":\"" service "-x\",\"namespace\":\"shop\",\"labels\":{"   \
	"\"kubernetes.io/service-name\":\"" service "\"}},\"addressType\":\"IPv4\","     \
	"\"ports\":[{\"name\":\"p\",\"port\":" port "}],\"endpoints\":[" addresses "]}"
#define ENDPOINT(address, node)                                                          \
	"{\"addresses\":[\"" address "\"],\"nodeName\":\"" node "\"}"
#define SERVICE(name, port)                                                              \
	"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"" name     \
	"\",\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":\"10.96.0.1\",\"ports\":["   \
	"{\"name\":\"p\",\"port\":" port "}]}}"

static const char *const endpoints[2] = {
	SERVICE("orders", "80") SERVICE("db", "5432")
		SLICE("db", "5432", ENDPOINT("10.0.0.9", "n1")) SLICE("orders", "8080",
			ENDPOINT("10.0.0.1", "n1") "," ENDPOINT(
				"10.0.0.2", "n1") "," ENDPOINT("10.0.0.3", "n2")),
	SERVICE("orders", "80") SERVICE("db", "5432") SLICE("db", "5432", "")
		SLICE("orders", "8080",
			ENDPOINT("10.0.0.3", "n1") "," ENDPOINT("10.0.0.4", "n3")),
};
struct topo *world_topos[2];

static void hold(void *arg, struct hold *hold)
{
	(void)arg;
	(void)hold;
}

static void release(void *arg, struct hold *hold)
{
	(void)arg;
	free(hold);
}

const struct discovery world_discovery = {.hold = hold, .release = release};

void world_init(void)
{
	static const struct topo_self self = {.node_name = "n1"};

	log_init(LOG_ERROR, false);
	for (int i = 0; i < 2; i++) {
		struct topo_store *store = topo_store_create();
		struct topo_report report = {0};
		struct config_errors errors;

		CHECK(config_load_from(&world_configs[i], environments[i], "/nonexistent",
			      &errors) == 0);
		CHECK(topo_store_load(
			      store, endpoints[i], strlen(endpoints[i]), &report) == 0);
		world_topos[i] = topo_build(store, &self, &world_policy);
		topo_report_fini(&report);
		topo_store_destroy(store);
	}
}
