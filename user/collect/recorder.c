// SPDX-License-Identifier: Apache-2.0
#include "collect/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/crowd.h"
#include "collect/stacks.h"
#include "collect/tags.h"
#include "collect/tracks.h"
#include "util/clock.h"

/* A thread's name costs a read for each module that the program imports: in one round, in the last. */
#define NAME_ROUND_NS (5 * NSEC_PER_MSEC)
#define NAME_ALL_NS   (1 * NSEC_PER_SEC)
/* Of a living process that has had more threads than this they are forgotten with each slice. */
#define TRACKS_KEPT 256
/* The ring fills meanwhile. */
#define FLUSH_ROUND_NS (20 * NSEC_PER_MSEC)

/* Two runtimes in one process have two layouts, or else the same, and then addresses are enough. */
struct recorded_runtime {
	struct sym *sym; /* NULL: nothing yet */
	struct stacks *stacks;
	uint16_t layout;
};

struct recorded {
	struct recorded_runtime runtimes[PY_RUNTIMES_MAX];
	struct tracks *tracks;
	struct tags tags;
	bool tagged;           /* they have been read */
	uint64_t lost_cnt;     /* not in a profile yet */
	uint32_t lost_all_cnt; /* so far */
};

struct recorder {
	struct profile *profile;
	struct crowd *crowd;
	struct sym_store *store;
	struct labels *labels; /* NULL: none are wanted */
	bool tags_wanted;      /* some process was not asked for its labels yet */
	struct stacks_shared stacks;
	struct tracks_shared tracks;
	bool sym_wanted; /* some image has code objects to be completed */
	uint64_t lost_cnt;
	uint64_t crowd_cnt; /* of the profiles before this */
	uint32_t name_at;   /* where the time for names was over, among the living */
};

struct recorder *recorder__new(bool points, struct labels *labels)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	if (!recorder)
		return NULL;
	recorder->labels = labels;
	recorder->stacks = (struct stacks_shared){
		.points = points,
		.node_max = STACKS_NODE_MAX,
		.point_max = STACKS_POINT_MAX,
		.profile_max = STACKS_PROFILE_MAX,
	};
	recorder->profile = profile__new();
	recorder->store = sym_store__new();
	if (recorder->profile)
		recorder->crowd = crowd__new(recorder->profile);
	if (recorder->crowd && recorder->store)
		return recorder;
	recorder__free(recorder, NULL);
	errno = ENOMEM;
	return NULL;
}

static void recorded_free(struct recorded *recorded)
{
	if (!recorded)
		return;
	tracks__free(recorded->tracks);
	tags_free(&recorded->tags);
	for (size_t i = 0; i < PY_RUNTIMES_MAX; i++) {
		stacks__free(recorded->runtimes[i].stacks);
		sym__free(recorded->runtimes[i].sym);
	}
	free(recorded);
}

void recorder__free(struct recorder *recorder, struct images *images)
{
	if (!recorder)
		return;
	for (uint32_t i = 0; images && i < images__cnt(images); i++) {
		recorded_free(images__at(images, i)->recorded);
		images__at(images, i)->recorded = NULL;
	}
	crowd__free(recorder->crowd);
	profile__free(recorder->profile);
	sym_store__free(recorder->store);
	free(recorder);
}

/* What is recorded of the image, made if it is the first. NULL: no memory. */
static struct recorded *recorded_of(struct recorder *recorder, struct image *image)
{
	struct recorded *recorded = image->recorded;

	if (recorded)
		return recorded;
	recorded = calloc(1, sizeof(*recorded));
	if (!recorded)
		return NULL;
	recorded->tracks = tracks__new(&recorder->tracks);
	if (!recorded->tracks) {
		recorded_free(recorded);
		return NULL;
	}
	image->recorded = recorded;
	recorder->tags_wanted = recorder->labels;
	return recorded;
}

/* What is recorded of the runtime that has this layout, made if it is new. NULL: no memory, bound. */
static struct recorded_runtime *runtime_of(struct recorder *recorder, struct recorded *recorded,
                                           uint16_t layout)
{
	for (size_t i = 0; i < PY_RUNTIMES_MAX; i++) {
		struct recorded_runtime *runtime = &recorded->runtimes[i];

		if (runtime->sym && runtime->layout != layout)
			continue;
		if (!runtime->sym)
			runtime->sym = sym__new(recorder->store);
		if (!runtime->stacks)
			runtime->stacks = stacks__new(&recorder->stacks);
		runtime->layout = layout;
		return runtime->sym && runtime->stacks ? runtime : NULL;
	}
	return NULL;
}

int recorder__sample(struct recorder *recorder, struct images *images, uint32_t index,
                     const struct pv_sample *sample, size_t size, uint64_t time_ns)
{
	struct recorded_runtime *runtime = NULL;
	struct recorded *recorded;
	uint32_t track;
	int err;

	if (size < sizeof(*sample))
		return -EPROTO;
	recorded = recorded_of(recorder, images__at(images, index));
	if (recorded)
		runtime = runtime_of(recorder, recorded, sample->layout);
	if (!runtime)
		return -ENOMEM;
	images__note_sample(images, index, sample->layout);
	track = tracks__get(recorded->tracks, sample);
	if (track == TRACK_NONE)
		return -ENOSPC;
	err = stacks__add(runtime->stacks, runtime->sym, track, sample, size, time_ns);
	if (sym__wants(runtime->sym))
		recorder->sym_wanted = true;
	return err;
}

int recorder__symbol(struct recorder *recorder, struct images *images, uint32_t index,
                     const struct pv_symbol *symbol, size_t size)
{
	struct recorded *recorded = recorded_of(recorder, images__at(images, index));

	struct recorded_runtime *runtime = NULL;

	if (size < sizeof(*symbol))
		return -EPROTO;
	if (recorded)
		runtime = runtime_of(recorder, recorded, symbol->layout);
	return runtime ? sym__learn(runtime->sym, symbol, size) : -ENOMEM;
}

int recorder__lost(struct recorder *recorder, struct images *images, uint32_t index, uint32_t cnt)
{
	struct recorded *recorded;

	if (!cnt)
		return 0;
	recorded = recorded_of(recorder, images__at(images, index));
	if (!recorded)
		return -ENOMEM;
	if (cnt <= recorded->lost_all_cnt)
		return 0;
	recorded->lost_cnt += cnt - recorded->lost_all_cnt;
	recorder->lost_cnt += cnt - recorded->lost_all_cnt;
	recorded->lost_all_cnt = cnt;
	return 0;
}

static void complete_image(struct images *images, uint32_t index)
{
	const struct image *image = images__at(images, index);

	for (size_t i = 0; image->recorded && i < PY_RUNTIMES_MAX; i++) {
		const struct recorded_runtime *runtime = &image->recorded->runtimes[i];
		const struct pv_layout *layout = images__layout(images, runtime->layout);

		if (runtime->sym && layout && sym__wants(runtime->sym) &&
		    images__is_current(images, index))
			sym__complete(runtime->sym, image->pid, layout);
	}
}

static void complete_symbols(struct recorder *recorder, struct images *images)
{
	if (!recorder->sym_wanted)
		return;
	recorder->sym_wanted = false;
	for (uint32_t i = 0; i < images__alive_cnt(images); i++)
		complete_image(images, images__alive(images, i));
}

/* In turns, so that no process can keep the time for itself. */
static void read_names(struct recorder *recorder, struct images *images, uint64_t now_ns, bool all)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (all ? NAME_ALL_NS : NAME_ROUND_NS);
	uint32_t cnt = images__alive_cnt(images);

	for (uint32_t left = cnt; left; left--, recorder->name_at++) {
		struct recorded *recorded;
		uint32_t index;

		if (recorder->name_at >= cnt)
			recorder->name_at = 0;
		index = images__alive(images, recorder->name_at);
		recorded = images__at(images, index)->recorded;
		if (!recorded || (!all && tracks__name_due_ns(recorded->tracks) > now_ns))
			continue;
		if (!tracks__name(recorded->tracks, images, index, now_ns, end_ns, all)) {
			recorder->name_at++;
			return;
		}
	}
}

/* What was read is the image's only if it is still there then. */
static void read_tags_of(struct recorder *recorder, struct images *images, uint32_t index)
{
	struct recorded *recorded = images__at(images, index)->recorded;

	recorded->tagged = true;
	if (tags_read(&recorded->tags, recorder->labels, images__at(images, index)->pid) ||
	    !images__is_current(images, index))
		tags_free(&recorded->tags);
}

/* Of each process once: those that are left when the time is over are asked in the next round. */
static void read_tags(struct recorder *recorder, struct images *images, bool all)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (all ? NAME_ALL_NS : NAME_ROUND_NS);

	if (!recorder->tags_wanted)
		return;
	for (uint32_t i = 0; i < images__alive_cnt(images); i++) {
		uint32_t index = images__alive(images, i);
		const struct recorded *recorded = images__at(images, index)->recorded;

		if (!recorded || recorded->tagged)
			continue;
		if (clock_ns(CLOCK_MONOTONIC) >= end_ns)
			return;
		read_tags_of(recorder, images, index);
	}
	recorder->tags_wanted = false;
}

void recorder__complete(struct recorder *recorder, struct images *images, uint64_t now_ns, bool all)
{
	complete_symbols(recorder, images);
	read_names(recorder, images, now_ns, all);
	read_tags(recorder, images, all);
}

static int put_tags(const struct recorder *recorder, const struct image *image,
                    const struct profile_track *process)
{
	struct profile *profile = recorder->profile;
	char version[16] = "";
	int err;

	if (!recorder->labels)
		return 0;
	if (image->version)
		snprintf(version, sizeof(version), "%u.%u", image->version >> 8,
		         image->version & 0xff);
	err = tags_profile(&image->recorded->tags, process, profile);
	if (!err)
		err = tags_put(PROFILE_COMM, tracks__comm(image->recorded->tracks), process,
		               profile);
	return err ? err : tags_put(PROFILE_PYTHON, version, process, profile);
}

/* Give the threads of the image a track of the profile each. */
static int tracks_alone(struct recorder *recorder, const struct image *image,
                        const uint16_t *versions, uint32_t *ids)
{
	struct profile *profile = recorder->profile;
	struct profile_track process = {
		.pid = (uint32_t)image->pid,
		.process = PROFILE_NONE,
		/* A pid is not used again within the few nanoseconds that its execs could add. */
		.process_key = image->id.start_ns + image->id.exec_id,
	};
	int err;

	if (image->cmdline) {
		process.process = profile__string(profile, image->cmdline, strlen(image->cmdline));
		if (process.process == PROFILE_NONE)
			return -ENOMEM;
	}
	err = put_tags(recorder, image, &process);
	if (err)
		return err;
	return tracks__profile(image->recorded->tracks, &process,
	                       image->two_runtimes ? versions : NULL, profile, ids);
}

/* Give all threads of the image the track of the crowd. */
static int tracks_in_crowd(struct recorder *recorder, const struct image *image, uint32_t *ids)
{
	const struct tracks *tracks = image->recorded->tracks;
	uint32_t id = crowd__track(recorder->crowd,
	                           image->cmdline ? image->cmdline : tracks__comm(tracks));

	for (uint32_t i = 0; i < tracks__cnt(tracks); i++)
		ids[i] = id;
	return id == PROFILE_NONE ? -ENOMEM : 0;
}

/* Is the image shown for itself? A target always is, and who lives, while there is any room. */
static bool is_alone(const struct recorder *recorder, const struct image *image)
{
	if (profile__track_cnt(recorder->profile) + tracks__cnt(image->recorded->tracks) >
	    TRACKS_MAX)
		return false;
	return image->alive || image->target || crowd__has_room(recorder->crowd);
}

/* @cnt lost samples of @process, whose thread is not known. */
static int add_lost(struct profile *profile, const struct profile_track *process, uint64_t cnt)
{
	struct profile_track track = *process;
	uint32_t id = PROFILE_NONE, stack = PROFILE_NONE,
		 frame = stacks_mark(profile, RECORDER_LOST);

	track.thread = profile__string(profile, RECORDER_LOST, strlen(RECORDER_LOST));
	if (track.process != PROFILE_NONE && track.thread != PROFILE_NONE)
		id = profile__track(profile, &track);
	if (frame != PROFILE_NONE)
		stack = profile__stack(profile, PROFILE_ROOT, frame);
	if (id == PROFILE_NONE || stack == PROFILE_NONE)
		return -ENOMEM;
	return profile__add(profile, id, stack, cnt);
}

static int flush_lost(struct recorder *recorder, const struct image *image, bool alone)
{
	const char *label = image->cmdline ? image->cmdline : tracks__comm(image->recorded->tracks);
	struct profile_track process = {
		.pid = (uint32_t)image->pid,
		.process_key = image->id.start_ns + image->id.exec_id,
	};
	uint32_t crowd;

	if (!image->recorded->lost_cnt)
		return 0;
	if (alone) {
		process.process = profile__string(recorder->profile, label, strlen(label));
	} else {
		crowd = crowd__track(recorder->crowd, label);
		if (crowd == PROFILE_NONE)
			return -ENOMEM;
		process = *profile__track_at(recorder->profile, crowd);
	}
	return add_lost(recorder->profile, &process, image->recorded->lost_cnt);
}

static int flush_stacks(struct recorder *recorder, const struct recorded *recorded,
                        const uint16_t *versions, const uint32_t *tracks)
{
	int err = 0;

	for (size_t i = 0; !err && i < PY_RUNTIMES_MAX; i++) {
		const struct recorded_runtime *runtime = &recorded->runtimes[i];

		if (runtime->sym && runtime->stacks)
			err = stacks__profile(runtime->stacks, runtime->sym,
			                      versions[runtime->layout % PV_MAX_LAYOUTS], tracks,
			                      recorder->profile);
	}
	return err;
}

/* Put what was recorded of the image into the profile. */
static int flush_samples(struct recorder *recorder, const struct images *images,
                         struct image *image)
{
	struct recorded *recorded = image->recorded;
	bool alone = is_alone(recorder, image);
	uint16_t versions[PV_MAX_LAYOUTS] = { 0 };
	const struct pv_layout *layout;
	uint32_t *tracks;
	int err = flush_lost(recorder, image, alone);

	if (err)
		return err;
	for (uint16_t i = 0; (layout = images__layout(images, i)); i++)
		versions[i] = layout->version;
	/* If the rest has to be tried again. */
	recorded->lost_cnt = 0;
	if (tracks__cnt(recorded->tracks)) {
		tracks = calloc(tracks__cnt(recorded->tracks), sizeof(*tracks));
		if (!tracks)
			return -ENOMEM;
		err = alone ? tracks_alone(recorder, image, versions, tracks)
		            : tracks_in_crowd(recorder, image, tracks);
		if (!err)
			err = flush_stacks(recorder, recorded, versions, tracks);
		free(tracks);
		if (!err && (!image->alive || !alone))
			crowd__count(recorder->crowd, alone);
	}
	return err;
}

/* The same, and let go of it. */
static int flush_one(struct recorder *recorder, const struct images *images, struct image *image)
{
	int err = flush_samples(recorder, images, image);

	if (err)
		return err;
	recorded_free(image->recorded);
	image->recorded = NULL;
	return 0;
}

static bool has_samples(const struct recorded *recorded)
{
	for (size_t i = 0; i < PY_RUNTIMES_MAX; i++)
		if (recorded->runtimes[i].stacks)
			return true;
	return recorded->lost_cnt;
}

/* The same of one that may have more to come: what its next samples will need again is kept. */
static int flush_kept(struct recorder *recorder, const struct images *images, struct image *image)
{
	struct recorded *recorded = image->recorded;
	struct tracks *fresh;
	int err;

	if (!recorded || !has_samples(recorded))
		return 0;
	err = flush_samples(recorder, images, image);
	if (err)
		return err;
	for (size_t i = 0; i < PY_RUNTIMES_MAX; i++) {
		stacks__free(recorded->runtimes[i].stacks);
		recorded->runtimes[i].stacks = NULL;
	}
	if (tracks__cnt(recorded->tracks) <= TRACKS_KEPT)
		return 0;
	fresh = tracks__new(&recorder->tracks);
	if (!fresh)
		return -ENOMEM;
	tracks__free(recorded->tracks);
	recorded->tracks = fresh;
	return 0;
}

bool recorder__is_tight(const struct recorder *recorder)
{
	return recorder->stacks.node_cnt > STACKS_NODE_MAX / 4 * 3 ||
	       recorder->tracks.cnt > TRACKS_MAX / 4 * 3 ||
	       sym_store__code_cnt(recorder->store) > SYM_CODE_MAX / 4 * 3 ||
	       sym_store__bytes(recorder->store) > SYM_BYTES_MAX / 4 * 3;
}

int recorder__flush(struct recorder *recorder, struct images *images, uint64_t seen_ns)
{
	uint64_t round_end_ns = clock_ns(CLOCK_MONOTONIC) + FLUSH_ROUND_NS;
	uint32_t index;

	while ((index = images__ended(images)) != IMAGE_NONE) {
		struct image *image = images__at(images, index);
		int err;

		if (image->end_ns + RECORDER_GRACE_NS >
		            seen_ns && /* Who has ended makes room for who lives. */
		    !recorder__is_tight(recorder))
			return 0;
		if (clock_ns(CLOCK_MONOTONIC) >= round_end_ns)
			return 1;
		err = flush_one(recorder, images, image);
		if (err)
			return err;
		images__forget(images);
	}
	return 0;
}

/* What was charged to no process: its end or its exec were lost as well. */
static int finish_lost(struct recorder *recorder, uint64_t lost_cnt)
{
	struct profile *profile = recorder->profile;
	struct profile_track nobody = { 0 };

	if (lost_cnt <= recorder->lost_cnt)
		return 0;
	nobody.process = profile__string(profile, RECORDER_LOST, strlen(RECORDER_LOST));
	return add_lost(profile, &nobody, lost_cnt - recorder->lost_cnt);
}

struct profile *recorder__finish(struct recorder *recorder, struct images *images,
                                 uint64_t lost_cnt)
{
	struct profile *profile = recorder->profile;
	int err;

	while ((err = recorder__flush(recorder, images, UINT64_MAX)) > 0)
		;
	for (uint32_t i = 0; !err && i < images__alive_cnt(images); i++) {
		struct image *image = images__at(images, images__alive(images, i));

		if (image->recorded)
			err = flush_one(recorder, images, image);
	}
	if (!err)
		err = finish_lost(recorder, lost_cnt);
	if (err) {
		errno = -err;
		return NULL;
	}
	if (!recorder->stacks.points)
		profile__drop_points(profile);
	recorder->profile = NULL;
	return profile;
}

/* Begin another profile. The one before, the caller's to free; NULL: no memory. */
static struct profile *begin_anew(struct recorder *recorder)
{
	struct profile *before = recorder->profile, *profile = profile__new();
	struct crowd *crowd = profile ? crowd__new(profile) : NULL;

	if (!crowd) {
		profile__free(profile);
		return NULL;
	}
	recorder->crowd_cnt += crowd__cnt(recorder->crowd);
	crowd__free(recorder->crowd);
	recorder->crowd = crowd;
	recorder->profile = profile;
	recorder->stacks.point_cnt = 0;
	return before;
}

struct profile *recorder__slice(struct recorder *recorder, struct images *images)
{
	uint32_t index = images__ended(images);
	struct profile *profile = NULL;
	int err = 0;

	for (; !err && index != IMAGE_NONE; index = images__at(images, index)->next_ended)
		err = flush_kept(recorder, images, images__at(images, index));
	for (uint32_t i = 0; !err && i < images__alive_cnt(images); i++)
		err = flush_kept(recorder, images, images__at(images, images__alive(images, i)));
	if (!err)
		profile = begin_anew(recorder);
	if (!profile)
		errno = err ? -err : ENOMEM;
	else if (!recorder->stacks.points)
		profile__drop_points(profile);
	return profile;
}

struct recorder_stats recorder__stats(const struct recorder *recorder)
{
	return (struct recorder_stats){
		.lost_cnt = recorder->lost_cnt,
		.crowd_cnt = recorder->crowd_cnt + crowd__cnt(recorder->crowd),
		.full_cnt = recorder->stacks.full_cnt,
		.sym = sym_store__stats(recorder->store),
	};
}
