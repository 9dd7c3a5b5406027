// SPDX-License-Identifier: Apache-2.0
#include "py/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/hmap.h"

/* Nothing but u64, so that it can be hashed and compared as bytes. ctime: mtime can be set back. */
struct cache_key {
	uint64_t dev, ino, size;
	uint64_t mtime_sec, mtime_nsec;
	uint64_t ctime_sec, ctime_nsec;
};

struct cache_entry {
	struct cache_key key;
	struct py_file file;
};

struct py_cache {
	struct hmap map;
	struct cache_entry **entries;
	size_t cnt;
	size_t cap;
	size_t miss_cnt;
};

struct cache_query {
	const struct py_cache *cache;
	const struct cache_key *key;
};

struct py_cache *py_cache__new(void)
{
	return calloc(1, sizeof(struct py_cache));
}

static void cache_forget(struct py_cache *cache)
{
	for (size_t i = 0; i < cache->cnt; i++) {
		py_file_free(&cache->entries[i]->file);
		free(cache->entries[i]);
	}
	cache->cnt = 0;
	hmap_free(&cache->map);
}

void py_cache__free(struct py_cache *cache)
{
	if (!cache)
		return;
	cache_forget(cache);
	free(cache->entries);
	free(cache);
}

void py_cache__trim(struct py_cache *cache)
{
	if (cache->cnt >= PY_CACHE_MAX)
		cache_forget(cache);
}

static bool cache_eq(const void *ctx, uint32_t value)
{
	const struct cache_query *query = ctx;

	return !memcmp(&query->cache->entries[value]->key, query->key, sizeof(*query->key));
}

static int cache_add(struct py_cache *cache, struct cache_entry *entry, uint64_t hash)
{
	struct cache_entry **entries;
	size_t cap;
	int err;

	if (cache->cnt == cache->cap) {
		cap = cache->cap ? cache->cap * 2 : 64;
		entries = realloc(cache->entries, cap * sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		cache->entries = entries;
		cache->cap = cap;
	}
	err = hmap_add(&cache->map, hash, (uint32_t)cache->cnt);
	if (err)
		return err;
	cache->entries[cache->cnt++] = entry;
	return 0;
}

static struct cache_key cache_key(const struct stat *st)
{
	return (struct cache_key){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_sec = (uint64_t)st->st_mtim.tv_sec,
		.mtime_nsec = (uint64_t)st->st_mtim.tv_nsec,
		.ctime_sec = (uint64_t)st->st_ctim.tv_sec,
		.ctime_nsec = (uint64_t)st->st_ctim.tv_nsec,
	};
}

const struct py_file *py_cache__known(const struct py_cache *cache, const struct stat *st)
{
	const struct cache_key key = cache_key(st);
	uint32_t found = hmap_find(&cache->map, hash_bytes(&key, sizeof(key), 0), cache_eq,
	                           &(struct cache_query){ .cache = cache, .key = &key });

	return found == HMAP_NONE ? NULL : &cache->entries[found]->file;
}

int py_cache__file(struct py_cache *cache, int fd, const struct py_file **file)
{
	struct cache_entry *entry;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	*file = py_cache__known(cache, &st);
	if (*file)
		return 0;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->key = cache_key(&st);
	cache->miss_cnt++;
	err = py_file_inspect(fd, &entry->file);
	if (!err)
		err = cache_add(cache, entry, hash_bytes(&entry->key, sizeof(entry->key), 0));
	if (err) {
		py_file_free(&entry->file);
		free(entry);
		return err;
	}
	*file = &entry->file;
	return 0;
}

size_t py_cache__miss_cnt(const struct py_cache *cache)
{
	return cache->miss_cnt;
}
