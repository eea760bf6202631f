/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of kube-proxy, case by case. The service is shop/orders; see topo_fixture.h
 * for the form of the endpoints and of the expected tiers ("" is no endpoint). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "topo_fixture.h"

#define NODE_A "kubernetes.io/hostname=a1"
#define ZONE_A "topology.kubernetes.io/zone=a"

struct row {
	const char *name;
	const char *place; /* NODE/ZONE of ours */
	const char *spec;  /* of the Service; NULL for no Service object */
	const char *endpoints;
	const char *mode;
	const char *domain; /* NULL for none */
	const char *tiers;
	const char *reason; /* a part of it; NULL is not looked at */
};

/* clang-format off */
static const struct row hint_rows[] = {
	/* b.2, b.3: zones */
	{"zone hints", "a1/a", "{}", "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", ZONE_A, "1|2", "every ready endpoint has a zone hint"},
	{"zone hints, no Service object", "a1/a", NULL, "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", ZONE_A, "1|2", NULL},
	{"several in the zone", "a1/a", "{}", "1:r:a2:a:z=a 2:r:b1:b:z=b 3:r:a1:a:z=a",
		"hints", ZONE_A, "1 3|2", NULL},
	{"one lacks a hint", "a1/a", "{}", "1:r:a1:a:z=a 2:r:b1:b",
		"hints", "*", "1 2", "10.0.0.2 has no zone hint"},
	{"one has an empty list", "a1/a", "{}", "1:r:a1:a:z=a 2:r:b1:b:z=",
		"hints", "*", "1 2", "10.0.0.2"},
	{"unready one lacks a hint", "a1/a", "{}", "1:r:a1:a:z=a 2:u:b1:b",
		"hints", ZONE_A, "1", NULL},
	{"terminating one lacks a hint", "a1/a", "{}", "1:r:a1:a:z=a 2:s:b1:b",
		"hints", ZONE_A, "1", NULL},
	{"not said is ready and lacks a hint", "a1/a", "{}", "1:r:a1:a:z=a 2:n:b1:b",
		"hints", "*", "1 2", NULL},
	{"not said is ready with a hint", "a1/a", "{}", "1:n:a1:a:z=a 2:n:b1:b:z=b",
		"hints", ZONE_A, "1|2", NULL},
	{"our zone unknown", "a1/-", "{}", "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", "*", "1 2", "our zone is not known"},
	{"all unknown", "-/-", "{}", "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", "*", "1 2", NULL},
	{"nobody for our zone", "c1/c", "{}", "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", "*", "1 2", "hinted for our zone c"},
	{"ours is unready", "a1/a", "{}", "1:u:a1:a:z=a 2:r:b1:b:z=b 3:r:c1:c:z=c",
		"hints", "*", "2 3", NULL},
	{"ours is terminating", "a1/a", "{}", "1:s:a1:a:z=a 2:r:b1:b:z=b",
		"hints", "*", "2", NULL},
	{"the hint counts, not the zone", "a1/a", "{}", "1:r:b1:b:z=a 2:r:a1:a:z=b",
		"hints", ZONE_A, "1|2", NULL},
	{"several zones in one hint", "a1/a", "{}", "1:r:b1:b:z=c+a 2:r:b2:b:z=b",
		"hints", ZONE_A, "1|2", NULL},
	{"unknown zone names", "a1/a", "{}", "1:r:a1:a:z=a+nowhere 2:r:b1:b:z=mars",
		"hints", ZONE_A, "1|2", NULL},
	{"hint without endpoint zone", "a1/a", "{}", "1:r:-:-:z=a 2:r:-:-:z=b",
		"hints", ZONE_A, "1|2", NULL},
	{"case of the zone matters", "a1/A", "{}", "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", "*", "1 2", NULL},
	{"node known, zone hinted", "x9/a", "{}", "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", ZONE_A, "1|2", NULL},
	/* b.2: nodes */
	{"node hints", "a1/a", "{}",
		"1:r:a1:a:z=a:n=a1 2:r:a2:a:z=a:n=a2 3:r:b1:b:z=b:n=b1",
		"hints", NODE_A, "1|2|3", "node hint"},
	{"node hints only", "a1/a", "{}", "1:r:a1:a:n=a1 2:r:a2:a:n=a2",
		"hints", NODE_A, "1|2", NULL},
	{"one lacks a node hint", "a1/a", "{}",
		"1:r:a1:a:z=a:n=a1 2:r:a2:a:z=a 3:r:b1:b:z=b:n=b1",
		"hints", ZONE_A, "1 2|3", NULL},
	{"nobody for our node", "a9/a", "{}", "1:r:a1:a:z=a:n=a1 2:r:b1:b:z=b:n=b1",
		"hints", ZONE_A, "1|2", NULL},
	{"node hints only, none ours", "a9/a", "{}", "1:r:a1:a:n=a1 2:r:b1:b:n=b1",
		"hints", "*", "1 2", "has no zone hint"},
	{"our node unknown", "-/a", "{}", "1:r:a1:a:z=a:n=a1 2:r:b1:b:z=b:n=b1",
		"hints", ZONE_A, "1|2", NULL},
	{"our node's is unready", "a1/a", "{}",
		"1:u:a1:a:z=a:n=a1 2:r:a2:a:z=a:n=a2 3:r:b1:b:z=b:n=b1",
		"hints", ZONE_A, "2|3", NULL},
	{"zone unknown, node hinted", "a1/-", "{}",
		"1:r:a1:a:z=a:n=a1 2:r:b1:b:z=b:n=b1",
		"hints", NODE_A, "1|2", NULL},
	{"several nodes in one hint", "a1/a", "{}", "1:r:b1:b:n=b1+a1 2:r:a1:a:n=b1",
		"hints", NODE_A, "1|2", NULL},
	{"unready one lacks a node hint", "a1/a", "{}", "1:r:a1:a:n=a1 2:u:a2:a:z=a",
		"hints", NODE_A, "1", NULL},
	{"no node, no zone for us", "c1/c", "{}", "1:r:a1:a:z=a:n=a1 2:r:b1:b:z=b:n=b1",
		"hints", "*", "1 2", NULL},
	/* b.6: fallback */
	{"ready and terminating is ready", "a1/a", "{}", "1:p:a1:a:z=a 2:r:b1:b:z=b",
		"hints", ZONE_A, "1|2", NULL},
	{"nothing ready: hints choose none", "a1/a", "{}",
		"1:s:a1:a:z=a 2:s:b1:b:z=b 3:u:a1:a:z=a",
		"hints", "*", "1 2", "nothing is ready"},
	{"nothing ready, one with a hint serves", "a1/a", "{}",
		"1:s:a1:a 2:s:b1:b:n=b1",
		"hints", "*", "1 2", "nothing is ready"},
	{"nothing ready: the unready one's hint does not count", "a1/a", "{}",
		"1:s:a1:a 2:u:b1:b:z=b",
		"defaultKeys", NODE_A, "1", NULL},
	{"serving, not terminating is no fallback", "a1/a", "{}", "1:v:a1:a:z=a",
		"defaultKeys", NULL, "", "service has no ready endpoint"},
	/* trafficDistribution */
	{"distribution with hints", "a1/a", "{\"trafficDistribution\":\"PreferClose\"}",
		"1:r:a1:a:z=a 2:r:b1:b:z=b",
		"trafficDistribution", ZONE_A, "1|2", NULL},
	{"PreferSameZone", "a1/a", "{\"trafficDistribution\":\"PreferSameZone\"}",
		"1:r:a1:a:z=a 2:r:b1:b:z=b",
		"trafficDistribution", ZONE_A, "1|2", NULL},
	{"PreferSameNode", "a1/a", "{\"trafficDistribution\":\"PreferSameNode\"}",
		"1:r:a1:a:z=a:n=a1 2:r:a2:a:z=a:n=a2",
		"trafficDistribution", NODE_A, "1|2", NULL},
	{"the hints decide, not the field", "a1/a",
		"{\"trafficDistribution\":\"PreferSameZone\"}",
		"1:r:a1:a:z=a:n=a1 2:r:a2:a:z=a:n=a2",
		"trafficDistribution", NODE_A, "1|2", NULL},
	{"no hints written", "a1/a", "{\"trafficDistribution\":\"PreferClose\"}",
		"1:r:a1:a 2:r:b1:b",
		"trafficDistribution", "*", "1 2", "no ready endpoint has a hint"},
	{"hints incomplete", "a1/a", "{\"trafficDistribution\":\"PreferClose\"}",
		"1:r:a1:a:z=a 2:r:b1:-",
		"trafficDistribution", "*", "1 2", "10.0.0.2"},
	{"distribution, nothing ready", "a1/a",
		"{\"trafficDistribution\":\"PreferClose\"}",
		"1:s:a1:a:z=a 2:s:b1:b:z=b 3:t:a1:a:z=a",
		"trafficDistribution", "*", "1 2", "nothing is ready"},
	{"distribution, nothing usable", "a1/a",
		"{\"trafficDistribution\":\"PreferClose\"}",
		"1:u:a1:a:z=a 2:t:b1:b:z=b",
		"trafficDistribution", NULL, "", "service has no ready endpoint"},
	{"distribution, no endpoints", "a1/a",
		"{\"trafficDistribution\":\"PreferClose\"}", "",
		"trafficDistribution", NULL, "", "it has no endpoints"},
	{"unknown distribution is none", "a1/a",
		"{\"trafficDistribution\":\"PreferMoon\"}", "1:r:a1:a 2:r:b1:b",
		"defaultKeys", NODE_A, "1|2", NULL},
	{"unknown distribution, hints there", "a1/a",
		"{\"trafficDistribution\":\"PreferMoon\"}", "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", ZONE_A, "1|2", NULL},
	{"headless: hints are not used", "a1/a", "{\"clusterIP\":\"None\"}",
		"1:r:a2:b:z=a 2:r:b1:a:z=b",
		"defaultKeys", ZONE_A, "2|1", NULL},
	{"headless: distribution is not used", "a1/a",
		"{\"clusterIP\":\"None\",\"trafficDistribution\":\"PreferClose\"}",
		"1:r:a1:a 2:r:b1:b",
		"defaultKeys", NODE_A, "1|2", NULL},
	{"external policy does not matter", "a1/a",
		"{\"type\":\"LoadBalancer\",\"externalTrafficPolicy\":\"Local\"}",
		"1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", ZONE_A, "1|2", NULL},
};

#define LOCAL "{\"internalTrafficPolicy\":\"Local\"}"

static const struct row local_rows[] = {
	{"local", "a1/a", LOCAL, "1:r:a1:a 2:r:a2:a 3:r:a1:a",
		"internalTrafficPolicy", NODE_A, "1 3", NULL},
	{"none on this node", "a1/a", LOCAL, "1:r:a2:a 2:r:b1:b",
		"internalTrafficPolicy", NULL, "", "no endpoint on this node"},
	{"hints are not looked at", "a1/a", LOCAL, "1:r:a1:a:z=b 2:r:b1:b:z=a",
		"internalTrafficPolicy", NODE_A, "1", NULL},
	{"distribution is not looked at", "a1/a",
		"{\"internalTrafficPolicy\":\"Local\","
		"\"trafficDistribution\":\"PreferClose\"}",
		"1:r:a2:a:z=a",
		"internalTrafficPolicy", NULL, "", "no endpoint on this node"},
	{"before topology keys", "a1/a",
		"{\"internalTrafficPolicy\":\"Local\",\"topologyKeys\":[\"*\"]}",
		"1:r:a2:a 2:r:a1:a",
		"internalTrafficPolicy", NODE_A, "2", NULL},
	{"local is unready", "a1/a", LOCAL, "1:u:a1:a 2:r:a2:a",
		"internalTrafficPolicy", NULL, "", "no endpoint on this node"},
	{"local is terminating", "a1/a", LOCAL, "1:s:a1:a 2:r:a2:a",
		"internalTrafficPolicy", NODE_A, "1", "nothing on this node is ready"},
	{"ready before terminating", "a1/a", LOCAL, "1:s:a1:a 2:r:a1:a",
		"internalTrafficPolicy", NODE_A, "2", NULL},
	{"local is terminating, not serving", "a1/a", LOCAL, "1:t:a1:a 2:r:a2:a",
		"internalTrafficPolicy", NULL, "", "no endpoint on this node"},
	{"terminating elsewhere only", "a1/a", LOCAL, "1:s:a2:a",
		"internalTrafficPolicy", NULL, "", "no endpoint on this node"},
	{"nothing ready anywhere", "a1/a", LOCAL, "1:u:a2:a 2:t:a1:a",
		"internalTrafficPolicy", NULL, "", "service has no ready endpoint"},
	{"no endpoints", "a1/a", LOCAL, "",
		"internalTrafficPolicy", NULL, "", "it has no endpoints"},
	{"our node unknown", "-/a", LOCAL, "1:r:a1:a",
		"internalTrafficPolicy", NULL, "", "name of our node is not known"},
	{"endpoint without node", "a1/a", LOCAL, "1:r:-:a",
		"internalTrafficPolicy", NULL, "", "no endpoint on this node"},
	{"both without node", "-/-", LOCAL, "1:r:-:-",
		"internalTrafficPolicy", NULL, "", "no endpoint on this node"},
	{"not said is ready", "a1/a", LOCAL, "1:n:a1:a 2:n:b1:b",
		"internalTrafficPolicy", NODE_A, "1", NULL},
	{"Cluster is not Local", "a1/a", "{\"internalTrafficPolicy\":\"Cluster\"}",
		"1:r:a1:a 2:r:b1:b",
		"defaultKeys", NODE_A, "1|2", NULL},
	{"headless: not applied", "a1/a",
		"{\"internalTrafficPolicy\":\"Local\",\"clusterIP\":\"None\"}",
		"1:r:a2:a",
		"defaultKeys", ZONE_A, "1", NULL},
	{"external Local only", "a1/a", "{\"externalTrafficPolicy\":\"Local\"}",
		"1:r:a2:a",
		"defaultKeys", ZONE_A, "1", NULL},
	{"from outside as well", "a1/a",
		"{\"internalTrafficPolicy\":\"Local\",\"type\":\"NodePort\"}",
		"1:r:a2:a",
		"internalTrafficPolicy", NULL, "", NULL},
};

#define KEYS(list) "{\"topologyKeys\":[" list "]}"
#define HOST "\"kubernetes.io/hostname\""
#define ZONE "\"topology.kubernetes.io/zone\""
#define REGION "\"topology.kubernetes.io/region\""

static const struct row key_rows[] = {
	/* a.1 */
	{"hostname", "a1/a", KEYS(HOST), "1:r:a1:a 2:r:a2:a",
		"topologyKeys", NODE_A, "1", NULL},
	{"hostname, none here", "a1/a", KEYS(HOST), "1:r:a2:a 2:r:b1:b",
		"topologyKeys", NULL, "",
		"no endpoint in these domains (keys kubernetes.io/hostname)"},
	{"hostname then zone: host", "a1/a", KEYS(HOST "," ZONE),
		"1:r:a1:a 2:r:a2:a 3:r:b1:b",
		"topologyKeys", NODE_A, "1|2", NULL},
	{"hostname then zone: zone", "a1/a", KEYS(HOST "," ZONE),
		"2:r:a2:a 3:r:b1:b 4:r:a3:a",
		"topologyKeys", ZONE_A, "2 4", NULL},
	{"hostname then zone: none", "a1/a", KEYS(HOST "," ZONE), "3:r:b1:b",
		"topologyKeys", NULL, "",
		"no endpoint in these domains (keys kubernetes.io/hostname, "
		"topology.kubernetes.io/zone)"},
	{"zone then hostname", "a1/a", KEYS(ZONE "," HOST),
		"1:r:a1:a 2:r:a2:a 3:r:b1:b",
		"topologyKeys", ZONE_A, "1 2", NULL},
	{"zone then hostname: never reached", "a1/a", KEYS(ZONE "," HOST),
		"1:r:a1:b 2:r:a2:a",
		"topologyKeys", ZONE_A, "2|1", NULL},
	{"with any: host", "a1/a", KEYS(HOST "," ZONE ",\"*\""),
		"1:r:a1:a 2:r:a2:a 3:r:b1:b",
		"topologyKeys", NODE_A, "1|2|3", NULL},
	{"with any: any", "c1/c", KEYS(HOST "," ZONE ",\"*\""),
		"1:r:a1:a 2:r:a2:a 3:r:b1:b",
		"topologyKeys", "*", "1 2 3", NULL},
	{"any only", "a1/a", KEYS("\"*\""), "1:r:a1:a 2:r:b1:b",
		"topologyKeys", "*", "1 2", NULL},
	{"before hints", "a1/a", KEYS(HOST), "1:r:a1:a:z=b 2:r:b1:b:z=a",
		"topologyKeys", NODE_A, "1", NULL},
	{"unready here lets the next key win", "a1/a", KEYS(HOST "," ZONE),
		"1:u:a1:a 2:r:a2:a",
		"topologyKeys", ZONE_A, "2", NULL},
	{"terminating here lets the next key win", "a1/a", KEYS(HOST "," ZONE),
		"1:s:a1:a 2:r:a2:a",
		"topologyKeys", ZONE_A, "2", NULL},
	{"no fallback to terminating", "a1/a", KEYS(HOST ",\"*\""), "1:s:a1:a 2:s:a2:a",
		"topologyKeys", NULL, "", "service has no ready endpoint"},
	{"not said is ready", "a1/a", KEYS(HOST), "1:n:a1:a",
		"topologyKeys", NODE_A, "1", NULL},
	{"ready and terminating is ready", "a1/a", KEYS(HOST), "1:p:a1:a",
		"topologyKeys", NODE_A, "1", NULL},
	{"no endpoints", "a1/a", KEYS(HOST), "",
		"topologyKeys", NULL, "", "it has no endpoints"},
	{"all unready", "a1/a", KEYS(HOST), "1:u:a1:a",
		"topologyKeys", NULL, "", "service has no ready endpoint"},
	/* a.1, 2: labels of our node unknown */
	{"labels unknown, last is any", "-/-", KEYS(HOST ",\"*\""), "1:r:a1:a 2:r:b1:b",
		"topologyKeys", "*", "1 2", "labels of our node are not known"},
	{"labels unknown, last is not any", "-/-", KEYS(HOST), "1:r:a1:a",
		"topologyKeys", NULL, "", "labels of our node are not known"},
	{"one label unknown is passed over", "a1/-", KEYS(ZONE "," HOST),
		"1:r:a1:a 2:r:a2:a",
		"topologyKeys", NODE_A, "1", NULL},
	{"only the node is known", "a1/-", KEYS(ZONE), "1:r:a1:a",
		"topologyKeys", NULL, "", "no endpoint in these domains"},
	{"only the zone is known", "-/a", KEYS(HOST "," ZONE), "1:r:a1:a 2:r:b1:b",
		"topologyKeys", ZONE_A, "1", NULL},
	{"key that we lack, then any", "a1/a", KEYS("\"rack\",\"*\""),
		"1:r:a1:a 2:r:b1:b",
		"topologyKeys", "*", "1 2", NULL},
	{"key that nobody has", "a1/a", KEYS("\"rack\""), "1:r:a1:a",
		"topologyKeys", NULL, "", "(keys rack)"},
	/* endpoints without a map */
	{"endpoint without node", "a1/a", KEYS(HOST), "1:r:-:a",
		"topologyKeys", NULL, "", NULL},
	{"endpoint without zone", "a1/a", KEYS(ZONE), "1:r:a1:-",
		"topologyKeys", NULL, "", NULL},
	{"without either, any", "a1/a", KEYS(HOST "," ZONE ",\"*\""), "1:r:-:-",
		"topologyKeys", "*", "1", NULL},
	{"values are compared as bytes", "A1/A", KEYS(HOST "," ZONE), "1:r:a1:a",
		"topologyKeys", NULL, "", NULL},
	{"node's name that begins alike", "a1/a", KEYS(HOST), "1:r:a11:a",
		"topologyKeys", NULL, "", NULL},
	{"region without Node objects", "a1/a", KEYS(REGION), "1:r:a1:a",
		"topologyKeys", NULL, "", NULL},
	{"headless: no effect", "a1/a",
		"{\"clusterIP\":\"None\",\"topologyKeys\":[" ZONE "]}",
		"1:r:a1:a 2:r:b1:b",
		"defaultKeys", NODE_A, "1|2", NULL},
	{"before distribution", "a1/a",
		"{\"trafficDistribution\":\"PreferClose\",\"topologyKeys\":[" HOST "]}",
		"1:r:a1:a:z=a 2:r:a2:a:z=a",
		"topologyKeys", NODE_A, "1", NULL},
	/* a.4: what is ignored, and says so */
	{"empty list says nothing", "a1/a", KEYS(""), "1:r:a1:a 2:r:b1:b",
		"defaultKeys", NODE_A, "1|2", NULL},
	{"any is not last", "a1/a", KEYS("\"*\"," HOST), "1:r:a2:a",
		"defaultKeys", ZONE_A, "1", "ignored: '*' may only be the last key"},
	{"twice", "a1/a", KEYS(HOST "," HOST), "1:r:a2:a",
		"defaultKeys", ZONE_A, "1", "occurs twice"},
	{"any twice", "a1/a", KEYS("\"*\",\"*\""), "1:r:a2:a",
		"defaultKeys", ZONE_A, "1", "spec.topologyKeys ignored"},
	{"empty key", "a1/a", KEYS("\"\""), "1:r:a2:a",
		"defaultKeys", ZONE_A, "1", "'' is no label name"},
	{"bad key, hints there", "a1/a", KEYS("\"-x\""), "1:r:a1:a:z=a 2:r:b1:b:z=b",
		"hints", ZONE_A, "1|2", "'-x' is no label name"},
	{"not a string", "a1/a", KEYS("7"), "1:r:a2:a",
		"defaultKeys", ZONE_A, "1", "ignored"},
	{"external Local", "a1/a",
		"{\"externalTrafficPolicy\":\"Local\",\"topologyKeys\":[" HOST "]}",
		"1:r:a2:a",
		"defaultKeys", ZONE_A, "1",
		"forbidden with externalTrafficPolicy: Local"},
};

static const struct row default_rows[] = {
	{"node", "a1/a", "{}", "1:r:a1:a 2:r:a2:a 3:r:b1:b",
		"defaultKeys", NODE_A, "1|2|3",
		"kubernetes.io/hostname=a1 is the first"},
	{"zone", "a1/a", "{}", "2:r:a2:a 3:r:b1:b 4:r:a3:a",
		"defaultKeys", ZONE_A, "2 4|3", NULL},
	{"any", "a1/a", "{}", "3:r:b1:b 4:r:c1:c",
		"defaultKeys", "*", "3 4", NULL},
	{"no Service object", "a1/a", NULL, "1:r:a1:a 2:r:a2:a",
		"defaultKeys", NODE_A, "1|2", NULL},
	{"labels unknown", "-/-", "{}", "1:r:a1:a 2:r:b1:b",
		"defaultKeys", "*", "1 2", "labels of our node are not known"},
	{"unready is left out", "a1/a", "{}", "1:u:a1:a 2:r:a2:a",
		"defaultKeys", ZONE_A, "2", NULL},
	{"terminating is left out", "a1/a", "{}", "1:s:a1:a 2:r:b1:b",
		"defaultKeys", "*", "2", NULL},
	{"nothing ready, near one serves", "a1/a", "{}", "1:s:a2:a 2:s:b1:b 3:t:a1:a",
		"defaultKeys", ZONE_A, "1|2", "nothing is ready"},
	{"nothing ready, far ones serve", "a1/a", "{}", "2:s:b1:b 3:u:a1:a",
		"defaultKeys", "*", "2", NULL},
	{"nothing usable", "a1/a", "{}", "1:u:a1:a 2:t:a2:a 3:v:a1:a",
		"defaultKeys", NULL, "", "service has no ready endpoint"},
	{"no endpoints", "a1/a", "{}", "",
		"defaultKeys", NULL, "", "it has no endpoints"},
	{"hints of unready ones do not count", "a1/a", "{}", "1:r:a1:a 2:u:b1:b:z=b",
		"defaultKeys", NODE_A, "1", NULL},
	{"empty hints are none", "a1/a", "{}", "1:r:a1:a:z= 2:r:b1:b:z=",
		"defaultKeys", NODE_A, "1|2", NULL},
};
/* clang-format on */

static char *make_json(const char *spec, const char *annotation, const char *endpoints)
{
	char *json = NULL;
	size_t len;
	FILE *out = open_memstream(&json, &len);
	fprintf(out, "{\"kind\":\"List\",\"items\":[");
	if (spec) {
		/* The ports go in front of whatever the row says. */
		fprintf(out,
			"{\"kind\":\"Service\",\"metadata\":{\"name\":\"orders\","
			"\"namespace\":\"shop\"%s%s%s},\"spec\":{\"ports\":[{\"name\":"
			"\"http\",\"port\":80}]%s%s},",
			annotation ? ",\"annotations\":{\"nigh/topology-keys\":\"" : "",
			annotation ? annotation : "", annotation ? "\"}" : "",
			strcmp(spec, "{}") ? "," : "", spec + 1);
	}
	fixture_print_slice(out, "orders-1", endpoints);
	fprintf(out, "]}");
	fclose(out);
	return json;
}

static const char *or_none(const char *text)
{
	return text ? text : "(none)";
}

static void check_row(const struct row *row)
{
	char tiers[256];
	char *json = make_json(row->spec, NULL, row->endpoints);
	struct topo *topo = fixture_topo(json, row->place);
	const struct topo_service *service = topo_find(topo, "shop", "orders");
	cr_assert_not_null(service, "%s", row->name);
	const struct topo_port *port =
		topo_service_port(service, row->spec ? "80" : "8080");
	cr_assert_not_null(port, "%s", row->name);
	cr_expect_str_eq(topo_mode_name(port->mode), row->mode, "%s: mode %s", row->name,
		topo_mode_name(port->mode));
	cr_expect_str_eq(or_none(port->domain), or_none(row->domain), "%s: domain %s",
		row->name, or_none(port->domain));
	cr_expect_str_eq(fixture_tiers(port, tiers), row->tiers, "%s: tiers '%s'",
		row->name, tiers);
	cr_expect(!row->reason || strstr(port->reason, row->reason), "%s: reason '%s'",
		row->name, port->reason);
	for (uint32_t i = 0; i < port->n_endpoints; i++)
		cr_expect(port->endpoints[i].why && *port->endpoints[i].why, "%s: no why",
			row->name);
	topo_unref(topo);
	free(json);
}

static void check_rows(const struct row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++)
		check_row(&rows[i]);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(*(rows)))

Test(select, hints)
{
	CHECK_ROWS(hint_rows);
}

Test(select, internal_traffic_policy)
{
	CHECK_ROWS(local_rows);
}

Test(select, topology_keys)
{
	CHECK_ROWS(key_rows);
}

Test(select, default_keys)
{
	CHECK_ROWS(default_rows);
}

struct annotation_row {
	const char *annotation; /* inside a JSON string */
	const char *mode;
	const char *tiers;
	const char *reason;
};

Test(select, annotation)
{
	static const struct annotation_row rows[] = {
		{"kubernetes.io/hostname", "topologyKeys", "1", NULL},
		{" topology.kubernetes.io/zone , * ", "topologyKeys", "1 2|3", NULL},
		{"[\\\"topology.kubernetes.io/zone\\\", \\\"*\\\"]", "topologyKeys",
			"1 2|3", NULL},
		{"*", "topologyKeys", "1 2 3", NULL},
		{"", "defaultKeys", "1|2|3", NULL},
		{"[]", "defaultKeys", "1|2|3", NULL},
		{"a,a", "defaultKeys", "1|2|3",
			"annotation nigh/topology-keys ignored: 'a' occurs twice"},
		{"a,", "defaultKeys", "1|2|3", "'' is no label name"},
		{"[\\\"a\\\"", "defaultKeys", "1|2|3", "not a JSON array"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char tiers[256];
		char *json = make_json("{\"externalTrafficPolicy\":\"Local\"}",
			rows[i].annotation, "1:r:a1:a 2:r:a2:a 3:r:b1:b");
		struct topo *topo = fixture_topo(json, "a1/a");
		const struct topo_port *port =
			topo_service_port(topo_find(topo, "shop", "orders"), "http");
		cr_expect_str_eq(topo_mode_name(port->mode), rows[i].mode, "%s: %s",
			rows[i].annotation, topo_mode_name(port->mode));
		cr_expect_str_eq(fixture_tiers(port, tiers), rows[i].tiers, "%s: %s",
			rows[i].annotation, tiers);
		cr_expect(!rows[i].reason || strstr(port->reason, rows[i].reason),
			"%s: %s", rows[i].annotation, port->reason);
		topo_unref(topo);
		free(json);
	}
}

Test(select, no_default_keys)
{
	struct topo_policy policy = {"shop", "cluster.local", NULL, 0};
	struct topo_self self = {.node_name = "a1", .zone = "a"};
	char tiers[256];
	char *json = make_json("{}", NULL, "1:r:a1:a 2:r:b1:b");
	struct topo_store *store = fixture_load(json);
	struct topo *topo = topo_build(store, &self, &policy);
	const struct topo_port *port =
		topo_service_port(topo_find(topo, "shop", "orders"), "80");
	cr_expect_eq(port->mode, TOPO_MODE_NONE);
	cr_expect_str_eq(port->domain, "*");
	cr_expect_str_eq(fixture_tiers(port, tiers), "1 2");
	topo_unref(topo);
	topo_store_destroy(store);
	free(json);
}

Test(select, hard_default_keys_hold_in_the_fallback_too)
{
	static const char *const keys[] = {TOPO_LABEL_HOSTNAME};
	struct topo_policy policy = {"shop", "cluster.local", keys, 1};
	struct topo_self self = {.node_name = "a1"};
	char *json = make_json("{}", NULL, "1:s:a2:a");
	struct topo_store *store = fixture_load(json);
	struct topo *topo = topo_build(store, &self, &policy);
	const struct topo_port *port =
		topo_service_port(topo_find(topo, "shop", "orders"), "80");
	cr_expect_eq(port->n_tiers, 0);
	cr_expect(strstr(port->reason, "no endpoint in these domains (keys "), "%s",
		port->reason);
	topo_unref(topo);
	topo_store_destroy(store);
	free(json);
}
