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
#include "bpf/filter.bpf.h"
#include "bpf/tick.bpf.h"

/* How the walk is repeated, and whether pages can be waited for: one program for each, one is loaded. */
enum driver {
	DRIVER_CALLS, /* nested loops of calls */
	DRIVER_LOOP,  /* bpf_loop(), 5.17 on */
	DRIVER_WAIT,  /* the same, and task work, 6.18 on */
};

_Static_assert(PV_USER_REG_CNT == USER_REG_CNT, "the walk takes what compat gives");

static __always_inline __u32 sample_python(struct bpf_perf_event_data *ctx,
                                           struct task_struct *task, struct tick *tick,
                                           enum driver driver)
{
	struct pv_walk *walk = &tick->walk;
	int chain;

	tick->thread.tp = task_thread_pointer(task);
	tick->thread.sp = user_stack_pointer(ctx);
	tick->thread.stack_top = task_stack_top(task, tick->thread.tp);
	if (TASK_TP_MAY_BE_STALE)
		tick->is_single = TASK_FIELD(task, signal, nr_threads) == 1;
	chain = tick_find();
	if (!chain)
		return PV_CNT_UNKNOWN_LAYOUT;
	if (chain != PV_CHAIN_FRAMEOBJECT)
		user_regs_read(ctx, walk->regs);
	if (!walk->tstate)
		tick_no_state();
	else if (driver == DRIVER_CALLS)
		tick_walk_calls();
	else
		tick_walk_loop();
	/* Of a whole stack only a guess on the way was not in memory. */
	if (driver == DRIVER_WAIT && walk->faults.cnt && walk->outcome != PV_CNT_COMPLETE) {
		tick_fill();
		if (deferred_begin(walk, &tick->proc[0]))
			return PV_CNT_PENDING;
	}
	return tick_send();
}

static __always_inline __u32 tick_outcome(struct bpf_perf_event_data *ctx, enum driver driver)
{
	struct task_struct *task = task_current();
	struct pv_proc *proc;
	struct tick *tick;
	__u32 outcome;

	outcome = filter_task(task, &proc);
	if (outcome != PV_FILTER_PYTHON)
		return outcome;
	tick = tick_get();
	if (!tick)
		return PV_CNT_UNKNOWN_LAYOUT;
	outcome = filter_copy(task, proc, &tick->proc[0]);
	if (outcome != PV_FILTER_PYTHON)
		return outcome;
	if (tick->proc[0].state != PV_PROC_PYTHON && !tick_finish_exe()) {
		ask_again(proc);
		return PV_CNT_NO_STATE;
	}
	return sample_python(ctx, task, tick, driver);
}

static __always_inline int sample(struct bpf_perf_event_data *ctx, enum driver driver)
{
	__u64 begin_ns = spend_begin();
	__u32 outcome;

	count(PV_CNT_TICKS);
	outcome = tick_outcome(ctx, driver);
	/* A tick must not fall out of the ledger, whatever a walker returned. */
	count(outcome < PV_TICK_OUTCOME_CNT ? outcome : PV_CNT_TORN);
	spend_end(begin_ns);
	return 0;
}

SEC("perf_event")
int sample_tick_calls(struct bpf_perf_event_data *ctx)
{
	return sample(ctx, DRIVER_CALLS);
}

SEC("perf_event")
int sample_tick_loop(struct bpf_perf_event_data *ctx)
{
	return sample(ctx, DRIVER_LOOP);
}

SEC("perf_event")
int sample_tick_wait(struct bpf_perf_event_data *ctx)
{
	return sample(ctx, DRIVER_WAIT);
}
