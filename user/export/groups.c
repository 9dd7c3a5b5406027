// SPDX-License-Identifier: Apache-2.0
#include "export/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/hmap.h"

/* The names of the profile are those of proc/labels.h. */
const struct group_name group_names[GROUP_LABELS] = {
	[GROUP_SERVICE] = { "service", "service.name", "service_name" },
	[GROUP_CONTAINER] = { "container", "container.id", "container_id" },
	[GROUP_CONTAINER_NAME] = { "container_name", "container.name", "container" },
	[GROUP_ENGINE] = { "engine", "container.runtime.name", "container_engine" },
	[GROUP_IMAGE] = { "image", "container.image.name", "image" },
	[GROUP_POD] = { "pod", "k8s.pod.name", "pod" },
	[GROUP_POD_UID] = { "pod_uid", "k8s.pod.uid", "pod_uid" },
	[GROUP_NAMESPACE] = { "namespace", "k8s.namespace.name", "namespace" },
	[GROUP_UNIT] = { "unit", "systemd.unit", "unit" },
	[GROUP_CGROUP] = { "cgroup", "process.linux.cgroup", "cgroup" },
};

struct group_key {
	const struct groups *groups;
	struct group group;
};

static bool group_eq(const void *ctx, uint32_t index)
{
	const struct group_key *key = ctx;

	return !memcmp(&key->groups->groups[index], &key->group, sizeof(key->group));
}

/* The group of a track; HMAP_NONE: no memory. There is room for one more. */
static uint32_t group_of(struct groups *groups, struct hmap *map, const struct profile *profile,
                         const uint32_t *names, const struct profile_track *track)
{
	struct group_key key = { .groups = groups };
	uint64_t hash;
	uint32_t index;

	for (size_t i = 0; i < GROUP_LABELS; i++)
		key.group.values[i] = names[i] == PROFILE_NONE
		                              ? PROFILE_NONE
		                              : profile__label_of(profile, track, names[i]);
	hash = hash_bytes(&key.group, sizeof(key.group), 0);
	index = hmap_find(map, hash, group_eq, &key);
	if (index != HMAP_NONE)
		return index;
	if (hmap_add(map, hash, groups->cnt))
		return HMAP_NONE;
	groups->groups[groups->cnt] = key.group;
	return groups->cnt++;
}

int groups_make(const struct profile *profile, struct groups *groups)
{
	uint32_t track_cnt = profile__track_cnt(profile), names[GROUP_LABELS];
	struct hmap map = { 0 };
	size_t value_cnt;
	const struct profile_value *values = profile__values(profile, &value_cnt);
	int err = 0;

	*groups = (struct groups){
		.groups = calloc((size_t)track_cnt + 1, sizeof(*groups->groups)),
		.of_track = malloc(((size_t)track_cnt + 1) * sizeof(*groups->of_track)),
	};
	if (!groups->groups || !groups->of_track)
		return -ENOMEM;
	memset(groups->of_track, 0xff, (size_t)track_cnt * sizeof(*groups->of_track));
	for (size_t i = 0; i < GROUP_LABELS; i++)
		names[i] = profile__find_string(profile, group_names[i].profile,
		                                strlen(group_names[i].profile));
	for (size_t i = 0; i < value_cnt && !err; i++) {
		uint32_t track = values[i].track;

		if (groups->of_track[track] == PROFILE_NONE)
			groups->of_track[track] = group_of(groups, &map, profile, names,
			                                   profile__track_at(profile, track));
		if (groups->of_track[track] == HMAP_NONE)
			err = -ENOMEM;
	}
	hmap_free(&map);
	return err;
}

void groups_free(struct groups *groups)
{
	free(groups->groups);
	free(groups->of_track);
	*groups = (struct groups){ 0 };
}

const char *groups_value(const struct profile *profile, const struct group *group,
                         enum group_label label, size_t *len)
{
	const char *value = NULL;

	if (group->values[label] != PROFILE_NONE)
		value = profile__string_at(profile, group->values[label], len);
	if (value && *len)
		return value;
	if (label != GROUP_SERVICE)
		return NULL;
	*len = strlen(GROUPS_UNKNOWN_SERVICE);
	return GROUPS_UNKNOWN_SERVICE;
}

/* From one profile to another: ids there by ids here, PROFILE_NONE where not met yet. */
struct split {
	const struct profile *from;
	struct profile *to;
	uint32_t *stacks;
	uint32_t *tracks;
	uint32_t comm; /* string of `from` */
	bool cmdlines;
};

static uint32_t split_string(struct split *split, uint32_t id)
{
	size_t len = 0;
	const char *s = id == PROFILE_NONE ? "" : profile__string_at(split->from, id, &len);

	return profile__string(split->to, s, len);
}

static uint32_t split_frame(struct split *split, uint32_t id)
{
	struct profile_frame frame = *profile__frame_at(split->from, id);

	frame.name = split_string(split, frame.name);
	frame.file = split_string(split, frame.file);
	if (frame.name == PROFILE_NONE || frame.file == PROFILE_NONE)
		return PROFILE_NONE;
	return profile__frame(split->to, &frame);
}

/* Make the stacks that are marked: a parent's id is below its child's. */
static int split_stacks(struct split *split, const bool *wanted)
{
	uint32_t cnt = profile__stack_cnt(split->from);

	split->stacks[PROFILE_ROOT] = PROFILE_ROOT;
	for (uint32_t id = PROFILE_ROOT + 1; id < cnt; id++) {
		uint32_t frame;

		if (!wanted[id])
			continue;
		frame = split_frame(split, profile__stack_frame(split->from, id));
		if (frame == PROFILE_NONE)
			return -ENOMEM;
		split->stacks[id] = profile__stack(
			split->to, split->stacks[profile__stack_parent(split->from, id)], frame);
		if (split->stacks[id] == PROFILE_NONE)
			return -ENOMEM;
	}
	return 0;
}

static uint32_t split_track(struct split *split, uint32_t id)
{
	struct profile_track track = *profile__track_at(split->from, id);
	uint32_t process = track.process;

	if (split->tracks[id] != PROFILE_NONE)
		return split->tracks[id];
	if (!split->cmdlines)
		process = split->comm == PROFILE_NONE
		                  ? PROFILE_NONE
		                  : profile__label_of(split->from, &track, split->comm);
	track.process = split_string(split, process);
	track.thread = split_string(split, track.thread);
	if (track.process == PROFILE_NONE || track.thread == PROFILE_NONE)
		return PROFILE_NONE;
	split->tracks[id] = profile__track(split->to, &track);
	return split->tracks[id];
}

static bool in_group(const struct groups *groups, uint32_t group, uint32_t track)
{
	return group == GROUPS_ALL || groups->of_track[track] == group;
}

static int split_values(struct split *split, const struct groups *groups, uint32_t group)
{
	size_t cnt;
	const struct profile_value *values = profile__values(split->from, &cnt);
	bool *wanted = calloc((size_t)profile__stack_cnt(split->from) + 1, sizeof(*wanted));
	int err = wanted ? 0 : -ENOMEM;

	for (size_t i = 0; i < cnt && !err; i++) {
		uint32_t stack = values[i].stack;

		if (!in_group(groups, group, values[i].track))
			continue;
		for (; stack != PROFILE_ROOT && !wanted[stack];
		     stack = profile__stack_parent(split->from, stack))
			wanted[stack] = true;
	}
	if (!err)
		err = split_stacks(split, wanted);
	for (size_t i = 0; i < cnt && !err; i++) {
		uint32_t track;

		if (!in_group(groups, group, values[i].track))
			continue;
		track = split_track(split, values[i].track);
		err = track == PROFILE_NONE
		              ? -ENOMEM
		              : profile__add(split->to, track, split->stacks[values[i].stack],
		                             values[i].cnt);
	}
	free(wanted);
	return err;
}

struct profile *groups_split(const struct profile *profile, const struct groups *groups,
                             uint32_t group, bool cmdlines)
{
	size_t stack_cnt = profile__stack_cnt(profile), track_cnt = profile__track_cnt(profile);
	struct split split = {
		.from = profile,
		.to = profile__new(),
		.stacks = malloc((stack_cnt + 1) * sizeof(uint32_t)),
		.tracks = malloc((track_cnt + 1) * sizeof(uint32_t)),
		.comm = profile__find_string(profile, PROFILE_COMM, strlen(PROFILE_COMM)),
		.cmdlines = cmdlines,
	};
	int err = -ENOMEM;

	if (split.to && split.stacks && split.tracks) {
		memset(split.stacks, 0xff, stack_cnt * sizeof(uint32_t));
		memset(split.tracks, 0xff, track_cnt * sizeof(uint32_t));
		profile__set_meta(split.to, profile__meta(profile));
		err = split_values(&split, groups, group);
	}
	free(split.stacks);
	free(split.tracks);
	if (err) {
		profile__free(split.to);
		errno = ENOMEM;
		return NULL;
	}
	return split.to;
}
