/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.h - the process images of a session: who they are, what was found in them, and when to look
 * again.
 *
 * An image is one program in one process (struct pv_proc_id); exec makes a new one. Images keep their
 * dense index for the whole session, so that samples that come after the end of a process still
 * resolve. One thread.
 */
#ifndef PV_COLLECT_IMAGES_H
#define PV_COLLECT_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "kern/kern.h"
#include "py/runtime.h"

#define IMAGE_NONE UINT32_MAX
#define IMAGES_MAX (1u << 20) /* in one session; beyond: samples are refused and counted */

struct image {
	struct pv_proc_id id;
	struct py_runtime *runtime; /* NULL: not (yet) a Python we can read, or a dead one */
	char *cmdline;
	uint16_t version; /* major << 8 | minor; 0: not known */
	uint16_t layout;
	uint8_t state; /* enum pv_proc_state */
	uint8_t flags; /* PV_PROC_* */
	bool alive;
	bool target;       /* a pid that was asked for, not a child of one */
	uint32_t look_cnt; /* how often it was looked at */
	uint64_t look_ns;  /* when to look again, CLOCK_MONOTONIC; 0: no need */
	uint32_t tick_cnt; /* ticks the kernel had counted at the last look */
};

struct images;

struct images *images__new(struct kern *kern); /* NULL and errno */
void images__free(struct images *images);

/* The image with that identity; made (alive, UNDECIDED) if it is new. IMAGE_NONE: no memory, bound. */
uint32_t images__get(struct images *images, const struct pv_proc_id *id);
/* The same, but IMAGE_NONE if it is new. */
uint32_t images__find(const struct images *images, const struct pv_proc_id *id);
struct image *images__at(struct images *images, uint32_t index);
uint32_t images__cnt(const struct images *images);

/*
 * Look at the process now and tell the kernel side. 0, or negative errno of py_runtime__find();
 * @reason (may be NULL) gets its words on why not.
 */
int images__look(struct images *images, uint32_t index, char *reason, size_t reason_len);
/* A child that the kernel side made a copy of its parent. */
void images__forked(struct images *images, const struct pv_proc_id *child,
                    const struct pv_proc_id *parent);
/* The process has exited or exec'd: nothing more will be read from it. */
void images__gone(struct images *images, uint32_t index);
/* Look at every image whose time has come. Returns the ns until the next one, UINT64_MAX: none. */
uint64_t images__look_due(struct images *images, uint64_t now_ns);
/* What a sample says of an image whose fork event was lost: its layout, hence its version. */
void images__note_layout(struct images *images, uint32_t index, uint16_t layout);
const struct pv_layout *images__layout(const struct images *images, uint16_t layout);

#endif
