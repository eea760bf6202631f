/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines as they come out of a pipe that stands in for standard error. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct capture {
	int saved, out;
};

static struct capture capture_start(enum log_level level, bool json)
{
	struct capture capture = {.saved = dup(2)};
	int ends[2];

	cr_assert(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	cr_assert(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
	dup2(ends[1], 2);
	close(ends[1]);
	capture.out = ends[0];
	log_init(level, json);
	return capture;
}

/* All that was written since; without the time where that is the first word. */
static const char *captured(const struct capture *capture)
{
	static char text[65536];
	ssize_t n, len = 0;

	while ((n = read(capture->out, text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	return text;
}

static const char *without_time(const char *line)
{
	const char *space = strchr(line, ' ');

	cr_expect(
		strlen(line) > 25 && line[4] == '-' && line[10] == 'T' && line[23] == 'Z',
		"%s", line);
	return space ? space + 1 : line;
}

static void capture_end(struct capture *capture)
{
	dup2(capture->saved, 2);
	close(capture->saved);
	close(capture->out);
}

#define LOG_ALL_KINDS(text, none)                                                        \
	log_at(LOG_WARN, "f1", "event",                                                  \
		"s=%s none=%s d=%d u=%u zu=%zu lu=%lu ld=%ld v=%.*s", text, none, -1,    \
		4000000000u, (size_t)5, 6ul, -7l, 2, "xyz")

static void expect(const char *got, const char *expected)
{
	cr_expect(strcmp(got, expected) == 0, "%s%s", got, expected);
}

Test(base_log, text)
{
	struct capture capture = capture_start(LOG_INFO, false);
	char *volatile none = NULL;

	LOG_ALL_KINDS("plain", none);
	expect(without_time(captured(&capture)), "level=warn event=event flow=f1 s=plain "
						 "d=-1 u=4000000000 zu=5 lu=6 ld=-7 "
						 "v=xy\n");
	LOG_ALL_KINDS("a b=\"\\\n\x1b\xc3", none);
	expect(without_time(captured(&capture)), "level=warn event=event flow=f1 s=\"a "
						 "b=\\\"\\\\\\u000a\\u001b\\u00c3\" d=-1 "
						 "u=4000000000 zu=5 lu=6 ld=-7 v=xy\n");
	log_at(LOG_ERROR, NULL, "bare", "empty=%s", "");
	expect(without_time(captured(&capture)), "level=error event=bare empty=\"\"\n");
	log_at(LOG_DEBUG, NULL, "hidden", "a=%d", 1);
	expect(captured(&capture), "");
	cr_expect(log_enabled(LOG_INFO) && !log_enabled(LOG_DEBUG));
	capture_end(&capture);
}

Test(base_log, json)
{
	struct capture capture = capture_start(LOG_DEBUG, true);
	char *volatile none = NULL;
	const char *line;

	LOG_ALL_KINDS("a \"b\\\n", none);
	line = captured(&capture);
	cr_assert(strncmp(line, "{\"time\":\"", 9) == 0, "%s", line);
	expect(line + 9 + 24,
		"\",\"level\":\"warn\",\"event\":\"event\",\"flow\":\"f1\",\"s\":\"a "
		"\\\"b\\\\\\u000a\",\"d\":-1,\"u\":4000000000,\"zu\":5,\"lu\":6,\"ld\":-"
		"7,"
		"\"v\":\"xy\"}\n");
	capture_end(&capture);
}

/* An object of strings and numbers, one level deep, and nothing behind it. */
static bool is_json(const char *at)
{
	if (*at++ != '{')
		return false;
	for (;;) {
		for (int part = 0; part < 2; part++) {
			if (*at == '"') {
				for (at++; *at != '"'; at++) {
					if (*at == '\\')
						at += at[1] == 'u' ? 5 : 1;
					if ((unsigned char)*at < ' ')
						return false;
				}
				at++;
			} else if (part == 1) {
				size_t n = strspn(at, "-0123456789");

				if (n == 0)
					return false;
				at += n;
			} else {
				return false;
			}
			if (part == 0 && *at++ != ':')
				return false;
		}
		if (*at++ != ',')
			return strcmp(at - 1, "}\n") == 0;
	}
}

/* However long the values are, a line is one line, below 2 KiB, and JSON is JSON. */
Test(base_log, long_lines)
{
	for (int json = 0; json < 2; json++) {
		struct capture capture = capture_start(LOG_INFO, json);
		char value[2400];

		for (int n = 1700; n < 2300; n++) {
			const char *line;

			memset(value, n % 3 ? 'x' : '\n', sizeof(value) - 1);
			value[sizeof(value) - 1] = '\0';
			log_at(LOG_INFO, n % 2 ? "tag" : NULL, "e",
				"first=%.*s number=%u a_longer_name=%lu last=%s", n,
				value, 4000000000u, 18446744073709551615ul,
				n % 5 ? "y" : value + 2390);
			line = captured(&capture);
			cr_assert(strlen(line) <= 2048, "%d: %zu", n, strlen(line));
			cr_assert(strchr(line, '\n') == line + strlen(line) - 1, "%d", n);
			cr_assert(!json || is_json(line), "%d: %s", n, line + 1900);
		}
		capture_end(&capture);
	}
}

/* A sink that is full is not waited for, and what it missed is said afterwards. */
Test(base_log, dropped)
{
	for (int json = 0; json < 2; json++) {
		struct capture capture = capture_start(LOG_INFO, json);
		const char *text;

		for (int i = 0; i < 1000; i++)
			log_at(LOG_INFO, NULL, "event", "number=%d", i);
		cr_assert(strlen(captured(&capture)) > 0);
		log_at(LOG_INFO, NULL, "again", "number=%d", 1);
		text = captured(&capture);
		cr_expect(strstr(text, json ? "\"dropped\":9" : "dropped=9"), "%s", text);
		text = strchr(text, '\n') + 1;
		cr_expect(!json || is_json(text), "%s", text);
		log_at(LOG_INFO, NULL, "again", "number=%d", 2);
		cr_expect(!strstr(captured(&capture), "dropped"));
		capture_end(&capture);
	}
}
