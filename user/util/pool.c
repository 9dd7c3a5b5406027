// SPDX-License-Identifier: Apache-2.0
#include "util/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define POOL_BLOCK_SZ 16384

struct pool_block {
	struct pool_block *next;
	size_t used;
	size_t cap;
	char data[];
};

struct pool_key {
	const struct pool *pool;
	const void *data;
	size_t len;
};

static bool pool_eq(const void *ctx, uint32_t id)
{
	const struct pool_key *key = ctx;
	const struct pool_entry *entry = &key->pool->entries[id];

	return entry->len == key->len && !memcmp(entry->data, key->data, key->len);
}

static char *pool_copy(struct pool *pool, const void *data, size_t len)
{
	struct pool_block *block = pool->blocks;
	char *copy;

	if (!block || block->cap - block->used < len + 1) {
		size_t cap = len + 1 > POOL_BLOCK_SZ ? len + 1 : POOL_BLOCK_SZ;

		block = malloc(sizeof(*block) + cap);
		if (!block)
			return NULL;
		*block = (struct pool_block){ .next = pool->blocks, .cap = cap };
		pool->blocks = block;
	}
	copy = block->data + block->used;
	memcpy(copy, data, len);
	copy[len] = '\0';
	block->used += len + 1;
	return copy;
}

uint32_t pool_find(const struct pool *pool, const void *data, size_t len)
{
	struct pool_key key = { pool, data, len };

	return hmap_find(&pool->map, hash_bytes(data, len, 0), pool_eq, &key);
}

uint32_t pool_intern(struct pool *pool, const void *data, size_t len)
{
	struct pool_key key = { pool, data, len };
	uint64_t hash = hash_bytes(data, len, 0);
	uint32_t id = hmap_find(&pool->map, hash, pool_eq, &key);
	char *copy;

	if (id != HMAP_NONE)
		return id;
	if (pool->cnt == pool->cap) {
		uint32_t cap = pool->cap ? pool->cap * 2 : 64;
		struct pool_entry *entries = realloc(pool->entries, cap * sizeof(*entries));

		if (!entries)
			return HMAP_NONE;
		pool->entries = entries;
		pool->cap = cap;
	}
	copy = pool_copy(pool, data, len);
	if (!copy || hmap_add(&pool->map, hash, pool->cnt))
		return HMAP_NONE;
	pool->entries[pool->cnt] = (struct pool_entry){ copy, len };
	return pool->cnt++;
}

const char *pool_get(const struct pool *pool, uint32_t id, size_t *len)
{
	if (len)
		*len = pool->entries[id].len;
	return pool->entries[id].data;
}

size_t pool_bytes(const struct pool *pool)
{
	size_t bytes =
		pool->cap * sizeof(*pool->entries) + pool->map.cap * sizeof(struct hmap_slot);

	for (const struct pool_block *block = pool->blocks; block; block = block->next)
		bytes += sizeof(*block) + block->cap;
	return bytes;
}

void pool_free(struct pool *pool)
{
	for (struct pool_block *block = pool->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(pool->entries);
	hmap_free(&pool->map);
	*pool = (struct pool){ 0 };
}
