// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/compat.bpf.h"
#include "bpf/emit.bpf.h"
#include "bpf/exe.bpf.h"
#include "bpf/filter.bpf.h"
#include "bpf/pystack.bpf.h"
#include "bpf/pystate.bpf.h"
#include "bpf/symbols.bpf.h"
#include "bpf/tick.bpf.h"

struct tick_scratch_map tick_scratch SEC(".maps");

static __always_inline const struct pv_layout *layout_get(const struct pv_proc *proc)
{
	__u32 key = proc->layout;

	return bpf_map_lookup_elem(&layouts, &key);
}

__noinline int tick_finish_exe(void)
{
	struct tick *tick = tick_get();

	return tick && exe_finish(&tick->proc[0]);
}

static __always_inline void thread_get(struct tick *tick, struct pv_thread *thread)
{
	*thread = tick->thread;
	/* The walk begins with an empty window. */
	_Static_assert(sizeof(tick->walk.window.bytes) >= PV_STACK_SCAN, "the scan fits in");
	thread->scratch = (__u64 *)tick->walk.window.bytes;
}

enum question { WHICH_STATE, WHICH_RANK };

/* 0: the layout is not known. */
static __always_inline int ask_runtime(__u32 second, enum question question)
{
	struct tick *tick = tick_get();
	const struct pv_layout *layout;
	struct pv_thread thread;

	second &= 1;
	if (!tick)
		return 0;
	layout = layout_get(&tick->proc[second]);
	if (!layout)
		return 0;
	thread_get(tick, &thread);
	if (question == WHICH_RANK)
		return pystate_rank(&tick->proc[second], layout, &thread, tick->tstate[second]);
	/* The fault of the first one counts. */
	tick->tstate[second] =
		pystate_find(&tick->proc[second], layout, &thread, &tick->walk.faults.at[second]);
	return layout->chain;
}

/* Find the thread in a runtime of the process. Returns its enum pv_chain; 0: the layout is not known. */
__noinline int tick_look(__u32 second)
{
	return ask_runtime(second, WHICH_STATE);
}

__noinline int tick_rank(__u32 second)
{
	return ask_runtime(second, WHICH_RANK);
}

/* Take the thread pointer from the runtime itself. 0: it tells nothing new. */
__noinline int tick_take_pointer(void)
{
	struct tick *tick = tick_get();
	const struct pv_layout *layout;
	__u64 tp;

	if (!tick)
		return 0;
	layout = layout_get(&tick->proc[0]);
	tp = layout ? pystate_thread_pointer(&tick->proc[0], layout) : 0;
	if (!tp || tp == tick->thread.tp)
		return 0;
	tick->thread.tp = tp;
	return 1;
}

/* If the thread runs in the other runtime of the process make that the first. Its chain, or 0. */
static __always_inline int take_second(struct tick *tick)
{
	__u32 tgid = tick->proc[0].id.tgid;
	struct pv_proc *second = bpf_map_lookup_elem(&seconds, &tgid);
	int chain;

	if (!second || !proc_id_equal(&second->id, &tick->proc[0].id))
		return 0;
	tick->proc[1] = *second;
	chain = tick_look(1);
	if (!chain || tick_rank(1) <= tick_rank(0))
		return 0;
	tick->proc[0] = tick->proc[1];
	tick->tstate[0] = tick->tstate[1];
	return chain;
}

__noinline int tick_find(void)
{
	struct tick *tick = tick_get();
	const struct pv_proc *proc;
	int chain, second;

	if (!tick)
		return 0;
	chain = tick_look(0);
	if (!chain)
		return 0;
	if (TASK_TP_MAY_BE_STALE && !tick->tstate[0] && tick->is_single && tick_take_pointer())
		tick_look(0);
	if (tick->proc[0].has_second) {
		second = take_second(tick);
		if (second)
			chain = second;
	}
	proc = &tick->proc[0];
	tick->walk.tstate = tick->tstate[0];
	tick->walk.PyCode_Type = proc->PyCode_Type;
	tick->walk.proc_tag =
		proc->id.start_ns * 31 + ((__u64)proc->id.tgid << 32) + proc->id.exec_id;
	tick->walk.sample.thread_ident = tick->thread.tp - proc->tsd.self;
	return chain;
}

__noinline int tick_no_state(void)
{
	struct tick *tick = tick_get();
	struct pv_walk *walk;

	if (!tick)
		return 0;
	walk = &tick->walk;
	walk->faults.cnt = walk->faults.at[0].len != 0;
	walk->walked_cnt = 0;
	walk->new_cnt = 0;
	walk->outcome = PV_CNT_NO_STATE;
	pystack_finish(walk);
	/* A thread, perhaps, of a runtime that was loaded since. */
	if (!walk->faults.cnt)
		ask_for(&tick->proc[0].id);
	return 0;
}

__noinline int tick_walk_loop(void)
{
	struct tick *tick = tick_get();
	const struct pv_layout *layout;

	if (!tick)
		return 0;
	layout = layout_get(&tick->proc[0]);
	if (!layout)
		return 0;
	pystack_walk(&tick->walk, layout);
	pystack_finish(&tick->walk);
	return 0;
}

__noinline int tick_begin(void)
{
	struct tick *tick = tick_get();
	const struct pv_layout *layout;

	if (!tick)
		return 1;
	layout = layout_get(&tick->proc[0]);
	return layout ? pystack_begin(&tick->walk, layout) : 1;
}

__noinline int tick_step(void)
{
	struct tick *tick = tick_get();
	const struct pv_layout *layout;

	if (!tick)
		return 1;
	layout = layout_get(&tick->proc[0]);
	return layout ? pystack_step(&tick->walk, layout) : 1;
}

#define CALLS 32
_Static_assert(CALLS *CALLS *CALLS == PV_WALK_MAX, "three loops reach as far as one");

__noinline int tick_32_steps(void)
{
	for (int i = 0; i < CALLS; i++)
		if (tick_step())
			return 1;
	return 0;
}

__noinline int tick_1024_steps(void)
{
	for (int i = 0; i < CALLS; i++)
		if (tick_32_steps())
			return 1;
	return 0;
}

__noinline int tick_walk_calls(void)
{
	struct tick *tick = tick_get();

	if (!tick)
		return 0;
	if (!tick_begin()) {
		pystack_set_out(&tick->walk);
		for (int i = 0; i < CALLS; i++)
			if (tick_1024_steps())
				break;
		pystack_arrive(&tick->walk);
	}
	pystack_finish(&tick->walk);
	return 0;
}

__noinline int tick_fill(void)
{
	struct tick *tick = tick_get();
	struct task_struct *task = task_current();
	struct pv_sample *sample;

	if (!tick)
		return 0;
	sample = &tick->walk.sample;
	emit_header(&sample->hdr, PV_EVENT_SAMPLE, task, &tick->proc[0].id);
	sample->tid = reader_tid(task, (__u32)bpf_get_current_pid_tgid());
	sample->layout = tick->proc[0].layout;
	sample->thread_start_ns = TASK_FIELD(task, start_boottime);
	sample->tstate = tick->walk.tstate;
	bpf_get_current_comm(sample->comm, sizeof(sample->comm));
	return 0;
}

/* Send code object @index of those that the walk has noted. */
__noinline int tick_send_symbol(__u32 index)
{
	struct tick *tick = tick_get();
	const struct pv_layout *layout;

	if (!tick)
		return 0;
	layout = layout_get(&tick->proc[0]);
	if (layout)
		symbols_send(&tick->walk, layout, &tick->proc[0], index);
	return 0;
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

__noinline int tick_send(void)
{
	struct tick *tick = tick_get();
	struct pv_walk *walk;

	if (!tick)
		return PV_CNT_TORN;
	walk = &tick->walk;
	if (!outcome_is_shown(walk->outcome))
		return walk->outcome;
	if (walk->from_cframe)
		count(PV_CNT_RESCUED_CFRAME);
	if (walk->from_register)
		count(PV_CNT_RESCUED_REGISTER);
	for (__u32 i = 0; i < PV_NEW_CODE_MAX; i++) {
		if (i >= walk->new_cnt)
			break;
		tick_send_symbol(i);
	}
	tick_fill();
	return send_sample(walk);
}
