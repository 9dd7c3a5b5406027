// SPDX-License-Identifier: Apache-2.0
#include "profile/profile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/hmap.h"
#include "util/pool.h"

/* A growing array of one type; `map` finds an equal element. */
struct table {
	void *rows;
	uint32_t cnt;
	uint32_t cap;
	struct hmap map;
};

struct stack_node {
	uint32_t parent;
	uint32_t frame;
};

struct profile {
	struct pool strings;
	struct table frames; /* struct profile_frame */
	struct table stacks; /* struct stack_node; [0] is PROFILE_ROOT */
	struct table tracks; /* struct profile_track */
	struct table values; /* struct profile_value, equal by (track, stack) */
	struct table labels; /* struct profile_label, equal by (process_key, pid, name) */
	struct profile_point *points;
	size_t point_cnt;
	size_t point_cap;
	bool points_sorted;
	uint64_t sample_cnt;
	struct profile_meta meta;
};

struct table_key {
	const struct table *table;
	const void *row;
	size_t row_sz; /* of the array's elements */
	size_t key_sz; /* the leading bytes that make two rows equal */
};

static bool table_eq(const void *ctx, uint32_t id)
{
	const struct table_key *key = ctx;

	return !memcmp((const char *)key->table->rows + id * key->row_sz, key->row, key->key_sz);
}

static int table_reserve(struct table *table, size_t row_sz)
{
	uint32_t cap = table->cap ? table->cap * 2 : 64;
	void *rows;

	if (table->cnt < table->cap)
		return 0;
	/* Ids end below PROFILE_NONE. */
	if (table->cap > UINT32_MAX / 2)
		return -ENOMEM;
	rows = realloc(table->rows, cap * row_sz);
	if (!rows)
		return -ENOMEM;
	table->rows = rows;
	table->cap = cap;
	return 0;
}

/* The id of the row that equals @row in its first @key_sz bytes; HMAP_NONE: there is none. */
static uint32_t table_find(const struct table *table, const void *row, size_t row_sz, size_t key_sz)
{
	const struct table_key key = { table, row, row_sz, key_sz };

	return hmap_find(&table->map, hash_bytes(row, key_sz, 0), table_eq, &key);
}

/* The id of the row that equals @row in its first @key_sz bytes, added if new. */
static uint32_t table_intern(struct table *table, const void *row, size_t row_sz, size_t key_sz)
{
	const struct table_key key = { table, row, row_sz, key_sz };
	uint64_t hash = hash_bytes(row, key_sz, 0);
	uint32_t id = hmap_find(&table->map, hash, table_eq, &key);

	if (id != HMAP_NONE)
		return id;
	if (table_reserve(table, row_sz) || hmap_add(&table->map, hash, table->cnt))
		return PROFILE_NONE;
	memcpy((char *)table->rows + table->cnt * row_sz, row, row_sz);
	return table->cnt++;
}

static void table_free(struct table *table)
{
	free(table->rows);
	hmap_free(&table->map);
}

struct profile *profile__new(void)
{
	const struct stack_node root = { PROFILE_NONE, PROFILE_NONE };
	struct profile *profile = calloc(1, sizeof(*profile));

	if (!profile)
		return NULL;
	profile->points_sorted = true;
	if (table_intern(&profile->stacks, &root, sizeof(root), sizeof(root)) != PROFILE_ROOT) {
		profile__free(profile);
		errno = ENOMEM;
		return NULL;
	}
	return profile;
}

void profile__free(struct profile *profile)
{
	if (!profile)
		return;
	pool_free(&profile->strings);
	table_free(&profile->frames);
	table_free(&profile->stacks);
	table_free(&profile->tracks);
	table_free(&profile->values);
	table_free(&profile->labels);
	free(profile->points);
	free(profile);
}

uint32_t profile__string(struct profile *profile, const char *s, size_t len)
{
	return pool_intern(&profile->strings, len ? s : "", len);
}

/*
 * Ids that came back as PROFILE_NONE for want of memory may be passed on: the result is
 * PROFILE_NONE (or -ENOMEM) again, so a caller checks once, at the end of its chain.
 */
uint32_t profile__frame(struct profile *profile, const struct profile_frame *frame)
{
	_Static_assert(sizeof(*frame) == 20, "no padding: frames are compared as bytes");

	if (frame->name >= profile->strings.cnt || frame->file >= profile->strings.cnt)
		return PROFILE_NONE;
	return table_intern(&profile->frames, frame, sizeof(*frame), sizeof(*frame));
}

uint32_t profile__stack(struct profile *profile, uint32_t parent, uint32_t frame)
{
	const struct stack_node node = { parent, frame };

	if (parent >= profile->stacks.cnt || frame >= profile->frames.cnt)
		return PROFILE_NONE;
	return table_intern(&profile->stacks, &node, sizeof(node), sizeof(node));
}

uint32_t profile__track(struct profile *profile, const struct profile_track *track)
{
	_Static_assert(sizeof(*track) == 32, "no padding: tracks are compared as bytes");

	if (track->process >= profile->strings.cnt || track->thread >= profile->strings.cnt)
		return PROFILE_NONE;
	return table_intern(&profile->tracks, track, sizeof(*track), sizeof(*track));
}

int profile__add(struct profile *profile, uint32_t track, uint32_t stack, uint64_t cnt)
{
	const struct profile_value value = { .track = track, .stack = stack };
	uint32_t id;

	if (track >= profile->tracks.cnt || stack >= profile->stacks.cnt)
		return -ENOMEM;
	if (!cnt)
		return 0;
	id = table_intern(&profile->values, &value, sizeof(value),
	                  offsetof(struct profile_value, cnt));
	if (id == PROFILE_NONE)
		return -ENOMEM;
	((struct profile_value *)profile->values.rows)[id].cnt += cnt;
	profile->sample_cnt += cnt;
	return 0;
}

int profile__set_label(struct profile *profile, const struct profile_label *label)
{
	_Static_assert(offsetof(struct profile_label, value) == 16, "no padding in the key");
	uint32_t id;

	if (label->name >= profile->strings.cnt || label->value >= profile->strings.cnt)
		return -ENOMEM;
	id = table_intern(&profile->labels, label, sizeof(*label),
	                  offsetof(struct profile_label, value));
	if (id == PROFILE_NONE)
		return -ENOMEM;
	((struct profile_label *)profile->labels.rows)[id].value = label->value;
	return 0;
}

int profile__add_point(struct profile *profile, const struct profile_point *point)
{
	if (point->track >= profile->tracks.cnt || point->stack >= profile->stacks.cnt)
		return -ENOMEM;
	if (profile->point_cnt == profile->point_cap) {
		size_t cap = profile->point_cap ? profile->point_cap * 2 : 256;
		struct profile_point *points = realloc(profile->points, cap * sizeof(*points));

		if (!points)
			return -ENOMEM;
		profile->points = points;
		profile->point_cap = cap;
	}
	if (profile->point_cnt && profile->points[profile->point_cnt - 1].time_ns > point->time_ns)
		profile->points_sorted = false;
	profile->points[profile->point_cnt++] = *point;
	return 0;
}

void profile__drop_points(struct profile *profile)
{
	free(profile->points);
	profile->points = NULL;
	profile->point_cnt = profile->point_cap = 0;
	profile->points_sorted = true;
}

void profile__set_meta(struct profile *profile, const struct profile_meta *meta)
{
	profile->meta = *meta;
	if (profile->meta.outcome_cnt > PROFILE_LEDGER_MAX)
		profile->meta.outcome_cnt = PROFILE_LEDGER_MAX;
	if (profile->meta.event_cnt > PROFILE_LEDGER_MAX)
		profile->meta.event_cnt = PROFILE_LEDGER_MAX;
}

const char *profile__string_at(const struct profile *profile, uint32_t id, size_t *len)
{
	return pool_get(&profile->strings, id, len);
}

uint32_t profile__string_cnt(const struct profile *profile)
{
	return profile->strings.cnt;
}

const struct profile_frame *profile__frame_at(const struct profile *profile, uint32_t id)
{
	return (const struct profile_frame *)profile->frames.rows + id;
}

uint32_t profile__frame_cnt(const struct profile *profile)
{
	return profile->frames.cnt;
}

uint32_t profile__stack_parent(const struct profile *profile, uint32_t id)
{
	return ((const struct stack_node *)profile->stacks.rows)[id].parent;
}

uint32_t profile__stack_frame(const struct profile *profile, uint32_t id)
{
	return ((const struct stack_node *)profile->stacks.rows)[id].frame;
}

uint32_t profile__stack_cnt(const struct profile *profile)
{
	return profile->stacks.cnt;
}

const struct profile_track *profile__track_at(const struct profile *profile, uint32_t id)
{
	return (const struct profile_track *)profile->tracks.rows + id;
}

uint32_t profile__track_cnt(const struct profile *profile)
{
	return profile->tracks.cnt;
}

const struct profile_label *profile__labels(const struct profile *profile, size_t *cnt)
{
	*cnt = profile->labels.cnt;
	return profile->labels.rows;
}

uint32_t profile__label_of(const struct profile *profile, const struct profile_track *track,
                           uint32_t name)
{
	const struct profile_label key = {
		.process_key = track->process_key,
		.pid = track->pid,
		.name = name,
	};
	uint32_t id = table_find(&profile->labels, &key, sizeof(key),
	                         offsetof(struct profile_label, value));

	return id == HMAP_NONE ? PROFILE_NONE
	                       : ((const struct profile_label *)profile->labels.rows)[id].value;
}

uint32_t profile__find_string(const struct profile *profile, const char *s, size_t len)
{
	return pool_find(&profile->strings, len ? s : "", len);
}

const struct profile_value *profile__values(const struct profile *profile, size_t *cnt)
{
	*cnt = profile->values.cnt;
	return profile->values.rows;
}

/* Equal times are ordered by track and stack, so that the order is the same on every run. */
static int point_cmp(const void *left, const void *right)
{
	const struct profile_point *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	if (a->track != b->track)
		return a->track < b->track ? -1 : 1;
	return (a->stack > b->stack) - (a->stack < b->stack);
}

const struct profile_point *profile__points(struct profile *profile, size_t *cnt)
{
	if (!profile->points_sorted)
		qsort(profile->points, profile->point_cnt, sizeof(*profile->points), point_cmp);
	profile->points_sorted = true;
	*cnt = profile->point_cnt;
	return profile->points;
}

uint64_t profile__sample_cnt(const struct profile *profile)
{
	return profile->sample_cnt;
}

const struct profile_meta *profile__meta(const struct profile *profile)
{
	return &profile->meta;
}
