/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs, buffers and lists. Under ASan a slab is malloc: what chunks do is seen without.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/ceiling.h"
#include "base/rng.h"
#include "base/slab.h"

#define CHUNK  4096
#define SIZE   100 /* rounded up to 112: 36 fit into a chunk */
#define N_SLAB 500

static void expect_own(unsigned char *objects[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; objects[i] && k < SIZE; k++)
			cr_assert(objects[i][k] == (unsigned char)i, "%zu, %zu", i, k);
}

/* Objects come and go at random and never overlap. */
Test(base_slab, objects_do_not_overlap)
{
	static unsigned char *objects[N_SLAB];
	struct slab slab;
	struct rng rng;

	rng_init(&rng, 1);
	slab_init(&slab, SIZE, CHUNK);
	for (int round = 0; round < 20000; round++) {
		size_t i = rng_below(&rng, N_SLAB);

		if (objects[i]) {
			slab_free(&slab, objects[i]);
			objects[i] = NULL;
			continue;
		}
		objects[i] = slab_alloc(&slab);
		cr_assert(objects[i] && ((uintptr_t)objects[i] & 15) == 0);
		memset(objects[i], (int)i, SIZE);
		if (round % 1000 == 0)
			expect_own(objects, N_SLAB);
	}
	expect_own(objects, N_SLAB);
	for (size_t i = 0; i < N_SLAB; i++)
		slab_free(&slab, objects[i]);
	slab_fini(&slab);
}

static size_t n_chunks(const struct slab *slab)
{
	size_t n = 0;

	list_each_safe (node, next, &slab->open)
		n++;
	list_each_safe (node, next, &slab->full)
		n++;
	return n;
}

Test(base_slab, chunks_go_back)
{
	static void *objects[N_SLAB];
	struct slab slab;

	slab_init(&slab, SIZE, CHUNK);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < N_SLAB; i++)
			objects[i] = slab_alloc(&slab);
		for (size_t i = 0; i < N_SLAB; i++)
			slab_free(&slab, objects[round == 1 ? N_SLAB - 1 - i : i]);
		cr_expect(n_chunks(&slab) <= 1, "round %d: %zu", round, n_chunks(&slab));
	}
	slab_free(&slab, NULL);
	slab_fini(&slab);
}

/* The kept chunk stays for as long as somebody comes back for it. */
Test(base_slab, what_nobody_needs_is_given_back)
{
	struct slab slab;

	slab_init(&slab, SIZE, CHUNK);
	for (int round = 0; round < 3; round++) {
		size_t before = n_chunks(&slab);

		slab_free(&slab, slab_alloc(&slab));
		cr_expect(round == 0 || n_chunks(&slab) == before);
		slab_trim(&slab);
	}
	slab_trim(&slab);
	cr_expect(n_chunks(&slab) == 0, "%zu", n_chunks(&slab));
	slab_fini(&slab);
}

Test(base_slab, zeroed)
{
	struct slab slab = {0};

	slab_fini(&slab);
}

/* All that a pool takes counts, whatever the size, and is given back. */
Test(base_ceiling, counts_what_a_pool_takes)
{
	static const size_t sizes[] = {100, 2000, 8000, 60000, 300000};
	struct buf *bufs[sizeof(sizes) / sizeof(*sizes)];
	struct ceiling ceiling;
	struct buf_pool pool;
	size_t sum = 0;

	ceiling_init(&ceiling, 0);
	buf_pool_init(&pool);
	buf_pool_limit(&pool, &ceiling);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		bufs[i] = buf_get(&pool, sizes[i]);
		sum += sizes[i];
		cr_assert(bufs[i]);
		cr_expect(ceiling_used(&ceiling) >= sum, "%zu: %zu", sizes[i],
			ceiling_used(&ceiling));
	}
	cr_expect(!ceiling_is_near(&ceiling) && !ceiling_is_reached(&ceiling));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		buf_put(&pool, bufs[i]);
	buf_pool_fini(&pool);
	cr_expect_eq(ceiling_used(&ceiling), 0);
}

Test(base_ceiling, marks)
{
	struct ceiling ceiling, none = {0};

	ceiling_init(&ceiling, 8 << 20);
	ceiling_take(&ceiling, 5 << 20);
	cr_expect(!ceiling_is_near(&ceiling) && !ceiling_is_reached(&ceiling));
	ceiling_take(&ceiling, 1 << 20);
	cr_expect(ceiling_is_near(&ceiling) && !ceiling_is_reached(&ceiling));
	/* So far from the limit that a chunk still fits. */
	ceiling_take(&ceiling, 3 << 19);
	cr_expect(ceiling_is_reached(&ceiling) &&
		  ceiling_used(&ceiling) + (512 << 10) <= ceiling_limit(&ceiling));
	ceiling_give(&ceiling, 3 << 20);
	cr_expect(!ceiling_is_near(&ceiling));
	/* Zeroed, or none at all, is no limit. */
	ceiling_take(&none, 1 << 30);
	cr_expect(!ceiling_is_near(&none) && !ceiling_is_reached(&none));
	cr_expect(!ceiling_is_near(NULL) && !ceiling_is_reached(NULL));
}

Test(base_buf, sizes)
{
	static const size_t sizes[] = {0, 1, 496, 497, 2032, 2033, 8176, 8177, 24560,
		24561, 65536, 69616, 69617, 1 << 20};
	struct buf_pool pool;

	buf_pool_init(&pool);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct buf *buf = buf_get(&pool, sizes[i]);

		cr_assert(buf && buf->cap >= sizes[i] && buf_len(buf) == 0, "%zu",
			sizes[i]);
		memset(buf->data, 'x', buf->cap);
		buf_put(&pool, buf);
	}
	cr_expect(!buf_get(&pool, UINT32_MAX));
	cr_expect(!buf_get(&pool, (size_t)UINT32_MAX + 1));
	buf_put(&pool, NULL);
	cr_expect(buf_len(NULL) == 0);
	buf_pool_fini(&pool);
}

/* Pieces of many lengths, some taken from the front meanwhile. */
Test(base_buf, append)
{
	struct buf_pool pool;
	struct buf *buf = NULL;
	unsigned char in = 0, out = 0;
	struct rng rng;

	rng_init(&rng, 2);
	buf_pool_init(&pool);
	cr_expect(buf_append(&pool, &buf, NULL, 0) && !buf);
	for (int round = 0; round < 3000; round++) {
		char piece[300];
		size_t n = rng_below(&rng, sizeof(piece));

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)in++;
		cr_assert(buf_append(&pool, &buf, piece, n));
		n = rng_below(&rng, round < 2000 ? 200 : 500);
		for (size_t i = 0; i < n && buf_len(buf) > 0; i++)
			cr_assert((unsigned char)buf->data[buf->from++] == out++);
		cr_assert(!buf || (buf->from <= buf->to && buf->to <= buf->cap));
	}
	buf_put(&pool, buf);
	buf_pool_fini(&pool);
}

Test(base_buf, append_too_much)
{
	struct buf_pool pool;
	struct buf *buf = NULL;

	buf_pool_init(&pool);
	cr_assert(buf_append(&pool, &buf, "abc", 3));
	cr_expect(!buf_append(&pool, &buf, "", UINT32_MAX));
	cr_expect(buf_len(buf) == 3 && memcmp(buf->data, "abc", 3) == 0);
	buf_put(&pool, buf);
	buf_pool_fini(&pool);
}

struct item {
	int number;
	struct list node;
};

Test(base_list, order)
{
	struct item items[6] = {{.number = 0}, {.number = 1}, {.number = 2},
		{.number = 3}, {.number = 4}, {.number = 5}};
	struct list head;
	int sum = 0;

	list_init(&head);
	cr_expect(list_empty(&head) && !list_pop(&head));
	for (int i = 0; i < 6; i++) {
		cr_expect(!list_linked(&items[i].node));
		list_push(&head, &items[i].node);
		cr_expect(list_linked(&items[i].node));
	}
	list_unlink(&items[0].node);
	list_unlink(&items[0].node);
	cr_expect(!list_linked(&items[0].node));
	list_insert(&head, &items[0].node);
	list_each_safe (node, next, &head) {
		struct item *item = container_of(node, struct item, node);

		sum = sum * 10 + item->number;
		if (item->number % 2)
			list_unlink(node);
	}
	cr_expect(sum == 12345, "%d", sum);
	for (int i = 0; i < 6; i += 2)
		cr_expect(container_of(list_pop(&head), struct item, node) == &items[i]);
	cr_expect(list_empty(&head));
}

Test(base_rng, bounds)
{
	static const struct {
		uint64_t value;
		unsigned percent;
		uint64_t least;
	} rows[] = {
		{0, 20, 0},
		{1, 20, 1},
		{4, 20, 4},
		{5, 20, 4},
		{50, 20, 40},
		{1000, 0, 1000},
		{1000, 100, 0},
		{300000, 20, 240000},
		{(uint64_t)1 << 40, 50, ((uint64_t)1 << 40) - UINT32_MAX},
	};
	struct rng rng;

	rng_init(&rng, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t least = UINT64_MAX, most = 0;

		for (int round = 0; round < 2000; round++) {
			uint64_t value =
				rng_jitter_below(&rng, rows[i].value, rows[i].percent);

			least = value < least ? value : least;
			most = value > most ? value : most;
		}
		cr_expect(least >= rows[i].least && most <= rows[i].value,
			"%ju: %ju to %ju", (uintmax_t)rows[i].value, (uintmax_t)least,
			(uintmax_t)most);
		/* Both ends of a short way are reached, and of a long one nearly. */
		if (rows[i].value - rows[i].least < 200)
			cr_expect(least == rows[i].least && most == rows[i].value,
				"%ju: %ju to %ju", (uintmax_t)rows[i].value,
				(uintmax_t)least, (uintmax_t)most);
	}
}

Test(base_rng, below)
{
	unsigned n_of[7] = {0};
	struct rng rng;

	for (uint64_t seed = 0; seed < 3; seed++) {
		rng_init(&rng, seed);
		for (int i = 0; i < 7000; i++)
			n_of[rng_below(&rng, 7)]++;
	}
	for (int i = 0; i < 7; i++)
		cr_expect(n_of[i] > 2700 && n_of[i] < 3300, "%d: %u", i, n_of[i]);
	cr_expect(rng_below(&rng, 1) == 0);
	/* The one seed that multiplies to a state of zero. */
	rng = (struct rng){0};
	rng_init(&rng, 0);
	cr_expect(rng.state != 0);
}
