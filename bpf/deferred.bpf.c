// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi_call.h"
#include "bpf/compat.bpf.h"
#include "bpf/deferred.bpf.h"
#include "bpf/emit.bpf.h"
#include "bpf/pystate.bpf.h"
#include "bpf/usermem.bpf.h"

/* Slots that are tried for a free one. */
#define SLOT_TRIES 32
/* Walks, each of which finds up to PV_FAULT_MAX new pages. */
#define ROUND_MAX 256

/* include/uapi/linux/bpf.h, 6.18 */
struct bpf_task_work {
	__u64 __opaque;
} __attribute__((aligned(8)));

struct deferred {
	struct bpf_task_work work;
	__u32 busy;
	__u32 pad;
	__u8 bytes[PV_FRAME_READ_MAX]; /* what pages are brought in by */
	struct pv_proc proc;
	struct pv_walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PV_DEFERRED_MAX);
	__type(key, __u32);
	__type(value, struct deferred);
} deferred SEC(".maps");

typedef int (*bpf_task_work_callback_t)(struct bpf_map *map, void *key, void *value);

/*
 * The kernel's function of that purpose, whose name and last argument depend on the kernel: user space
 * puts the call in (user/kern/features.h). As an extern it would have to have one name, and libbpf
 * would ask for CAP_SYS_ADMIN to look for it in all modules where that name is not known.
 */
static int (*const task_work_schedule_resume)(struct task_struct *task, struct bpf_task_work *work,
                                              void *map, bpf_task_work_callback_t callback,
                                              void *aux) = (void *)PV_CALL_TASK_WORK;

/*
 * The end of a recording cannot wait for a thread that may never run again. Once user space has set
 * deferred_is_closed and seen deferred_sending at 0, nothing here is sent or counted any more.
 */
volatile bool deferred_is_closed = false;
volatile __u32 deferred_sending = 0;

struct round_ctx {
	struct deferred *slot;
	const struct pv_layout *layout;
};

static __always_inline long read_waiting(void *to, __u32 len, const void *from)
{
	long err = bpf_copy_from_user(to, len, from);

	if (USER_TAGS && err && (__u64)from >> USER_TAG_SHIFT)
		err = bpf_copy_from_user(to, len, user_untagged(from));
	return err;
}

/* Wait for what the walk before did not find, and walk again. 1: that is all there is. */
static long one_round(__u32 index, void *data)
{
	struct round_ctx *ctx = data;
	struct pv_walk *walk = &ctx->slot->walk;
	struct pv_thread thread = { .tp = walk->sample.thread_ident + ctx->slot->proc.tsd.self };
	bool came = false;

	for (__u32 i = 0; i < PV_FAULT_MAX; i++) {
		__u32 len;

		if (i >= walk->faults.cnt)
			break;
		len = walk->faults.at[i].len;
		if (len > sizeof(ctx->slot->bytes))
			len = sizeof(ctx->slot->bytes);
		came |= !read_waiting(ctx->slot->bytes, len, (void *)walk->faults.at[i].addr);
	}
	if (!came)
		return 1;
	if (!walk->tstate) {
		walk->tstate =
			pystate_find(&ctx->slot->proc, ctx->layout, &thread, &walk->faults.at[0]);
		walk->sample.tstate = walk->tstate;
		walk->faults.cnt = walk->faults.at[0].len != 0;
		if (!walk->tstate)
			return !walk->faults.cnt;
	}
	pystack_walk(walk, ctx->layout);
	pystack_finish(walk);
	return !walk->faults.cnt;
}

static __always_inline __u32 send(struct pv_walk *walk)
{
	struct pv_sample *sample = &walk->sample;
	__u64 frames = sample->frame_cnt;

	if (frames > PV_MAX_FRAMES)
		frames = PV_MAX_FRAMES;
	/* Names that were not in memory either are fetched by user space, while the process lives. */
	if (bpf_ringbuf_output(&events, sample, sizeof(*sample) + frames * sizeof(struct pv_frame),
	                       walk->new_cnt ? BPF_RB_FORCE_WAKEUP : emit_flags())) {
		charge_lost(&sample->hdr.proc);
		return PV_CNT_RING_FULL;
	}
	if (walk->from_cframe)
		count_atomic(PV_CNT_RESCUED_CFRAME, 1);
	if (walk->from_register)
		count_atomic(PV_CNT_RESCUED_REGISTER, 1);
	if (walk->outcome != PV_CNT_UNREADABLE)
		count_atomic(PV_CNT_WAITED, 1);
	return walk->outcome;
}

/* A full barrier, as atomics are whose results are used (Documentation/atomic_t.txt). */
static __always_inline void sending_add(int by)
{
	__u32 before = __sync_fetch_and_add(&deferred_sending, by);

	asm volatile("" : : "r"(before));
}

/* Send what has become of the tick, and count it. */
static __always_inline void settle(struct pv_walk *walk)
{
	__u32 outcome = walk->outcome;

	sending_add(1);
	if (!deferred_is_closed) {
		if (outcome_is_shown(outcome))
			outcome = send(walk);
		count_atomic(PV_CNT_PENDING, -1);
		count_atomic(outcome < PV_TICK_OUTCOME_CNT ? outcome : PV_CNT_TORN, 1);
	}
	sending_add(-1);
}

/*
 * The stack is that of the tick still, unless the thread is being taken down: then what the tick itself
 * could read is sent, and likewise if the chain is not read to a better end now.
 */
static int finish_walk(struct bpf_map *map, void *key, void *value)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct deferred *slot = value;
	struct pv_sample *sample = &slot->walk.sample;
	struct round_ctx ctx = { .slot = slot };
	__u32 layout = sample->layout;

	ctx.layout = bpf_map_lookup_elem(&layouts, &layout);
	/* So many where pages go out as fast as they come in. */
	if (ctx.layout && !(task->flags & PF_EXITING) &&
	    bpf_loop(ROUND_MAX, one_round, &ctx, 0) == ROUND_MAX)
		pystack_give_up(&slot->walk);
	settle(&slot->walk);
	__sync_lock_test_and_set(&slot->busy, 0);
	return 0;
}

/* What the walk needs of itself to be repeated, and what it has found so far. */
static __always_inline void slot_fill(struct pv_walk *to, const struct pv_walk *from)
{
	__u64 size = from->sample.frame_cnt;

	if (size > PV_MAX_FRAMES)
		size = PV_MAX_FRAMES;
	size = sizeof(from->sample) + size * sizeof(struct pv_frame);
	to->tstate = from->tstate;
	to->PyCode_Type = from->PyCode_Type;
	to->proc_tag = from->proc_tag;
	to->outcome = from->outcome;
	to->new_cnt = from->new_cnt;
	to->from_cframe = from->from_cframe;
	to->from_register = from->from_register;
	bpf_probe_read_kernel(to->regs, sizeof(to->regs), from->regs);
	bpf_probe_read_kernel(&to->faults, sizeof(to->faults), &from->faults);
	bpf_probe_read_kernel(&to->sample, size, &from->sample);
}

__hidden bool deferred_begin(const struct pv_walk *walk, const struct pv_proc *proc)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 first = bpf_get_smp_processor_id() * SLOT_TRIES + (__u32)walk->sample.hdr.time_ns;

	for (__u32 i = 0; i < SLOT_TRIES; i++) {
		__u32 key = (first + i) % PV_DEFERRED_MAX;
		struct deferred *slot = bpf_map_lookup_elem(&deferred, &key);

		if (!slot || __sync_val_compare_and_swap(&slot->busy, 0, 1))
			continue;
		slot_fill(&slot->walk, walk);
		slot->proc = *proc;
		if (!task_work_schedule_resume(task, &slot->work, &deferred, finish_walk, NULL))
			return true;
		__sync_lock_test_and_set(&slot->busy, 0);
	}
	return false;
}
