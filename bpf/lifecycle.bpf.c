// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * lifecycle.bpf.c - fork, exec and exit keep the process table right before the next tick.
 *
 * tp_btf, because kernels without kprobes and fentry exist, or raw_tp, on a kernel without type data of
 * its own: one program of each pair is loaded. None of this runs on the tick path, so inserting into
 * the shared table is allowed here.
 */
#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/compat.bpf.h"
#include "bpf/emit.bpf.h"
#include "bpf/exe.bpf.h"
#include "bpf/usermem.bpf.h"

/* A second runtime goes where the first one goes. */
static __always_inline void seconds_copy(__u32 from_tgid, const struct pv_proc_id *to)
{
	struct pv_proc *from = bpf_map_lookup_elem(&seconds, &from_tgid), copy;
	__u32 tgid = to->tgid;

	if (!from)
		return;
	copy = *from;
	copy.id = *to;
	bpf_map_update_elem(&seconds, &tgid, &copy, BPF_ANY);
}

static __always_inline void procs_put(__u32 tgid, const struct pv_proc *proc)
{
	if (bpf_map_update_elem(&procs, &tgid, proc, BPF_ANY))
		count(PV_CNT_PROC_TABLE_FULL);
}

static __always_inline void follow_fork(struct task_struct *parent, struct task_struct *child)
{
	struct pv_proc_id parent_id, child_id;
	struct pv_proc *from, copy;
	__u32 parent_tgid;

	task_proc_id(child, &child_id);
	if ((__u32)BPF_CORE_READ(child, pid) != child_id.tgid)
		return; /* a thread */
	task_proc_id(parent, &parent_id);
	parent_tgid = parent_id.tgid;
	from = bpf_map_lookup_elem(&procs, &parent_tgid);
	if (!from || !proc_id_equal(&from->id, &parent_id))
		return; /* the child's first tick will ask for it */
	if (!pv_all && !(from->flags & PV_PROC_CHILDREN))
		return;
	/* The child is a copy: same addresses, same layout. */
	copy = *from;
	copy.id = child_id;
	copy.tick_cnt = 0;
	copy.lost_cnt = 0;
	if (copy.has_second)
		seconds_copy(parent_tgid, &child_id);
	procs_put(child_id.tgid, &copy);
	if (copy.state == PV_PROC_NOT_PYTHON)
		return;
	/* Only one whose origin is not known yet needs to be looked at before its first tick. */
	emit_lifecycle(PV_EVENT_FORK, child, &child_id, &parent_id, 0,
	               copy.state == PV_PROC_UNDECIDED ? BPF_RB_FORCE_WAKEUP : emit_flags());
}

static __always_inline int on_fork(struct task_struct *parent, struct task_struct *child)
{
	__u64 begin_ns = spend_begin();

	follow_fork(parent, child);
	spend_end(begin_ns);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	return on_fork(parent, child);
}

SEC("raw_tp/sched_process_fork")
int BPF_PROG(process_fork_raw, struct task_struct *parent, struct task_struct *child)
{
	return on_fork(parent, child);
}

/* An exec with its command line. */
struct exec_scratch {
	__u8 out[sizeof(struct pv_exec) + PV_CMDLINE_MAX + 1] __attribute__((aligned(8)));
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_scratch);
} exec_scratch SEC(".maps");

/*
 * The arguments were written to the new stack just now: they are in memory. A process that ends soon
 * can be named after its end.
 */
static __always_inline void emit_exec(struct task_struct *task, const struct pv_proc *proc,
                                      __u32 lost_cnt, bool urgent)
{
	__u64 start = BPF_CORE_READ(task, mm, arg_start), len;
	struct exec_scratch *scratch;
	struct pv_exec *event;
	__u32 zero = 0;

	scratch = bpf_map_lookup_elem(&exec_scratch, &zero);
	if (!scratch)
		return;
	event = (struct pv_exec *)scratch->out;
	len = BPF_CORE_READ(task, mm, arg_end) - start;
	emit_header(&event->hdr, PV_EVENT_EXEC, task, &proc->id);
	task_exe(task, &event->exe);
	event->state = proc->state;
	event->cmdline_cut = len > PV_CMDLINE_MAX;
	event->lost_cnt = lost_cnt;
	if (len > PV_CMDLINE_MAX)
		len = PV_CMDLINE_MAX;
	if (user_read(scratch->out + sizeof(*event), len, (void *)start))
		len = 0;
	len &= PV_CMDLINE_MAX;
	event->cmdline_len = len;
	if (bpf_ringbuf_output(&events, event, sizeof(*event) + len,
	                       urgent ? BPF_RB_FORCE_WAKEUP : emit_flags()))
		count(PV_CNT_LIFECYCLE_RING_FULL);
}

static __always_inline void follow_exec(struct task_struct *task)
{
	struct pv_proc_id id;
	struct pv_proc *old, fresh = {};
	__u32 lost_cnt = 0;
	__u8 flags = 0;
	bool known;

	task_proc_id(task, &id);
	old = bpf_map_lookup_elem(&procs, &id.tgid);
	/* Not what the pid's previous user may have left behind. */
	if (old && old->id.start_ns == id.start_ns) {
		flags = old->flags;
		lost_cnt = old->lost_cnt;
	}
	if ((!pv_all && !(flags & PV_PROC_WANTED)) || !reader_sees(task))
		return;
	if (old && old->has_second)
		bpf_map_delete_elem(&seconds, &id.tgid);
	fresh.id = id;
	fresh.flags = flags;
	known = exe_configure(task, &fresh);
	procs_put(id.tgid, &fresh);
	emit_exec(task, &fresh, lost_cnt, !known);
}

static __always_inline int on_exec(struct task_struct *task)
{
	__u64 begin_ns = spend_begin();

	follow_exec(task);
	spend_end(begin_ns);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	return on_exec(task);
}

SEC("raw_tp/sched_process_exec")
int BPF_PROG(process_exec_raw, struct task_struct *task)
{
	return on_exec(task);
}

static __always_inline void follow_exit(struct task_struct *task)
{
	struct pv_proc_id id;
	struct pv_proc *proc;
	__u32 lost_cnt;
	bool urgent;

	/* do_exit() has taken this thread off signal->live before the tracepoint. */
	if (BPF_CORE_READ(task, signal, live.counter))
		return;
	task_proc_id(task, &id);
	proc = bpf_map_lookup_elem(&procs, &id.tgid);
	if (!proc)
		return;
	/* What was asked for is waited for, whatever it has become. */
	urgent = proc->flags & PV_PROC_WANTED;
	lost_cnt = proc_id_equal(&proc->id, &id) ? proc->lost_cnt : 0;
	if (proc->has_second)
		bpf_map_delete_elem(&seconds, &id.tgid);
	bpf_map_delete_elem(&procs, &id.tgid);
	emit_lifecycle(PV_EVENT_EXIT, task, &id, NULL, lost_cnt,
	               urgent ? BPF_RB_FORCE_WAKEUP : emit_flags());
}

static __always_inline int on_exit(struct task_struct *task)
{
	__u64 begin_ns = spend_begin();

	follow_exit(task);
	spend_end(begin_ns);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	return on_exit(task);
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(process_exit_raw, struct task_struct *task)
{
	return on_exit(task);
}
