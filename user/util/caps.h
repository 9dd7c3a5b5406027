/* SPDX-License-Identifier: Apache-2.0 */
/* caps.h - the capabilities that this thread has in effect. */
#ifndef PV_UTIL_CAPS_H
#define PV_UTIL_CAPS_H

#include <stdbool.h>

#include <linux/capability.h>

/* linux/capability.h of the oldest kernel headers we build with lacks them. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

struct buf;

bool caps_have(int cap);
/* Is it there, or CAP_SYS_ADMIN, which includes it? True of CAP_BPF, CAP_PERFMON and CAP_SYSLOG. */
bool caps_have_or_admin(int cap);
/*
 * Of the five that pitviper makes use of, append to @names those that are missing, with commas between
 * them; without @all only those that nothing goes without. True: one of these is missing.
 */
bool caps_missing(bool all, struct buf *names);

#endif
