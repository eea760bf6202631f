/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/admin.h"
#include "app.h"
#include "source.h"
#include "topo/explain.h"

#define ADMIN_TIMEOUT_MS 5000
#define POLL_MS          100

static int bad_usage(const char *usage)
{
	fprintf(stderr, "nigh: usage: nigh %s\n", usage);
	return 2;
}

int command_run(const struct config *config, int argc, char **argv)
{
	(void)argv;
	return argc > 0 ? bad_usage("run") : app_run(config);
}

static int explain_from_file(const struct config *config, const char *service, bool json)
{
	struct explain_settings settings = {.out = stdout, .err = stderr, .json = json};
	struct topo_policy policy;
	struct topo *topo = source_read_once(config, config->endpoints.path, json);
	int status;

	if (!topo)
		return 2;
	source_policy(&policy, config);
	status = (int)explain_print(topo, &policy, service, &settings);
	topo_unref(topo);
	return status;
}

/* Everything but unreserved characters as %XX, for a query (RFC 3986 section 2). */
static void encode(char *out, size_t cap, const char *text)
{
	size_t n = 0;

	for (; *text && n + 4 < cap; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			out[n++] = *text;
		else
			n += (size_t)snprintf(
				out + n, cap - n, "%%%02X", (unsigned char)*text);
	}
	out[n] = '\0';
}

static int no_sidecar(const struct config *config)
{
	if (config->admin.off)
		fprintf(stderr, "nigh: NIGH_ADMIN is off: there is nobody to ask\n");
	else
		fprintf(stderr, "nigh: no sidecar answers on NIGH_ADMIN (port %u)\n",
			config->admin.port);
	return 1;
}

static void pause_before_poll(void)
{
	nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
}

/* A service that nobody has called yet is looked for first. */
static int ask_until_known(const struct config *config, const char *path, char **body)
{
	int status = 0;

	for (unsigned waited_ms = 0; waited_ms < ADMIN_TIMEOUT_MS; waited_ms += POLL_MS) {
		status = admin_request(
			&config->admin, "GET", path, ADMIN_TIMEOUT_MS, body);
		if (status != 202)
			break;
		free(*body);
		*body = NULL;
		pause_before_poll();
	}
	return status;
}

static int explain_from_sidecar(
	const struct config *config, const char *service, bool json)
{
	char encoded[1024], path[1100], *body;
	int status;

	encode(encoded, sizeof(encoded), service);
	snprintf(path, sizeof(path), "/explain?service=%s&format=%s", encoded,
		json ? "json" : "text");
	status = ask_until_known(config, path, &body);
	if (status < 0)
		return no_sidecar(config);
	/* What is no explanation is a complaint. */
	fputs(body ? body : "",
		status == 200 || (body && *body == '{') ? stdout : stderr);
	free(body);
	return status == 200 ? 0 : status == 404 ? 1 : 2;
}

int command_explain(const struct config *config, int argc, char **argv)
{
	const char *service = NULL;
	bool json = false;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (argv[i][0] == '-' || service)
			return bad_usage("explain SERVICE[:PORT] [--json]");
		else
			service = argv[i];
	}
	if (!service)
		return bad_usage("explain SERVICE[:PORT] [--json]");
	if (config->endpoints.source == ENDPOINTS_FILE)
		return explain_from_file(config, service, json);
	return explain_from_sidecar(config, service, json);
}

static bool is_drained(const struct config *config, int *status)
{
	char *body;
	bool drained;

	*status = admin_request(&config->admin, "GET", "/drain", ADMIN_TIMEOUT_MS, &body);
	drained = body && strstr(body, "\"drained\"");
	free(body);
	return drained;
}

int command_drain(const struct config *config, int argc, char **argv)
{
	bool wait = argc == 1 && strcmp(argv[0], "--wait") == 0;
	char *body;
	int status;

	if (argc > 0 && !wait)
		return bad_usage("drain [--wait]");
	status = admin_request(&config->admin, "POST", "/drain", ADMIN_TIMEOUT_MS, &body);
	free(body);
	if (status < 0)
		return no_sidecar(config);
	if (status != 200) {
		fprintf(stderr, "nigh: the sidecar answered %d\n", status);
		return 1;
	}
	/* A sidecar that has gone meanwhile has drained. */
	while (wait && !is_drained(config, &status) && status > 0)
		pause_before_poll();
	return 0;
}

int command_config(const struct config *config, int argc, char **argv)
{
	const char *form = argc > 0 ? argv[0] : "";
	bool is_whole = true;

	if (argc > 1)
		return bad_usage("config [--json|--markdown|--check]");
	if (strcmp(form, "") == 0)
		is_whole = config_print_text(config, stdout);
	else if (strcmp(form, "--json") == 0)
		is_whole = config_print_json(config, stdout);
	else if (strcmp(form, "--markdown") == 0)
		is_whole = config_print_markdown(stdout);
	else if (strcmp(form, "--check") != 0)
		return bad_usage("config [--json|--markdown|--check]");
	if (!is_whole)
		fprintf(stderr, "nigh: out of memory\n");
	return is_whole ? 0 : 1;
}

static void print_outcomes(FILE *out)
{
	fputs("| reason | status | `nigh-not-processed` | meaning |\n"
	      "|---|---|---|---|\n",
		out);
	for (int i = 0; i < OUTCOMES; i++) {
		const struct outcome_row *row = &outcome_table[i];

		fprintf(out, "| `%s` | ", row->name);
		if (row->status > 0)
			fprintf(out, "%u", row->status);
		fprintf(out, " | %s | %s |\n", row->safe ? "yes" : "", row->text);
	}
}

int command_reference(const struct config *config, int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} tables[] = {
		{"outcomes", print_outcomes},
		{"admin", admin_print_paths},
		{"metrics", admin_print_metrics},
	};

	(void)config;
	for (size_t i = 0; argc == 1 && i < sizeof(tables) / sizeof(*tables); i++) {
		if (strcmp(argv[0], tables[i].name) == 0) {
			tables[i].print(stdout);
			return 0;
		}
	}
	return bad_usage("reference outcomes|admin|metrics");
}
