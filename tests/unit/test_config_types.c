/* SPDX-License-Identifier: Apache-2.0 */
/* What each type of option reads, what it refuses, and that it prints what it reads. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/option.h"

/* Parse and print again; NULL when refused. For free(). */
static char *reprint(const struct option *row, const char *text)
{
	struct config config = {0};
	struct option_parser parser = {.memory = &config.memory};
	char *member = (char *)&config + row->offset;
	char *printed = NULL;
	size_t len;

	if (option_parse(row, &parser, text, member)) {
		FILE *out = open_memstream(&printed, &len);

		option_print(row, member, out);
		fclose(out);
	}
	config_fini(&config);
	return printed;
}

static void expect_reprint(const struct option *row, const char *text, const char *want)
{
	char *printed = reprint(row, text);

	if (!want)
		cr_expect(!printed, "%s='%.50s' was read as '%s'", row->name, text,
			printed);
	else
		cr_expect(printed && strcmp(printed, want) == 0,
			"%s='%.50s' was read as '%s'", row->name, text,
			printed ? printed : "a mistake");
	free(printed);
}

Test(config_types, every_default_and_bound_prints_as_it_stands)
{
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const struct option *row = &config_options[i];
		const char *texts[] = {row->default_text, row->min, row->max};

		for (size_t k = 0; row->name && k < 3; k++) {
			if (texts[k])
				expect_reprint(row, texts[k], texts[k]);
		}
	}
}

Test(config_types, bounds_come_in_pairs_and_need_an_order)
{
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const struct option *row = &config_options[i];

		cr_expect(!row->min == !row->max, "%s", row->doc);
		cr_expect(!row->min || row->type->compare, "%s", row->doc);
	}
}

static const struct {
	enum config_option option;
	const char *text;
	const char *printed; /* NULL: refused */
} cases[] = {
	/* counts */
	{OPT_max_requests, "1", "1"},
	{OPT_max_requests, "010", "10"},
	{OPT_max_requests, "1000000", "1000000"},
	{OPT_max_requests, "1000001", NULL},
	{OPT_max_requests, "-1", NULL},
	{OPT_max_requests, "+5", NULL},
	{OPT_max_requests, "0x10", NULL},
	{OPT_max_requests, "1e3", NULL},
	{OPT_max_requests, "1.5", NULL},
	{OPT_max_requests, "1 000", NULL},
	{OPT_max_requests, "1_000", NULL},
	{OPT_max_requests, "4294967297", NULL},
	{OPT_max_requests, "18446744073709551617", NULL},
	{OPT_max_requests, "99999999999999999999999999999999999999", NULL},
	{OPT_max_requests, "٣", NULL},
	{OPT_recycle_jitter, "20%", NULL},
	{OPT_recycle_jitter, "101", NULL},
	{OPT_max_connections, "0", NULL},
	{OPT_workers, "auto", "auto"},
	{OPT_workers, "64", "64"},
	{OPT_workers, "65", NULL},
	{OPT_workers, "0", NULL},
	{OPT_workers, "Auto", NULL},

	/* durations */
	{OPT_idle_timeout_ms, "250ms", "250ms"},
	{OPT_idle_timeout_ms, "1500ms", "1500ms"},
	{OPT_idle_timeout_ms, "1000ms", "1s"},
	{OPT_idle_timeout_ms, "90s", "90s"},
	{OPT_idle_timeout_ms, "1m", "60s"},
	{OPT_idle_timeout_ms, "120s", "2m"},
	{OPT_idle_timeout_ms, "60m", "1h"},
	{OPT_idle_timeout_ms, "24h", "24h"},
	{OPT_idle_timeout_ms, "25h", NULL},
	{OPT_idle_timeout_ms, "9ms", NULL},
	{OPT_idle_timeout_ms, "60", NULL},
	{OPT_idle_timeout_ms, "s", NULL},
	{OPT_idle_timeout_ms, "1d", NULL},
	{OPT_idle_timeout_ms, "1 s", NULL},
	{OPT_idle_timeout_ms, "1S", NULL},
	{OPT_idle_timeout_ms, "1h30m", NULL},
	{OPT_idle_timeout_ms, "0.5s", NULL},
	{OPT_idle_timeout_ms, "-5s", NULL},
	{OPT_idle_timeout_ms, "0", NULL},
	{OPT_idle_timeout_ms, "5124095576030431h", NULL}, /* wraps to 15 minutes */
	{OPT_idle_timeout_ms, "99999999999999999999s", NULL},
	{OPT_response_timeout_ms, "0", "0"},
	{OPT_response_timeout_ms, "0s", "0"},
	{OPT_response_timeout_ms, "000", "0"},

	/* sizes */
	{OPT_max_header_bytes, "64KiB", "64KiB"},
	{OPT_max_header_bytes, "1MiB", "1MiB"},
	{OPT_max_header_bytes, "4096", "4KiB"},
	{OPT_max_header_bytes, "5000", "5000"},
	{OPT_max_header_bytes, "1024KiB", "1MiB"},
	{OPT_max_header_bytes, "1GiB", NULL},
	{OPT_max_header_bytes, "64k", NULL},
	{OPT_max_header_bytes, "64KB", NULL},
	{OPT_max_header_bytes, "0", NULL},
	{OPT_max_header_bytes, "18014398509481985KiB", NULL}, /* wraps to 1 KiB */

	/* addresses to listen on */
	{OPT_outbound, "off", "off"},
	{OPT_outbound, "15001", ":15001"},
	{OPT_outbound, ":15001", ":15001"},
	{OPT_outbound, "localhost:0", "localhost:0"},
	{OPT_outbound, "127.0.0.1:65535", "127.0.0.1:65535"},
	{OPT_outbound, "[::1]:80", "[::1]:80"},
	{OPT_outbound, "[0:0::0001]:80", "[::1]:80"},
	{OPT_outbound, "[::]:80", "[::]:80"},
	{OPT_outbound, "65536", NULL},
	{OPT_outbound, "-1", NULL},
	{OPT_outbound, "", NULL},
	{OPT_outbound, ":", NULL},
	{OPT_outbound, "localhost", NULL},
	{OPT_outbound, "localhost:", NULL},
	{OPT_outbound, "host.example:80", NULL},
	{OPT_outbound, "*:80", NULL},
	{OPT_outbound, "::1:80", NULL},
	{OPT_outbound, "[::1]", NULL},
	{OPT_outbound, "[::1]80", NULL},
	{OPT_outbound, "[::1:80", NULL},
	{OPT_outbound, "[127.0.0.1]:80", NULL},
	{OPT_outbound, "[]:80", NULL},
	{OPT_outbound, "]:80", NULL},
	{OPT_outbound, "256.0.0.1:80", NULL},
	{OPT_outbound, "1.2.3:80", NULL},

	/* inbound */
	{OPT_inbound, "8080=8081", ":8080=127.0.0.1:8081/http"},
	{OPT_inbound, "8080=:8081", ":8080=127.0.0.1:8081/http"},
	{OPT_inbound, "0=8081/tcp", ":0=127.0.0.1:8081/tcp"},
	{OPT_inbound, "[::]:80=[::1]:81/http", "[::]:80=[::1]:81/http"},
	{OPT_inbound, "80=app.local:81", ":80=app.local:81/http"},
	{OPT_inbound, " 80=81 ,\n 82=83/tcp,",
		":80=127.0.0.1:81/http,:82=127.0.0.1:83/tcp"},
	{OPT_inbound, "80=81,,82=83", NULL},
	{OPT_inbound, ",80=81", NULL},
	{OPT_inbound, ",", NULL},
	{OPT_inbound, "80", NULL},
	{OPT_inbound, "80=", NULL},
	{OPT_inbound, "=80", NULL},
	{OPT_inbound, "80=0", NULL},
	{OPT_inbound, "80=81=82", NULL},
	{OPT_inbound, "80=81/udp", NULL},
	{OPT_inbound, "80=81/", NULL},
	{OPT_inbound, "80=81/HTTP", NULL},
	{OPT_inbound, "80/tcp=81", NULL},
	{OPT_inbound, "80=127.0.0.999:81", NULL},
	{OPT_inbound, "80=-x:81", NULL},
	{OPT_inbound, "80=::1:81", NULL},
	{OPT_inbound, "off", NULL},

	/* routes */
	{OPT_routes, "81=orders:80", ":81=orders:80/http"},
	{OPT_routes, "81=orders.shop:web/tcp", ":81=orders.shop:web/tcp"},
	{OPT_routes, "[::1]:81=orders.shop:web", "[::1]:81=orders.shop:web/http"},
	{OPT_routes, "81=orders", NULL},
	{OPT_routes, "81=orders:", NULL},
	{OPT_routes, "81=:80", NULL},
	{OPT_routes, "81=80", NULL},
	{OPT_routes, "81=orders:0", NULL},
	{OPT_routes, "81=orders:65536", NULL},
	{OPT_routes, "81=Orders:80", NULL},
	{OPT_routes, "81=orders.:80", NULL},
	{OPT_routes, "81=.shop:80", NULL},
	{OPT_routes, "81=orders.shop.svc:80", NULL},
	{OPT_routes, "81=10.0.0.1:80", NULL},
	{OPT_routes, "81=[::1]:80", NULL},
	{OPT_routes, "81=orders:we_b", NULL},

	/* ranges */
	{OPT_admin_allow, "10.0.0.0/8", "10.0.0.0/8"},
	{OPT_admin_allow, "10.1.2.3/8,fd00::1", "10.0.0.0/8,fd00::1/128"},
	{OPT_admin_allow, "10.1.2.3", "10.1.2.3/32"},
	{OPT_admin_allow, "0.0.0.0/0, ::/0", "0.0.0.0/0,::/0"},
	{OPT_admin_allow, "fd00:ffff::/17", "fd00:8000::/17"},
	{OPT_admin_allow, "10.0.0.0/33", NULL},
	{OPT_admin_allow, "::/129", NULL},
	{OPT_admin_allow, "10.0.0.0/", NULL},
	{OPT_admin_allow, "10.0.0.0/-1", NULL},
	{OPT_admin_allow, "10.0.0.0/8/8", NULL},
	{OPT_admin_allow, "10.0.0/8", NULL},
	{OPT_admin_allow, "localhost", NULL},

	/* names */
	{OPT_endpoints, "dns", "dns"},
	{OPT_endpoints, "kubernetes", "kubernetes"},
	{OPT_endpoints, "file:/etc/x, y", "file:/etc/x, y"},
	{OPT_endpoints, "file:", NULL},
	{OPT_endpoints, "file", NULL},
	{OPT_endpoints, "/etc/x", NULL},
	{OPT_endpoints, "Kubernetes", NULL},
	{OPT_kubeconfig, "/root/.kube/config", "/root/.kube/config"},
	{OPT_kubeconfig, "/a\nb", NULL},
	{OPT_kubeconfig, "/\xff", NULL},
	{OPT_namespace_, "kube-system", "kube-system"},
	{OPT_namespace_, "Shop", NULL},
	{OPT_namespace_, "a.b", NULL},
	{OPT_namespace_, "-a", NULL},
	{OPT_namespace_, "a-", NULL},
	{OPT_cluster_domain, "Cluster.Local.", "cluster.local"},
	{OPT_cluster_domain, ".", NULL},
	{OPT_cluster_domain, "a..b", NULL},
	{OPT_cluster_domain, "a/b", NULL},
	{OPT_node_name, "ip-10-0-0-1.ec2.internal", "ip-10-0-0-1.ec2.internal"},
	{OPT_node_name, "10.0.0.1", "10.0.0.1"},
	{OPT_node_name, "a b", NULL},
	{OPT_zone, "eu-west_1.A", "eu-west_1.A"},
	{OPT_zone, "a/b", NULL},
	{OPT_pod_ip, "10.0.0.1", "10.0.0.1"},
	{OPT_pod_ip, "FD00::1", "fd00::1"},
	{OPT_pod_ip, "[fd00::1]", NULL},
	{OPT_pod_ip, "10.0.0.1,fd00::1", NULL},
	{OPT_service, "a, b.c", "a,b.c"},
	{OPT_service, "a.b.c", NULL},
	{OPT_service, "a:80", NULL},
	{OPT_node_labels, "rack=r1, a.b/c_d=", "rack=r1,a.b/c_d="},
	{OPT_node_labels, "rack", NULL},
	{OPT_node_labels, "=r1", NULL},
	{OPT_node_labels, "a/b/c=d", NULL},
	{OPT_node_labels, "rack=r1=r2", NULL},
	{OPT_node_labels, "rack=r1,rack=r2", NULL},
	{OPT_topology_keys, "*", "*"},
	{OPT_topology_keys, "topology.kubernetes.io/zone , *",
		"topology.kubernetes.io/zone,*"},
	{OPT_topology_keys, "Rack_1", "Rack_1"},
	{OPT_topology_keys, "*,zone", NULL},
	{OPT_topology_keys, "*,*", NULL},
	{OPT_topology_keys, "zone,zone", NULL},
	{OPT_topology_keys, "-zone", NULL},
	{OPT_topology_keys, "A.io/zone", NULL},
	{OPT_topology_keys, "/zone", NULL},
	{OPT_topology_keys, "a/", NULL},
	{OPT_topology_keys, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,*",
		"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,*"},
	{OPT_topology_keys, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,*", NULL},
	{OPT_log_level, "debug", "debug"},
	{OPT_log_level, "INFO", NULL},
	{OPT_access_log, "errors", "errors"},
	{OPT_log_format, "json", "json"},
};

Test(config_types, texts_are_read_or_refused)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_reprint(&config_options[cases[i].option], cases[i].text,
			cases[i].printed);
}

Test(config_types, names_have_their_greatest_length)
{
	char label[65], domain[255];

	memset(label, 'a', 64);
	label[64] = '\0';
	expect_reprint(&config_options[OPT_namespace_], label, NULL);
	expect_reprint(&config_options[OPT_zone], label, NULL);
	expect_reprint(&config_options[OPT_topology_keys], label, NULL);
	expect_reprint(&config_options[OPT_namespace_], label + 1, label + 1);
	expect_reprint(&config_options[OPT_zone], label + 1, label + 1);
	expect_reprint(&config_options[OPT_topology_keys], label + 1, label + 1);

	for (size_t i = 0; i < 254; i++)
		domain[i] = i % 2 ? '.' : 'a';
	domain[253] = 'a';
	domain[254] = '\0';
	expect_reprint(&config_options[OPT_cluster_domain], domain, NULL);
	domain[253] = '\0';
	expect_reprint(&config_options[OPT_cluster_domain], domain, domain);
}

Test(config_types, hostile_texts_are_refused_or_stable)
{
	static char long_text[100001], many_items[100001];
	static const char *const texts[] = {
		long_text,
		many_items,
		"\x01",
		"\xff\xfe",
		"%s%n%s%n",
		"''",
		"\"\\",
		"🦊",
		"\t",
		"=",
		"/",
		":",
		".",
		"-",
		"[",
		"]",
		"[]",
		"=:/",
		":=:",
		",,,,",
		"*",
		"**",
		"file:file:",
		"0",
		"00000000000000000000000000000000000000001",
		"NaN",
		"inf",
		"1e9",
		"1;2",
		"a=b=c,d",
		"[::1%eth0]:80",
		"::ffff:1.2.3.4",
		"../../etc/passwd",
		"${HOME}",
		"$(id)",
		"null",
		"true",
	};

	memset(long_text, '9', 100000);
	for (size_t i = 0; i < 100000; i++)
		many_items[i] = i % 2 ? ',' : '1';
	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const struct option *row = &config_options[i];

		for (size_t k = 0; row->name && k < sizeof(texts) / sizeof(*texts); k++) {
			char *printed = reprint(row, texts[k]);

			if (printed)
				expect_reprint(row, printed, printed);
			free(printed);
		}
	}
}

static bool contains(const char *cidr, const char *address)
{
	struct config config = {0};
	struct option_parser parser = {.memory = &config.memory};
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
	bool result;

	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else if (strcmp(address, "unix") == 0) {
		storage.ss_family = AF_UNIX;
	} else {
		cr_assert_eq(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
	}
	cr_assert(option_parse(
		&config_options[OPT_admin_allow], &parser, cidr, &config.admin_allow));
	result = cidr_contains(config.admin_allow.items, (struct sockaddr *)&storage);
	config_fini(&config);
	return result;
}

Test(config_types, ranges_hold_their_addresses)
{
	static const struct {
		const char *cidr, *address;
		bool is_in;
	} rows[] = {
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"10.0.0.0/9", "10.127.255.255", true},
		{"10.0.0.0/9", "10.128.0.0", false},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.2", false},
		{"0.0.0.0/0", "255.1.2.3", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "10.0.0.1", false},
		{"10.0.0.0/8", "::ffff:10.0.0.1", true},
		{"fd00::/8", "fdff::1", true},
		{"fd00::/8", "fe00::1", false},
		{"fd00::1/127", "fd00::", true},
		{"fd00::1/127", "fd00::2", false},
		{"::/0", "unix", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(contains(rows[i].cidr, rows[i].address), rows[i].is_in,
			"%s in %s", rows[i].address, rows[i].cidr);
}
