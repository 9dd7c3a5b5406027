// SPDX-License-Identifier: Apache-2.0
#include "util/hmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int hmap_resize(struct hmap *map, size_t cap)
{
	struct hmap_slot *slots = malloc(cap * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < cap; i++)
		slots[i] = (struct hmap_slot){ .value = HMAP_NONE };
	for (size_t i = 0; i < map->cap; i++) {
		if (map->slots[i].value == HMAP_NONE)
			continue;
		size_t at = map->slots[i].hash & (cap - 1);

		while (slots[at].value != HMAP_NONE)
			at = (at + 1) & (cap - 1);
		slots[at] = map->slots[i];
	}
	free(map->slots);
	map->slots = slots;
	map->cap = cap;
	map->fill = map->cnt;
	return 0;
}

uint32_t hmap_find(const struct hmap *map, uint64_t hash, hmap_eq_fn eq, const void *ctx)
{
	if (!map->cap)
		return HMAP_NONE;
	for (size_t at = hash & (map->cap - 1);; at = (at + 1) & (map->cap - 1)) {
		const struct hmap_slot *slot = &map->slots[at];

		if (slot->value == HMAP_NONE) {
			if (!slot->used)
				return HMAP_NONE;
			continue;
		}
		if (slot->hash == hash && eq(ctx, slot->value))
			return slot->value;
	}
}

int hmap_add(struct hmap *map, uint64_t hash, uint32_t value)
{
	size_t at;
	int err;

	/* At most 3/4 full, tombstones counted, so that a probe chain always ends. */
	if ((map->fill + 1) * 4 > map->cap * 3) {
		size_t cap = map->cap ? map->cap : 16;

		while ((map->cnt + 1) * 2 > cap)
			cap *= 2;
		err = hmap_resize(map, cap);
		if (err)
			return err;
	}
	for (at = hash & (map->cap - 1); map->slots[at].value != HMAP_NONE;)
		at = (at + 1) & (map->cap - 1);
	if (!map->slots[at].used)
		map->fill++;
	map->slots[at] = (struct hmap_slot){ .hash = hash, .value = value, .used = 1 };
	map->cnt++;
	return 0;
}

bool hmap_del(struct hmap *map, uint64_t hash, uint32_t value)
{
	if (!map->cap)
		return false;
	for (size_t at = hash & (map->cap - 1);; at = (at + 1) & (map->cap - 1)) {
		struct hmap_slot *slot = &map->slots[at];

		if (slot->value == HMAP_NONE) {
			if (!slot->used)
				return false;
			continue;
		}
		if (slot->hash == hash && slot->value == value) {
			slot->value = HMAP_NONE;
			map->cnt--;
			return true;
		}
	}
}

void hmap_free(struct hmap *map)
{
	free(map->slots);
	*map = (struct hmap){ 0 };
}

uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
	const unsigned char *at = data;
	uint64_t hash = seed ^ (len * 0x9e3779b97f4a7c15ull);
	uint64_t word;

	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		hash = (hash ^ word) * 0x9fb21c651e98df25ull;
		hash ^= hash >> 35;
	}
	if (len) {
		word = 0;
		memcpy(&word, at, len);
		hash = (hash ^ word) * 0x9fb21c651e98df25ull;
	}
	return hash_u64(hash);
}
