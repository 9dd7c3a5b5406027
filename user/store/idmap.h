/* SPDX-License-Identifier: Apache-2.0 */
/* idmap.h - row ids to small numbers. Zero-initialised is empty. Of this room only. */
#ifndef PV_STORE_IDMAP_H
#define PV_STORE_IDMAP_H

#include <stdint.h>

#include "util/hmap.h"

struct idmap {
	struct hmap map;
	int64_t *keys;
	uint32_t *values;
	uint32_t cnt;
	uint32_t cap;
};

/* HMAP_NONE: not there. */
uint32_t idmap_get(const struct idmap *map, int64_t key);
/* Add a key that is not there. 0 or -ENOMEM. */
int idmap_add(struct idmap *map, int64_t key, uint32_t value);
void idmap_free(struct idmap *map);

#endif
