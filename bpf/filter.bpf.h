/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* filter.bpf.h - is the interrupted task one whose Python stack is wanted, and is it configured? */
#ifndef PV_FILTER_BPF_H
#define PV_FILTER_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/reader.bpf.h"

#define PV_FILTER_PYTHON PV_COUNTER_CNT /* go on and walk */

/* Tell user space of the process that runs. A global function: see tick.bpf.h. */
int filter_tell(void);

/*
 * It runs: that is the time to look again for a Python that it may have loaded, or to look at all at a
 * child that is known only as a copy of its parent. Asked ever more rarely, because the answer may have
 * been lost in a full ring.
 */
static __always_inline void ask_again(struct pv_proc *proc)
{
	__u32 tick_cnt = ++proc->tick_cnt;

	if (!(tick_cnt & (tick_cnt - 1)))
		filter_tell();
}

/* The same by who it is: the process that runs. */
static __always_inline void ask_for(const struct pv_proc_id *id)
{
	struct pv_proc *proc = bpf_map_lookup_elem(&procs, &id->tgid);

	if (proc && proc_id_equal(&proc->id, id))
		ask_again(proc);
}

/*
 * Copy the entry of a process that may be Python's: under our hands it may be given to another process.
 * The outcome that the tick ends with, or PV_FILTER_PYTHON and @copy is complete.
 */
static __always_inline __u32 filter_copy(struct task_struct *task, struct pv_proc *entry,
                                         struct pv_proc *copy)
{
	struct pv_proc_id id;

	task_proc_id(task, &id);
	*copy = *entry;
	if (!proc_id_equal(&entry->id, &id) || !proc_id_equal(&copy->id, &id))
		return PV_CNT_UNKNOWN_PROCESS;
	return PV_FILTER_PYTHON;
}

/* The outcome that the tick ends with, or PV_FILTER_PYTHON and what may be Python's in @found. */
static __always_inline __u32 filter_task(struct task_struct *task, struct pv_proc **found)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct pv_proc_id id;
	struct pv_proc *proc;

	if (!tgid)
		return PV_CNT_IDLE;
	proc = bpf_map_lookup_elem(&procs, &tgid);
	if (!proc && TASK_FIELD(task, flags) & PF_KTHREAD)
		return PV_CNT_KERNEL_THREAD;
	/* What the reader can't see it can't ask for. */
	if (!proc && !reader_sees(task))
		return PV_CNT_NOT_WANTED;
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
		filter_tell();
		return PV_CNT_UNKNOWN_PROCESS;
	}
	if (proc->state == PV_PROC_PYTHON || proc->state == PV_PROC_STARTING) {
		*found = proc;
		return PV_FILTER_PYTHON;
	}
	if (proc->state == PV_PROC_NOT_PYTHON)
		ask_again(proc);
	return proc->state == PV_PROC_NOT_PYTHON ? PV_CNT_NOT_PYTHON : PV_CNT_UNKNOWN_LAYOUT;
}

#endif
