/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - a profile as it is to be shown: frames renamed and merged as an out_view asks, process
 * and thread frames put at the root, samples gathered in one tree.
 *
 * Formats that print labels (folded, SVG) get one frame for each label; formats with columns of
 * their own (pprof, speedscope) get one frame for each function and line. A sample without any
 * frame is shown as "[no Python frames]", so that no sample goes unseen.
 */
#ifndef PV_OUT_VIEW_H
#define PV_OUT_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "out/out.h"
#include "util/hmap.h"
#include "util/pool.h"

#define VIEW_NONE UINT32_MAX
#define VIEW_ROOT 0 /* the tree's root: no frame, all samples */

enum view_text {
	VIEW_RAW,     /* names as they are, no labels */
	VIEW_VISIBLE, /* labels as text_visible() makes them */
	VIEW_FOLDED,  /* visible, and free of what has a meaning in folded stacks */
};

struct view_frame {
	uint32_t name;  /* in view->text */
	uint32_t file;  /* in view->text, short or full as asked for; "": none */
	uint32_t label; /* in view->text; "" when VIEW_RAW */
	uint32_t path;  /* string of the profile, the whole path; VIEW_NONE: not a function */
	int32_t line;   /* 0: not shown */
	int32_t first_line;
};

struct view_node {
	uint32_t parent; /* below its own index; VIEW_NONE for the root */
	uint32_t frame;  /* in view->frames; VIEW_NONE for the root */
	uint64_t self;   /* samples that end here */
	uint64_t total;  /* and those of all children */
};

struct view {
	struct profile *profile;
	const struct out_view *options;
	enum view_text mode;
	struct pool text;
	struct view_frame *frames;
	uint32_t frame_cnt;
	uint32_t frame_cap;
	struct hmap frame_map;
	struct view_node *nodes;
	uint32_t node_cnt;
	uint32_t node_cap;
	struct hmap node_map;
	uint32_t *value_nodes; /* where each of profile__values() ended up */
	uint32_t *track_roots; /* node by track */
	uint32_t *frame_of;    /* view frame by profile frame; VIEW_NONE: not met yet */
	uint32_t *short_starts;
	uint32_t no_frames; /* the frame for samples without any; VIEW_NONE: none yet */
};

/* 0 or -ENOMEM; view_close() in either case. The profile must not change while it is viewed. */
int view_open(struct view *view, struct profile *profile, const struct out_view *options,
              enum view_text mode);
void view_close(struct view *view);

/* The node of each of @points, into @nodes (@cnt of them). May add nodes without samples. */
int view_place_points(struct view *view, const struct profile_point *points, size_t cnt,
                      uint32_t *nodes);

/* A string of view->text; @len may be NULL. */
static inline const char *view_text_at(const struct view *view, uint32_t id, size_t *len)
{
	return pool_get(&view->text, id, len);
}

/* All nodes, parents first, siblings by label; by position: the node and its depth (root 0). */
struct view_order {
	uint32_t *nodes;
	uint32_t *depths;
	uint32_t depth_max;
};

int view_order_make(const struct view *view, struct view_order *order);
void view_order_free(struct view_order *order);

#endif
