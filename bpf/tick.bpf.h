/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * tick.bpf.h - the parts of a tick of a Python process, and the memory that they share.
 *
 * Each part is a global function. A verifier looks at such a function once, whoever calls it, so its
 * work is the sum of the parts and not the product of their paths, and a loop around a call costs it
 * next to nothing: that is how 5.10 accepts a walk of PV_WALK_MAX frames. Until 5.12 (kernel commit
 * e5069b9c23b3) global functions take numbers only, so what the parts work on lies in the CPU's own
 * scratch memory. A tick is not interrupted by another one.
 */
#ifndef PV_TICK_BPF_H
#define PV_TICK_BPF_H

#include "bpf/maps.bpf.h"
#include "bpf/pystack.bpf.h"
#include "bpf/pystate.bpf.h"

struct tick {
	/* Copies of the entry of the process, and of that of its other runtime. */
	struct pv_proc proc[2];
	__u64 tstate[2];         /* what the thread has in each */
	struct pv_thread thread; /* without scratch */
	__u64 is_single;         /* its process has no other thread */
	struct pv_walk walk;
};

struct tick_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tick);
};

extern struct tick_scratch_map tick_scratch SEC(".maps");

static __always_inline struct tick *tick_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&tick_scratch, &zero);
}

/* Is proc[0], a program that starts, complete by now? */
int tick_finish_exe(void);
/*
 * Fill in what the walk begins with, its tstate too, from proc[0], whose place the other runtime takes
 * if that is the one which runs. Returns the enum pv_chain of the runtime; 0: its layout is not known.
 */
int tick_find(void);
/* The thread has no state, or it was not in memory: what the walk ends with. */
int tick_no_state(void);
/* Walk, by bpf_loop() (5.17) or by nested loops of calls. */
int tick_walk_loop(void);
int tick_walk_calls(void);
/* Fill in the record but its frames. */
int tick_fill(void);
/* Send the code objects that are new and the record, if it is to be shown. The outcome of the tick. */
int tick_send(void);

#endif
