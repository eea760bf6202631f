/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink is the one piece of mutable file scope here. To write without blocking we want
 * O_NONBLOCK, but that flag would be shared with everybody who inherited the same
 * descriptor; so stderr is opened anew through /proc where that works, and polled before
 * each write where it does not.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048 /* below PIPE_BUF, so lines of several writers do not mix */

static struct {
	enum log_level level;
	bool json;
	bool must_poll;
	int fd;
	unsigned long n_dropped;
	pthread_mutex_t lock;
} sink = {
	.level = LOG_INFO, .must_poll = true, .fd = 2, .lock = PTHREAD_MUTEX_INITIALIZER};

struct line {
	char text[LOG_LINE_MAX];
	size_t len;
	bool json;
	bool first;
};

void log_init(enum log_level level, bool json)
{
	struct stat st;
	int fd;

	sink.level = level;
	sink.json = json;
	if (fstat(2, &st) != 0 || !S_ISFIFO(st.st_mode))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return;
	sink.fd = fd;
	sink.must_poll = false;
}

bool log_enabled(enum log_level level)
{
	return level <= sink.level;
}

/* One byte is kept for the newline, one for the brace that closes a JSON object. */
static void put(struct line *line, const char *text, size_t len)
{
	size_t room = sizeof(line->text) - 2 - line->len;

	len = len < room ? len : room;
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

/* Quoted, with what is not printable escaped, the same for both formats. */
static void put_quoted(struct line *line, const char *value, size_t len)
{
	char escape[8];

	put(line, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (line->len > sizeof(line->text) - 16)
			break;
		if (c == '"' || c == '\\') {
			put(line, (char[]){'\\', (char)c}, 2);
		} else if (c >= ' ' && c < 0x7f) {
			put(line, value + i, 1);
		} else {
			snprintf(escape, sizeof(escape), "\\u%04x", c);
			put_text(line, escape);
		}
	}
	put(line, "\"", 1);
}

static bool is_plain(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] > '~' || strchr("\"\\=", value[i]))
			return false;
	return len > 0;
}

static void put_key(struct line *line, const char *key, size_t len)
{
	if (!line->first)
		put(line, line->json ? "," : " ", 1);
	line->first = false;
	if (line->json) {
		put_quoted(line, key, len);
		put(line, ":", 1);
	} else {
		put(line, key, len);
		put(line, "=", 1);
	}
}

/* A key with a number or with quotes must fit, and the end of the line behind it. */
static bool has_room(const struct line *line, size_t key_len)
{
	return line->len + key_len + 32 <= sizeof(line->text);
}

static void put_string(
	struct line *line, const char *key, size_t key_len, const char *value, size_t len)
{
	if (!has_room(line, key_len))
		return;
	put_key(line, key, key_len);
	if (!line->json && is_plain(value, len))
		put(line, value, len);
	else
		put_quoted(line, value, len);
}

static void put_pairs(struct line *line, const char *pairs, va_list args)
{
	while (*pairs) {
		const char *equals = strchr(pairs, '='), *end;
		size_t key_len = (size_t)(equals - pairs), spec_len;
		char number[24] = "";

		end = strchrnul(equals, ' ');
		spec_len = (size_t)(end - equals) - 1;
		if (equals[spec_len] == 's') {
			int len = spec_len == 4 ? va_arg(args, int) : -1;
			const char *value = va_arg(args, const char *);

			if (value)
				put_string(line, pairs, key_len, value,
					len >= 0 ? (size_t)len : strlen(value));
		} else {
			if (equals[spec_len] == 'd' && spec_len == 2)
				snprintf(number, sizeof(number), "%d", va_arg(args, int));
			else if (spec_len == 2)
				snprintf(number, sizeof(number), "%u",
					va_arg(args, unsigned));
			else if (equals[spec_len] == 'd')
				snprintf(number, sizeof(number), "%ld",
					va_arg(args, long));
			else
				snprintf(number, sizeof(number), "%lu",
					va_arg(args, unsigned long));
			if (has_room(line, key_len)) {
				put_key(line, pairs, key_len);
				put_text(line, number);
			}
		}
		pairs = *end ? end + 1 : end;
	}
}

static void put_time(struct line *line)
{
	struct timespec now;
	struct tm tm;
	char text[48];
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%03ldZ", now.tv_nsec / 1000000);
	if (line->json)
		put_string(line, "time", 4, text, strlen(text));
	else
		put_text(line, text);
	line->first = false;
}

/* False when the sink does not take it now. */
static bool sink_write(const char *text, size_t len)
{
	struct pollfd ready = {.fd = sink.fd, .events = POLLOUT};

	if (sink.must_poll && poll(&ready, 1, 0) != 1)
		return false;
	return write(sink.fd, text, len) >= 0;
}

static void write_line(struct line *line)
{
	char dropped[40];
	int len;

	if (line->json)
		put(line, "}", 1);
	line->text[line->len++] = '\n';
	pthread_mutex_lock(&sink.lock);
	if (!sink_write(line->text, line->len)) {
		sink.n_dropped++;
	} else if (sink.n_dropped > 0) {
		len = snprintf(dropped, sizeof(dropped),
			sink.json ? "{\"dropped\":%lu}\n" : "dropped=%lu\n",
			sink.n_dropped);
		if (sink_write(dropped, (size_t)len))
			sink.n_dropped = 0;
	}
	pthread_mutex_unlock(&sink.lock);
}

void log_at(
	enum log_level level, const char *tag, const char *event, const char *pairs, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	struct line line;
	va_list args;

	if (!log_enabled(level))
		return;
	line.len = 0;
	line.json = sink.json;
	line.first = true;
	if (line.json)
		put(&line, "{", 1);
	put_time(&line);
	put_string(&line, "level", 5, names[level], strlen(names[level]));
	put_string(&line, "event", 5, event, strlen(event));
	if (tag)
		put_string(&line, "flow", 4, tag, strlen(tag));
	va_start(args, pairs);
	put_pairs(&line, pairs, args);
	va_end(args);
	write_line(&line);
}
