/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracks.h - the threads that were sampled, and their names.
 *
 * A thread is known by its image, tid and start time. Its Python name is read from the living
 * process soon after the first sample, again later if there was none yet, and the kernel's name
 * serves where Python has none. One thread.
 */
#ifndef PV_COLLECT_TRACKS_H
#define PV_COLLECT_TRACKS_H

#include <stdint.h>

#include "bpf/abi_event.h"
#include "collect/images.h"
#include "profile/profile.h"

#define TRACK_NONE UINT32_MAX
#define TRACKS_MAX (1u << 20) /* in one session */

struct tracks;

struct tracks *tracks__new(void); /* NULL and errno */
void tracks__free(struct tracks *tracks);
/* The thread of a sample. TRACK_NONE: no memory or over the bound. */
uint32_t tracks__get(struct tracks *tracks, uint32_t image, const struct pv_sample *sample);
/* Read the names that are due. @all: try every thread without one, now. */
void tracks__name(struct tracks *tracks, struct images *images, uint64_t now_ns, bool all);
/* An array of tracks__cnt() ids of @profile's tracks, the caller's to free; NULL: no memory. */
uint32_t *tracks__profile(struct tracks *tracks, struct images *images, struct profile *profile);

#endif
