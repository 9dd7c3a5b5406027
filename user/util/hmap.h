/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmap.h - hash to index: the table behind every intern pool and cache.
 *
 * Values are u32 indices into an array of the caller, who also owns the keys: a look-up calls
 * `eq(ctx, index)` for each candidate whose full 64-bit hash is equal. Zero-initialised is empty
 * and valid. One thread at a time.
 */
#ifndef PV_UTIL_HMAP_H
#define PV_UTIL_HMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HMAP_NONE UINT32_MAX

struct hmap_slot {
	uint64_t hash;
	uint32_t value; /* HMAP_NONE: empty */
	uint32_t used;  /* an empty slot that was once used keeps its probe chain: tombstone */
};

struct hmap {
	struct hmap_slot *slots;
	size_t cap;  /* a power of two or 0 */
	size_t cnt;  /* values held */
	size_t fill; /* values and tombstones */
};

typedef bool (*hmap_eq_fn)(const void *ctx, uint32_t value);

/* The value whose hash and eq() match, or HMAP_NONE. */
uint32_t hmap_find(const struct hmap *map, uint64_t hash, hmap_eq_fn eq, const void *ctx);
/* Add @value without looking for an equal one; 0 or -ENOMEM. */
int hmap_add(struct hmap *map, uint64_t hash, uint32_t value);
/* Remove exactly (@hash, @value); false when it is not there. */
bool hmap_del(struct hmap *map, uint64_t hash, uint32_t value);
void hmap_free(struct hmap *map);

/* 64-bit hash of a run of bytes, for tables in memory only: not stable across versions. */
uint64_t hash_bytes(const void *data, size_t len, uint64_t seed);
static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

#endif
