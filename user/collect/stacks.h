/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stacks.h - samples as they came, counted: a tree of raw frames and values by (track, stack).
 *
 * Frames are kept by identity (process image, code object, instruction) and become names only when
 * the profile is made, because a name may arrive after the sample that needs it. One thread.
 */
#ifndef PV_COLLECT_STACKS_H
#define PV_COLLECT_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi_event.h"
#include "profile/profile.h"
#include "sym/sym.h"

#define STACKS_NODE_MAX  (1u << 22) /* distinct stack prefixes; 24 bytes each and as much again */
#define STACKS_POINT_MAX (1u << 22) /* samples in the time line; beyond it there is none */

struct stacks;

struct stacks *stacks__new(bool points); /* NULL and errno */
void stacks__free(struct stacks *stacks);

/*
 * Count one sample of process image @image on @track. New code objects are made known to @sym.
 * 0, -ENOSPC (over STACKS_NODE_MAX: counted under a mark instead), -EPROTO, -ENOMEM.
 */
int stacks__add(struct stacks *stacks, struct sym *sym, uint32_t image, uint32_t track,
                const struct pv_sample *sample, size_t size, uint64_t time_ns);
/*
 * Put everything into @profile. @versions[image] is the CPython version of each image (major << 8 |
 * minor), @tracks[track] the profile's track. 0 or -ENOMEM.
 */
int stacks__profile(struct stacks *stacks, struct sym *sym, const uint16_t *versions,
                    const uint32_t *tracks, struct profile *profile);

#endif
