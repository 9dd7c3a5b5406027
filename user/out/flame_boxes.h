/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flame_boxes.h - the rectangles of a flame graph: every node of a view's tree, or, when there are
 * more than a document should hold, the largest, and one box in place of each node's smaller
 * children. No sample and no frame goes missing without a box that counts it.
 */
#ifndef PV_OUT_FLAME_BOXES_H
#define PV_OUT_FLAME_BOXES_H

#include <stdint.h>

#include "out/view.h"

#define FLAME_BOX_MAX   20000
#define FLAME_DEPTH_MAX 2000

struct flame_box {
	uint32_t node;   /* of the view; VIEW_NONE: merged frames */
	uint32_t depth;  /* 0: the root */
	uint32_t merged; /* frames (nodes) merged into this box */
	uint64_t x;      /* samples to the left of it */
	uint64_t cnt;    /* its samples */
};

struct flame_boxes {
	struct flame_box *boxes; /* parents first, left to right */
	uint32_t cnt;
	uint32_t cap;
	uint32_t depth_max;
	uint32_t merged_cnt; /* of all boxes */
};

/* 0 or -ENOMEM; flame_boxes_free() in either case. */
int flame_boxes_make(const struct view *view, struct flame_boxes *boxes);
void flame_boxes_free(struct flame_boxes *boxes);

#endif
