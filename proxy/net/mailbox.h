/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How another thread speaks to a loop: it posts a letter, and the loop's thread opens it.
 * The only thing in net/ that two threads touch.
 */
#include <pthread.h>

#include "base/list.h"

struct event;
struct event_base;

struct letter {
	struct list node;
	void (*open)(struct letter *letter, void *owner); /* on the loop's thread */
};

struct mailbox {
	pthread_mutex_t lock;
	struct list letters;
	struct event *event;
	void *owner; /* handed to each letter */
	int fd;
};

/* On the loop's thread, or before it runs. 0 or -errno. */
__attribute__((warn_unused_result)) int mailbox_init(
	struct mailbox *mailbox, struct event_base *base, void *owner);

/* Letters that nobody opened are dropped, not freed. */
void mailbox_fini(struct mailbox *mailbox);

/* Opens what is there, before the loop would. On the loop's thread. */
void mailbox_open(struct mailbox *mailbox);

/* From any thread. The letter belongs to the mailbox until it is opened. */
void mailbox_post(struct mailbox *mailbox, struct letter *letter);
