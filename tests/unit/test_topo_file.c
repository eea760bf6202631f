/* SPDX-License-Identifier: Apache-2.0 */
/* On a real loop and a real folder; each wait ends with the event it waits for. */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "topo/source/file.h"

struct watcher {
	struct event_base *base;
	struct file_source *source;
	char folder[64];
	char content[256]; /* or "fault: …" */
	int n_calls;
};

static void on_content(void *arg, const char *data, size_t len)
{
	struct watcher *watcher = arg;
	snprintf(watcher->content, sizeof(watcher->content), "%.*s", (int)len, data);
	watcher->n_calls++;
	event_base_loopbreak(watcher->base);
}

static void on_fault(void *arg, const char *message)
{
	struct watcher *watcher = arg;
	snprintf(watcher->content, sizeof(watcher->content), "fault: %s", message);
	watcher->n_calls++;
	event_base_loopbreak(watcher->base);
}

static const struct file_source_handlers handlers = {on_content, on_fault};

/* A path in the watcher's folder; the caller has until the eighth call. */
__attribute__((format(printf, 2, 3))) static const char *in(
	struct watcher *watcher, const char *format, ...)
{
	static char paths[8][256];
	static unsigned n;
	char *path = paths[n++ % 8];
	int len = snprintf(path, sizeof(*paths), "%s/", watcher->folder);
	va_list args;
	va_start(args, format);
	vsnprintf(path + len, sizeof(*paths) - (size_t)len, format, args);
	va_end(args);
	return path;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file, "%s", path);
	fputs(text, file);
	fclose(file);
}

static void start(struct watcher *watcher, const char *path)
{
	watcher->base = event_base_new();
	watcher->source = file_source_start(watcher->base, path, &handlers, watcher);
	cr_assert_not_null(watcher->source);
	cr_assert_eq(watcher->n_calls, 1);
}

static void make_folder(struct watcher *watcher)
{
	*watcher = (struct watcher){.folder = "/tmp/nigh-test-XXXXXX"};
	cr_assert_not_null(mkdtemp(watcher->folder));
}

/* Until the next call, which then has to have brought that. Sooner than the slow poll,
 * which would hide a watch that does not work. */
static void expect(struct watcher *watcher, const char *content)
{
	int n_before = watcher->n_calls;
	struct timeval limit = {.tv_sec = 1};
	event_base_loopexit(watcher->base, &limit);
	event_base_dispatch(watcher->base);
	cr_expect_eq(watcher->n_calls, n_before + 1, "no call, wanted %s", content);
	cr_expect(strstr(watcher->content, content), "%s", watcher->content);
}

static int remove_entry(
	const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static void finish(struct watcher *watcher)
{
	file_source_cancel(watcher->source);
	event_base_free(watcher->base);
	nftw(watcher->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

Test(file, rewritten_and_renamed)
{
	struct watcher watcher;
	make_folder(&watcher);
	write_file(in(&watcher, "e.json"), "one");
	start(&watcher, in(&watcher, "e.json"));
	cr_expect_str_eq(watcher.content, "one");
	write_file(in(&watcher, "e.json"), "two");
	expect(&watcher, "two");
	write_file(in(&watcher, "new"), "three");
	rename(in(&watcher, "new"), in(&watcher, "e.json"));
	expect(&watcher, "three");
	finish(&watcher);
}

Test(file, comes_goes_and_comes_back)
{
	struct watcher watcher;
	make_folder(&watcher);
	start(&watcher, in(&watcher, "e.json"));
	cr_expect(strstr(watcher.content, "fault: "), "%s", watcher.content);
	cr_expect(strstr(watcher.content, "e.json: No such file"), "%s", watcher.content);
	write_file(in(&watcher, "new"), "one");
	rename(in(&watcher, "new"), in(&watcher, "e.json"));
	expect(&watcher, "one");
	unlink(in(&watcher, "e.json"));
	expect(&watcher, "No such file");
	write_file(in(&watcher, "new"), "one");
	rename(in(&watcher, "new"), in(&watcher, "e.json"));
	expect(&watcher, "one");
	finish(&watcher);
}

/* As kubelet does it: the file is a link through ..data, which is swapped. */
Test(file, config_map_swap)
{
	struct watcher watcher;
	make_folder(&watcher);
	for (int i = 1; i <= 3; i++) {
		char text[32];
		mkdir(in(&watcher, "..v%d", i), 0700);
		snprintf(text, sizeof(text), "version %d", i);
		write_file(in(&watcher, "..v%d/e.json", i), text);
	}
	cr_assert_eq(symlink("..v1", in(&watcher, "..data")), 0);
	cr_assert_eq(symlink("..data/e.json", in(&watcher, "e.json")), 0);
	start(&watcher, in(&watcher, "e.json"));
	cr_expect_str_eq(watcher.content, "version 1");
	for (int i = 2; i <= 3; i++) {
		char target[32];
		snprintf(target, sizeof(target), "..v%d", i);
		cr_assert_eq(symlink(target, in(&watcher, "..data_tmp")), 0);
		rename(in(&watcher, "..data_tmp"), in(&watcher, "..data"));
		unlink(in(&watcher, "..v%d/e.json", i - 1));
		rmdir(in(&watcher, "..v%d", i - 1));
		expect(&watcher, i == 2 ? "version 2" : "version 3");
	}
	write_file(in(&watcher, "..v3/e.json"), "in place");
	expect(&watcher, "in place");
	finish(&watcher);
}

Test(file, link_in_the_middle_of_the_path)
{
	struct watcher watcher;
	make_folder(&watcher);
	mkdir(in(&watcher, "a"), 0700);
	mkdir(in(&watcher, "b"), 0700);
	write_file(in(&watcher, "a/e.json"), "in a");
	write_file(in(&watcher, "b/e.json"), "in b");
	cr_assert_eq(symlink("a", in(&watcher, "link")), 0);
	start(&watcher, in(&watcher, "link/e.json"));
	cr_expect_str_eq(watcher.content, "in a");
	cr_assert_eq(symlink("b", in(&watcher, "tmp")), 0);
	rename(in(&watcher, "tmp"), in(&watcher, "link"));
	expect(&watcher, "in b");
	finish(&watcher);
}

Test(file, other_files_and_same_content_are_no_news)
{
	struct watcher watcher;
	make_folder(&watcher);
	write_file(in(&watcher, "e.json"), "one");
	start(&watcher, in(&watcher, "e.json"));
	write_file(in(&watcher, "other"), "x");
	write_file(in(&watcher, "e.json"), "one");
	struct timeval limit = {.tv_usec = 100 * 1000};
	event_base_loopexit(watcher.base, &limit);
	event_base_dispatch(watcher.base);
	cr_expect_eq(watcher.n_calls, 1);
	finish(&watcher);
}

Test(file, what_cannot_be_read)
{
	struct watcher watcher;
	make_folder(&watcher);
	char *data;
	size_t len;
	char *error = file_source_read(watcher.folder, &data, &len);
	cr_expect(strstr(error, "Is a directory"), "%s", error);
	cr_expect_null(data);
	free(error);
	mkfifo(in(&watcher, "fifo"), 0600);
	error = file_source_read(in(&watcher, "fifo"), &data, &len);
	cr_expect(strstr(error, "not a regular file"), "%s", error);
	free(error);
	write_file(in(&watcher, "large"), "");
	cr_assert_eq(truncate(in(&watcher, "large"), 300 << 20), 0);
	error = file_source_read(in(&watcher, "large"), &data, &len);
	cr_expect(strstr(error, "more than 256 MiB"), "%s", error);
	free(error);
	write_file(in(&watcher, "empty"), "");
	cr_expect_null(file_source_read(in(&watcher, "empty"), &data, &len));
	cr_expect_eq(len, 0);
	free(data);
	nftw(watcher.folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	file_source_cancel(NULL);
}

/* n times the part, between quotes or brackets. */
static void write_many(const char *path, const char *marks, const char *part, size_t n)
{
	FILE *file = fopen(path, "w");
	fputc(marks[0], file);
	for (size_t i = 0; i < n; i++)
		fputs(part, file);
	fputc(marks[1], file);
	fclose(file);
}

Test(file, too_many_values)
{
	struct watcher watcher;
	make_folder(&watcher);
	char *data;
	size_t len;
	write_many(in(&watcher, "many"), "[]", "[],", 1500001);
	char *error = file_source_read(in(&watcher, "many"), &data, &len);
	cr_expect(strstr(error, "many: more than 3000000 JSON values"), "%s", error);
	cr_expect_null(data);
	free(error);
	write_many(in(&watcher, "fewer"), "[]", "[],", 1499999);
	cr_expect_null(file_source_read(in(&watcher, "fewer"), &data, &len));
	free(data);
	write_many(in(&watcher, "text"), "\"\"", "{,\\\"[", 1000001);
	cr_expect_null(file_source_read(in(&watcher, "text"), &data, &len));
	free(data);
	nftw(watcher.folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
