// SPDX-License-Identifier: Apache-2.0
#include "out/flame_boxes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is drawn: nodes of at least @floor samples and at most FLAME_DEPTH_MAX deep. */
struct layout {
	const struct view *view;
	struct view_order order;
	struct flame_boxes *boxes;
	uint8_t *has_hidden; /* by node, scratch */
	uint64_t floor;
	/* By depth, scratch: where the next box of that row begins; what is merged there so far. */
	uint64_t *cursors;
	struct flame_box *pending;
};

/* Only the base of a difference has it, and all that is below it. */
static bool is_empty(const struct view *view, uint32_t node)
{
	return node != VIEW_ROOT && !view->nodes[node].total;
}

static bool is_shown(const struct layout *layout, uint32_t node, uint32_t depth)
{
	if (node == VIEW_ROOT)
		return true;
	return depth <= FLAME_DEPTH_MAX && layout->view->nodes[node].total >= layout->floor;
}

/*
 * How many boxes the floor makes: the shown nodes, and one more below each that has a child which
 * is not. A child has at most its parent's samples, so the shown nodes are a tree from the root on,
 * and a higher floor never makes more boxes: what it hides is at least as many as the parents that
 * get a box of merged frames for it.
 */
static uint64_t count_boxes(struct layout *layout)
{
	const struct view *view = layout->view;
	uint64_t cnt = 0;

	memset(layout->has_hidden, 0, view->node_cnt);
	for (uint32_t i = 0; i < view->node_cnt; i++) {
		uint32_t node = layout->order.nodes[i], depth = layout->order.depths[i], parent;

		if (is_empty(view, node))
			continue;
		if (is_shown(layout, node, depth)) {
			cnt++;
			continue;
		}
		parent = view->nodes[node].parent;
		if (parent == VIEW_NONE || layout->has_hidden[parent] ||
		    !is_shown(layout, parent, depth - 1))
			continue;
		layout->has_hidden[parent] = 1;
		cnt++;
	}
	return cnt;
}

/* The lowest floor that makes few enough boxes. */
static void find_floor(struct layout *layout)
{
	uint64_t low = 1, high = layout->view->nodes[VIEW_ROOT].total;

	while (low < high) {
		layout->floor = low + (high - low) / 2;
		if (count_boxes(layout) <= FLAME_BOX_MAX)
			high = layout->floor;
		else
			low = layout->floor + 1;
	}
	layout->floor = low;
}

static int add_box(struct flame_boxes *boxes, const struct flame_box *box)
{
	if (boxes->cnt == boxes->cap) {
		uint32_t cap = boxes->cap ? boxes->cap * 2 : 256;
		struct flame_box *grown = realloc(boxes->boxes, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		boxes->boxes = grown;
		boxes->cap = cap;
	}
	boxes->boxes[boxes->cnt++] = *box;
	boxes->merged_cnt += box->merged;
	if (box->depth > boxes->depth_max)
		boxes->depth_max = box->depth;
	return 0;
}

/* The parents of rows @depth.. are done: their merged children, if any, come last. */
static int flush_rows(struct layout *layout, uint32_t depth, uint32_t *open_depth)
{
	int err = 0;

	for (; *open_depth >= depth && !err; (*open_depth)--) {
		struct flame_box *box = &layout->pending[*open_depth];

		if (!box->merged)
			continue;
		box->x = layout->cursors[*open_depth];
		err = add_box(layout->boxes, box);
		box->merged = 0;
	}
	return err;
}

static int place_boxes(struct layout *layout)
{
	const struct view *view = layout->view;
	uint32_t open_depth = 0, hidden_depth = UINT32_MAX;
	int err = 0;

	for (uint32_t i = 0; i < view->node_cnt && !err; i++) {
		struct flame_box box = { .node = layout->order.nodes[i],
			                 .depth = layout->order.depths[i] };
		struct flame_box *pending;

		if (is_empty(view, box.node))
			continue;
		if (box.depth > hidden_depth) {
			layout->pending[hidden_depth].merged++;
			continue;
		}
		hidden_depth = UINT32_MAX;
		box.cnt = view->nodes[box.node].total;
		err = flush_rows(layout, box.depth + 1, &open_depth);
		if (!err && is_shown(layout, box.node, box.depth)) {
			box.x = layout->cursors[box.depth];
			layout->cursors[box.depth] += box.cnt;
			layout->cursors[box.depth + 1] = box.x;
			err = add_box(layout->boxes, &box);
			open_depth = box.depth + 1;
			layout->pending[open_depth] =
				(struct flame_box){ .node = VIEW_NONE, .depth = open_depth };
			continue;
		}
		pending = &layout->pending[box.depth];
		pending->cnt += box.cnt;
		pending->merged++;
		hidden_depth = box.depth;
	}
	return err ? err : flush_rows(layout, 1, &open_depth);
}

int flame_boxes_make(const struct view *view, struct flame_boxes *boxes)
{
	struct layout layout = { .view = view, .boxes = boxes, .floor = 1 };
	size_t row_cnt;
	int err;

	*boxes = (struct flame_boxes){ 0 };
	err = view_order_make(view, &layout.order);
	row_cnt = (layout.order.depth_max < FLAME_DEPTH_MAX ? layout.order.depth_max
	                                                    : FLAME_DEPTH_MAX) +
	          3;
	layout.has_hidden = calloc(view->node_cnt + 1, 1);
	layout.cursors = calloc(row_cnt, sizeof(*layout.cursors));
	layout.pending = calloc(row_cnt, sizeof(*layout.pending));
	if (!layout.has_hidden || !layout.cursors || !layout.pending)
		err = -ENOMEM;
	if (!err) {
		if (count_boxes(&layout) > FLAME_BOX_MAX)
			find_floor(&layout);
		err = place_boxes(&layout);
	}
	view_order_free(&layout.order);
	free(layout.has_hidden);
	free(layout.cursors);
	free(layout.pending);
	return err;
}

void flame_boxes_free(struct flame_boxes *boxes)
{
	free(boxes->boxes);
	*boxes = (struct flame_boxes){ 0 };
}
