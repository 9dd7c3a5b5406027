/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.h - which of the sampling programs is loaded, and what is put into it before.
 *
 *	driver_prepare -> open the skeleton -> driver_choose -> load
 *
 * One thread.
 */
#ifndef PV_KERN_DRIVER_H
#define PV_KERN_DRIVER_H

#include "kern/features.h"

struct bpf_program;
struct pitviper;

/* Programs of fork, exec and exit. */
#define DRIVER_LIFECYCLE_CNT 3

/*
 * From here on, as long as the process lives, the calls of bpf/abi_call.h are put into programs that are opened and loaded. 0 or
 * negative errno.
 */
int driver_prepare(const struct features *features);
/*
 * The sampling program for a kernel with these features, the only one of its kind that will be loaded; of
 * the others that do the same in two ways likewise one is chosen.
 */
struct bpf_program *driver_choose(const struct features *features, struct pitviper *skel);
/* Those that are attached to fork, exec and exit: driver_choose() has chosen them. */
void driver_lifecycle(const struct features *features, const struct pitviper *skel,
                      struct bpf_program *progs[DRIVER_LIFECYCLE_CNT]);

#endif
