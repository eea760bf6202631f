/* SPDX-License-Identifier: Apache-2.0 */
/* The admin port's server, asked from another thread. */
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/mailbox.h"
#include "net/web.h"
#include "net_fixture.h"

struct site {
	struct loop loop;
	struct mailbox mailbox;
	struct letter end;
	struct web *web;
	union address address;
};

/* Says what was asked for. */
static void handle(void *arg, const struct web_request *request, struct web_reply *reply)
{
	(void)arg;
	reply->status = strcmp(request->path, "/missing") == 0  ? 404
			: strcmp(request->method, "other") == 0 ? 405
								: 200;
	snprintf(reply->allow, sizeof(reply->allow), "GET, HEAD");
	if (strcmp(request->path, "/empty") != 0)
		fprintf(reply->out, "%s %s %s %d", request->method, request->path,
			request->query ? request->query : "-",
			address_is_loopback(&request->peer));
}

static void site_init(struct site *site)
{
	struct listen_set set;

	*site = (struct site){0};
	cr_assert(loop_init(&site->loop, 100) == 0);
	cr_assert(mailbox_init(&site->mailbox, site->loop.base, site) == 0);
	cr_assert(listen_set_open(&set, "127.0.0.1", 0, false) == 0);
	site->address = set.addrs[0];
	cr_assert(web_start(&site->web, site->loop.base, &set, handle, NULL) == 0);
}

static void site_fini(struct site *site)
{
	web_stop(site->web);
	web_stop(NULL);
	mailbox_fini(&site->mailbox);
	loop_fini(&site->loop);
}

static void on_end(struct letter *letter, void *owner)
{
	(void)letter;
	((struct site *)owner)->loop.stop = true;
}

static void call(struct site *site, const char *method, const char *path, int status,
	const char *expected)
{
	char *body;
	int got = web_call(
		"127.0.0.1", address_port(&site->address), method, path, 5000, &body);

	cr_expect(got == status, "%s %s: %d", method, path, got);
	cr_expect(strcmp(body ? body : "none", expected) == 0, "%s %s: %s", method, path,
		body);
	free(body);
}

/* Everything up to the end of the connection. */
static void exchange(struct site *site, const char *request, char *answer, size_t cap)
{
	int fd = connect_to(&site->address);
	ssize_t n, len = 0;

	cr_assert(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
	while ((n = read(fd, answer + len, cap - 1 - (size_t)len)) > 0)
		len += n;
	answer[len] = '\0';
	close(fd);
}

static void *ask(void *arg)
{
	struct site *site = arg;
	char answer[1024], *end;

	call(site, "GET", "/", 200, "GET / - 1");
	call(site, "GET", "/a?b=c&d", 200, "GET /a b=c&d 1");
	call(site, "POST", "/drain", 200, "POST /drain - 1");
	call(site, "GET", "/missing", 404, "GET /missing - 1");
	call(site, "GET", "/empty", 200, "");
	exchange(site, "HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", answer,
		sizeof(answer));
	end = strstr(answer, "\r\n\r\n");
	cr_expect(end && end[4] == '\0', "a body for HEAD: %s", answer);
	cr_expect(strstr(answer, "\r\nContent-Length: 11\r\n"), "%s", answer);
	cr_expect(!strstr(answer, "\r\nAllow:"), "%s", answer);
	exchange(site, "PUT /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", answer,
		sizeof(answer));
	cr_expect(strncmp(answer, "HTTP/1.1 405 ", 13) == 0, "%s", answer);
	cr_expect(strstr(answer, "\r\nAllow: GET, HEAD\r\n"), "%s", answer);
	site->end.open = on_end;
	mailbox_post(&site->mailbox, &site->end);
	return NULL;
}

Test(net_web, answers)
{
	static struct site site;
	int lowest = lowest_free_fd();
	pthread_t thread;

	site_init(&site);
	cr_assert(pthread_create(&thread, NULL, ask, &site) == 0);
	loop_run(&site.loop);
	pthread_join(thread, NULL);
	site_fini(&site);
	cr_expect(lowest_free_fd() == lowest);
}

Test(net_web, nobody_answers)
{
	union address address;
	char *body;

	close(listen_on_loopback(&address));
	cr_expect(web_call("127.0.0.1", address_port(&address), "GET", "/", 5000,
			  &body) == -ECONNREFUSED);
	cr_expect(!body);
}

/* Without a descriptor for the connection the loop neither spins nor forgets it. */
Test(net_web, no_descriptor_left)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	struct rlimit limit;
	struct site site;
	uint64_t until;
	char answer[512];
	int fd, n_turns = 0;

	site_init(&site);
	fd = connect_to(&site.address);
	cr_assert(write(fd, request, sizeof(request) - 1) > 0);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)lowest_free_fd();
	setrlimit(RLIMIT_NOFILE, &limit);
	for (until = clock_ms() + 200; clock_ms() < until; n_turns++)
		event_base_loop(site.loop.base, EVLOOP_ONCE);
	cr_expect(n_turns < 20, "%d", n_turns);
	limit.rlim_cur += 10;
	setrlimit(RLIMIT_NOFILE, &limit);
	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) <= 0)
		event_base_loop(site.loop.base, EVLOOP_ONCE);
	cr_expect(strncmp(answer, "HTTP/1.0 200 ", 13) == 0, "%.20s", answer);
	close(fd);
	site_fini(&site);
}

Test(net_web, query_values)
{
	static const struct {
		const char *query, *name, *value;
	} rows[] = {
		{NULL, "a", NULL},
		{"", "a", NULL},
		{"a=b", "a", "b"},
		{"a=b&c=d%20e+f", "c", "d e f"},
		{"a=", "a", ""},
		{"ab=c", "a", NULL},
		{"a=1&a=2", "a", "1"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *value = web_query_value(rows[i].query, rows[i].name);

		cr_expect(rows[i].value ? value && strcmp(value, rows[i].value) == 0
					: !value,
			"%s: %s", rows[i].query, value);
		free(value);
	}
}
