/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Free lists of equal objects, one owner thread. Objects are cut from chunks of their own
 * mapping, and a chunk that is wholly free goes back to the kernel (one is kept until it
 * has not been needed for a while): after a burst of connections the memory is gone
 * again. Under ASan it is plain malloc, so that use after free is found.
 */
#include "base/ceiling.h"
#include "base/list.h"

struct slab {
	size_t size;        /* of one object, bytes */
	size_t chunk_bytes; /* a power of two */
	struct list open;   /* chunks with at least one free object */
	struct list full;
	unsigned n_empty;        /* chunks in `open` with no object in use */
	bool needed_empty;       /* since the last trim: it pays to keep one */
	struct ceiling *ceiling; /* what its memory counts against; may be NULL */
};

/* chunk_bytes is a power of two that holds at least four objects. */
void slab_init(struct slab *slab, size_t size, size_t chunk_bytes);

/* Unmaps everything; all objects must have been given back. */
void slab_fini(struct slab *slab);

/* Memory as it comes, not zeroed; NULL when there is none. */
void *slab_alloc(struct slab *slab);

/* NULL does nothing. */
void slab_free(struct slab *slab, void *object);

/* Gives the kept chunk back if nobody has needed one since the last call. */
void slab_trim(struct slab *slab);
