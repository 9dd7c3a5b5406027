/* SPDX-License-Identifier: Apache-2.0 */
/*
 * family.h - the children that the targets of a session had before it began. Later ones are followed
 * by the kernel side at their fork.
 */
#ifndef PV_COLLECT_FAMILY_H
#define PV_COLLECT_FAMILY_H

#include "collect/images.h"

/*
 * Select every process that descends from one of @pids, and look at it. A child whose parent died is
 * not found: the kernel does not tell whose it was. 0 or negative errno.
 */
int family_add(struct kern *kern, struct images *images, const pid_t *pids, size_t pid_cnt);

#endif
