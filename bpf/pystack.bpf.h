/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * pystack.bpf.h - walk the Python frames of one thread state.
 *
 * The step reads one frame and decides what comes next; the driver repeats it. CPython changes its
 * chain in several stores, and a tick may fall between any two of them, so every version's walk
 * checks what it can of the chain's own invariants and ends as TORN rather than show a chain that
 * fails them:
 *
 *   up to 3.10  PyThreadState.frame -> f_back ... NULL. Linked by one store each way.
 *   3.11, 3.12  PyThreadState.cframe -> a run of frames -> the next cframe -> ... The run must end in
 *               an entry frame whose `previous` is what the next cframe holds as current_frame.
 *   3.13 on     PyThreadState.current_frame -> ... must end in an entry frame with previous NULL.
 */
#ifndef PV_PYSTACK_BPF_H
#define PV_PYSTACK_BPF_H

#include "bpf/abi_proc.h"
#include "bpf/counters.h"

/* Frames walked at most, kept or not: bounds the time of a tick on a runaway recursion. */
#define PV_WALK_MAX 32768

/* Code objects noted for symbols.bpf.c in one tick; more wait for a later tick. */
#define PV_NEW_CODE_MAX 32

struct pv_new_code {
	__u64 code;
	__u64 fp;
};

/* Not an outcome of the tick: the walk waits for pystack_rescue(). */
#define PV_WALK_RESCUE PV_COUNTER_CNT

struct pv_walk {
	/* Set by the caller. */
	__u64 tstate;
	__u64 PyCode_Type;
	__u64 proc_tag; /* any hash of the process identity */
	/* Position. */
	__u64 frame;       /* to be read next */
	__u64 cframe_prev; /* 3.11, 3.12: the cframe below the run being walked */
	__u64 leaf;        /* the frame the walk began with */
	/* Findings. */
	__u32 walked_cnt;
	__u32 outcome; /* enum pv_counter when the walk is over */
	__u32 run_cnt; /* entry frames passed */
	__u32 new_cnt;
	__u8 unreadable;
	__u8 retried; /* went back to the previous cframe */
	__u8 rescued; /* caller came from a register */
	__u8 pad[5];
	struct pv_new_code new_codes[PV_NEW_CODE_MAX];
	/* What was read last. */
	__u8 head[PV_FRAME_READ_MAX];
	__u8 code_head[PV_CODE_READ_MAX];
	/* The record that goes out: the caller fills the header, the walk the frames behind it. */
	struct pv_sample sample;
	struct pv_frame frames[PV_MAX_FRAMES];
};

/* Begin at the leaf frame of @walk->tstate. 0: go on; 1: over, see outcome. */
int pystack_begin(struct pv_walk *walk, const struct pv_layout *layout);
/* Read one frame. 0: go on; 1: over, see outcome (or PV_WALK_RESCUE). */
int pystack_step(struct pv_walk *walk, const struct pv_layout *layout);
/*
 * After PV_WALK_RESCUE: find the caller's frame among @regs (USER_REG_CNT of them). 0: found, go on;
 * 1: over, TORN.
 */
int pystack_rescue(struct pv_walk *walk, const struct pv_layout *layout, const __u64 *regs);
/* Repeat the step until it is over or PV_WALK_MAX is reached. */
void pystack_walk(struct pv_walk *walk, const struct pv_layout *layout);

#endif
