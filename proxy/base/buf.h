/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Byte buffers for what has to outlive a callback: a partial head, bytes that a socket
 * would not take, a request that may be sent again. They come in a few sizes from slabs
 * and are given back as soon as they are empty; an idle connection has none.
 */
#include <stdint.h>
#include <string.h>

#include "base/slab.h"

#define BUF_CLASSES 5

struct buf {
	uint32_t cap;  /* bytes in data */
	uint32_t from; /* first byte in use */
	uint32_t to;   /* behind the last */
	uint32_t klass;
	char data[];
};

struct buf_pool {
	struct slab slabs[BUF_CLASSES];
	struct ceiling *ceiling;
};

void buf_pool_init(struct buf_pool *pool);
void buf_pool_fini(struct buf_pool *pool);

/* From here on its memory counts against the ceiling; before anything is taken. */
void buf_pool_limit(struct buf_pool *pool, struct ceiling *ceiling);

/* As slab_trim. */
void buf_pool_trim(struct buf_pool *pool);

/* An empty buffer of at least `cap` bytes; NULL when there is no memory. */
struct buf *buf_get(struct buf_pool *pool, size_t cap);

/* Gives the buffer back; NULL does nothing. */
void buf_put(struct buf_pool *pool, struct buf *buf);

/*
 * Appends, moving to a larger buffer if need be: *buf may be NULL before and is replaced.
 * False when there is no memory; *buf is then as it was.
 */
bool buf_append(struct buf_pool *pool, struct buf **buf, const void *data, size_t len);

static inline size_t buf_len(const struct buf *buf)
{
	return buf ? buf->to - buf->from : 0;
}
