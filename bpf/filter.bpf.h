/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* filter.bpf.h - is the interrupted task one whose Python stack is wanted, and is it configured? */
#ifndef PV_FILTER_BPF_H
#define PV_FILTER_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/emit.bpf.h"

#define PV_FILTER_PYTHON PV_COUNTER_CNT /* go on and walk */

/* The outcome that the tick ends with, or PV_FILTER_PYTHON and @found. */
static __always_inline __u32 filter_task(struct task_struct *task, struct pv_proc **found)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct pv_proc_id id;
	struct pv_proc *proc;
	__u32 tick_cnt;

	if (!tgid)
		return PV_CNT_IDLE;
	proc = bpf_map_lookup_elem(&procs, &tgid);
	if (!proc && TASK_FIELD(task, flags) & PF_KTHREAD)
		return PV_CNT_KERNEL_THREAD;
	if (!pv_all && (!proc || !(proc->flags & PV_PROC_WANTED)))
		return PV_CNT_NOT_WANTED;
	/*
	 * do_exit() gives the thread's stack and its thread-local storage back to the process
	 * (mm_release(), CLONE_CHILD_CLEARTID) before it has finished: from then on both may be those of
	 * a new thread, whose Python stack would be shown as this one's.
	 */
	if (TASK_FIELD(task, flags) & PF_EXITING)
		return PV_CNT_EXITING;
	/* An entry that user space wrote for an image that was since replaced is not this task's. */
	task_proc_id(task, &id);
	if (!proc || !proc_id_equal(&proc->id, &id) || proc->state == PV_PROC_UNDECIDED) {
		emit_lifecycle(PV_EVENT_UNKNOWN, &id, NULL, emit_flags());
		return PV_CNT_UNKNOWN_PROCESS;
	}
	if (proc->state == PV_PROC_PYTHON) {
		*found = proc;
		return PV_FILTER_PYTHON;
	}
	/*
	 * It runs: that is the time to look again for a Python that it may have loaded, or to look at
	 * all at a child that is known only as a copy of its parent. Asked ever more rarely, because
	 * the answer may have been lost in a full ring.
	 */
	tick_cnt = ++proc->tick_cnt;
	if (proc->state == PV_PROC_NOT_PYTHON && !(tick_cnt & (tick_cnt - 1)))
		emit_lifecycle(PV_EVENT_UNKNOWN, &id, NULL, emit_flags());
	return proc->state == PV_PROC_NOT_PYTHON ? PV_CNT_NOT_PYTHON : PV_CNT_UNKNOWN_LAYOUT;
}

#endif
