/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A doubly linked ring of nodes that live inside what they link. A node that is in no list points
 * at itself, so taking it out twice is harmless. */
#ifndef PSHARE_DAEMON_LIST_H
#define PSHARE_DAEMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *node)
{
	node->next = node->prev = node;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* The body may take pos out of the list, and free it; no other node. */
#define list_for_each(pos, head, type, member)                              \
	for (type *pos = list_entry((head)->next, type, member),            \
		  *pos##_next = list_entry(pos->member.next, type, member); \
	     &pos->member != (head);                                        \
	     pos = pos##_next, pos##_next = list_entry(pos##_next->member.next, type, member))

#endif
