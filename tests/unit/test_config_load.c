/* SPDX-License-Identifier: Apache-2.0 */
/* From an environment to a configuration: values, origins, rules, and every mistake at
 * once. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "config/option.h"

#define ENV(...) ((char *[]){__VA_ARGS__, NULL})

static struct config config;
static struct config_errors errs;

static int load(char *const *env)
{
	return config_load_from(&config, env, "/nonexistent", &errs);
}

static void unload(void)
{
	config_fini(&config);
	config_errors_fini(&errs);
}

static void expect_good(char *const *env)
{
	cr_expect_eq(load(env), 0, "%s: %s", env[0], errs.n_lines ? errs.lines[0] : "");
}

/* One mistake, told with exactly this line. */
static void expect_line(char *const *env, const char *line)
{
	cr_expect_eq(load(env), CONFIG_INVALID, "%s", line);
	cr_expect_eq(errs.n_lines, 1, "%zu lines for %s", errs.n_lines, line);
	if (errs.n_lines > 0)
		cr_expect_str_eq(errs.lines[0], line);
	unload();
}

Test(config_load, an_empty_environment_gives_the_defaults)
{
	expect_good((char *[]){NULL});
	cr_expect_str_eq(config.outbound.host, "localhost");
	cr_expect_eq(config.outbound.port, 15001);
	cr_expect_null(config.admin.host);
	cr_expect_eq(config.admin.port, 15020);
	cr_expect_eq(config.inbound.n_items, 0);
	cr_expect_null(config.inbound.items);
	cr_expect_eq(config.endpoints.source, ENDPOINTS_AUTO);
	cr_expect_str_eq(config.namespace_, "default");
	cr_expect_null(config.zone);
	cr_expect_eq(config.topology_keys.n_items, 3);
	cr_expect_eq(config.max_requests, 1000);
	cr_expect_eq(config.idle_timeout_ms, 60000);
	cr_expect_eq(config.max_header_bytes, 65536);
	cr_expect_eq(config.workers, 0);
	cr_expect_eq(config.log_level, CONFIG_LOG_INFO);
	for (size_t i = 0; i < CONFIG_N_ROWS; i++)
		cr_expect_eq(config.origin[i], CONFIG_FROM_DEFAULT);
	unload();
}

Test(config_load, values_reach_their_members)
{
	expect_good(ENV("NIGH_INBOUND=8080=8081,[::1]:90=app:91/tcp", "PATH=/bin",
		"novalue", "NIGH_ROUTES=9000=orders.shop:web/tcp,9001=users:80",
		"NIGH_OUTBOUND=off", "NIGH_ENDPOINTS=file:/etc/endpoints.json",
		"NIGH_SERVICE=a.b,c", "NIGH_NODE_LABELS=rack=r1,x=", "NIGH_WORKERS=3",
		"NIGH_ACCESS_LOG=errors", "NIGH_MAX_CONNECTION_AGE=2h"));
	cr_expect_eq(config.inbound.n_items, 2);
	cr_expect_null(config.inbound.items[0].listen.host);
	cr_expect_eq(config.inbound.items[0].listen.port, 8080);
	cr_expect_str_eq(config.inbound.items[0].host, "127.0.0.1");
	cr_expect_eq(config.inbound.items[0].port, 8081);
	cr_expect_eq(config.inbound.items[0].protocol, PROTOCOL_HTTP);
	cr_expect_str_eq(config.inbound.items[1].listen.host, "::1");
	cr_expect_str_eq(config.inbound.items[1].host, "app");
	cr_expect_eq(config.inbound.items[1].protocol, PROTOCOL_TCP);
	cr_expect_str_eq(config.routes.items[0].service, "orders");
	cr_expect_str_eq(config.routes.items[0].namespace_, "shop");
	cr_expect_str_eq(config.routes.items[0].port, "web");
	cr_expect_null(config.routes.items[1].namespace_);
	cr_expect(config.outbound.off);
	cr_expect_eq(config.endpoints.source, ENDPOINTS_FILE);
	cr_expect_str_eq(config.endpoints.path, "/etc/endpoints.json");
	cr_expect_str_eq(config.service.items[0].namespace_, "b");
	cr_expect_null(config.service.items[1].namespace_);
	cr_expect_str_eq(config.node_labels.items[1].value, "");
	cr_expect_eq(config.workers, 3);
	cr_expect_eq(config.access_log, CONFIG_ACCESS_ERRORS);
	cr_expect_eq(config.max_connection_age_ms, 7200000);
	cr_expect_eq(config.origin[OPT_workers], CONFIG_FROM_ENVIRONMENT);
	cr_expect_eq(config.origin[OPT_zone], CONFIG_FROM_DEFAULT);
	unload();
}

Test(config_load, empty_and_blank_values_are_unset)
{
	expect_good(ENV("NIGH_ZONE=", "NIGH_NODE_NAME= \t\n",
		"NIGH_MAX_REQUESTS=", "NIGH_TYPO="));
	cr_expect_null(config.zone);
	cr_expect_null(config.node_name);
	cr_expect_eq(config.max_requests, 1000);
	cr_expect_eq(config.origin[OPT_max_requests], CONFIG_FROM_DEFAULT);
	unload();
	expect_good(ENV("NIGH_MAX_REQUESTS= 7\n"));
	cr_expect_eq(config.max_requests, 7);
	unload();
}

Test(config_load, all_mistakes_are_told_at_once)
{
	cr_expect_eq(load(ENV("NIGH_MAX_REQUESTS=-1", "NIGH_IDLE_TIMEOUT=60",
			     "NIGH_BOGUS=1", "NIGH_INBOUND=1=2,3", "NIGH_ROUTES=80=a:80",
			     "NIGH_ADMIN=80", "NIGH_DRAIN_DELAY=30s")),
		CONFIG_INVALID);
	cr_expect_eq(errs.n_lines, 6);
	unload();
}

Test(config_load, every_bad_item_of_a_list_is_told)
{
	cr_expect_eq(load(ENV("NIGH_NODE_LABELS=a=b,=c,,zz,d=e")), CONFIG_INVALID);
	cr_assert_eq(errs.n_lines, 3);
	cr_expect(strstr(errs.lines[0], "'=c'") && strstr(errs.lines[1], "''") &&
		  strstr(errs.lines[2], "'zz'"));
	unload();
}

Test(config_load, mistakes_have_one_form)
{
	expect_line(ENV("NIGH_MAX_REQUESTS=-1"),
		"NIGH_MAX_REQUESTS='-1': want 0..1000000 requests");
	expect_line(ENV("NIGH_IDLE_TIMEOUT=60"), "NIGH_IDLE_TIMEOUT='60': want 10ms..24h "
						 "(a whole number and ms, s, m or h)");
	expect_line(ENV("NIGH_MAX_HEADER_BYTES=99999999999999999999"),
		"NIGH_MAX_HEADER_BYTES='99999999999999999999': want 1KiB..1MiB (too "
		"large)");
	expect_line(ENV("NIGH_LOG_LEVEL=loud"),
		"NIGH_LOG_LEVEL='loud': want error|warn|info|debug");
	expect_line(
		ENV("NIGH_WORKERS=0"), "NIGH_WORKERS='0': want auto or 1..64 workers");
	expect_line(ENV("NIGH_ROUTES=1=a:2, 3=b"),
		"NIGH_ROUTES='1=a:2, 3=b': want list of "
		"[ADDR:]PORT=SERVICE[.NAMESPACE]:PORT[/http|tcp] "
		"('3=b': no service and port after the '=')");
	expect_line(ENV("NIGH_ZONE=a\x01\xff\n'"),
		"NIGH_ZONE='a\\x01\\xff\\x0a'': want value of a Kubernetes label");
	expect_line(ENV("NIGH_INBUOND=80=81"),
		"NIGH_INBUOND='80=81': no such variable; did you mean NIGH_INBOUND?");
}

Test(config_load, a_long_value_makes_a_short_line)
{
	static char variable[200000] = "NIGH_ZONE=";
	static char name[200000] = "NIGH_";

	memset(variable + strlen(variable), 'z', 150000);
	cr_expect_eq(load(ENV(variable)), CONFIG_INVALID);
	cr_expect_lt(strlen(errs.lines[0]), 200);
	unload();
	memset(name + strlen(name), 'Z', 1500);
	strcat(name, "=1");
	cr_expect_eq(load(ENV(name)), CONFIG_INVALID);
	unload();
}

Test(config_load, the_nearest_name_is_suggested)
{
	static const struct {
		char *variable;
		const char *name;
	} rows[] = {
		{"NIGH_MAX_REQUEST=1", "NIGH_MAX_REQUESTS?"},
		{"NIGH_=1", "NIGH_ZONE?"},
		{"NIGH_IDLE_TIMEOUT_MS=1", "NIGH_IDLE_TIMEOUT?"},
		{"NIGH_ZONES=a", "NIGH_ZONE?"},
		{"NIGH_zone=a", "NIGH_ZONE?"},
		{"NIGH_MAX_CONNECTION_AGES=1m", "NIGH_MAX_CONNECTION_AGE?"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cr_expect_eq(load(ENV(rows[i].variable)), CONFIG_INVALID);
		cr_expect(errs.n_lines == 1 && strstr(errs.lines[0], rows[i].name), "%s",
			errs.n_lines ? errs.lines[0] : rows[i].variable);
		unload();
	}
}

Test(config_load, service_links_are_no_mistakes)
{
	expect_good(ENV("NIGH_SERVICE_HOST=10.0.0.7", "NIGH_SERVICE_PORT=80",
		"NIGH_SERVICE_PORT_HTTP_WEB=80", "NIGH_PORT=tcp://10.0.0.7:80",
		"NIGH_PORT_80_TCP=tcp://10.0.0.7:80", "NIGH_PORT_80_TCP_PROTO=tcp",
		"NIGH_PORT_80_TCP_PORT=80", "NIGH_PORT_80_TCP_ADDR=10.0.0.7",
		"NIGH_PORT_53_UDP=udp://[fd00::7]:53", "NIGH_PORT_53_UDP_ADDR=fd00::7",
		"NIGH_ADMIN_SERVICE_HOST=10.0.0.8",
		"NIGH_ADMIN_PORT=tcp://10.0.0.8:15020",
		"NIGH_ADMIN_PORT_15020_TCP_ADDR=10.0.0.8"));
	unload();
	cr_expect_eq(
		load(ENV("NIGH_SERVICE_HOST=orders", "NIGH_SERVICE_PORT=web",
			"NIGH_PORT=8080", "NIGH_ADMIN_PORT=15020",
			"NIGH_PORT_80_TCP_ADDR=x", "NIGH_PORT_80_QUIC=tcp://1.2.3.4:80")),
		CONFIG_INVALID);
	cr_expect_eq(errs.n_lines, 6);
	unload();
}

/* Else the link of a Service named like us would set the option. */
Test(config_load, no_option_has_the_name_of_a_service_link)
{
	static const char *const parts[] = {"_PORT", "_SERVICE_HOST", "_SERVICE_PORT"};

	for (size_t i = 0; i < CONFIG_N_ROWS; i++) {
		const char *name = config_options[i].name;

		for (size_t k = 0; name && k < sizeof(parts) / sizeof(*parts); k++)
			cr_expect_null(strstr(name, parts[k]), "%s", name);
	}
}

Test(config_load, the_namespace_comes_from_the_service_account)
{
	static const struct {
		const char *content, *variable, *name;
		enum config_origin origin;
	} rows[] = {
		{"shop", "NIGH_NAMESPACE=", "shop", CONFIG_FROM_SERVICE_ACCOUNT},
		{"shop\n", "NIGH_NAMESPACE=", "shop", CONFIG_FROM_SERVICE_ACCOUNT},
		{"shop", "NIGH_NAMESPACE=mine", "mine", CONFIG_FROM_ENVIRONMENT},
		{"", "NIGH_NAMESPACE=", "default", CONFIG_FROM_DEFAULT},
		{"Bad Name", "NIGH_NAMESPACE=", "default", CONFIG_FROM_DEFAULT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char path[] = "/tmp/nigh-namespace-XXXXXX";
		int fd = mkstemp(path);

		cr_assert_geq(write(fd, rows[i].content, strlen(rows[i].content)), 0);
		close(fd);
		cr_expect_eq(config_load_from(
				     &config, ENV((char *)rows[i].variable), path, &errs),
			0);
		cr_expect_str_eq(config.namespace_, rows[i].name);
		cr_expect_eq(config.origin[OPT_namespace_], rows[i].origin);
		unlink(path);
		unload();
	}
}

Test(config_load, a_listening_port_is_taken_once)
{
	static char *const bad[][2] = {
		{"NIGH_INBOUND=80=81,80=82", "NIGH_ZONE="},
		{"NIGH_INBOUND=15020=81", "NIGH_ZONE="},
		{"NIGH_INBOUND=10.0.0.1:15020=81", "NIGH_ZONE="},
		{"NIGH_OUTBOUND=15020", "NIGH_ZONE="},
		{"NIGH_ROUTES=127.0.0.1:15001=a:80", "NIGH_ZONE="},
		{"NIGH_ROUTES=[::1]:15001=a:80", "NIGH_ZONE="},
		{"NIGH_ROUTES=0.0.0.0:15001=a:80", "NIGH_ZONE="},
		{"NIGH_ROUTES=[::]:15001=a:80", "NIGH_ZONE="},
		{"NIGH_ROUTES=0.0.0.0:80=a:80", "NIGH_INBOUND=10.0.0.1:80=81"},
		{"NIGH_ROUTES=[0::1]:80=a:80", "NIGH_INBOUND=[::1]:80=81"},
	};
	static char *const good[][2] = {
		{"NIGH_INBOUND=0=81,0=82,0=83", "NIGH_OUTBOUND=0"},
		{"NIGH_INBOUND=10.0.0.1:80=81", "NIGH_ROUTES=127.0.0.1:80=a:80"},
		{"NIGH_INBOUND=0.0.0.0:80=81", "NIGH_ROUTES=[::]:80=a:80"},
		{"NIGH_INBOUND=10.0.0.1:15001=81", "NIGH_ROUTES=10.0.0.2:15001=a:80"},
		{"NIGH_INBOUND=15001=81", "NIGH_OUTBOUND=off"},
		{"NIGH_INBOUND=127.0.0.2:80=81", "NIGH_ROUTES=localhost:80=a:80"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_expect_eq(load(ENV(bad[i][0], bad[i][1])), CONFIG_INVALID, "%s %s",
			bad[i][0], bad[i][1]);
		cr_expect_eq(errs.n_lines, 1, "%s %s", bad[i][0], bad[i][1]);
		unload();
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		expect_good(ENV(good[i][0], good[i][1]));
		unload();
	}
	expect_line(ENV("NIGH_ADMIN=15001"),
		"NIGH_ADMIN='15001': want to listen elsewhere "
		"than on port 15001 of NIGH_OUTBOUND");
}

Test(config_load, the_application_is_not_nigh_itself)
{
	expect_line(ENV("NIGH_INBOUND=80=80"),
		"NIGH_INBOUND='80=80': want the application "
		"behind it, not nigh's own port 80 of NIGH_INBOUND");
	expect_line(ENV("NIGH_INBOUND=80=localhost:15020"),
		"NIGH_INBOUND='80=localhost:15020': want the application behind it, not "
		"nigh's "
		"own port 15020 of NIGH_ADMIN");
	expect_line(ENV("NIGH_INBOUND=80=10.0.0.1:80", "NIGH_POD_IP=10.0.0.1"),
		"NIGH_INBOUND='80=10.0.0.1:80': want the application behind it, not "
		"nigh's own "
		"port 80 of NIGH_INBOUND");
	expect_good(ENV("NIGH_INBOUND=10.0.0.1:80=80"));
	unload();
	expect_good(ENV("NIGH_INBOUND=80=10.0.0.2:80"));
	unload();
}

Test(config_load, the_drain_delay_is_part_of_the_drain)
{
	expect_line(ENV("NIGH_DRAIN_DELAY=30s"),
		"NIGH_DRAIN_DELAY='30s': want at most NIGH_DRAIN_TIMEOUT='25s'");
	expect_line(ENV("NIGH_DRAIN_DELAY=3s", "NIGH_DRAIN_TIMEOUT=2000ms"),
		"NIGH_DRAIN_DELAY='3s': want at most NIGH_DRAIN_TIMEOUT='2000ms'");
	expect_good(ENV("NIGH_DRAIN_TIMEOUT=2s"));
	cr_expect_eq(config.drain_delay_ms, 2000);
	cr_expect_eq(config.origin[OPT_drain_delay_ms], CONFIG_FROM_OTHER);
	unload();
}

Test(config_load, zone_and_region_come_from_the_labels)
{
	expect_good(ENV("NIGH_NODE_LABELS=topology.kubernetes.io/zone=z1,"
			"topology.kubernetes.io/region=",
		"NIGH_REGION=r1"));
	cr_expect_str_eq(config.zone, "z1");
	cr_expect_eq(config.origin[OPT_zone], CONFIG_FROM_OTHER);
	cr_expect_str_eq(config.region, "r1");
	cr_expect_eq(config.origin[OPT_region], CONFIG_FROM_ENVIRONMENT);
	unload();
	expect_line(
		ENV("NIGH_NODE_LABELS=topology.kubernetes.io/zone=z1", "NIGH_ZONE=z2"),
		"NIGH_ZONE='z2': want the zone of "
		"NIGH_NODE_LABELS='topology.kubernetes.io/zone=z1'");
}

Test(config_load, nothing_to_free_is_fine)
{
	unload();
	unload();
}
