/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.h - what a kernel may lack, how that is found out, and what is done without it.
 *
 * Found by asking the kernel's type data for the thing itself, never by a version number:
 * distributions bring features to older kernels, and leave some out of newer ones. Any thread.
 */
#ifndef PV_KERN_FEATURES_H
#define PV_KERN_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

enum feature {
	FEATURE_TYPES,
	FEATURE_RING,
	FEATURE_TRACEPOINTS,
	FEATURE_ITERATOR,
	FEATURE_LOOP,
	FEATURE_TASK_WORK,
	FEATURE_TASK_TYPE,
	FEATURE_TASK_REGS,
	FEATURE_CNT,
};

struct feature_row {
	const char *id;      /* short, for $PITVIPER_WITHOUT */
	const char *name;    /* what the kernel calls it */
	const char *with;    /* what is done where the kernel has it */
	const char *without; /* and where it has not; NULL: nothing, it is needed */
};

extern const struct feature_row feature_rows[FEATURE_CNT];

struct features {
	bool has[FEATURE_CNT];
	int task_work; /* the kernel's number of bpf_task_work_schedule_resume() */
};

/*
 * What this kernel has, less what $PITVIPER_WITHOUT names: ids with commas between them, for tests of
 * what is done without. @types: a file with the type data of a kernel that has none of its own, not
 * looked at else; NULL: there is none. 0; negative errno: no type data can be read; -EINVAL: it names
 * something that is no feature, or is needed.
 */
int features_probe(struct features *features, const char *types);
/* Does the kernel offer type data of its own? False: errno says why not. */
bool features_own_types(void);

#endif
