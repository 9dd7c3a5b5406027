// SPDX-License-Identifier: Apache-2.0
#include "collect/stacks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/hmap.h"

#define NODE_ROOT 0

#define STACKS_FULL "[stack table full]"

/* Values of node.kind beyond enum pv_frame_kind. */
#define NODE_SKIPPED 0x100 /* lasti: frames left out here */
#define NODE_FULL    0x101 /* the tree was full */

struct node {
	uint32_t parent;
	uint32_t code; /* SYM_NONE: none */
	uint64_t addr;
	uint32_t kind_fp;
	int32_t lasti;
	uint32_t kind;
};

struct value {
	uint32_t track;
	uint32_t node;
	uint64_t cnt;
};

struct point {
	uint64_t time_ns;
	uint32_t track;
	uint32_t node;
};

struct stacks {
	struct stacks_shared *shared;
	struct node *nodes;
	uint32_t node_cnt;
	uint32_t node_cap;
	struct hmap node_map;
	struct value *values;
	uint32_t value_cnt;
	uint32_t value_cap;
	struct hmap value_map;
	struct point *points;
	uint32_t point_cnt;
	uint32_t point_cap;
};

struct stacks *stacks__new(struct stacks_shared *shared)
{
	struct stacks *stacks = calloc(1, sizeof(*stacks));

	if (!stacks)
		return NULL;
	stacks->shared = shared;
	/* Most processes are short and show few stacks. */
	stacks->node_cap = 16;
	stacks->nodes = calloc(stacks->node_cap, sizeof(*stacks->nodes));
	if (!stacks->nodes) {
		free(stacks);
		return NULL;
	}
	stacks->node_cnt = 1; /* NODE_ROOT */
	shared->node_cnt++;
	return stacks;
}

void stacks__free(struct stacks *stacks)
{
	if (!stacks)
		return;
	stacks->shared->node_cnt -= stacks->node_cnt;
	free(stacks->nodes);
	hmap_free(&stacks->node_map);
	free(stacks->values);
	hmap_free(&stacks->value_map);
	free(stacks->points);
	free(stacks);
}

/* Make room for one more element of @size bytes in an array; false: no memory. */
static bool grow(void **array, uint32_t cnt, uint32_t *cap, size_t size)
{
	uint32_t more = *cap ? *cap * 2 : 16;
	void *bigger;

	if (cnt < *cap)
		return true;
	bigger = realloc(*array, more * size);
	if (!bigger)
		return false;
	*array = bigger;
	*cap = more;
	return true;
}

struct node_key {
	const struct stacks *stacks;
	const struct node *node;
};

static bool node_eq(const void *ctx, uint32_t id)
{
	const struct node_key *key = ctx;
	const struct node *a = key->node, *b = &key->stacks->nodes[id];

	return a->parent == b->parent && a->addr == b->addr && a->kind_fp == b->kind_fp &&
	       a->lasti == b->lasti && a->kind == b->kind;
}

/* The child of @parent that is this frame, made if it is new. */
static int node_child(struct stacks *stacks, struct sym *sym, struct node *want, uint32_t *child)
{
	struct node_key key = { stacks, want };
	uint64_t hash =
		hash_u64(want->addr + ((uint64_t)want->parent << 40)) ^
		hash_u64(((uint64_t)want->kind_fp << 32) + (uint32_t)want->lasti + want->kind);
	uint32_t id = hmap_find(&stacks->node_map, hash, node_eq, &key);

	if (id != HMAP_NONE) {
		*child = id;
		return 0;
	}
	if (stacks->shared->node_cnt >= stacks->shared->node_max && want->kind != NODE_FULL)
		return -ENOSPC;
	if (!grow((void **)&stacks->nodes, stacks->node_cnt, &stacks->node_cap, sizeof(*want)))
		return -ENOMEM;
	want->code = SYM_NONE;
	if (want->kind == PV_FRAME_PYTHON || want->kind == PV_FRAME_GENERATOR) {
		const struct pv_frame frame = { want->addr, want->kind_fp, want->lasti };

		want->code = sym__code(sym, &frame);
	}
	if (hmap_add(&stacks->node_map, hash, stacks->node_cnt))
		return -ENOMEM;
	stacks->shared->node_cnt++;
	stacks->nodes[stacks->node_cnt] = *want;
	*child = stacks->node_cnt++;
	return 0;
}

static int node_frame(struct stacks *stacks, struct sym *sym, const struct pv_frame *frame,
                      uint32_t *at)
{
	struct node want = {
		.parent = *at,
		.addr = frame->addr,
		.kind_fp = frame->kind_fp,
		.lasti = frame->lasti,
		.kind = PV_FRAME_KIND(frame),
	};

	return node_child(stacks, sym, &want, at);
}

static int node_mark(struct stacks *stacks, struct sym *sym, uint32_t kind, uint32_t number,
                     uint32_t *at)
{
	struct node want = { .parent = *at, .kind = kind, .lasti = (int32_t)number };

	return node_child(stacks, sym, &want, at);
}

/* Go down the tree from the root to the sample's leaf. */
static int node_of(struct stacks *stacks, struct sym *sym, const struct pv_sample *sample,
                   uint32_t *at)
{
	const struct pv_frame *frames = PV_SAMPLE_FRAMES(sample);
	uint32_t leaf_cnt = sample->frame_cnt;
	int err = 0;

	*at = NODE_ROOT;
	if (sample->skipped_cnt) {
		leaf_cnt = PV_LEAF_FRAMES;
		for (uint32_t i = PV_ROOT_FRAMES; !err && i-- > 0;)
			err = node_frame(
				stacks, sym,
				&frames[PV_LEAF_FRAMES + (sample->root_first + i) % PV_ROOT_FRAMES],
				at);
		if (!err)
			err = node_mark(stacks, sym, NODE_SKIPPED, sample->skipped_cnt, at);
	}
	for (uint32_t i = leaf_cnt; !err && i-- > 0;)
		err = node_frame(stacks, sym, &frames[i], at);
	return err;
}

struct value_key {
	const struct stacks *stacks;
	uint32_t track;
	uint32_t node;
};

static bool value_eq(const void *ctx, uint32_t id)
{
	const struct value_key *key = ctx;
	const struct value *value = &key->stacks->values[id];

	return value->track == key->track && value->node == key->node;
}

static int value_add(struct stacks *stacks, uint32_t track, uint32_t node)
{
	struct value_key key = { stacks, track, node };
	uint64_t hash = hash_u64((uint64_t)track << 32 | node);
	uint32_t id = hmap_find(&stacks->value_map, hash, value_eq, &key);

	if (id != HMAP_NONE) {
		stacks->values[id].cnt++;
		return 0;
	}
	if (!grow((void **)&stacks->values, stacks->value_cnt, &stacks->value_cap,
	          sizeof(*stacks->values)) ||
	    hmap_add(&stacks->value_map, hash, stacks->value_cnt))
		return -ENOMEM;
	stacks->values[stacks->value_cnt++] = (struct value){ track, node, 1 };
	return 0;
}

static void point_add(struct stacks *stacks, uint64_t time_ns, uint32_t track, uint32_t node)
{
	struct stacks_shared *shared = stacks->shared;

	if (!shared->points)
		return;
	if (shared->point_cnt >= shared->point_max ||
	    !grow((void **)&stacks->points, stacks->point_cnt, &stacks->point_cap,
	          sizeof(*stacks->points))) {
		/* Half a time line would misstate the totals; the counted values stand. */
		shared->points = false;
		return;
	}
	shared->point_cnt++;
	stacks->points[stacks->point_cnt++] = (struct point){ time_ns, track, node };
}

int stacks__add(struct stacks *stacks, struct sym *sym, uint32_t track,
                const struct pv_sample *sample, size_t size, uint64_t time_ns)
{
	bool full = false;
	uint32_t node;
	int err;

	if (size < sizeof(*sample) ||
	    size - sizeof(*sample) < sample->frame_cnt * sizeof(struct pv_frame) ||
	    (sample->skipped_cnt && sample->frame_cnt != PV_MAX_FRAMES))
		return -EPROTO;
	err = node_of(stacks, sym, sample, &node);
	if (err == -ENOSPC) {
		full = true;
		node = NODE_ROOT;
		err = node_mark(stacks, sym, NODE_FULL, 0, &node);
	}
	if (!err)
		err = value_add(stacks, track, node);
	if (err)
		return err;
	stacks->shared->full_cnt += full;
	point_add(stacks, time_ns, track, node);
	return 0;
}

uint32_t stacks_mark(struct profile *profile, const char *text)
{
	struct profile_frame frame = { .kind = PROFILE_FRAME_MARK };

	frame.name = profile__string(profile, text, strlen(text));
	frame.file = profile__string(profile, "", 0);
	if (frame.name == PROFILE_NONE || frame.file == PROFILE_NONE)
		return PROFILE_NONE;
	return profile__frame(profile, &frame);
}

static int node_profile_frame(struct sym *sym, const struct node *node, uint16_t version,
                              struct profile *profile, uint32_t *frame)
{
	const struct pv_frame raw = { node->addr, node->kind_fp, node->lasti };
	char text[64];
	int err = 0;

	switch (node->kind) {
	case NODE_SKIPPED:
		snprintf(text, sizeof(text), "[truncated: %d frame%s]", node->lasti,
		         node->lasti == 1 ? "" : "s");
		*frame = stacks_mark(profile, text);
		return *frame == PROFILE_NONE ? -ENOMEM : 0;
	case NODE_FULL:
		*frame = stacks_mark(profile, STACKS_FULL);
		return *frame == PROFILE_NONE ? -ENOMEM : 0;
	case PV_FRAME_UNREADABLE:
		*frame = stacks_mark(profile, "[unreadable]");
		return *frame == PROFILE_NONE ? -ENOMEM : 0;
	}
	if (node->code == SYM_NONE) {
		*frame = stacks_mark(profile, "[unknown function]");
		return *frame == PROFILE_NONE ? -ENOMEM : 0;
	}
	*frame = sym__frame(sym, node->code, version, &raw, profile, &err);
	return err;
}

/* The stacks of @profile that the nodes are. */
static int profile_stacks(const struct stacks *stacks, struct sym *sym, uint16_t version,
                          struct profile *profile, uint32_t *stack_of)
{
	/* A node's parent was made before it. */
	for (uint32_t i = 1; i < stacks->node_cnt; i++) {
		const struct node *node = &stacks->nodes[i];
		uint32_t frame;
		int err = node_profile_frame(sym, node, version, profile, &frame);

		if (err)
			return err;
		stack_of[i] = stack_of[node->parent];
		if (frame == PROFILE_NONE)
			continue;
		stack_of[i] = profile__stack(profile, stack_of[i], frame);
		if (stack_of[i] == PROFILE_NONE)
			return -ENOMEM;
	}
	return 0;
}

static bool profile_is_full(const struct stacks_shared *shared, const struct profile *profile)
{
	size_t value_cnt;

	profile__values(profile, &value_cnt);
	return profile__stack_cnt(profile) >= shared->profile_max ||
	       value_cnt >= shared->profile_max;
}

/* The profile has reached its bound: all of the image's samples are of one mark. */
static int profile_mark(const struct stacks *stacks, struct profile *profile, uint32_t *stack_of)
{
	uint32_t frame = stacks_mark(profile, STACKS_FULL);
	uint32_t stack = profile__stack(profile, PROFILE_ROOT, frame);

	if (stack == PROFILE_NONE)
		return -ENOMEM;
	for (uint32_t i = 0; i < stacks->node_cnt; i++)
		stack_of[i] = stack;
	return 0;
}

static int move_values(struct stacks *stacks, const uint32_t *stack_of, const uint32_t *tracks,
                       struct profile *profile, bool full)
{
	int err;

	while (stacks->value_cnt) {
		const struct value *value = &stacks->values[stacks->value_cnt - 1];

		err = profile__add(profile, tracks[value->track], stack_of[value->node],
		                   value->cnt);
		if (err)
			return err;
		if (full)
			stacks->shared->full_cnt += value->cnt;
		stacks->value_cnt--;
	}
	while (stacks->shared->points && stacks->point_cnt) {
		const struct point *at = &stacks->points[stacks->point_cnt - 1];
		const struct profile_point point = {
			.time_ns = at->time_ns,
			.track = tracks[at->track],
			.stack = stack_of[at->node],
		};

		err = profile__add_point(profile, &point);
		if (err)
			return err;
		stacks->point_cnt--;
	}
	return 0;
}

int stacks__profile(struct stacks *stacks, struct sym *sym, uint16_t version,
                    const uint32_t *tracks, struct profile *profile)
{
	uint32_t *stack_of = calloc(stacks->node_cnt, sizeof(*stack_of));
	bool full = profile_is_full(stacks->shared, profile);
	int err;

	if (!stack_of)
		return -ENOMEM;
	if (full)
		err = profile_mark(stacks, profile, stack_of);
	else
		err = profile_stacks(stacks, sym, version, profile, stack_of);
	/* Values go from the last one on: their map is of no use any more. */
	hmap_free(&stacks->value_map);
	if (!err)
		err = move_values(stacks, stack_of, tracks, profile, full);
	free(stack_of);
	return err;
}
