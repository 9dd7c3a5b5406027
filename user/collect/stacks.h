/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stacks.h - the samples of one process image as they came, counted: a tree of raw frames and values
 * by (track, stack).
 *
 * Frames are kept by identity (code object, instruction) and become names only when they are put into
 * the profile, because a name may arrive after the sample that needs it. One thread.
 */
#ifndef PV_COLLECT_STACKS_H
#define PV_COLLECT_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi_event.h"
#include "profile/profile.h"
#include "sym/sym.h"

#define STACKS_NODE_MAX \
	(1u << 22) /* distinct stack prefixes held; 32 bytes each and as much again */
#define STACKS_POINT_MAX (1u << 22) /* samples in the time line; beyond it there is none */
/* Of the profile: distinct stack prefixes, and pairs of track and stack. 8 and 16 bytes each and as
 * much again and more.
 */
#define STACKS_PROFILE_MAX (1u << 22)

/* What the stacks of all images of a session share: bounds, and what of them is taken. */
struct stacks_shared {
	bool points; /* keep the time line */
	uint32_t node_max;
	uint32_t point_max;
	uint32_t profile_max;
	uint32_t node_cnt;  /* held now */
	uint32_t point_cnt; /* so far, those in the profile too */
	uint64_t
		full_cnt; /* samples under a mark instead of their stack because a bound was reached */
};

struct stacks;

struct stacks *stacks__new(struct stacks_shared *shared); /* NULL and errno */
void stacks__free(struct stacks *stacks);

/*
 * Count one sample on @track. New code objects are made known to @sym. 0, also if it is counted under a
 * mark; else it is not counted: -EPROTO, -ENOMEM.
 */
int stacks__add(struct stacks *stacks, struct sym *sym, uint32_t track,
                const struct pv_sample *sample, size_t size, uint64_t time_ns);
/*
 * Move all samples into @profile. @version is the CPython version (major << 8 | minor), @tracks[track]
 * the profile's track. 0, or -ENOMEM: call it again to move the rest.
 */
int stacks__profile(struct stacks *stacks, struct sym *sym, uint16_t version,
                    const uint32_t *tracks, struct profile *profile);

/* The frame of @profile that is no function but @text. PROFILE_NONE: no memory. */
uint32_t stacks_mark(struct profile *profile, const char *text);

#endif
