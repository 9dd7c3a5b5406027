// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sampler.bpf.c - the perf tick: is this task wanted, which thread state is it, walk, send.
 *
 * Every path returns the one outcome the tick is counted under.
 */
#include "vmlinux.h"

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_helpers.h>

#include "bpf/compat.bpf.h"
#include "bpf/deferred.bpf.h"
#include "bpf/emit.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/pystack.bpf.h"
#include "bpf/pystate.bpf.h"
#include "bpf/symbols.bpf.h"

struct scratch {
	struct pv_proc proc;
	struct pv_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} walk_scratch SEC(".maps");

_Static_assert(PV_USER_REG_CNT == USER_REG_CNT, "the walk takes what compat gives");

/* All of the record but its frames. */
static __always_inline void fill_sample(struct pv_walk *walk, struct task_struct *task,
                                        const struct pv_proc *proc)
{
	struct pv_sample *sample = &walk->sample;

	emit_header(&sample->hdr, PV_EVENT_SAMPLE, &proc->id);
	sample->tid = (__u32)bpf_get_current_pid_tgid();
	sample->layout = proc->layout;
	sample->thread_start_ns = TASK_FIELD(task, start_boottime);
	sample->tstate = walk->tstate;
	bpf_get_current_comm(sample->comm, sizeof(sample->comm));
}

static __always_inline __u32 send_sample(struct pv_walk *walk)
{
	struct pv_sample *sample = &walk->sample;
	__u64 frames = sample->frame_cnt;

	if (frames > PV_MAX_FRAMES)
		frames = PV_MAX_FRAMES;
	if (emit_from_tick(sample, sizeof(*sample) + frames * sizeof(struct pv_frame),
	                   walk->symbols_lack)) {
		charge_lost(&sample->hdr.proc);
		return PV_CNT_RING_FULL;
	}
	return walk->outcome;
}

/* The thread has no state, or it is not in memory. */
static __always_inline __u32 no_state(struct pv_walk *walk, struct task_struct *task,
                                      const struct pv_proc *proc)
{
	if (!walk->faults.at[0].len)
		return PV_CNT_NO_STATE;
	walk->faults.cnt = 1;
	walk->walked_cnt = 0;
	walk->new_cnt = 0;
	walk->outcome = PV_CNT_NO_STATE;
	pystack_finish(walk);
	fill_sample(walk, task, proc);
	return deferred_begin(walk, proc) ? PV_CNT_PENDING : PV_CNT_NO_STATE;
}

static __always_inline __u32 sample_python(struct bpf_perf_event_data *ctx,
                                           struct task_struct *task, struct scratch *scratch)
{
	const struct pv_proc *proc = &scratch->proc;
	struct pv_walk *walk = &scratch->walk;
	__u64 tp = task_thread_pointer(task);
	struct pv_layout *layout;
	__u32 key = proc->layout;

	layout = bpf_map_lookup_elem(&layouts, &key);
	if (!layout)
		return PV_CNT_UNKNOWN_LAYOUT;
	walk->PyCode_Type = proc->PyCode_Type;
	walk->proc_tag = proc->id.start_ns * 31 + ((__u64)proc->id.tgid << 32) + proc->id.exec_id;
	walk->sample.thread_ident = tp;
	if (layout->chain != PV_CHAIN_FRAMEOBJECT)
		user_regs_read(ctx, walk->regs);
	walk->tstate = pystate_find(proc, layout, tp, &walk->faults.at[0]);
	if (!walk->tstate)
		return no_state(walk, task, proc);
	pystack_walk(walk, layout);
	pystack_finish(walk);
	if (walk->faults.cnt) {
		fill_sample(walk, task, proc);
		if (deferred_begin(walk, proc))
			return PV_CNT_PENDING;
	}
	if (!outcome_is_shown(walk->outcome))
		return walk->outcome;
	if (walk->from_cframe)
		count(PV_CNT_RESCUED_CFRAME);
	if (walk->from_register)
		count(PV_CNT_RESCUED_REGISTER);
	symbols_send(walk, layout, &proc->id);
	fill_sample(walk, task, proc);
	return send_sample(walk);
}

static __always_inline __u32 tick(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = task_current();
	struct scratch *scratch;
	struct pv_proc *proc;
	__u32 outcome, zero = 0;

	outcome = filter_task(task, &proc);
	if (outcome != PV_FILTER_PYTHON)
		return outcome;
	scratch = bpf_map_lookup_elem(&walk_scratch, &zero);
	if (!scratch)
		return PV_CNT_UNKNOWN_LAYOUT;
	outcome = filter_copy(task, proc, &scratch->proc);
	if (outcome != PV_FILTER_PYTHON)
		return outcome;
	return sample_python(ctx, task, scratch);
}

SEC("perf_event")
int sample_tick(struct bpf_perf_event_data *ctx)
{
	__u32 outcome;

	count(PV_CNT_TICKS);
	outcome = tick(ctx);
	/* A tick must not fall out of the ledger, whatever a walker returned. */
	count(outcome < PV_TICK_OUTCOME_CNT ? outcome : PV_CNT_TORN);
	return 0;
}
