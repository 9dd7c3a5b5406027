// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/compat.bpf.h"
#include "bpf/fingerprint.h"
#include "bpf/pystack.bpf.h"
#include "bpf/symbols.bpf.h"

#define STEP_MORE 0
#define STEP_OVER 1

/* Low bits of a _PyStackRef that are not part of the pointer (3.14 on; zero before). */
#define STACKREF_TAGS 7

/* FRAME_OWNED_BY_CSTACK, the largest value of enum _frameowner so far (3.14 pycore_frame.h). */
#define OWNER_MAX 4

/* Bytecode of one code object is never this long; one unit before the start: not started yet. */
#define LASTI_MAX (1 << 28)
#define LASTI_MIN (-2)

static __always_inline __u64 head_u64(const __u8 *head, __u32 off, __u32 cap)
{
	return off <= cap - 8 ? *(__u64 *)(head + off) : 0;
}

static __always_inline __u32 head_u32(const __u8 *head, __u32 off, __u32 cap)
{
	return off <= cap - 4 ? *(__u32 *)(head + off) : 0;
}

static __always_inline __u8 head_u8(const __u8 *head, __u32 off, __u32 cap)
{
	return off <= cap - 1 ? head[off] : 0;
}

#define FRAME_U64(walk, off) head_u64((walk)->head, off, PV_FRAME_READ_MAX)
#define FRAME_U8(walk, off)  head_u8((walk)->head, off, PV_FRAME_READ_MAX)
#define CODE_U64(walk, off)  head_u64((walk)->code_head, off, PV_CODE_READ_MAX)

static __always_inline int over(struct pv_walk *walk, __u32 outcome)
{
	walk->outcome = outcome;
	return STEP_OVER;
}

static __always_inline int frame_read(struct pv_walk *walk, const struct pv_layout *layout,
                                      __u64 addr)
{
	__u32 len = layout->frame.read_len;

	if (len > PV_FRAME_READ_MAX)
		return -1;
	return bpf_probe_read_user(walk->head, len, (void *)addr);
}

static __always_inline int code_read(struct pv_walk *walk, const struct pv_layout *layout,
                                     __u64 code)
{
	__u32 len = layout->code.read_len;

	if (len > PV_CODE_READ_MAX)
		return -1;
	return bpf_probe_read_user(walk->code_head, len, (void *)code);
}

/* Is what code_read() got a code object? */
static __always_inline bool code_is_code(const struct pv_walk *walk, const struct pv_layout *layout)
{
	return !walk->PyCode_Type || CODE_U64(walk, layout->code.ob_type) == walk->PyCode_Type;
}

static __always_inline __u32 code_fingerprint(const struct pv_walk *walk,
                                              const struct pv_layout *layout)
{
	__u32 off = layout->code.fp_off;
	__u64 str, hash = 0;

	if (off > PV_CODE_READ_MAX - PV_FP_BYTES)
		return 0;
	if (layout->code.fp_str != PV_NO_FIELD) {
		str = CODE_U64(walk, layout->code.fp_str);
		bpf_probe_read_user(&hash, sizeof(hash), (void *)(str + layout->str.hash));
	}
	return pv_fingerprint((const __u64 *)(walk->code_head + off), hash);
}

static __always_inline void push(struct pv_walk *walk, __u64 addr, __u32 kind, __u32 fp,
                                 __s32 lasti)
{
	__u32 at = walk->walked_cnt;

	if (at >= PV_LEAF_FRAMES)
		at = PV_LEAF_FRAMES + ((at - PV_LEAF_FRAMES) & (PV_ROOT_FRAMES - 1));
	at &= PV_MAX_FRAMES - 1;
	walk->frames[at].addr = addr;
	walk->frames[at].kind_fp = fp << 8 | kind;
	walk->frames[at].lasti = lasti;
	walk->walked_cnt++;
}

/* Start of the bytecode that instr_ptr points into: the code's own, or this thread's copy of it. */
static __always_inline __u64 bytecode_start(const struct pv_walk *walk,
                                            const struct pv_layout *layout, __u64 code)
{
	__u64 start = code + layout->code.co_code_adaptive;
	__u64 array, index, entry = 0;

	if (layout->frame.tlbc_index == PV_NO_FIELD)
		return start;
	index = head_u32(walk->head, layout->frame.tlbc_index, PV_FRAME_READ_MAX);
	if (!index)
		return start;
	/* _PyCodeArray { Py_ssize_t size; char *entries[]; }, 3.14 Include/cpython/code.h */
	array = CODE_U64(walk, layout->code.co_tlbc);
	if (bpf_probe_read_user(&entry, sizeof(entry), (void *)(array + 8 + 8 * index)))
		return 0;
	return entry;
}

/*
 * Record the Python frame in walk->head. 0; -1: this is no frame of a Python function.
 */
static __always_inline int record(struct pv_walk *walk, const struct pv_layout *layout, __u8 owner)
{
	__u64 code = FRAME_U64(walk, layout->frame.code) & ~(__u64)STACKREF_TAGS;
	__u32 kind = PV_FRAME_PYTHON, fp;
	__s64 lasti;

	if (!code)
		return -1;
	if (code_read(walk, layout, code)) {
		push(walk, code, PV_FRAME_UNREADABLE, 0, 0);
		walk->unreadable = 1;
		return 0;
	}
	if (!code_is_code(walk, layout))
		return -1;
	if (layout->chain == PV_CHAIN_FRAMEOBJECT) {
		lasti = (__s32)head_u32(walk->head, layout->frame.instr, PV_FRAME_READ_MAX);
	} else {
		lasti = FRAME_U64(walk, layout->frame.instr) - bytecode_start(walk, layout, code);
		if (owner == layout->frame.owner_generator)
			kind = PV_FRAME_GENERATOR;
	}
	if (lasti < LASTI_MIN || lasti > LASTI_MAX)
		return -1;
	fp = code_fingerprint(walk, layout);
	push(walk, code, kind, fp, (__s32)lasti);
	symbols_note(walk, code, fp);
	return 0;
}

static __always_inline int cframe_read(const struct pv_layout *layout, __u64 cframe, __u64 *current,
                                       __u64 *previous)
{
	return bpf_probe_read_user(current, 8, (void *)(cframe + layout->cframe.current_frame)) ||
	       bpf_probe_read_user(previous, 8, (void *)(cframe + layout->cframe.previous));
}

/*
 * The run that began at the leaf is not what a finished chain looks like. 3.11 and 3.12 point
 * tstate->cframe at a new C frame before that says which frame is current (Python/ceval.c,
 * _PyEval_EvalFrameDefault), so the truth is one cframe further down: the caller, at its call.
 */
static __always_inline int run_failed(struct pv_walk *walk, const struct pv_layout *layout)
{
	__u64 current = 0, previous = 0;

	if (layout->chain != PV_CHAIN_CFRAME || walk->run_cnt || walk->retried || walk->rescued)
		return over(walk, PV_CNT_TORN);
	if (cframe_read(layout, walk->cframe_prev, &current, &previous))
		return over(walk, PV_CNT_TORN);
	walk->retried = 1;
	walk->walked_cnt = 0;
	walk->unreadable = 0;
	walk->new_cnt = 0;
	walk->frame = current;
	walk->leaf = current;
	walk->cframe_prev = previous;
	if (!current)
		return over(walk, PV_CNT_NO_FRAMES);
	return STEP_MORE;
}

/* The frame was the outermost of its run; @previous: the frame that called into C. */
static __always_inline int step_entry(struct pv_walk *walk, const struct pv_layout *layout,
                                      __u64 previous)
{
	__u64 current = 0, below = 0, base = 0;

	if (layout->chain == PV_CHAIN_CFRAME) {
		if (cframe_read(layout, walk->cframe_prev, &current, &below) || current != previous)
			return run_failed(walk, layout);
		walk->cframe_prev = below;
	} else if (!previous && layout->tstate.base_frame != PV_NO_FIELD) {
		bpf_probe_read_user(&base, sizeof(base),
		                    (void *)(walk->tstate + layout->tstate.base_frame));
		if (walk->frame != base)
			return over(walk, PV_CNT_TORN);
	}
	walk->run_cnt++;
	walk->frame = previous;
	if (previous)
		return STEP_MORE;
	if (!walk->walked_cnt)
		return over(walk, PV_CNT_NO_FRAMES);
	return over(walk, walk->unreadable ? PV_CNT_UNREADABLE : PV_CNT_COMPLETE);
}

/* A frame that is no entry frame has no caller. */
static __always_inline int chain_ended(struct pv_walk *walk, const struct pv_layout *layout,
                                       __u8 owner)
{
	if (layout->chain == PV_CHAIN_FRAMEOBJECT)
		return over(walk, walk->unreadable ? PV_CNT_UNREADABLE : PV_CNT_COMPLETE);
	/*
	 * A generator that is just giving up control: its `previous` is already NULL, the current
	 * frame not yet moved on (3.12 YIELD_VALUE; compilers swap the two stores). The caller is
	 * in a register of the thread.
	 */
	if (walk->walked_cnt == 1 && owner == layout->frame.owner_generator &&
	    layout->frame.owner_entry != 0xff && !walk->rescued)
		return over(walk, PV_WALK_RESCUE);
	return run_failed(walk, layout);
}

__hidden int pystack_begin(struct pv_walk *walk, const struct pv_layout *layout)
{
	__u64 at = 0, current = 0, previous = 0;

	walk->walked_cnt = 0;
	walk->run_cnt = 0;
	walk->new_cnt = 0;
	walk->unreadable = 0;
	walk->retried = 0;
	walk->rescued = 0;
	walk->cframe_prev = 0;
	walk->outcome = PV_CNT_NO_FRAMES;
	if (layout->chain == PV_CHAIN_CFRAME) {
		if (bpf_probe_read_user(&at, 8, (void *)(walk->tstate + layout->tstate.cframe)) ||
		    cframe_read(layout, at, &current, &previous))
			return over(walk, PV_CNT_NO_STATE);
		walk->cframe_prev = previous;
	} else if (bpf_probe_read_user(&current, 8,
	                               (void *)(walk->tstate + layout->tstate.frame))) {
		return over(walk, PV_CNT_NO_STATE);
	}
	walk->frame = current;
	walk->leaf = current;
	return current ? STEP_MORE : STEP_OVER;
}

__hidden int pystack_step(struct pv_walk *walk, const struct pv_layout *layout)
{
	__u64 previous;
	__u8 owner = 0;

	if (frame_read(walk, layout, walk->frame)) {
		/* A cframe half-written points anywhere; a frame that was linked lies in memory. */
		if (layout->chain == PV_CHAIN_CFRAME && !walk->run_cnt && !walk->retried)
			return run_failed(walk, layout);
		push(walk, walk->frame, PV_FRAME_UNREADABLE, 0, 0);
		return over(walk, PV_CNT_UNREADABLE);
	}
	previous = FRAME_U64(walk, layout->frame.previous);
	if (layout->chain != PV_CHAIN_FRAMEOBJECT) {
		owner = FRAME_U8(walk, layout->frame.owner);
		if (owner > OWNER_MAX || previous == walk->frame)
			return run_failed(walk, layout);
		if (owner >= layout->frame.owner_entry)
			return step_entry(walk, layout, previous);
	}
	if (record(walk, layout, owner))
		return run_failed(walk, layout);
	if (layout->frame.is_entry != PV_NO_FIELD && FRAME_U8(walk, layout->frame.is_entry))
		return step_entry(walk, layout, previous);
	if (!previous)
		return chain_ended(walk, layout, owner);
	walk->frame = previous;
	return STEP_MORE;
}

/* Could @addr be the frame that resumed the generator at the leaf? The walk from it decides. */
static __always_inline bool plausible_caller(struct pv_walk *walk, const struct pv_layout *layout,
                                             __u64 addr)
{
	__u64 code, current = 0, previous = 0;
	__u8 owner;

	if (!addr || addr & 7 || addr == walk->leaf || frame_read(walk, layout, addr))
		return false;
	owner = FRAME_U8(walk, layout->frame.owner);
	if (owner > OWNER_MAX)
		return false;
	if (owner >= layout->frame.owner_entry) {
		/* Resumed from C: the entry frame must be this run's own. */
		if (layout->chain == PV_CHAIN_CFRAME &&
		    cframe_read(layout, walk->cframe_prev, &current, &previous))
			return false;
		code = FRAME_U64(walk, layout->frame.previous);
		return layout->chain != PV_CHAIN_CFRAME || code == current;
	}
	code = FRAME_U64(walk, layout->frame.code) & ~(__u64)STACKREF_TAGS;
	return FRAME_U64(walk, layout->frame.previous) && !code_read(walk, layout, code) &&
	       code_is_code(walk, layout);
}

__hidden int pystack_rescue(struct pv_walk *walk, const struct pv_layout *layout, const __u64 *regs)
{
	__u64 found = 0;

	walk->rescued = 1;
	for (int i = 0; i < USER_REG_CNT; i++) {
		if (regs[i] == found || !plausible_caller(walk, layout, regs[i]))
			continue;
		if (found)
			return over(walk, PV_CNT_TORN);
		found = regs[i];
	}
	if (!found)
		return over(walk, PV_CNT_TORN);
	walk->frame = found;
	return STEP_MORE;
}

struct walk_ctx {
	struct pv_walk *walk;
	const struct pv_layout *layout;
};

static long walk_one(__u32 index, void *data)
{
	struct walk_ctx *ctx = data;

	return pystack_step(ctx->walk, ctx->layout);
}

__hidden void pystack_walk(struct pv_walk *walk, const struct pv_layout *layout)
{
	struct walk_ctx ctx = { walk, layout };

	/* Stands if the walk does not come to an end of its own. */
	walk->outcome = PV_CNT_TRUNCATED;
	bpf_loop(PV_WALK_MAX, walk_one, &ctx, 0);
}
