/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * deferred.bpf.h - finish in the task's own context a walk that met pages which are not in memory.
 *
 * A tick cannot wait for a page. Task work runs before the thread goes back to its Python code, so its
 * stack is still what it was at the tick, and it can (bpf_task_work_schedule_resume_impl(), 6.18).
 * Until then the tick is counted as PENDING.
 */
#ifndef PV_DEFERRED_BPF_H
#define PV_DEFERRED_BPF_H

#include "bpf/pystack.bpf.h"

/* Threads that wait at a time; the stack of one more is sent with what of it could be read. */
#define PV_DEFERRED_MAX 128

/*
 * True: the walk of a thread of @proc, with its sample filled in and its faults noted, will be finished,
 * counted and sent later. Its tstate is 0 if that was not in memory.
 */
bool deferred_begin(const struct pv_walk *walk, const struct pv_proc *proc);

#endif
