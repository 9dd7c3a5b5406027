/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* pystate.bpf.h - which PyThreadState belongs to the running thread? */
#ifndef PV_PYSTATE_BPF_H
#define PV_PYSTATE_BPF_H

#include "bpf/abi_proc.h"
#include "bpf/pystack.bpf.h"

/*
 * The thread state of the thread whose thread pointer is @tp: the attached one if there is one, else
 * the one it will attach again (GIL released inside C code). 0: none, or it could not be read: then
 * @fault says what was not in memory, else its len is 0. A bounded number of reads, at most eight.
 */
__u64 pystate_find(const struct pv_proc *proc, const struct pv_layout *layout, __u64 tp,
                   struct pv_fault *fault);

#endif
