/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - what is recorded of each process image, and its way into the profile.
 *
 * An image's samples, threads and code objects are kept raw in a struct recorded of its own, made when
 * the first of them comes. Some time after the end of the image it is resolved to names, put into the
 * profile, where all processes share functions and stacks, and freed: what is held grows with the
 * processes that live, not with those that have lived. A record that comes later still makes another
 * one, which goes the same way. The living are put into the profile in the end. One thread.
 */
#ifndef PV_COLLECT_RECORDER_H
#define PV_COLLECT_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi_event.h"
#include "collect/images.h"
#include "proc/labels.h"
#include "profile/profile.h"
#include "sym/sym.h"
#include "util/clock.h"

/* Records may come that long after the end of their process: it may not be the last one to run. */
#define RECORDER_GRACE_NS NSEC_PER_SEC

#define RECORDER_LOST "[lost]" /* the frame, and the thread, of samples that found the ring full */

struct recorder;

struct recorder_stats {
	uint64_t lost_cnt;  /* of recorder__lost(), all together */
	uint64_t crowd_cnt; /* ended processes put together: see crowd.h */
	uint64_t full_cnt;  /* samples shown under a mark because a bound was reached */
	const struct sym_stats *sym;
};

/*
 * @points: keep the time line. @labels: what tells the labels of processes, must outlive the recorder;
 * NULL: they get none. NULL and errno.
 */
struct recorder *recorder__new(bool points, struct labels *labels);
/* Frees what was recorded of @images (may be NULL) too. */
void recorder__free(struct recorder *recorder, struct images *images);

/* Count one sample of image @index. 0; or why it is not counted: -ENOSPC (bound), -EPROTO, -ENOMEM. */
int recorder__sample(struct recorder *recorder, struct images *images, uint32_t index,
                     const struct pv_sample *sample, size_t size, uint64_t time_ns);
/* Take in a symbol record of image @index. 0, -EPROTO, -ENOMEM. */
int recorder__symbol(struct recorder *recorder, struct images *images, uint32_t index,
                     const struct pv_symbol *symbol, size_t size);
/*
 * The kernel side has lost @cnt samples of image @index in all so far: those that are new are shown as
 * RECORDER_LOST. 0 or -ENOMEM.
 */
int recorder__lost(struct recorder *recorder, struct images *images, uint32_t index, uint32_t cnt);
/*
 * Read from the living processes what the kernel side cut or did not send of code objects, names of
 * threads, and labels. @all: every thread without a name, else those that are due.
 */
void recorder__complete(struct recorder *recorder, struct images *images, uint64_t now_ns,
                        bool all);
/*
 * Put images into the profile that ended RECORDER_GRACE_NS before @seen_ns (CLOCK_MONOTONIC: older
 * records have all been taken in), the next ones at once if a bound is near. 1: there is more to do, it
 * has taken enough time; 0; -ENOMEM: nothing is lost, try again.
 */
int recorder__flush(struct recorder *recorder, struct images *images, uint64_t seen_ns);
/*
 * Put all images into the profile, the living too, and hand it over, the caller's to free. @lost_cnt:
 * samples lost in all; those that were charged to no image are of no process. NULL and errno.
 */
struct profile *recorder__finish(struct recorder *recorder, struct images *images,
                                 uint64_t lost_cnt);
/*
 * Put all images into the profile, and hand it over, the caller's to free: what comes from now on goes
 * into the next one. Of the living their code objects and threads' names are kept. NULL and errno: nothing
 * is lost, try again.
 */
struct profile *recorder__slice(struct recorder *recorder, struct images *images);
/* Is a bound near, and nobody's end will make room? */
bool recorder__is_tight(const struct recorder *recorder);
struct recorder_stats recorder__stats(const struct recorder *recorder);

#endif
