/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* pystate.bpf.h - which PyThreadState belongs to the running thread? */
#ifndef PV_PYSTATE_BPF_H
#define PV_PYSTATE_BPF_H

#include "bpf/abi_proc.h"
#include "bpf/pystack.bpf.h"

/* The running thread. */
struct pv_thread {
	__u64 tp;        /* its thread pointer */
	__u64 sp;        /* its user stack pointer; 0: not known */
	__u64 stack_top; /* the end of its C stack, when sp is known */
	__u64 *scratch;  /* PV_STACK_SCAN bytes; NULL: the stack is not searched */
};

/* Bytes of a C stack that are searched for a pointer, in the rare cases where that has to decide. */
#define PV_STACK_SCAN 2048

/*
 * 2.7 has no thread-local variable that would lead from a thread without the GIL to its state: the
 * states, and their interpreters, are looked through, so many of them at most.
 */
#define PV_STATES_MAX 128

/*
 * The state of @thread: the attached one if there is one, else the one it will attach again (GIL
 * released inside C code). 0: none, or it could not be read: then @fault says what was not in memory,
 * else its len is 0. A bounded number of reads, at most eight (2.7, without the GIL: two for each
 * state).
 */
__u64 pystate_find(const struct pv_proc *proc, const struct pv_layout *layout,
                   const struct pv_thread *thread, struct pv_fault *fault);

/*
 * The thread pointer of a process of one thread, as its state tells: where the kernel does not know it
 * (compat.bpf.h). 0: not known. Three reads.
 */
__u64 pystate_thread_pointer(const struct pv_proc *proc, const struct pv_layout *layout);

/*
 * For processes with two runtimes: how likely is it that the running thread, whose state in this
 * runtime is @tstate, runs code of it now? More is likelier, 0 is no state.
 */
__u32 pystate_rank(const struct pv_proc *proc, const struct pv_layout *layout,
                   const struct pv_thread *thread, __u64 tstate);

#endif
