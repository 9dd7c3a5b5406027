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

/*
 * From here on, as long as the process lives, the calls of bpf/abi_call.h are put into programs that are opened and loaded. 0 or
 * negative errno.
 */
int driver_prepare(const struct features *features);
/* The program for a kernel with these features, the only one of its kind that will be loaded. */
struct bpf_program *driver_choose(const struct features *features, struct pitviper *skel);

#endif
