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

struct track {
	uint32_t tid;
	uint32_t tries;
	uint64_t start_ns;
	uint64_t ident;
	uint64_t interp;
	int64_t interp_id;
	uint16_t layout;
	char *name; /* from Python; NULL: none */
	char comm[PV_COMM_LEN];
	uint64_t next_ns; /* when to ask again; 0: now, UINT64_MAX: never */
};

struct tracks {
	struct tracks_shared *shared;
	struct track *items;
	uint32_t cnt;
	uint32_t cap;
	struct hmap map;
	uint32_t unnamed_first; /* no track before this one wants a name */
	uint64_t due_ns;        /* the earliest next_ns of one without a name */
};

struct tracks *tracks__new(struct tracks_shared *shared)
{
	struct tracks *tracks = calloc(1, sizeof(*tracks));

	if (!tracks)
		return NULL;
	tracks->shared = shared;
	tracks->due_ns = UINT64_MAX;
	return tracks;
}

void tracks__free(struct tracks *tracks)
{
	if (!tracks)
		return;
	for (uint32_t i = 0; i < tracks->cnt; i++)
		free(tracks->items[i].name);
	tracks->shared->cnt -= tracks->cnt;
	free(tracks->items);
	hmap_free(&tracks->map);
	free(tracks);
}

struct track_key {
	const struct tracks *tracks;
	const struct pv_sample *sample;
};

static bool track_eq(const void *ctx, uint32_t id)
{
	const struct track_key *key = ctx;
	const struct track *track = &key->tracks->items[id];

	return track->tid == key->sample->tid && track->layout == key->sample->layout &&
	       track->interp_id == key->sample->interp_id &&
	       track->start_ns == key->sample->thread_start_ns;
}

uint32_t tracks__get(struct tracks *tracks, const struct pv_sample *sample)
{
	const struct track_key key = { tracks, sample };
	uint64_t hash = hash_u64(sample->thread_start_ns ^ sample->tid);
	uint32_t id = hmap_find(&tracks->map, hash, track_eq, &key);
	struct track *track;

	if (id != HMAP_NONE)
		return id;
	if (tracks->shared->cnt >= TRACKS_MAX)
		return TRACK_NONE;
	if (tracks->cnt == tracks->cap) {
		uint32_t cap = tracks->cap ? tracks->cap * 2 : 2;
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
		.tid = sample->tid,
		.start_ns = sample->thread_start_ns,
		.ident = sample->thread_ident,
		.interp = sample->interp,
		.interp_id = sample->interp_id,
		.layout = sample->layout,
	};
	memcpy(track->comm, sample->comm, sizeof(track->comm));
	track->comm[sizeof(track->comm) - 1] = '\0';
	tracks->due_ns = 0;
	tracks->shared->cnt++;
	return tracks->cnt++;
}

uint32_t tracks__cnt(const struct tracks *tracks)
{
	return tracks->cnt;
}

const char *tracks__comm(const struct tracks *tracks)
{
	return tracks->cnt ? tracks->items[0].comm : "";
}

uint64_t tracks__name_due_ns(const struct tracks *tracks)
{
	return tracks->due_ns;
}

/*
 * The ident of a thread is free again when it ends, and most often the next one gets it: a name counts
 * only if the thread was there after it was read.
 */
static bool name_is_ours(const struct track *track, struct images *images, uint32_t index)
{
	return images__is_current(images, index) &&
	       process_has_thread(images__at(images, index)->pid, (pid_t)track->tid,
	                          track->start_ns);
}

static void name_one(struct track *track, struct images *images, uint32_t index, uint64_t now_ns)
{
	const struct image *image = images__at(images, index);
	struct buf name = { 0 };
	int err = -ENOENT;

	if (image->runtime)
		err = py_thread_name(image->pid, images__runtime(image, track->layout),
		                     track->interp, track->ident, &name);
	track->next_ns = ++track->tries < NAME_TRIES ? now_ns + NAME_AGAIN_NS : UINT64_MAX;
	if (!name_is_ours(track, images, index)) {
		track->next_ns = UINT64_MAX;
	} else if (!err && name.len) {
		track->name = name.data;
		track->next_ns = UINT64_MAX;
		return;
	}
	buf_free(&name);
}

bool tracks__name(struct tracks *tracks, struct images *images, uint32_t index, uint64_t now_ns,
                  uint64_t end_ns, bool all)
{
	uint32_t first = tracks->cnt;
	bool in_time = true;

	tracks->due_ns = UINT64_MAX;
	for (uint32_t i = all ? 0 : tracks->unnamed_first; i < tracks->cnt; i++) {
		struct track *track = &tracks->items[i];

		if (track->name)
			continue;
		if (in_time && (all || track->next_ns <= now_ns)) {
			name_one(track, images, index, now_ns);
			in_time = clock_ns(CLOCK_MONOTONIC) < end_ns;
		}
		if (track->next_ns < tracks->due_ns)
			tracks->due_ns = track->next_ns;
		if (track->next_ns != UINT64_MAX && i < first)
			first = i;
	}
	tracks->unnamed_first = first;
	return in_time;
}

/*
 * The name of the thread, and what it runs in if that is not the main interpreter of the one runtime.
 * PROFILE_NONE: no memory.
 */
static uint32_t thread_label(const struct track *track, uint16_t version, struct profile *profile)
{
	struct buf label = { 0 };
	uint32_t id = PROFILE_NONE;

	buf_puts(&label, track->name ? track->name : track->comm);
	if (version)
		buf_printf(&label, " [Python %u.%u]", version >> 8, version & 0xff);
	if (track->interp_id)
		buf_printf(&label, " [interpreter %lld]", (long long)track->interp_id);
	if (!label.err)
		id = profile__string(profile, buf_str(&label), label.len);
	buf_free(&label);
	return id;
}

int tracks__profile(const struct tracks *tracks, const struct profile_track *process,
                    const uint16_t *versions, struct profile *profile, uint32_t *ids)
{
	for (uint32_t i = 0; i < tracks->cnt; i++) {
		const struct track *track = &tracks->items[i];
		uint16_t version = versions ? versions[track->layout % PV_MAX_LAYOUTS] : 0;
		struct profile_track out = *process;

		out.tid = track->tid;
		/* What runs in two interpreters by turns is two tracks: no thread is so soon after. */
		out.thread_key = track->start_ns + track->layout +
		                 (uint64_t)track->interp_id * PV_MAX_LAYOUTS;
		out.thread = thread_label(track, version, profile);
		if (out.thread == PROFILE_NONE)
			return -ENOMEM;
		if (out.process == PROFILE_NONE)
			out.process = profile__string(profile, track->comm, strlen(track->comm));
		ids[i] = profile__track(profile, &out);
		if (ids[i] == PROFILE_NONE)
			return -ENOMEM;
	}
	return 0;
}
