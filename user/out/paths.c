// SPDX-License-Identifier: Apache-2.0
#include "out/paths.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/hmap.h"

struct path {
	const char *s;
	size_t len;
	size_t start; /* of the short name */
	uint32_t string;
	bool clash;
};

struct path_set {
	struct path *paths;
	uint32_t cnt;
};

/* The last place behind @what in the path, or 0. */
static size_t behind(const char *s, size_t len, const char *what)
{
	size_t what_len = strlen(what), best = 0;
	const char *at = s, *hit;

	while ((hit = memmem(at, len - (size_t)(at - s), what, what_len))) {
		best = (size_t)(hit - s) + what_len;
		at = hit + 1;
	}
	return best;
}

static size_t behind_packages(const char *s, size_t len)
{
	size_t site = behind(s, len, "/site-packages/");
	size_t dist = behind(s, len, "/dist-packages/");

	return site > dist ? site : dist;
}

/* Behind lib/pythonX.Y/ (lib64 too, and the t of free-threaded builds), or 0. */
static size_t behind_stdlib(const char *s, size_t len)
{
	size_t lib = behind(s, len, "/lib/python");
	size_t lib64 = behind(s, len, "/lib64/python");
	size_t at = lib > lib64 ? lib : lib64;
	size_t digits;

	if (!at)
		return 0;
	digits = strspn(s + at, "0123456789.t");
	return digits && at + digits < len && s[at + digits] == '/' ? at + digits + 1 : 0;
}

static size_t short_start(const char *s, size_t len)
{
	const char *slash;
	size_t start;

	if (len && s[0] == '<')
		return 0;
	start = behind_packages(s, len);
	if (!start)
		start = behind_stdlib(s, len);
	if (!start) {
		slash = memrchr(s, '/', len);
		start = slash ? (size_t)(slash - s) + 1 : 0;
	}
	return start < len ? start : 0;
}

/* Take @dirs more parent directories into the short name. */
static void grow(struct path *path, uint32_t dirs)
{
	while (path->start && dirs--) {
		const char *slash = memrchr(path->s, '/', path->start - 1);

		path->start = slash ? (size_t)(slash - path->s) + 1 : 0;
	}
}

struct short_key {
	const struct path_set *set;
	uint32_t path;
};

static bool short_eq(const void *ctx, uint32_t other)
{
	const struct short_key *key = ctx;
	const struct path *a = &key->set->paths[key->path], *b = &key->set->paths[other];

	return a->len - a->start == b->len - b->start &&
	       !memcmp(a->s + a->start, b->s + b->start, a->len - a->start);
}

/* Mark all paths whose short name is another's too. 0 or -ENOMEM. */
static int find_clashes(struct path_set *set)
{
	struct hmap map = { 0 };
	int err = 0;

	for (uint32_t i = 0; i < set->cnt; i++)
		set->paths[i].clash = false;
	for (uint32_t i = 0; i < set->cnt && !err; i++) {
		struct path *path = &set->paths[i];
		struct short_key key = { set, i };
		uint64_t hash = hash_bytes(path->s + path->start, path->len - path->start, 0);
		uint32_t other = hmap_find(&map, hash, short_eq, &key);

		if (other == HMAP_NONE) {
			err = hmap_add(&map, hash, i);
		} else {
			path->clash = true;
			set->paths[other].clash = true;
		}
	}
	hmap_free(&map);
	return err;
}

/* Rounds end: each lengthens a short name or is the last. Whole paths differ, being interned. */
static int make_unique(struct path_set *set)
{
	bool grown = true;

	for (uint32_t round = 0; grown; round++) {
		/* One directory at a time as people's trees go; in leaps where someone plays tricks. */
		uint32_t dirs = round < 8 ? 1 : 1u << (round < 24 ? round - 7 : 16);
		int err = find_clashes(set);

		if (err)
			return err;
		grown = false;
		for (uint32_t i = 0; i < set->cnt; i++) {
			if (!set->paths[i].clash || !set->paths[i].start)
				continue;
			grow(&set->paths[i], dirs);
			grown = true;
		}
	}
	return 0;
}

static void collect(const struct profile *profile, struct path_set *set, uint32_t *starts)
{
	for (uint32_t i = 0; i < profile__frame_cnt(profile); i++) {
		const struct profile_frame *frame = profile__frame_at(profile, i);
		struct path *path = &set->paths[set->cnt];

		if (starts[frame->file] != UINT32_MAX)
			continue;
		path->s = profile__string_at(profile, frame->file, &path->len);
		path->string = frame->file;
		path->start = short_start(path->s, path->len);
		starts[frame->file] = 0;
		set->cnt++;
	}
}

uint32_t *paths_short(const struct profile *profile)
{
	uint32_t string_cnt = profile__string_cnt(profile);
	uint32_t *starts = malloc((string_cnt + 1) * sizeof(*starts));
	struct path_set set = { calloc(profile__frame_cnt(profile) + 1, sizeof(struct path)), 0 };
	int err = starts && set.paths ? 0 : -1;

	if (!err) {
		memset(starts, 0xff, (string_cnt + 1) * sizeof(*starts));
		collect(profile, &set, starts);
		err = make_unique(&set);
	}
	for (uint32_t i = 0; !err && i < set.cnt; i++)
		starts[set.paths[i].string] = (uint32_t)set.paths[i].start;
	free(set.paths);
	if (err) {
		free(starts);
		return NULL;
	}
	return starts;
}

enum path_origin path_origin(const char *path, size_t len, const char **module, size_t *module_len)
{
	enum path_origin origin = PATH_PACKAGE;
	size_t start = behind_packages(path, len);
	const char *slash;

	*module = path;
	*module_len = len;
	if (!start) {
		start = behind_stdlib(path, len);
		origin = PATH_STDLIB;
	}
	if (!start)
		return len >= 7 && !memcmp(path, "<frozen", 7) ? PATH_STDLIB : PATH_APP;
	*module = path + start;
	slash = memchr(*module, '/', len - start);
	*module_len = slash ? (size_t)(slash - *module) : len - start;
	return origin;
}
