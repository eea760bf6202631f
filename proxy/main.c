/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and configuration in, one command out. No logic of the proxy is here. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "app.h"
#include "base/log.h"
#include "base/reserve.h"
#include "commands.h"
#include "topo/memory.h"

static const struct command {
	const char *name;
	const char *arguments;
	int (*run)(const struct config *config, int argc, char **argv);
	const char *doc;
} commands[] = {
	{"run", "", command_run, "run the sidecar in the foreground (the default)"},
	{"explain", "SERVICE[:PORT] [--json]", command_explain,
		"which endpoints a new call may use, and why each other one is not used"},
	{"drain", "[--wait]", command_drain,
		"ask the sidecar of this pod to drain; --wait returns when it has"},
	{"config", "[--json|--markdown|--check]", command_config,
		"the resolved configuration: value, default, where it came from"},
	{"reference", "outcomes|admin|metrics", command_reference,
		"the tables of the README, in Markdown"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static void print_usage(FILE *out)
{
	fprintf(out, "Usage:\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  nigh %-9s %-29s %s\n", commands[i].name,
			commands[i].arguments, commands[i].doc);
	fprintf(out, "  nigh --help | --version\n");
}

static void print_help(void)
{
	printf("nigh: a sidecar that sends calls to the nearest endpoints, keeps "
	       "connections "
	       "fresh and loses no request\n\n");
	print_usage(stdout);
	printf("\nEnvironment:\n");
	config_print_help(stdout);
	printf("\nExit status: 0 done or fully drained; 1 work was cut off, or a fault; "
	       "2 bad usage or bad configuration\n");
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct config config;
	struct config_errors errors = {0};
	int status = 2;

	if (config_load(&config, environ, &errors) != 0) {
		for (size_t i = 0; i < errors.n_lines; i++)
			fprintf(stderr, "nigh: %s\n", errors.lines[i]);
	} else {
		log_init((enum log_level)config.log_level,
			config.log_format == CONFIG_LOG_JSON);
		status = command->run(&config, argc, argv);
	}
	config_errors_fini(&errors);
	config_fini(&config);
	return status;
}

/* Who reads what we print must not take a part for the whole. */
static int end_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "nigh: cannot write to the standard output\n");
	return status ? status : 1;
}

/* Whoever starts us may have closed them; what is opened then must not be taken for the
 * place where logs go. */
static void open_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "run";

	open_standard_streams();
	reserve_init(memory_wait);
	event_set_mem_functions(reserve_malloc, reserve_realloc, reserve_free);
	memory_init();
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
		strcmp(name, "help") == 0) {
		print_help();
		return end_output(0);
	}
	if (strcmp(name, "--version") == 0) {
		printf("nigh %s\n", NIGH_VERSION);
		return end_output(0);
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return end_output(run_command(
				&commands[i], argc > 2 ? argc - 2 : 0, argv + 2));
	fprintf(stderr, "nigh: '%s' is no command\n", name);
	print_usage(stderr);
	return 2;
}
