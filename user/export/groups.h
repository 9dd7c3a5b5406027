/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups.h - the processes of a profile by what they belong to: those whose labels are equal (service,
 * container, pod, unit, cgroup) are one group. Engines call it a resource or a series. One thread.
 */
#ifndef PV_EXPORT_GROUPS_H
#define PV_EXPORT_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"

enum group_label {
	GROUP_SERVICE,
	GROUP_CONTAINER,
	GROUP_CONTAINER_NAME,
	GROUP_ENGINE,
	GROUP_IMAGE,
	GROUP_POD,
	GROUP_POD_UID,
	GROUP_NAMESPACE,
	GROUP_UNIT,
	GROUP_CGROUP,
	GROUP_LABELS, /* how many there are */
};

#define GROUPS_UNKNOWN_SERVICE "unknown_service"

/* How a label is called: in the profile, in OTLP (semantic conventions), as a label's name. */
struct group_name {
	const char *profile;
	const char *otlp;
	const char *label;
};

extern const struct group_name group_names[GROUP_LABELS];

struct group {
	uint32_t values[GROUP_LABELS]; /* strings of the profile; PROFILE_NONE: has none */
};

struct groups {
	struct group *groups;
	uint32_t cnt;
	uint32_t *of_track;
};

/* Groups of tracks that have samples. 0 or -ENOMEM; groups_free() in either case. */
int groups_make(const struct profile *profile, struct groups *groups);
void groups_free(struct groups *groups);

/* The value of a label; NULL: there is none. A service always has one. */
const char *groups_value(const struct profile *profile, const struct group *group,
                         enum group_label label, size_t *len);

/*
 * A profile of its own with the samples of one group, or of all (GROUPS_ALL), without the time line, in
 * which a process is called by its kernel name, if not @cmdlines. Its meta data are the profile's. NULL
 * and errno.
 */
#define GROUPS_ALL UINT32_MAX
struct profile *groups_split(const struct profile *profile, const struct groups *groups,
                             uint32_t group, bool cmdlines);

#endif
