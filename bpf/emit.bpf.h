/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * emit.bpf.h - the only code that touches the ring.
 *
 * A tick never wakes the reader by itself (the wake-up cost 5 of 7 us of a tick); it does so only
 * when unread records have piled up, or when names have to be fetched from the process while it
 * lives. Process events wake at once where user space has to act on them.
 */
#ifndef PV_EMIT_BPF_H
#define PV_EMIT_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/reader.bpf.h"

static __always_inline __u64 emit_flags(void)
{
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= pv_wake_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

/* @task: any of the process. */
static __always_inline void emit_header(struct pv_event_hdr *hdr, __u32 type,
                                        struct task_struct *task, const struct pv_proc_id *proc)
{
	hdr->type = type;
	hdr->cpu = bpf_get_smp_processor_id();
	hdr->time_ns = bpf_ktime_get_ns();
	hdr->proc = *proc;
	hdr->pid = reader_pid_of_process(task, proc);
	hdr->pad = 0;
}

/*
 * Copy a record of @size bytes into the ring from the tick. @urgent: wake the reader. 0 or negative:
 * the ring was full.
 */
static __always_inline long emit_from_tick(void *record, __u64 size, bool urgent)
{
	return bpf_ringbuf_output(&events, record, size,
	                          urgent ? BPF_RB_FORCE_WAKEUP : emit_flags());
}

static __always_inline void emit_lifecycle(__u32 type, struct task_struct *task,
                                           const struct pv_proc_id *proc,
                                           const struct pv_proc_id *parent, __u32 lost_cnt,
                                           __u64 flags)
{
	struct pv_lifecycle event = { .lost_cnt = lost_cnt };

	emit_header(&event.hdr, type, task, proc);
	if (parent)
		event.parent = *parent;
	bpf_get_current_comm(event.comm, sizeof(event.comm));
	if (bpf_ringbuf_output(&events, &event, sizeof(event), flags))
		count(PV_CNT_LIFECYCLE_RING_FULL);
}

/* A sample of @proc was lost: charge it to the process. */
static __always_inline void charge_lost(const struct pv_proc_id *proc)
{
	struct pv_proc *entry = bpf_map_lookup_elem(&procs, &proc->tgid);

	if (entry && proc_id_equal(&entry->id, proc))
		__sync_fetch_and_add(&entry->lost_cnt, 1);
}

/* A tick met a process that nobody configured. */
static __always_inline void emit_unknown(struct task_struct *task, const struct pv_proc_id *proc)
{
	struct pv_exec event = {};

	emit_header(&event.hdr, PV_EVENT_UNKNOWN, task, proc);
	task_exe(task, &event.exe);
	if (bpf_ringbuf_output(&events, &event, sizeof(event), emit_flags()))
		count(PV_CNT_LIFECYCLE_RING_FULL);
}

#endif
