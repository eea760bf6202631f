/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Endpoints from a file: reads it at start and again whenever it changes, also when it is
 * replaced by rename or by the symlink swap of a mounted ConfigMap. Hands the bytes on
 * and knows nothing of what they mean: whether they are complete is for the reader to
 * say, who keeps the old state when they are not and is called again at the next change.
 */
#include <stddef.h>

struct event_base;
struct file_source;

struct file_source_handlers {
	/* The whole content, valid until the return. Called for changed content only,
	 * except for the first time. */
	void (*on_content)(void *arg, const char *data, size_t len);
	/* It cannot be read: one sentence with the path. Once per different fault; the
	 * file goes on being watched, and may appear later. */
	void (*on_fault)(void *arg, const char *message);
};

/*
 * Read path at once (one of the handlers is called before this returns) and watch it on
 * the loop. NULL when the loop or the memory refuses. The handlers may not
 * cancel the source.
 */
struct file_source *file_source_start(struct event_base *base, const char *path,
	const struct file_source_handlers *handlers, void *arg);

/* Stop watching; NULL is fine. */
void file_source_cancel(struct file_source *source);

/* Read the whole file once. NULL, with *data for free(), or what is wrong, for free(). */
char *file_source_read(const char *path, char **data, size_t *len);
