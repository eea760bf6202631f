/* SPDX-License-Identifier: Apache-2.0 */
#include "net/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

void mailbox_open(struct mailbox *mailbox)
{
	struct list *node;

	for (;;) {
		pthread_mutex_lock(&mailbox->lock);
		node = list_pop(&mailbox->letters);
		pthread_mutex_unlock(&mailbox->lock);
		if (!node)
			return;
		struct letter *letter = container_of(node, struct letter, node);

		letter->open(letter, mailbox->owner);
	}
}

static void on_post(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) >= 0)
		mailbox_open(arg);
}

int mailbox_init(struct mailbox *mailbox, struct event_base *base, void *owner)
{
	*mailbox = (struct mailbox){.owner = owner};
	list_init(&mailbox->letters);
	mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->fd < 0)
		return -errno;
	mailbox->event =
		event_new(base, mailbox->fd, EV_READ | EV_PERSIST, on_post, mailbox);
	if (!mailbox->event) {
		close(mailbox->fd);
		return -ENOMEM;
	}
	pthread_mutex_init(&mailbox->lock, NULL);
	if (event_add(mailbox->event, NULL) != 0) {
		mailbox_fini(mailbox);
		return -ENOMEM;
	}
	return 0;
}

void mailbox_fini(struct mailbox *mailbox)
{
	if (!mailbox->event)
		return;
	event_free(mailbox->event);
	mailbox->event = NULL;
	close(mailbox->fd);
	pthread_mutex_destroy(&mailbox->lock);
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	uint64_t one = 1;
	ssize_t n;

	pthread_mutex_lock(&mailbox->lock);
	list_push(&mailbox->letters, &letter->node);
	pthread_mutex_unlock(&mailbox->lock);
	n = write(mailbox->fd, &one, sizeof(one));
	(void)n; /* full means that it will be read anyway */
}
