/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tags.h - what a process belongs to, read once while it lives, as labels of the profile. One thread.
 */
#ifndef PV_COLLECT_TAGS_H
#define PV_COLLECT_TAGS_H

#include <sys/types.h>

#include "proc/labels.h"
#include "profile/profile.h"
#include "util/buf.h"

/* Names and values of one process, each with a zero byte behind it; zero-initialised is none. */
struct tags {
	struct buf text;
};

/* Read them from the living process. What can't be read is not there. 0 or -ENOMEM. */
int tags_read(struct tags *tags, struct labels *labels, pid_t pid);
/* Put them on the process of @track. 0 or -ENOMEM. */
int tags_profile(const struct tags *tags, const struct profile_track *track,
                 struct profile *profile);
/* Put one on it; nothing if @value is "". 0 or -ENOMEM. */
int tags_put(const char *name, const char *value, const struct profile_track *track,
             struct profile *profile);
void tags_free(struct tags *tags);

#endif
