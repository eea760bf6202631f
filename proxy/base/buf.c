/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>

/*
 * A small request, a usual head, a large head, a full read of the worker with room for
 * what is added to it. What is larger still (raised header limits) is plain malloc.
 */
static const struct {
	size_t bytes, chunk;
} classes[BUF_CLASSES] = {
	{512, 64 << 10},
	{2 << 10, 64 << 10},
	{8 << 10, 128 << 10},
	{24 << 10, 256 << 10},
	{(64 << 10) + (4 << 10), 512 << 10},
};

void buf_pool_init(struct buf_pool *pool)
{
	pool->ceiling = NULL;
	for (int i = 0; i < BUF_CLASSES; i++)
		slab_init(&pool->slabs[i], classes[i].bytes, classes[i].chunk);
}

void buf_pool_fini(struct buf_pool *pool)
{
	for (int i = 0; i < BUF_CLASSES; i++)
		slab_fini(&pool->slabs[i]);
}

void buf_pool_limit(struct buf_pool *pool, struct ceiling *ceiling)
{
	pool->ceiling = ceiling;
	for (int i = 0; i < BUF_CLASSES; i++)
		pool->slabs[i].ceiling = ceiling;
}

void buf_pool_trim(struct buf_pool *pool)
{
	for (int i = 0; i < BUF_CLASSES; i++)
		slab_trim(&pool->slabs[i]);
}

/* Apart, so that what is usual stays small enough to be inlined. */
__attribute__((cold, noinline)) static struct buf *large_get(
	struct buf_pool *pool, size_t bytes)
{
	struct buf *buf = bytes <= UINT32_MAX ? malloc(bytes) : NULL;

	if (buf)
		ceiling_take(pool->ceiling, bytes);
	return buf;
}

__attribute__((cold, noinline)) static void large_put(
	struct buf_pool *pool, struct buf *buf)
{
	ceiling_give(pool->ceiling, buf->cap + sizeof(*buf));
	free(buf);
}

struct buf *buf_get(struct buf_pool *pool, size_t cap)
{
	size_t bytes = cap + sizeof(struct buf);
	struct buf *buf;
	uint32_t k = 0;

	while (k < BUF_CLASSES && classes[k].bytes < bytes)
		k++;
	if (k < BUF_CLASSES) {
		bytes = classes[k].bytes;
		buf = slab_alloc(&pool->slabs[k]);
	} else {
		buf = large_get(pool, bytes);
	}
	if (!buf)
		return NULL;
	buf->klass = k;
	buf->cap = (uint32_t)(bytes - sizeof(struct buf));
	buf->from = buf->to = 0;
	return buf;
}

void buf_put(struct buf_pool *pool, struct buf *buf)
{
	if (!buf)
		return;
	if (buf->klass < BUF_CLASSES)
		slab_free(&pool->slabs[buf->klass], buf);
	else
		large_put(pool, buf);
}

bool buf_append(struct buf_pool *pool, struct buf **buf, const void *data, size_t len)
{
	struct buf *old = *buf;

	if (len == 0)
		return true;
	if (!old || old->cap - old->to < len) {
		size_t used = buf_len(old);
		struct buf *larger = buf_get(pool, used + len);

		if (!larger)
			return false;
		if (used > 0)
			memcpy(larger->data, old->data + old->from, used);
		larger->to = (uint32_t)used;
		buf_put(pool, old);
		*buf = larger;
	}
	memcpy((*buf)->data + (*buf)->to, data, len);
	(*buf)->to += (uint32_t)len;
	return true;
}
