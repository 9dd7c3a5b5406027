// SPDX-License-Identifier: Apache-2.0
#include "out/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "out/paths.h"
#include "out/text.h"
#include "util/buf.h"

#define NO_NAME   "<no name>"
#define NO_FRAMES "[no Python frames]"

/* --- frames --- */

struct frame_key {
	const struct view *view;
	const struct view_frame *frame;
};

static bool frame_eq(const void *ctx, uint32_t id)
{
	const struct frame_key *key = ctx;
	const struct view_frame *a = key->frame, *b = &key->view->frames[id];

	if (key->view->mode != VIEW_RAW)
		return a->label == b->label;
	return a->name == b->name && a->path == b->path && a->line == b->line &&
	       a->first_line == b->first_line;
}

static uint32_t frame_intern(struct view *view, const struct view_frame *frame)
{
	const struct frame_key key = { view, frame };
	const uint32_t raw[] = { frame->name, frame->path, (uint32_t)frame->line,
		                 (uint32_t)frame->first_line };
	uint64_t hash = view->mode == VIEW_RAW ? hash_bytes(raw, sizeof(raw), 0)
	                                       : hash_u64(frame->label + 1);
	uint32_t id = hmap_find(&view->frame_map, hash, frame_eq, &key);

	if (id != HMAP_NONE)
		return id;
	if (view->frame_cnt == view->frame_cap) {
		uint32_t cap = view->frame_cap ? view->frame_cap * 2 : 64;
		struct view_frame *frames = realloc(view->frames, cap * sizeof(*frames));

		if (!frames)
			return VIEW_NONE;
		view->frames = frames;
		view->frame_cap = cap;
	}
	if (hmap_add(&view->frame_map, hash, view->frame_cnt))
		return VIEW_NONE;
	view->frames[view->frame_cnt] = *frame;
	return view->frame_cnt++;
}

/*
 * What has a meaning in a line of folded stacks: `;` between frames, a number behind a space at
 * the end (two of them are a difference of two profiles), `#` at the start of a comment. Labels are
 * mended wherever they stand, so that a function is called the same in every line.
 */
static void defuse_folded(struct buf *label)
{
	size_t at = label->len;

	for (size_t i = 0; i < label->len; i++) {
		if (label->data[i] == ';')
			label->data[i] = ':';
	}
	if (label->len && label->data[0] == '#')
		label->data[0] = '_';
	while (at && strchr("0123456789.", label->data[at - 1]))
		at--;
	if (at && label->data[at - 1] == ' ')
		label->data[at - 1] = '_';
}

static uint32_t label_make(struct view *view, const struct view_frame *frame)
{
	struct buf raw = { 0 }, label = { 0 };
	uint32_t id = HMAP_NONE;
	const char *name, *file;
	size_t name_len, file_len;

	if (view->mode == VIEW_RAW)
		return pool_intern(&view->text, "", 0);
	name = view_text_at(view, frame->name, &name_len);
	file = view_text_at(view, frame->file, &file_len);
	buf_add(&raw, name, name_len);
	if (file_len) {
		buf_puts(&raw, " (");
		buf_add(&raw, file, file_len);
		if (frame->line)
			buf_printf(&raw, ":%" PRId32, frame->line);
		buf_putc(&raw, ')');
	}
	text_visible(&label, buf_str(&raw), raw.len);
	if (view->mode == VIEW_FOLDED)
		defuse_folded(&label);
	if (!raw.err && !label.err)
		id = pool_intern(&view->text, buf_str(&label), label.len);
	buf_free(&raw);
	buf_free(&label);
	return id;
}

/* A frame that is no function: the name is all there is. */
static uint32_t frame_named(struct view *view, const char *name, size_t len)
{
	struct view_frame frame = { .path = VIEW_NONE };

	frame.name = pool_intern(&view->text, name, len);
	frame.file = pool_intern(&view->text, "", 0);
	if (frame.name == HMAP_NONE || frame.file == HMAP_NONE)
		return VIEW_NONE;
	frame.label = label_make(view, &frame);
	return frame.label == HMAP_NONE ? VIEW_NONE : frame_intern(view, &frame);
}

static uint32_t frame_convert(struct view *view, const struct profile_frame *from)
{
	struct view_frame frame = { .path = from->file, .first_line = from->first_line };
	size_t name_len, file_len, start;
	const char *name = profile__string_at(view->profile, from->name, &name_len);
	const char *file = profile__string_at(view->profile, from->file, &file_len);

	if (!name_len) {
		name = NO_NAME;
		name_len = strlen(NO_NAME);
	}
	if (from->kind == PROFILE_FRAME_MARK)
		return frame_named(view, name, name_len);
	if (!view->options->no_lines)
		frame.line = view->options->functions ? from->first_line : from->line;
	start = view->options->full_filenames ? 0 : view->short_starts[from->file];
	frame.name = pool_intern(&view->text, name, name_len);
	frame.file = pool_intern(&view->text, file + start, file_len - start);
	if (frame.name == HMAP_NONE || frame.file == HMAP_NONE)
		return VIEW_NONE;
	frame.label = label_make(view, &frame);
	return frame.label == HMAP_NONE ? VIEW_NONE : frame_intern(view, &frame);
}

/* --- nodes --- */

struct node_key {
	const struct view *view;
	uint32_t parent;
	uint32_t frame;
};

static bool node_eq(const void *ctx, uint32_t id)
{
	const struct node_key *key = ctx;
	const struct view_node *node = &key->view->nodes[id];

	return node->parent == key->parent && node->frame == key->frame;
}

static uint32_t node_intern(struct view *view, uint32_t parent, uint32_t frame)
{
	const struct node_key key = { view, parent, frame };
	uint64_t hash = hash_u64((uint64_t)parent << 32 | frame);
	uint32_t id = hmap_find(&view->node_map, hash, node_eq, &key);

	if (id != HMAP_NONE)
		return id;
	if (view->node_cnt == view->node_cap) {
		uint32_t cap = view->node_cap ? view->node_cap * 2 : 256;
		struct view_node *nodes = realloc(view->nodes, cap * sizeof(*nodes));

		if (!nodes)
			return VIEW_NONE;
		view->nodes = nodes;
		view->node_cap = cap;
	}
	if (hmap_add(&view->node_map, hash, view->node_cnt))
		return VIEW_NONE;
	view->nodes[view->node_cnt] = (struct view_node){ .parent = parent, .frame = frame };
	return view->node_cnt++;
}

/* Without a pid or tid, which stands for many, the text @id says it all. */
static void put_process(struct buf *name, const struct view *view, uint32_t pid, uint32_t id)
{
	size_t len;
	const char *s = profile__string_at(view->profile, id, &len);

	if (pid)
		buf_printf(name, "process %" PRIu32 ":\"", pid);
	buf_add(name, s, len);
	if (pid)
		buf_putc(name, '"');
}

static void put_thread(struct buf *name, const struct view *view, uint32_t tid, uint32_t id)
{
	size_t len;
	const char *s = profile__string_at(view->profile, id, &len);

	if (tid)
		buf_printf(name, "thread (%" PRIu32 ")%s", tid, len ? ": " : "");
	buf_add(name, s, len);
}

static uint32_t track_root(struct view *view, const struct profile_track *track)
{
	uint32_t node = VIEW_ROOT, frame;
	struct buf name = { 0 };

	if (view->options->processes) {
		put_process(&name, view, track->pid, track->process);
		frame = name.err ? VIEW_NONE : frame_named(view, buf_str(&name), name.len);
		node = frame == VIEW_NONE ? VIEW_NONE : node_intern(view, node, frame);
		buf_clear(&name);
	}
	if (view->options->threads && node != VIEW_NONE) {
		put_thread(&name, view, track->tid, track->thread);
		frame = name.err ? VIEW_NONE : frame_named(view, buf_str(&name), name.len);
		node = frame == VIEW_NONE ? VIEW_NONE : node_intern(view, node, frame);
	}
	buf_free(&name);
	return node;
}

/* --- placing stacks in the tree --- */

/*
 * Stacks are placed root by root, and every stack on the way from a leaf to PROFILE_ROOT is
 * remembered for the root at hand: each is looked at once for each root, however many share it.
 */
struct placer {
	struct view *view;
	uint32_t *node_of; /* by stack */
	uint32_t *root_of; /* by stack: the root for which node_of holds */
	uint32_t *path;    /* stacks still to place, leaf first */
	size_t path_cap;
};

static uint32_t place_empty(struct view *view, uint32_t root)
{
	if (view->no_frames == VIEW_NONE)
		view->no_frames = frame_named(view, NO_FRAMES, strlen(NO_FRAMES));
	return view->no_frames == VIEW_NONE ? VIEW_NONE : node_intern(view, root, view->no_frames);
}

static uint32_t place_step(struct view *view, uint32_t parent, uint32_t stack)
{
	uint32_t id = profile__stack_frame(view->profile, stack);

	if (view->frame_of[id] == VIEW_NONE)
		view->frame_of[id] = frame_convert(view, profile__frame_at(view->profile, id));
	if (view->frame_of[id] == VIEW_NONE)
		return VIEW_NONE;
	return node_intern(view, parent, view->frame_of[id]);
}

static uint32_t place(struct placer *placer, uint32_t root, uint32_t stack)
{
	uint32_t node = root;
	size_t depth = 0;

	if (stack == PROFILE_ROOT)
		return place_empty(placer->view, root);
	for (; stack != PROFILE_ROOT; stack = profile__stack_parent(placer->view->profile, stack)) {
		if (placer->root_of[stack] == root) {
			node = placer->node_of[stack];
			break;
		}
		if (depth == placer->path_cap) {
			size_t cap = depth ? depth * 2 : 128;
			uint32_t *path = realloc(placer->path, cap * sizeof(*path));

			if (!path)
				return VIEW_NONE;
			placer->path = path;
			placer->path_cap = cap;
		}
		placer->path[depth++] = stack;
	}
	while (depth-- && node != VIEW_NONE) {
		stack = placer->path[depth];
		node = place_step(placer->view, node, stack);
		placer->node_of[stack] = node;
		placer->root_of[stack] = node == VIEW_NONE ? VIEW_NONE : root;
	}
	return node;
}

struct place_ref {
	uint32_t track;
	uint32_t stack;
};

/* Positions 0..@cnt ordered by the root of their track: a counting sort. */
static int order_by_root(const struct view *view, const struct place_ref *refs, size_t cnt,
                         size_t *order)
{
	size_t *ends = calloc((size_t)view->node_cnt + 1, sizeof(*ends));

	if (!ends)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++)
		ends[view->track_roots[refs[i].track] + 1]++;
	for (uint32_t i = 0; i < view->node_cnt; i++)
		ends[i + 1] += ends[i];
	for (size_t i = 0; i < cnt; i++)
		order[ends[view->track_roots[refs[i].track]]++] = i;
	free(ends);
	return 0;
}

static int place_all(struct view *view, const struct place_ref *refs, size_t cnt, uint32_t *nodes)
{
	size_t memo_sz = profile__stack_cnt(view->profile) * sizeof(uint32_t);
	struct placer placer = { view, malloc(memo_sz), malloc(memo_sz), NULL, 0 };
	size_t *order = malloc((cnt + 1) * sizeof(*order));
	int err = -ENOMEM;

	if (placer.node_of && placer.root_of && order) {
		memset(placer.root_of, 0xff, memo_sz);
		err = order_by_root(view, refs, cnt, order);
	}
	for (size_t i = 0; i < cnt && !err; i++) {
		const struct place_ref *ref = &refs[order[i]];
		uint32_t node = place(&placer, view->track_roots[ref->track], ref->stack);

		nodes[order[i]] = node;
		err = node == VIEW_NONE ? -ENOMEM : 0;
	}
	free(placer.node_of);
	free(placer.root_of);
	free(placer.path);
	free(order);
	return err;
}

int view_place_points(struct view *view, const struct profile_point *points, size_t cnt,
                      uint32_t *nodes)
{
	struct place_ref *refs = malloc((cnt + 1) * sizeof(*refs));
	int err;

	if (!refs)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++)
		refs[i] = (struct place_ref){ points[i].track, points[i].stack };
	err = place_all(view, refs, cnt, nodes);
	free(refs);
	return err;
}

static int place_values(struct view *view)
{
	size_t cnt;
	const struct profile_value *values = profile__values(view->profile, &cnt);
	struct place_ref *refs = malloc((cnt + 1) * sizeof(*refs));
	int err;

	view->value_nodes = malloc((cnt + 1) * sizeof(*view->value_nodes));
	if (!refs || !view->value_nodes) {
		free(refs);
		return -ENOMEM;
	}
	for (size_t i = 0; i < cnt; i++)
		refs[i] = (struct place_ref){ values[i].track, values[i].stack };
	err = place_all(view, refs, cnt, view->value_nodes);
	free(refs);
	if (err)
		return err;
	for (size_t i = 0; i < cnt; i++)
		view->nodes[view->value_nodes[i]].self += values[i].cnt;
	for (uint32_t i = view->node_cnt; i--;) {
		struct view_node *node = &view->nodes[i];

		node->total += node->self;
		if (i != VIEW_ROOT)
			view->nodes[node->parent].total += node->total;
	}
	return 0;
}

int view_open(struct view *view, struct profile *profile, const struct out_view *options,
              enum view_text mode)
{
	uint32_t frame_cnt = profile__frame_cnt(profile), track_cnt = profile__track_cnt(profile);

	*view = (struct view){
		.profile = profile, .options = options, .mode = mode, .no_frames = VIEW_NONE
	};
	view->short_starts = paths_short(profile);
	view->frame_of = malloc((frame_cnt + 1) * sizeof(*view->frame_of));
	view->track_roots = malloc((track_cnt + 1) * sizeof(*view->track_roots));
	if (!view->short_starts || !view->frame_of || !view->track_roots ||
	    node_intern(view, VIEW_NONE, VIEW_NONE) != VIEW_ROOT)
		return -ENOMEM;
	memset(view->frame_of, 0xff, (frame_cnt + 1) * sizeof(*view->frame_of));
	for (uint32_t i = 0; i < track_cnt; i++) {
		view->track_roots[i] = track_root(view, profile__track_at(profile, i));
		if (view->track_roots[i] == VIEW_NONE)
			return -ENOMEM;
	}
	return place_values(view);
}

void view_close(struct view *view)
{
	pool_free(&view->text);
	free(view->frames);
	hmap_free(&view->frame_map);
	free(view->nodes);
	hmap_free(&view->node_map);
	free(view->value_nodes);
	free(view->track_roots);
	free(view->frame_of);
	free(view->short_starts);
	*view = (struct view){ 0 };
}

/* --- order --- */

static int label_cmp(const void *left, const void *right, void *ctx)
{
	const struct view *view = ctx;
	const struct view_frame *a = &view->frames[*(const uint32_t *)left];
	const struct view_frame *b = &view->frames[*(const uint32_t *)right];
	size_t a_len, b_len;
	const char *a_label = view_text_at(view, a->label, &a_len);
	const char *b_label = view_text_at(view, b->label, &b_len);
	int cmp = memcmp(a_label, b_label, a_len < b_len ? a_len : b_len);

	return cmp ? cmp : (a_len > b_len) - (a_len < b_len);
}

/*
 * Stable counting sort of the nodes @in into @out by @key, which is below @key_cnt. @ends is
 * scratch of @key_cnt + 1, and left holding where each key's run ends.
 */
static void sort_nodes(const uint32_t *in, uint32_t *out, uint32_t cnt, const uint32_t *key,
                       uint32_t *ends, uint32_t key_cnt)
{
	memset(ends, 0, ((size_t)key_cnt + 1) * sizeof(*ends));
	for (uint32_t i = 0; i < cnt; i++)
		ends[key[in[i]] + 1]++;
	for (uint32_t i = 0; i < key_cnt; i++)
		ends[i + 1] += ends[i];
	for (uint32_t i = 0; i < cnt; i++)
		out[ends[key[in[i]]]++] = in[i];
}

/* Scratch for view_order_make(): arrays by node, but ranks (by frame). */
struct sorter {
	uint32_t *ranks;
	uint32_t *key;
	uint32_t *by_label;
	uint32_t *children; /* grouped by parent, sorted by label */
	uint32_t *ends;
};

static int sorter_children(const struct view *view, struct sorter *sorter)
{
	uint32_t cnt = view->node_cnt - 1;
	uint32_t *frames = malloc(((size_t)view->frame_cnt + 1) * sizeof(*frames));

	if (!frames)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->frame_cnt; i++)
		frames[i] = i;
	qsort_r(frames, view->frame_cnt, sizeof(*frames), label_cmp, (void *)view);
	for (uint32_t i = 0; i < view->frame_cnt; i++)
		sorter->ranks[frames[i]] = i;
	free(frames);
	for (uint32_t i = 1; i <= cnt; i++) {
		sorter->key[i] = sorter->ranks[view->nodes[i].frame];
		sorter->children[i - 1] = i;
	}
	sort_nodes(sorter->children, sorter->by_label, cnt, sorter->key, sorter->ends,
	           view->frame_cnt);
	for (uint32_t i = 1; i <= cnt; i++)
		sorter->key[i] = view->nodes[i].parent;
	sort_nodes(sorter->by_label, sorter->children, cnt, sorter->key, sorter->ends,
	           view->node_cnt);
	return 0;
}

/* Preorder without recursion: children are pushed last first. key[] becomes each node's depth. */
static void walk(struct sorter *sorter, struct view_order *order)
{
	uint32_t *stack = sorter->by_label, *depths = sorter->key;
	uint32_t at = 0, top = 0;

	stack[top++] = VIEW_ROOT;
	depths[VIEW_ROOT] = 0;
	while (top) {
		uint32_t node = stack[--top];
		uint32_t first = node ? sorter->ends[node - 1] : 0;

		order->nodes[at] = node;
		order->depths[at++] = depths[node];
		if (depths[node] > order->depth_max)
			order->depth_max = depths[node];
		for (uint32_t i = sorter->ends[node]; i-- > first;) {
			depths[sorter->children[i]] = depths[node] + 1;
			stack[top++] = sorter->children[i];
		}
	}
}

int view_order_make(const struct view *view, struct view_order *order)
{
	size_t cnt = (size_t)view->node_cnt + 1, frame_cnt = (size_t)view->frame_cnt + 1;
	struct sorter sorter = {
		.ranks = malloc(frame_cnt * sizeof(uint32_t)),
		.key = calloc(cnt, sizeof(uint32_t)),
		.by_label = malloc(cnt * sizeof(uint32_t)),
		.children = calloc(cnt, sizeof(uint32_t)),
		.ends = malloc((cnt > frame_cnt ? cnt : frame_cnt) * sizeof(uint32_t)),
	};
	int err = -ENOMEM;

	*order = (struct view_order){ malloc(cnt * sizeof(uint32_t)),
		                      malloc(cnt * sizeof(uint32_t)), 0 };
	if (sorter.ranks && sorter.key && sorter.by_label && sorter.children && sorter.ends &&
	    order->nodes && order->depths)
		err = sorter_children(view, &sorter);
	if (!err)
		walk(&sorter, order);
	free(sorter.ranks);
	free(sorter.key);
	free(sorter.by_label);
	free(sorter.children);
	free(sorter.ends);
	return err;
}

void view_order_free(struct view_order *order)
{
	free(order->nodes);
	free(order->depths);
	*order = (struct view_order){ 0 };
}
