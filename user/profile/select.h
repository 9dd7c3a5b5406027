/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select.h - the part of a profile that is asked for. Texts are extended regular expressions that have to
 * match somewhere.
 */
#ifndef PV_PROFILE_SELECT_H
#define PV_PROFILE_SELECT_H

#include <stddef.h>
#include <sys/types.h>

#include "profile/profile.h"

/* NULL, or no pids: whatever it is. */
struct select_opts {
	const pid_t *pids;
	size_t pid_cnt;
	const char *comm;   /* the label; of a process without it the command line */
	const char *cgroup; /* the label */
	const char *thread; /* the thread's name */
	const char *focus;  /* a function on the stack: "name (file)" */
	const char *ignore; /* no function on the stack */
};

struct select;

/* NULL and errno; EINVAL: @what names the text and why it is no regular expression. */
struct select *select__new(const struct select_opts *opts, char *what, size_t what_len);
void select__free(struct select *select);
/*
 * Add what is selected of @from (everything, if @select is NULL) to @to: samples, time line, labels, not
 * the meta data. @mark is added to the thread keys: who has another one stays apart. 0 or -ENOMEM.
 */
int select__add(const struct select *select, struct profile *from, uint64_t mark,
                struct profile *to);
/*
 * The same into a profile of its own, the caller's to free, which has the meta data (and its strings) of
 * @from. NULL and errno.
 */
struct profile *select__apply(const struct select *select, struct profile *from);

#endif
