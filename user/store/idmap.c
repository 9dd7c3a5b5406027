// SPDX-License-Identifier: Apache-2.0
#include "store/idmap.h"

#include <errno.h>
#include <stdlib.h>

struct idmap_key {
	const struct idmap *map;
	int64_t key;
};

static bool key_eq(const void *ctx, uint32_t at)
{
	const struct idmap_key *key = ctx;

	return key->map->keys[at] == key->key;
}

uint32_t idmap_get(const struct idmap *map, int64_t key)
{
	const struct idmap_key want = { map, key };
	uint32_t at = hmap_find(&map->map, hash_u64((uint64_t)key), key_eq, &want);

	return at == HMAP_NONE ? HMAP_NONE : map->values[at];
}

int idmap_add(struct idmap *map, int64_t key, uint32_t value)
{
	if (map->cnt == map->cap) {
		uint32_t cap = map->cap ? map->cap * 2 : 64;
		int64_t *keys = realloc(map->keys, cap * sizeof(*keys));
		uint32_t *values;

		if (!keys)
			return -ENOMEM;
		map->keys = keys;
		values = realloc(map->values, cap * sizeof(*values));
		if (!values)
			return -ENOMEM;
		map->values = values;
		map->cap = cap;
	}
	if (hmap_add(&map->map, hash_u64((uint64_t)key), map->cnt))
		return -ENOMEM;
	map->keys[map->cnt] = key;
	map->values[map->cnt++] = value;
	return 0;
}

void idmap_free(struct idmap *map)
{
	hmap_free(&map->map);
	free(map->keys);
	free(map->values);
	*map = (struct idmap){ 0 };
}
