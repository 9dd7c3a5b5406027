/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top.h - a profile by function: the samples in which it ran itself, and those in which it was anywhere on
 * the stack, each sample counted once however often the function is there.
 */
#ifndef PV_OUT_TOP_H
#define PV_OUT_TOP_H

#include <stdint.h>

#include "profile/profile.h"
#include "util/buf.h"

/* The first @max functions by their own samples, as a table; 0: all. 0 or -ENOMEM. */
int top_write(struct profile *profile, uint32_t max, struct buf *out);
/*
 * The @max functions whose own or whole share of the samples has changed most from @base to @profile, in
 * points of a hundred. 0: all that have changed. 0 or -ENOMEM.
 */
int top_write_diff(struct profile *profile, struct profile *base, uint32_t max, struct buf *out);

#endif
