/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - interned byte strings: equal content has one id, ids count up from 0.
 *
 * Zero-initialised is empty and valid. Strings stay where they are for the pool's life and are
 * followed by a NUL. One thread at a time.
 */
#ifndef PV_UTIL_POOL_H
#define PV_UTIL_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "util/hmap.h"

struct pool_entry {
	char *data;
	size_t len;
};

struct pool_block; /* the memory the strings lie in */

struct pool {
	struct pool_entry *entries;
	uint32_t cnt;
	uint32_t cap;
	struct hmap map;
	struct pool_block *blocks;
};

/* The id of this content, added if new; HMAP_NONE when there is no memory. */
uint32_t pool_intern(struct pool *pool, const void *data, size_t len);
/* The id of this content; HMAP_NONE when it is not there. */
uint32_t pool_find(const struct pool *pool, const void *data, size_t len);
/* Strings of the pool by id; the pool keeps ownership. @len may be NULL. */
const char *pool_get(const struct pool *pool, uint32_t id, size_t *len);
/* Bytes of memory held, roughly. */
size_t pool_bytes(const struct pool *pool);
void pool_free(struct pool *pool);

#endif
