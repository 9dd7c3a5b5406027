/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - the processes that run now, as the kernel side identifies them. One thread for one skeleton.
 */
#ifndef PV_KERN_LIST_H
#define PV_KERN_LIST_H

#include <stdbool.h>

#include "bpf/abi_event.h"

struct pitviper;

typedef int list_fn(void *ctx, const struct pv_listed *listed);

/*
 * Call @fn with each, until it returns something else than 0, which is returned. 0 or negative errno. By
 * the iterator in one go, or one by one: each pid of /proc is looked up. The kernel side takes note of
 * our pid namespace.
 */
int list_by_iterator(struct pitviper *skel, list_fn *fn, void *ctx);
int list_by_pid(struct pitviper *skel, list_fn *fn, void *ctx);
/*
 * Does the look-up find us, and all that we know of ourselves? Else it looks in the wrong places: the
 * types are those of another kernel.
 */
bool list_finds_us(struct pitviper *skel);

#endif
