/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracks.h - the threads of one process image that were sampled, and their names.
 *
 * A thread is known by its tid and start time. Its Python name is read from the living process soon
 * after the first sample, again later if there was none yet, and the kernel's name serves where Python
 * has none. One thread.
 */
#ifndef PV_COLLECT_TRACKS_H
#define PV_COLLECT_TRACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi_event.h"
#include "collect/images.h"
#include "profile/profile.h"

#define TRACK_NONE UINT32_MAX
#define TRACKS_MAX (1u << 20) /* held at once, and again in the profile */

/* Of all images of a session; to be zero in the beginning. */
struct tracks_shared {
	uint32_t cnt; /* held now */
};

struct tracks;

struct tracks *tracks__new(struct tracks_shared *shared); /* NULL and errno */
void tracks__free(struct tracks *tracks);
/* The thread of a sample. TRACK_NONE: no memory or over the bound. */
uint32_t tracks__get(struct tracks *tracks, const struct pv_sample *sample);
uint32_t tracks__cnt(const struct tracks *tracks);
/* The kernel's name of the first thread that was met; "" before that. */
const char *tracks__comm(const struct tracks *tracks);
/* When a name is to be read; UINT64_MAX: never again. */
uint64_t tracks__name_due_ns(const struct tracks *tracks);
/*
 * Read the names that are due from the living process of image @index. @all: try every thread without
 * one, now. false: that ended at @end_ns (CLOCK_MONOTONIC) before all were read.
 */
bool tracks__name(struct tracks *tracks, struct images *images, uint32_t index, uint64_t now_ns,
                  uint64_t end_ns, bool all);
/*
 * Give @ids[i] the track of @profile that track i is. @process: the image's, of which pid, process
 * (PROFILE_NONE: the thread's name in its stead) and process_key are taken. @versions: of a process
 * with two runtimes the CPython version (major << 8 | minor) of each of PV_MAX_LAYOUTS; else NULL.
 * 0 or -ENOMEM.
 */
int tracks__profile(const struct tracks *tracks, const struct profile_track *process,
                    const uint16_t *versions, struct profile *profile, uint32_t *ids);

#endif
