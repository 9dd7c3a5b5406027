// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * list.bpf.c - which processes run, for user space: all by the iterator, or one by its pid where the
 * kernel has no type data of its own, without which there is no iterator. One of the two is loaded.
 */
#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/compat.bpf.h"
#include "bpf/reader.bpf.h"

/* False: no process, or one of the kernel's own. */
static __always_inline bool list(struct task_struct *task, struct pv_listed *listed)
{
	if (TASK_FIELD(task, pid) != TASK_FIELD(task, tgid) || TASK_FIELD(task, flags) & PF_KTHREAD)
		return false;
	task_proc_id(task, &listed->id);
	listed->pid = reader_pid_of_process(task, &listed->id);
	task_exe(task, &listed->exe);
	return true;
}

/*
 * Every process that runs now and that the reader of the list sees, as a stream of struct pv_listed.
 * Who reads is noted.
 */
SEC("iter/task")
int list_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct pv_listed listed = {};

	if (!task)
		return 0;
	reader_note(task_current());
	if (list(task, &listed))
		bpf_seq_write(ctx->meta->seq, &listed, sizeof(listed));
	return 0;
}

/*
 * include/linux/xarray.h: the lowest bits of an entry that is a node, and the entry that sends readers
 * back to the top, since the tree was made lower under their hands.
 */
#define XA_KIND_MASK 3
#define XA_NODE      2
#define XA_RETRY     ((256 << 2) | 2)
/* Twice the way down for 22 bits of a pid, if a node takes 4 of them. */
#define LOOKUP_STEPS_MAX 12

static __always_inline __u64 xarray_head(const struct pid_namespace *ns)
{
	return (__u64)BPF_CORE_READ(ns, idr.idr_rt.xa_head);
}

/* What the namespace calls @number: find_pid_ns() of kernel/pid.c, under RCU as we are. 0: nothing. */
static __always_inline __u64 pid_find(const struct pid_namespace *ns, __u32 number)
{
	const struct xa_node *node = NULL;
	__u32 slot_cnt = bpf_core_field_size(node->slots) / sizeof(void *), shift, slot;
	__u64 head = xarray_head(ns), entry = head;

	for (int i = 0; i < LOOKUP_STEPS_MAX && (entry & XA_KIND_MASK) == XA_NODE; i++) {
		if (entry == XA_RETRY) {
			entry = head = xarray_head(ns);
			continue;
		}
		node = (const void *)(entry - XA_NODE);
		shift = BPF_CORE_READ(node, shift);
		slot = shift < 32 ? number >> shift : 0;
		if (entry == head && slot >= slot_cnt)
			return 0;
		slot &= slot_cnt - 1;
		if (bpf_probe_read_kernel(&entry, sizeof(entry),
		                          (void *)__builtin_preserve_access_index(&node->slots[0]) +
		                                  slot * sizeof(entry)))
			return 0;
	}
	return entry & XA_KIND_MASK ? 0 : entry;
}

struct pv_looked_up looked_up = {};

/*
 * Run by the reader, who is noted, with the pid of a process as it knows it: what becomes of that is in
 * looked_up.
 */
SEC("raw_tp")
int look_up_process(struct bpf_raw_tracepoint_args *ctx)
{
	const struct task_struct *none = NULL;
	struct task_struct *task;
	struct pid *pid;
	__u64 link;

	__builtin_memset(&looked_up, 0, sizeof(looked_up));
	reader_note(task_current());
	pid = (void *)pid_find((void *)pv_reader_ns, ctx->args[0]);
	if (!pid)
		return 0;
	link = (__u64)BPF_CORE_READ(pid, tasks[PIDTYPE_TGID].first);
	if (!link)
		return 0;
	task = (void *)(link -
	                (__u64)__builtin_preserve_access_index(&none->pid_links[PIDTYPE_TGID]));
	if (!list(task, &looked_up.listed))
		return 0;
	looked_up.arg_start = BPF_CORE_READ(task, mm, arg_start);
	looked_up.start_stack = BPF_CORE_READ(task, mm, start_stack);
	looked_up.thread_pointer = task_thread_pointer(task);
	return 0;
}
