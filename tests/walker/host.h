/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - the kernel as the walkers see it: bpf/pystack.bpf.c and bpf/pystate.bpf.c compiled for
 * this machine, with a function of the test's own in place of the target's memory.
 */
#ifndef PV_WALKER_HOST_H
#define PV_WALKER_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/pystack.bpf.h"
#include "bpf/pystate.bpf.h"

/* Read exactly @len bytes at @addr of the target. 0 or a negative errno. */
typedef int (*host_read_fn)(void *ctx, uint64_t addr, void *out, size_t len);

struct host {
	host_read_fn read;
	void *ctx;
	size_t read_cnt; /* reads of target memory since the test set it to 0 */
	bool sent;       /* what symbols_note() says: this CPU has sent that code object */
};

extern struct host host;

/* A walk as the tick does it: the scratch memory keeps what the walk before left. */
void host_walk(struct pv_walk *walk, const struct pv_layout *layout);
/* Frame @index, from the leaf, of a finished walk; NULL for one that was skipped or is not there. */
const struct pv_frame *host_frame(const struct pv_walk *walk, uint32_t index);

#endif
