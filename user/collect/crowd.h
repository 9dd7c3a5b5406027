/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.h - ended processes, of which a profile can't show any number one by one.
 *
 * The first ones are shown each for itself. Those that end later are put together by their command
 * line, with no pid, no thread and no time of their own: what a test runner's ten thousand children did
 * is seen, at the size of one. One thread.
 */
#ifndef PV_COLLECT_CROWD_H
#define PV_COLLECT_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"

/* Enough to find any one in an ordinary recording; a view of more is not looked through anyway. */
#define CROWD_ALONE_MAX 1000 /* ended processes shown one by one */
#define CROWD_LABEL_MAX 1000 /* command lines of the others; beyond: one for all that are left */

#define CROWD_OTHERS  "[other ended processes]"
#define CROWD_THREADS "[ended threads]"

struct crowd;

struct crowd *crowd__new(struct profile *profile); /* @profile must outlive it. NULL and errno */
void crowd__free(struct crowd *crowd);
/* Is the next ended process shown alone? */
bool crowd__has_room(const struct crowd *crowd);
/* The profile's track of ended processes with that command line. PROFILE_NONE: no memory. */
uint32_t crowd__track(struct crowd *crowd, const char *cmdline);
/* An ended process is in the profile, alone or in the crowd. */
void crowd__count(struct crowd *crowd, bool alone);
/* Processes in the crowd. */
uint64_t crowd__cnt(const struct crowd *crowd);

#endif
