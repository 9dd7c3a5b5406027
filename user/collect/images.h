/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.h - the process images of a session: who they are, what was found in them, and when to look
 * again.
 *
 * An image is one program in one process (struct pv_proc_id); exec makes a new one. One that something
 * was recorded of keeps its dense index after its end until images__forget(), so that samples that
 * come late still resolve; any other is forgotten at its end. An index is used again.
 *
 * What is read from a process counts only if it still ran the image afterwards: pids are reused, and
 * the news of an exit may be late or lost. One thread.
 */
#ifndef PV_COLLECT_IMAGES_H
#define PV_COLLECT_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "kern/kern.h"
#include "py/runtime.h"

#define IMAGE_NONE UINT32_MAX
#define IMAGES_MAX (1u << 20) /* at once; beyond: samples are refused and counted */

struct recorded;

struct image {
	struct pv_proc_id id;
	/* PY_RUNTIMES_MAX of them. NULL: not (yet) a Python we can read, or a dead one. */
	struct py_runtime *runtime;
	struct pv_exe_id exe; /* what it was exec'd from; zeros: not known */
	char *cmdline;
	pid_t pid;        /* id.tgid in our pid namespace; 0: not of it */
	uint16_t version; /* major << 8 | minor; 0: not known */
	uint16_t layout;
	uint8_t state; /* enum pv_proc_state */
	uint8_t flags; /* PV_PROC_* */
	bool alive;
	bool two_runtimes;
	bool target;               /* a pid that was asked for, not a child of one */
	uint32_t look_cnt;         /* how often it was looked at */
	uint32_t alive_at;         /* its place among the living */
	uint64_t look_ns;          /* when to look again, CLOCK_MONOTONIC; 0: no need */
	struct recorded *recorded; /* the recorder's; NULL: nothing was recorded of it */
	uint64_t end_ns;           /* CLOCK_MONOTONIC, when we learnt of its end */
	uint32_t next_ended;       /* the one that ended after it; IMAGE_NONE: none */
};

struct images;

struct images *images__new(struct kern *kern); /* NULL and errno */
/* Look at what can wait together, on the full seconds of CLOCK_MONOTONIC. */
void images__set_patient(struct images *images);
void images__free(struct images *images);

/* The image with that identity; made (alive, UNDECIDED) if it is new. IMAGE_NONE: no memory, bound. */
uint32_t images__get(struct images *images, const struct pv_proc_id *id, uint32_t pid);
/* The same, but IMAGE_NONE if it is new. */
uint32_t images__find(const struct images *images, const struct pv_proc_id *id);
struct image *images__at(struct images *images, uint32_t index);
uint32_t images__cnt(const struct images *images);
/* The living ones: index number @at of images__alive_cnt(). images__gone() reorders those behind. */
uint32_t images__alive_cnt(const struct images *images);
uint32_t images__alive(const struct images *images, uint32_t at);

/*
 * Look at the process now and tell the kernel side. 0, or negative errno of py_runtime__find(), whose
 * words on why not @reason (may be NULL) gets. -ESRCH: the image is gone; -ESTALE: the process has
 * exec'd, and that event is still to come.
 */
int images__look(struct images *images, uint32_t index, char *reason, size_t reason_len);
/* What the process was exec'd from: at the next look its kind is learned. */
void images__note_exe(struct images *images, uint32_t index, const struct pv_exe_id *exe);
/*
 * The kernel side has recognised the program at the exec, at @exec_ns: @state (enum pv_proc_state, not
 * UNDECIDED). @cmdline becomes the image's; NULL: none.
 */
void images__recognised(struct images *images, uint32_t index, uint8_t state, char *cmdline,
                        uint64_t exec_ns);
/* A tick found that the kernel side knows too little of it, or ran it without any Python in it. */
void images__asked(struct images *images, uint32_t index);
/* A child that the kernel side made a copy of its parent. */
void images__forked(struct images *images, const struct pv_proc_id *child, uint32_t pid,
                    const struct pv_proc_id *parent);
/* The process has exited: nothing more will be read from it. */
void images__gone(struct images *images, uint32_t index);
/* Its exec made @index of @old: that is wanted now for what @old was. */
void images__replaced(struct images *images, uint32_t old, uint32_t index);
/*
 * Does the process still run this image? To be asked after something was read from it: a yes means
 * that it was this image's all the time.
 */
bool images__is_current(struct images *images, uint32_t index);
/* Look at every image whose time has come. Returns the ns until the next one, UINT64_MAX: none. */
uint64_t images__look_due(struct images *images, uint64_t now_ns);
/* Find images whose end was not told: all targets and, in turns, @max of the others. */
void images__sweep(struct images *images, uint32_t max);
/* Of those that ended and are not forgotten, the one that did first; IMAGE_NONE: none. */
uint32_t images__ended(const struct images *images);
/* Forget images__ended(): what was recorded of it has been taken away. */
void images__forget(struct images *images);
/*
 * @layout, of a sample of the image, tells the version of one that is not known otherwise, because its
 * fork event was lost.
 */
void images__note_sample(struct images *images, uint32_t index, uint16_t layout);
/* The CPython versions that were met, first met first: number @at; 0: there are no more. */
uint16_t images__version(const struct images *images, uint32_t at);
/* The runtime of @image that has this layout; NULL: as image->runtime. */
const struct py_runtime *images__runtime(const struct image *image, uint16_t layout);
const struct pv_layout *images__layout(const struct images *images, uint16_t layout);

#endif
