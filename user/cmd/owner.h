/* SPDX-License-Identifier: Apache-2.0 */
/* owner.h - on whose behalf do we run? Through sudo: the user who called it. */
#ifndef PV_CMD_OWNER_H
#define PV_CMD_OWNER_H

#include <sys/types.h>

struct owner {
	uid_t uid; /* (uid_t)-1: nobody else than who we are */
	gid_t gid;
};

/* As root with SUDO_UID and SUDO_GID: that user. Otherwise both -1. */
struct owner owner_find(void);
/*
 * Become @owner for good: groups, ids, and HOME, USER, LOGNAME, SHELL of the environment. Nothing
 * when it is nobody else. 0 or negative errno. To be called in a process of one thread.
 */
int owner_become(const struct owner *owner);

#endif
