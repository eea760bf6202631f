/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a change is noticed. Every directory in which a name on the way to the file can be
 * replaced is watched by inotify: the one that holds the file, and each that holds a
 * symbolic link on the way (a mounted ConfigMap has two: the file's own and `..data`).
 * The way is walked anew before each read, so the read sees all that the watches do not.
 *
 * A writer that truncates and writes in place is heard when it closes the file, so its
 * unfinished text is normally not seen. A slow poll of the file's status is the net below
 * that: for file systems without inotify, and for writers that never close.
 */
#include "topo/source/file.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "topo/arena.h"
#include "topo/memory.h"

/* Ten times the endpoints of the largest clusters; a typing mistake shall not fill the
 * memory. */
#define FILE_MAX_BYTES (256u << 20)

/* While the values are read nobody is answered at the admin port. The largest clusters,
 * 5,000 nodes with fifty images each, have two million. */
#define FILE_MAX_VALUES 3000000u

/* As many symbolic links as the kernel follows, and the file itself. */
#define WATCHES_MAX 41

/* A rename comes as several events; one read is enough. */
static const struct timeval settle_time = {.tv_usec = 10 * 1000L};
static const struct timeval poll_time = {.tv_sec = 2};

/* A name that matters, in a watched directory. */
struct watch {
	int descriptor;
	char *name;
};

struct watch_list {
	struct watch items[WATCHES_MAX];
	size_t n_items;
};

struct file_source {
	char *path;
	const struct file_source_handlers *handlers;
	void *arg;
	int inotify_fd;
	struct event *on_inotify;
	struct event *on_settled;
	struct event *on_poll;
	struct watch_list watches;
	struct stat status;    /* of the last read or failed read */
	uint64_t content_hash; /* of what was handed on last; 0 is nothing yet */
	char *fault;           /* what was reported last; NULL when all is well */
};

__attribute__((format(printf, 1, 2))) static char *message(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_xvprintf(format, args);
	va_end(args);
	return text;
}

/* Read to the end; the file may grow or shrink meanwhile. 0 or negative errno. */
static int read_all(int fd, size_t n_expected, char **data, size_t *len)
{
	size_t n_allocated = n_expected + 1;
	char *buffer = memory_malloc(n_allocated);
	size_t n_read = 0;
	int result = 0;
	while (!result) {
		if (n_read == n_allocated) {
			n_allocated *= 2;
			buffer = memory_realloc(buffer, n_allocated);
		}
		ssize_t n = read(fd, buffer + n_read, n_allocated - n_read);
		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			result = -errno;
		n_read += n > 0 ? (size_t)n : 0;
		if (n_read > FILE_MAX_BYTES)
			result = -EFBIG;
	}
	if (result) {
		free(buffer);
		return result;
	}
	*data = buffer;
	*len = n_read;
	return 0;
}

/* No fewer than a parser would make up to the first mistake. */
static bool has_too_many_values(const char *data, size_t len)
{
	size_t n_values = 0;
	bool in_string = false;
	for (size_t i = 0; i < len && n_values <= FILE_MAX_VALUES; i++) {
		if (in_string && data[i] == '\\')
			i++;
		else if (data[i] == '"')
			in_string = !in_string;
		else if (!in_string)
			n_values += data[i] == ',' || data[i] == '[' || data[i] == '{';
	}
	return n_values > FILE_MAX_VALUES;
}

/* As file_source_read; status is filled as far as it is known. */
static char *read_file(const char *path, char **data, size_t *len, struct stat *status)
{
	int result = 0;
	*data = NULL;
	*len = 0;
	*status = (struct stat){0};
	/* Not blocking, or a FIFO would stop everything. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, status) != 0)
		result = -errno;
	else if (S_ISDIR(status->st_mode))
		result = -EISDIR;
	else if (!S_ISREG(status->st_mode))
		result = -EINVAL;
	else if (status->st_size > (off_t)FILE_MAX_BYTES)
		result = -EFBIG;
	else
		result = read_all(fd, (size_t)status->st_size, data, len);
	if (fd >= 0)
		close(fd);
	if (*data && has_too_many_values(*data, *len)) {
		free(*data);
		*data = NULL;
		*len = 0;
		return message("%s: more than %u JSON values", path, FILE_MAX_VALUES);
	}
	if (result == -EINVAL)
		return message("%s: not a regular file", path);
	if (result == -EFBIG)
		return message("%s: more than %u MiB", path, FILE_MAX_BYTES >> 20);
	return result ? message("%s: %s", path, strerror(-result)) : NULL;
}

char *file_source_read(const char *path, char **data, size_t *len)
{
	struct stat status;
	return read_file(path, data, len, &status);
}

static void watch_list_fini(struct watch_list *list)
{
	for (size_t i = 0; i < list->n_items; i++)
		free(list->items[i].name);
	list->n_items = 0;
}

static bool watches_directory(const struct watch_list *list, int descriptor)
{
	for (size_t i = 0; i < list->n_items; i++) {
		if (list->items[i].descriptor == descriptor)
			return true;
	}
	return false;
}

/* Watch for the name at the end of path. A directory that is missing cannot be watched;
 * the poll is there for that. */
static void watch_name(int inotify_fd, struct watch_list *list, const char *path)
{
	const uint32_t events = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
				IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |
				IN_ONLYDIR;
	const char *slash = strrchr(path, '/');
	assert(slash);
	if (list->n_items == WATCHES_MAX)
		return;
	char *directory = message("%.*s", (int)(slash - path) + 1, path);
	int descriptor = inotify_add_watch(inotify_fd, directory, events);
	free(directory);
	if (descriptor < 0)
		return;
	list->items[list->n_items].descriptor = descriptor;
	list->items[list->n_items++].name = message("%s", slash + 1);
}

/*
 * If the path's first `len` bytes name a symbolic link, the path with that link replaced
 * by what it points to, for free(); else NULL.
 */
static char *follow_link(const char *path, size_t len)
{
	char target[PATH_MAX];
	char *link = message("%.*s", (int)len, path);
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	char *followed = NULL;
	if (n > 0) {
		target[n] = '\0';
		const char *slash = strrchr(link, '/');
		followed =
			message("%.*s%s%s", *target == '/' ? 0 : (int)(slash - link) + 1,
				link, target, path + len);
	}
	free(link);
	return followed;
}

/* Watch each name on the way to the file that can be replaced: links, and the file. */
static void watch_way(int inotify_fd, struct watch_list *list, const char *path)
{
	char *way = message("%s", path);
	size_t at = 1;
	while (list->n_items < WATCHES_MAX) {
		size_t len = at + strcspn(way + at, "/");
		char *followed = follow_link(way, len);
		if (followed) {
			char *link = message("%.*s", (int)len, way);
			watch_name(inotify_fd, list, link);
			free(link);
			free(way);
			way = followed;
			at = 1;
		} else if (way[len] == '\0') {
			watch_name(inotify_fd, list, way);
			break;
		} else {
			at = len + 1;
		}
	}
	free(way);
}

static void renew_watches(struct file_source *source)
{
	struct watch_list fresh = {0};
	watch_way(source->inotify_fd, &fresh, source->path);
	for (size_t i = 0; i < source->watches.n_items; i++) {
		int descriptor = source->watches.items[i].descriptor;
		/* Fails for one that the kernel has removed itself, or that is twice
		 * in the list: nothing to do then. */
		if (!watches_directory(&fresh, descriptor))
			inotify_rm_watch(source->inotify_fd, descriptor);
	}
	watch_list_fini(&source->watches);
	source->watches = fresh;
}

/* FNV-1a, never 0. */
static uint64_t hash_content(const char *data, size_t len)
{
	uint64_t hash = 14695981039346656037u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)data[i]) * 1099511628211u;
	return hash | 1;
}

/* Takes text over. */
static void report_fault(struct file_source *source, char *text)
{
	bool is_new = !source->fault || strcmp(source->fault, text) != 0;
	free(source->fault);
	source->fault = text;
	/* What comes after a fault is news even when it is the old content. */
	source->content_hash = 0;
	if (is_new)
		source->handlers->on_fault(source->arg, source->fault);
}

static void read_and_report(struct file_source *source)
{
	char *data;
	size_t len;
	renew_watches(source);
	char *fault = read_file(source->path, &data, &len, &source->status);
	if (fault) {
		report_fault(source, fault);
		return;
	}
	free(source->fault);
	source->fault = NULL;
	uint64_t hash = hash_content(data, len);
	if (hash != source->content_hash) {
		source->content_hash = hash;
		source->handlers->on_content(source->arg, data, len);
	}
	free(data);
}

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same_status(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size && is_same_time(a->st_mtim, b->st_mtim) &&
	       is_same_time(a->st_ctim, b->st_ctim);
}

static void on_poll(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct file_source *source = arg;
	struct stat status = {0};
	bool is_there = stat(source->path, &status) == 0;
	if (!is_there || source->fault || !is_same_status(&status, &source->status))
		read_and_report(source);
}

static void on_settled(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	read_and_report(arg);
}

/* Events without a name concern the directory, or are the queue's overflow. */
static bool concerns_us(
	const struct file_source *source, const struct inotify_event *event)
{
	if (event->len == 0)
		return !(event->mask & IN_IGNORED);
	for (size_t i = 0; i < source->watches.n_items; i++) {
		const struct watch *watch = &source->watches.items[i];
		if (watch->descriptor == event->wd && !strcmp(watch->name, event->name))
			return true;
	}
	return false;
}

static void on_inotify(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct file_source *source = arg;
	_Alignas(struct inotify_event) char buffer[4096];
	ssize_t n = read(fd, buffer, sizeof(buffer));
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event =
			(const struct inotify_event *)(buffer + at);
		at += (ssize_t)(sizeof(*event) + event->len);
		if (concerns_us(source, event) &&
			!event_pending(source->on_settled, EV_TIMEOUT, NULL))
			event_add(source->on_settled, &settle_time);
	}
}

/* An absolute path, so that the walk has a directory for every name. */
static char *make_absolute(const char *path)
{
	char directory[PATH_MAX];
	if (*path == '/' || !getcwd(directory, sizeof(directory)))
		return message("%s%s", *path == '/' ? "" : "/", path);
	return message("%s/%s", directory, path);
}

struct file_source *file_source_start(struct event_base *base, const char *path,
	const struct file_source_handlers *handlers, void *arg)
{
	struct file_source *source = memory_calloc(1, sizeof(*source));
	source->handlers = handlers;
	source->arg = arg;
	source->path = make_absolute(path);
	/* May be refused, nodes have few instances to share: the poll is left then. */
	source->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	source->on_inotify = event_new(
		base, source->inotify_fd, EV_READ | EV_PERSIST, on_inotify, source);
	source->on_settled = event_new(base, -1, 0, on_settled, source);
	source->on_poll = event_new(base, -1, EV_PERSIST, on_poll, source);
	if (!source->on_inotify || !source->on_settled || !source->on_poll ||
		(source->inotify_fd >= 0 && event_add(source->on_inotify, NULL) != 0) ||
		event_add(source->on_poll, &poll_time) != 0) {
		file_source_cancel(source);
		return NULL;
	}
	read_and_report(source);
	return source;
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void file_source_cancel(struct file_source *source)
{
	if (!source)
		return;
	free_event(source->on_inotify);
	free_event(source->on_settled);
	free_event(source->on_poll);
	if (source->inotify_fd >= 0)
		close(source->inotify_fd);
	watch_list_fini(&source->watches);
	free(source->fault);
	free(source->path);
	free(source);
}
