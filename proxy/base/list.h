/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Intrusive doubly linked lists. A zeroed node is in no list; a head is a node that
 * points to itself. Unlinking a node that is in no list does nothing.
 */
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Safe against removal of the current node. */
#define list_each_safe(node, following, head)                                            \
	for (struct list *node = (head)->next, *following = node->next; node != (head);  \
		node = following, following = node->next)

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_linked(const struct list *node)
{
	return node->next != NULL;
}

/* Puts an unlinked node behind `after`: a head for the front, head->prev for the end. */
static inline void list_insert(struct list *after, struct list *node)
{
	node->prev = after;
	node->next = after->next;
	after->next->prev = node;
	after->next = node;
}

static inline void list_push(struct list *head, struct list *node)
{
	list_insert(head->prev, node);
}

static inline void list_unlink(struct list *node)
{
	if (!node->next)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->prev = node->next = NULL;
}

/* Takes the first node off; NULL when the list is empty. */
static inline struct list *list_pop(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	head->next = node->next;
	head->next->prev = head;
	node->prev = node->next = NULL;
	return node;
}
