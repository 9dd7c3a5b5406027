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

	emit_header(&sample->hdr, PV_EVENT_SAMPLE, task, &proc->id);
	sample->tid = reader_tid(task, (__u32)bpf_get_current_pid_tgid());
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
	if (!walk->faults.at[0].len) {
		/* A thread, perhaps, of a runtime that was loaded since. */
		ask_for(task, &proc->id);
		return PV_CNT_NO_STATE;
	}
	walk->faults.cnt = 1;
	walk->walked_cnt = 0;
	walk->new_cnt = 0;
	walk->outcome = PV_CNT_NO_STATE;
	pystack_finish(walk);
	fill_sample(walk, task, proc);
	return deferred_begin(walk, proc) ? PV_CNT_PENDING : PV_CNT_NO_STATE;
}

/* The layout of @proc's runtime, and in @tstate the state that @thread has in it. NULL: no such layout. */
static __always_inline const struct pv_layout *runtime_look(const struct pv_proc *proc,
                                                            const struct pv_thread *thread,
                                                            struct pv_fault *fault, __u64 *tstate)
{
	__u32 key = proc->layout;
	const struct pv_layout *layout = bpf_map_lookup_elem(&layouts, &key);

	*tstate = layout ? pystate_find(proc, layout, thread, fault) : 0;
	return layout;
}

/* If the thread runs in the other runtime of the process make that the one of @proc. */
static __always_inline void runtime_second(struct pv_proc *proc, const struct pv_layout **layout,
                                           const struct pv_thread *thread, __u64 *tstate)
{
	__u32 tgid = proc->id.tgid;
	struct pv_proc *second = bpf_map_lookup_elem(&seconds, &tgid);
	const struct pv_layout *second_layout;
	struct pv_fault fault = {};
	__u64 second_tstate;

	if (!second || !proc_id_equal(&second->id, &proc->id))
		return;
	second_layout = runtime_look(second, thread, &fault, &second_tstate);
	if (!second_layout || pystate_rank(second, second_layout, thread, second_tstate) <=
	                              pystate_rank(proc, *layout, thread, *tstate))
		return;
	*proc = *second;
	*layout = second_layout;
	*tstate = second_tstate;
}

static __always_inline __u32 sample_python(struct bpf_perf_event_data *ctx,
                                           struct task_struct *task, struct scratch *scratch)
{
	struct pv_proc *proc = &scratch->proc;
	struct pv_walk *walk = &scratch->walk;
	struct pv_thread thread = {};
	const struct pv_layout *layout;
	__u64 tstate = 0;

	thread.tp = task_thread_pointer(task);
	thread.sp = user_stack_pointer(ctx);
	thread.stack_top = task_stack_top(task, thread.tp);
	/* The walk begins with an empty window. */
	_Static_assert(sizeof(walk->window.bytes) >= PV_STACK_SCAN, "the scan fits in");
	thread.scratch = (__u64 *)walk->window.bytes;
	layout = runtime_look(proc, &thread, &walk->faults.at[0], &tstate);
	if (!layout)
		return PV_CNT_UNKNOWN_LAYOUT;
	if (proc->has_second)
		runtime_second(proc, &layout, &thread, &tstate);
	walk->tstate = tstate;
	walk->PyCode_Type = proc->PyCode_Type;
	walk->proc_tag = proc->id.start_ns * 31 + ((__u64)proc->id.tgid << 32) + proc->id.exec_id;
	walk->sample.thread_ident = thread.tp;
	if (layout->chain != PV_CHAIN_FRAMEOBJECT)
		user_regs_read(ctx, walk->regs);
	if (!walk->tstate)
		return no_state(walk, task, proc);
	pystack_walk(walk, layout);
	pystack_finish(walk);
	/* Of a whole stack only a guess on the way was not in memory. */
	if (walk->faults.cnt && walk->outcome != PV_CNT_COMPLETE) {
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
	symbols_send(walk, layout, proc);
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
	__u64 begin_ns = spend_begin();
	__u32 outcome;

	count(PV_CNT_TICKS);
	outcome = tick(ctx);
	/* A tick must not fall out of the ledger, whatever a walker returned. */
	count(outcome < PV_TICK_OUTCOME_CNT ? outcome : PV_CNT_TORN);
	spend_end(begin_ns);
	return 0;
}
