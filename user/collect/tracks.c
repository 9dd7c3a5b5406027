// SPDX-License-Identifier: Apache-2.0
#include "collect/tracks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proc/process.h"
#include "py/threads.h"
#include "util/clock.h"
#include "util/hmap.h"

/* A thread without a Python name (threading not imported yet) is asked again after this long. */
#define NAME_AGAIN_NS (1 * NSEC_PER_SEC)
/* and given up after this many times: it was made outside the threading module. */
#define NAME_TRIES 4
/* A name costs a read for each module that the program imports: in one round, and in the last one. */
#define NAME_ROUND_NS (5 * NSEC_PER_MSEC)
#define NAME_ALL_NS   (1 * NSEC_PER_SEC)

struct track {
	uint32_t image;
	uint32_t tid;
	uint64_t start_ns;
	uint64_t ident;
	uint64_t interp;
	char *name; /* from Python; NULL: none */
	char comm[PV_COMM_LEN];
	uint32_t tries;
	uint64_t next_ns; /* when to ask again; 0: now, UINT64_MAX: never */
};

struct tracks {
	struct track *items;
	uint32_t cnt;
	uint32_t cap;
	struct hmap map;
	uint32_t unnamed_first; /* no track before this one wants a name */
};

struct tracks *tracks__new(void)
{
	return calloc(1, sizeof(struct tracks));
}

void tracks__free(struct tracks *tracks)
{
	if (!tracks)
		return;
	for (uint32_t i = 0; i < tracks->cnt; i++)
		free(tracks->items[i].name);
	free(tracks->items);
	hmap_free(&tracks->map);
	free(tracks);
}

struct track_key {
	const struct tracks *tracks;
	uint32_t image;
	const struct pv_sample *sample;
};

static bool track_eq(const void *ctx, uint32_t id)
{
	const struct track_key *key = ctx;
	const struct track *track = &key->tracks->items[id];

	return track->image == key->image && track->tid == key->sample->tid &&
	       track->start_ns == key->sample->thread_start_ns;
}

uint32_t tracks__get(struct tracks *tracks, uint32_t image, const struct pv_sample *sample)
{
	const struct track_key key = { tracks, image, sample };
	uint64_t hash = hash_u64(sample->thread_start_ns ^ (uint64_t)image << 32 ^ sample->tid);
	uint32_t id = hmap_find(&tracks->map, hash, track_eq, &key);
	struct track *track;

	if (id != HMAP_NONE)
		return id;
	if (tracks->cnt >= TRACKS_MAX)
		return TRACK_NONE;
	if (tracks->cnt == tracks->cap) {
		uint32_t cap = tracks->cap ? tracks->cap * 2 : 64;
		struct track *items = realloc(tracks->items, cap * sizeof(*items));

		if (!items)
			return TRACK_NONE;
		tracks->items = items;
		tracks->cap = cap;
	}
	if (hmap_add(&tracks->map, hash, tracks->cnt))
		return TRACK_NONE;
	track = &tracks->items[tracks->cnt];
	*track = (struct track){
		.image = image,
		.tid = sample->tid,
		.start_ns = sample->thread_start_ns,
		.ident = sample->thread_ident,
		.interp = sample->interp,
	};
	memcpy(track->comm, sample->comm, sizeof(track->comm));
	track->comm[sizeof(track->comm) - 1] = '\0';
	return tracks->cnt++;
}

/*
 * The ident of a thread is free again when it ends, and most often the next one gets it: a name counts
 * only if the thread was there after it was read.
 */
static bool name_is_ours(const struct track *track, struct images *images)
{
	const struct image *image = images__at(images, track->image);

	return images__is_current(images, track->image) &&
	       process_has_thread((pid_t)image->id.tgid, (pid_t)track->tid, track->start_ns);
}

static void name_one(struct track *track, struct images *images, uint64_t now_ns)
{
	const struct image *image = images__at(images, track->image);
	struct buf name = { 0 };
	int err = -ENOENT;

	if (image->alive && image->runtime)
		err = py_thread_name((pid_t)image->id.tgid, image->runtime, track->interp,
		                     track->ident, &name);
	track->next_ns = ++track->tries < NAME_TRIES ? now_ns + NAME_AGAIN_NS : UINT64_MAX;
	if (!name_is_ours(track, images)) {
		track->next_ns = UINT64_MAX;
	} else if (!err && name.len) {
		track->name = name.data;
		track->next_ns = UINT64_MAX;
		return;
	}
	buf_free(&name);
}

void tracks__name(struct tracks *tracks, struct images *images, uint64_t now_ns, bool all)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (all ? NAME_ALL_NS : NAME_ROUND_NS);
	uint32_t first = tracks->cnt;

	for (uint32_t i = all ? 0 : tracks->unnamed_first; i < tracks->cnt; i++) {
		struct track *track = &tracks->items[i];

		if (track->name)
			continue;
		if ((all || track->next_ns <= now_ns) && images__at(images, track->image)->alive) {
			if (clock_ns(CLOCK_MONOTONIC) > end_ns) {
				first = i < first ? i : first;
				break;
			}
			name_one(track, images, now_ns);
		} else if (track->next_ns <= now_ns) {
			track->next_ns = UINT64_MAX;
		}
		if (track->next_ns != UINT64_MAX && i < first)
			first = i;
	}
	tracks->unnamed_first = first;
}

static uint32_t intern(struct profile *profile, const char *text)
{
	return profile__string(profile, text, strlen(text));
}

uint32_t *tracks__profile(struct tracks *tracks, struct images *images, struct profile *profile)
{
	uint32_t *ids = calloc(tracks->cnt + 1, sizeof(*ids));

	if (!ids)
		return NULL;
	for (uint32_t i = 0; i < tracks->cnt; i++) {
		const struct track *track = &tracks->items[i];
		const struct image *image = images__at(images, track->image);
		const struct profile_track out = {
			.pid = image->id.tgid,
			.tid = track->tid,
			.process = intern(profile, image->cmdline ? image->cmdline : track->comm),
			.thread = intern(profile, track->name ? track->name : track->comm),
			.process_key = track->image,
			.thread_key = track->start_ns,
		};

		ids[i] = out.process == PROFILE_NONE || out.thread == PROFILE_NONE
		                 ? PROFILE_NONE
		                 : profile__track(profile, &out);
		if (ids[i] == PROFILE_NONE) {
			free(ids);
			return NULL;
		}
	}
	return ids;
}
