// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/fingerprint.h"
#include "bpf/pystack.bpf.h"
#include "bpf/symbols.bpf.h"
#include "bpf/usermem.bpf.h"

#define STEP_MORE 0
#define STEP_OVER 1

/* Low bits of a _PyStackRef that are not part of the pointer (3.14 on; zero before). */
#define STACKREF_TAGS 7

/* FRAME_OWNED_BY_CSTACK, the largest value of enum _frameowner so far (3.14 pycore_frame.h). */
#define OWNER_MAX 4

/* Bytecode of one code object is never this long; one unit before the start: not started yet. */
#define LASTI_MAX (1 << 28)
#define LASTI_MIN (-2)

static __always_inline __u64 mix(__u64 x)
{
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

/* A field of the frame that was read last. Offsets come from the layout, so each use is bounded. */
static __always_inline __u8 *frame_field(struct pv_walk *walk, __u32 off)
{
	__u64 at = (__u64)walk->window.at + off;

	if (at > PV_WINDOW + PV_FRAME_READ_MAX - 8)
		return walk->window.bytes;
	/* Keeps the compiler from adding first and comparing then, which the verifier refuses. */
	asm volatile("" : "+r"(at));
	return walk->window.bytes + at;
}

#define FRAME_U64(walk, off) (*(__u64 *)frame_field(walk, off))
#define FRAME_U32(walk, off) (*(__u32 *)frame_field(walk, off))
#define FRAME_U8(walk, off)  (*frame_field(walk, off))

static __always_inline __u64 code_u64(const struct pv_walk *walk, __u32 off)
{
	return off <= PV_CODE_READ_MAX - 8 ? *(__u64 *)(walk->code_head + off) : 0;
}

static __always_inline int over(struct pv_walk *walk, __u32 outcome)
{
	walk->outcome = outcome;
	return STEP_OVER;
}

/* Note what could not be read, for a second attempt that may wait for it. */
static __always_inline void fault(struct pv_walk *walk, __u64 addr, __u32 len)
{
	__u32 at = walk->faults.cnt;

	if (at >= PV_FAULT_MAX)
		return;
	walk->faults.at[at].addr = addr;
	walk->faults.at[at].len = len;
	walk->faults.cnt = at + 1;
}

/* No page is smaller. */
#define WINDOW_PAGE 4096

/* Make the frame at @addr the one that FRAME_* speak of. 0, or -1: it is not in memory. */
static __always_inline int frame_read(struct pv_walk *walk, const struct pv_layout *layout,
                                      __u64 addr)
{
	__u32 len = layout->frame.read_len;
	__u64 ahead = addr - walk->window.start, below = walk->window.start - addr;
	__u32 back = 0;

	if (len > PV_FRAME_READ_MAX)
		return -1;
	if (ahead < PV_WINDOW && ahead + len <= walk->window.len) {
		walk->window.at = ahead;
		return 0;
	}
	/*
	 * A caller's frame lies just below its callee's on the thread's data stack. One read costs
	 * the same for 80 bytes and little more for 2 KiB, so take what is below along, but nothing
	 * beyond the frame's own page: what lies there may not be mapped, and a fault costs more than
	 * twenty reads.
	 */
	if (layout->chain != PV_CHAIN_FRAMEOBJECT && below < PV_WINDOW)
		back = addr & (WINDOW_PAGE - 1);
	if (back > PV_WINDOW - PV_FRAME_READ_MAX)
		back = PV_WINDOW - PV_FRAME_READ_MAX;
	walk->window.start = addr - back;
	walk->window.len = 0;
	walk->window.at = back;
	if (user_read(walk->window.bytes, back + len, (void *)(addr - back)))
		return -1;
	walk->window.len = back + len;
	return 0;
}

/* Read @len bytes of the code object from @off on to the same place in code_head. */
static __always_inline int code_read(struct pv_walk *walk, __u64 code, __u32 off, __u32 len)
{
	if (off > PV_CODE_READ_MAX || len > PV_CODE_READ_MAX - off)
		return -1;
	return user_read(walk->code_head + off, len, (void *)(code + off));
}

/* Is there a code object at @code? */
static __always_inline bool code_is_code(struct pv_walk *walk, const struct pv_layout *layout,
                                         __u64 code)
{
	if (!walk->PyCode_Type)
		return true;
	if (code_read(walk, code, layout->code.ob_type, 8)) {
		fault(walk, code + layout->code.ob_type, 8);
		return false;
	}
	return code_u64(walk, layout->code.ob_type) == walk->PyCode_Type;
}

/* Take the fingerprint of the code object at @code. Negative: it is not in memory. */
static __always_inline int code_fingerprint(struct pv_walk *walk, const struct pv_layout *layout,
                                            __u64 code, __u32 *fp)
{
	__u32 off = layout->code.fp_off;
	__u64 str, hash = 0;

	if (off > PV_CODE_READ_MAX - PV_FP_BYTES)
		return -1;
	if (user_read(walk->code_head + off, PV_FP_BYTES, (void *)(code + off))) {
		fault(walk, code + off, PV_FP_BYTES);
		return -1;
	}
	if (layout->code.fp_str != PV_NO_FIELD) {
		str = code_u64(walk, layout->code.fp_str) + layout->str.hash;
		if (user_read(&hash, sizeof(hash), (void *)str)) {
			fault(walk, str, sizeof(hash));
			return -1;
		}
	}
	*fp = pv_fingerprint((const __u64 *)(walk->code_head + off), hash);
	return 0;
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
static __always_inline __u64 bytecode_start(struct pv_walk *walk, const struct pv_layout *layout,
                                            __u64 code)
{
	__u64 start = code + layout->code.co_code_adaptive;
	__u64 array = 0, size = 0, index, entry = 0;

	if (layout->frame.tlbc_index == PV_NO_FIELD)
		return start;
	index = FRAME_U32(walk, layout->frame.tlbc_index);
	if (!index)
		return start;
	/* _PyCodeArray { Py_ssize_t size; char *entries[]; }, 3.14 Include/cpython/code.h */
	user_read(&array, sizeof(array), (void *)(code + layout->code.co_tlbc));
	user_read(&size, sizeof(size), (void *)array);
	/* A start of 0 puts every instruction out of bounds. */
	if (index < size)
		user_read(&entry, sizeof(entry), (void *)(array + 8 + 8 * index));
	return entry;
}

#define CODE_OK         0
#define CODE_NONE       1 /* there is no code object at that address */
#define CODE_UNREADABLE 2

/*
 * The fingerprint of the code object at @code, from the memo where that is safe. Only what was
 * sent enters the memo: the rest must come by here again.
 */
static __always_inline int code_identify(struct pv_walk *walk, const struct pv_layout *layout,
                                         __u64 code, __u32 *fp)
{
	struct pv_memo_entry *memo = &walk->memo.entries[mix(code >> 4) & (PV_MEMO_CNT - 1)];

	if (memo->code == code && memo->epoch == walk->memo.epoch) {
		*fp = memo->fp;
		return CODE_OK;
	}
	if (code_fingerprint(walk, layout, code, fp))
		return CODE_UNREADABLE;
	/* What was sent under this fingerprint was a code object then and is the same one now. */
	if (symbols_note(walk, code, *fp)) {
		memo->code = code;
		memo->epoch = walk->memo.epoch;
		memo->fp = *fp;
		return CODE_OK;
	}
	return code_is_code(walk, layout, code) ? CODE_OK : CODE_NONE;
}

#define OWNER_THREAD 0 /* FRAME_OWNED_BY_THREAD, 3.11 Include/internal/pycore_frame.h */

/* Is the frame at @addr one that was popped off the thread's data stack? False where that is not known. */
static __always_inline bool is_popped(struct pv_walk *walk, const struct pv_layout *layout,
                                      __u64 addr)
{
	__u64 free[2] = {}; /* datastack_top, datastack_limit */

	if (layout->tstate.datastack_top == PV_NO_FIELD)
		return false;
	user_read(free, sizeof(free), (void *)(walk->tstate + layout->tstate.datastack_top));
	return addr >= free[0] && addr < free[1];
}

/*
 * 3.11: has the leaf, an entry frame, been popped? Its C frame is left before that (Python/ceval.c,
 * _PyEval_Vector), so such a leaf is what an older call left in a C frame that is only half-written now.
 */
static __always_inline bool leaf_is_popped(struct pv_walk *walk, const struct pv_layout *layout)
{
	if (layout->frame.is_entry == PV_NO_FIELD || walk->walked_cnt ||
	    !FRAME_U8(walk, layout->frame.is_entry) ||
	    FRAME_U8(walk, layout->frame.owner) != OWNER_THREAD)
		return false;
	return is_popped(walk, layout, walk->frame);
}

/* Record the Python frame that was read. 0; -1: this is no frame of a Python function. */
static __always_inline int record(struct pv_walk *walk, const struct pv_layout *layout, __u8 owner)
{
	__u64 code = FRAME_U64(walk, layout->frame.code) & ~(__u64)STACKREF_TAGS;
	__u32 kind = PV_FRAME_PYTHON, fp = 0;
	__s64 lasti;

	if (!code)
		return -1;
	if (layout->chain == PV_CHAIN_FRAMEOBJECT) {
		lasti = (__s32)FRAME_U32(walk, layout->frame.instr);
	} else {
		lasti = FRAME_U64(walk, layout->frame.instr) - bytecode_start(walk, layout, code);
		if (owner == layout->frame.owner_generator)
			kind = PV_FRAME_GENERATOR;
	}
	if (lasti < LASTI_MIN || lasti > LASTI_MAX)
		return -1;
	switch (code_identify(walk, layout, code, &fp)) {
	case CODE_NONE:
		return -1;
	case CODE_UNREADABLE:
		/* The interpreter has just used the leaf's code: this is no frame at all. */
		if (!walk->walked_cnt && layout->chain == PV_CHAIN_CFRAME && !walk->from_cframe)
			return -1;
		kind = PV_FRAME_UNREADABLE;
		walk->unreadable = 1;
		break;
	}
	push(walk, code, kind, fp, (__s32)lasti);
	walk->callee = owner == OWNER_THREAD ? walk->frame : 0;
	return 0;
}

static __always_inline int cframe_read(const struct pv_layout *layout, __u64 cframe, __u64 *current,
                                       __u64 *previous)
{
	return user_read(current, 8, (void *)(cframe + layout->cframe.current_frame)) ||
	       user_read(previous, 8, (void *)(cframe + layout->cframe.previous));
}

static __always_inline int seek(struct pv_walk *walk, enum pv_walk_mode mode)
{
	walk->seek.mode = mode;
	walk->seek.reg_next = 0;
	walk->seek.found = 0;
	return STEP_MORE;
}

/*
 * The run that began at the leaf is not what a finished chain looks like. 3.11 and 3.12 point
 * tstate->cframe at a new C frame before that says which frame is current and what is below
 * (Python/ceval.c, _PyEval_EvalFrameDefault). The truth is one cframe further down, the caller at
 * its call, and the pointer to it most often still in a register.
 */
static __always_inline int run_failed(struct pv_walk *walk, const struct pv_layout *layout)
{
	if (layout->chain != PV_CHAIN_CFRAME || walk->run_cnt || walk->from_cframe ||
	    walk->from_register)
		return over(walk, PV_CNT_TORN);
	return seek(walk, PV_WALK_SEEK_CFRAME);
}

/* Begin again with the run that @cframe holds. */
static __always_inline int restart(struct pv_walk *walk, const struct pv_layout *layout,
                                   __u64 cframe)
{
	__u64 current = 0, previous = 0;

	if (cframe_read(layout, cframe, &current, &previous))
		return over(walk, PV_CNT_TORN);
	walk->from_cframe = 1;
	walk->seek.mode = PV_WALK_FRAME;
	walk->walked_cnt = 0;
	walk->unreadable = 0;
	walk->new_cnt = 0;
	walk->frame = current;
	walk->leaf = current;
	walk->callee = 0;
	walk->cframe_prev = previous;
	if (current)
		return STEP_MORE;
	return over(walk, cframe == walk->tstate + layout->tstate.root_cframe ? PV_CNT_NO_FRAMES
	                                                                      : PV_CNT_TORN);
}

/* data[1] of a _PyStackChunk (3.11 Include/cpython/pystate.h). */
#define CHUNK_FIRST 32

/*
 * Is the frame that was recorded last the first one of a whole data stack? That is data[1] of a chunk
 * with none before it; in all others data[0] is the first (3.11 Python/pystate.c, push_chunk()).
 */
static __always_inline bool callee_begins_stack(struct pv_walk *walk)
{
	__u64 head[2] = {}; /* previous, size */

	if (walk->callee % WINDOW_PAGE != CHUNK_FIRST)
		return false;
	user_read(head, sizeof(head), (void *)(walk->callee - CHUNK_FIRST));
	return !head[0] && head[1] && head[1] % WINDOW_PAGE == 0;
}

/* The frame was the outermost of its run; @previous: the frame that called into C. */
static __always_inline int step_entry(struct pv_walk *walk, const struct pv_layout *layout,
                                      __u64 previous)
{
	__u64 current = 0, below = 0, base = 0, root;

	if (layout->chain == PV_CHAIN_CFRAME) {
		root = walk->tstate + layout->tstate.root_cframe;
		if (cframe_read(layout, walk->cframe_prev, &current, &below) || current != previous)
			return run_failed(walk, layout);
		/*
		 * A chain ends at the thread state's own C frame, whatever zeros lie elsewhere on the
		 * C stack. A greenlet has one of its own above that (greenlet's set_new_cframe()).
		 */
		if (!previous && walk->cframe_prev != root && below != root)
			return run_failed(walk, layout);
		walk->cframe_prev = below;
	} else if (!previous && layout->tstate.base_frame != PV_NO_FIELD) {
		user_read(&base, sizeof(base), (void *)(walk->tstate + layout->tstate.base_frame));
		/* A greenlet's does not lead there, but it has a data stack of its own, from the start. */
		if (walk->frame != base && !callee_begins_stack(walk))
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
	    layout->frame.owner_entry != 0xff && !walk->from_register && !walk->from_cframe)
		return seek(walk, PV_WALK_SEEK_CALLER);
	return run_failed(walk, layout);
}

static __always_inline int step_frame(struct pv_walk *walk, const struct pv_layout *layout)
{
	__u64 previous;
	__u8 owner = 0;

	if (frame_read(walk, layout, walk->frame)) {
		fault(walk, walk->frame, layout->frame.read_len);
		/*
		 * A half-written cframe points anywhere. A run that leads out of memory half-way may
		 * be true, or frames that returned; the cframe before it is right for neither. A
		 * chain that was taken from elsewhere is believed at its end, not before.
		 */
		if (walk->from_cframe || walk->from_register)
			return over(walk, PV_CNT_TORN);
		if (layout->chain == PV_CHAIN_CFRAME && !walk->run_cnt)
			return walk->walked_cnt ? over(walk, PV_CNT_TORN)
			                        : run_failed(walk, layout);
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
	if (leaf_is_popped(walk, layout) || record(walk, layout, owner))
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

	if (addr == walk->leaf || frame_read(walk, layout, addr))
		return false;
	owner = FRAME_U8(walk, layout->frame.owner);
	if (owner > OWNER_MAX)
		return false;
	if (owner >= layout->frame.owner_entry) {
		/*
		 * Resumed from C: the entry frame must be this run's own. Where no cframe says which
		 * that is, much memory looks like one, so it must at least lead to a frame.
		 */
		if (layout->chain != PV_CHAIN_CFRAME)
			return FRAME_U64(walk, layout->frame.previous) != 0;
		if (cframe_read(layout, walk->cframe_prev, &current, &previous))
			return false;
		return FRAME_U64(walk, layout->frame.previous) == current;
	}
	/* What the generator called before may be in a register still. */
	if (owner == OWNER_THREAD && is_popped(walk, layout, addr))
		return false;
	code = FRAME_U64(walk, layout->frame.code) & ~(__u64)STACKREF_TAGS;
	return walk->PyCode_Type && FRAME_U64(walk, layout->frame.previous) &&
	       code_is_code(walk, layout, code);
}

/* C frames lie one above the other on the thread's stack, the root one in the thread state. */
#define CFRAME_SPAN_MAX (16u << 20)

/* Could @addr be the C frame below tstate->cframe? The walk from it decides. */
static __always_inline bool plausible_cframe(struct pv_walk *walk, const struct pv_layout *layout,
                                             __u64 addr)
{
	__u64 current = 0, previous = 0;

	if (addr == walk->tstate + layout->tstate.root_cframe)
		return true;
	if (addr <= walk->cframe || addr - walk->cframe > CFRAME_SPAN_MAX ||
	    cframe_read(layout, addr, &current, &previous))
		return false;
	if (previous <= addr && previous != walk->tstate + layout->tstate.root_cframe)
		return false;
	return current && !(current & 7) && !frame_read(walk, layout, current) &&
	       FRAME_U8(walk, layout->frame.owner) <= OWNER_MAX;
}

/* Look at one register. More than one that fits is as bad as none. */
static __always_inline int step_seek(struct pv_walk *walk, const struct pv_layout *layout)
{
	__u32 index = walk->seek.reg_next++;
	__u64 addr;
	bool fits;

	if (index < PV_USER_REG_CNT) {
		addr = walk->regs[index];
		if (!addr || addr & 7 || addr == walk->seek.found)
			return STEP_MORE;
		if (walk->seek.mode == PV_WALK_SEEK_CALLER)
			fits = plausible_caller(walk, layout, addr);
		else
			fits = plausible_cframe(walk, layout, addr);
		if (!fits)
			return STEP_MORE;
		if (walk->seek.found)
			return over(walk, PV_CNT_TORN);
		walk->seek.found = addr;
		return STEP_MORE;
	}
	if (walk->seek.mode == PV_WALK_SEEK_CFRAME) {
		if (!walk->seek.found)
			return restart(walk, layout, walk->cframe_prev);
		walk->from_register = 1;
		return restart(walk, layout, walk->seek.found);
	}
	if (!walk->seek.found)
		return over(walk, PV_CNT_TORN);
	walk->from_register = 1;
	walk->seek.mode = PV_WALK_FRAME;
	walk->frame = walk->seek.found;
	return STEP_MORE;
}

__hidden int pystack_step(struct pv_walk *walk, const struct pv_layout *layout)
{
	if (walk->seek.mode == PV_WALK_FRAME)
		return step_frame(walk, layout);
	return step_seek(walk, layout);
}

/*
 * Void the memo unless nothing can have changed since the tick before. The memo belongs to the CPU:
 * a tick of a process without a generation fills it too, so the next one must begin anew.
 */
static __always_inline void epoch_begin(struct pv_walk *walk, const struct pv_layout *layout)
{
	__u64 interp = 0, generation = 0, key;

	user_read(&interp, sizeof(interp), (void *)(walk->tstate + layout->tstate.interp));
	walk->sample.interp = interp;
	walk->sample.interp_id = 0;
	if (layout->interp_id != PV_NO_FIELD)
		user_read(&walk->sample.interp_id, sizeof(walk->sample.interp_id),
		          (void *)(interp + layout->interp_id));
	if (layout->interp_code_generation == PV_NO_FIELD ||
	    user_read(&generation, sizeof(generation),
	              (void *)(interp + layout->interp_code_generation))) {
		walk->memo.epoch++;
		walk->memo.key = 0;
		return;
	}
	key = mix(mix(walk->proc_tag + interp) + generation);
	if (key != walk->memo.key)
		walk->memo.epoch++;
	walk->memo.key = key;
}

/* There is no memory where the chain starts, or it is not there now. */
static __always_inline int begin_failed(struct pv_walk *walk, __u64 addr)
{
	fault(walk, addr, 8);
	return over(walk, PV_CNT_NO_STATE);
}

__hidden int pystack_begin(struct pv_walk *walk, const struct pv_layout *layout)
{
	__u64 current = 0, previous = 0;

	walk->cframe = 0;
	walk->cframe_prev = 0;
	walk->callee = 0;
	walk->seek.mode = PV_WALK_FRAME;
	walk->walked_cnt = 0;
	walk->run_cnt = 0;
	walk->new_cnt = 0;
	walk->faults.cnt = 0;
	walk->unreadable = 0;
	walk->from_cframe = 0;
	walk->from_register = 0;
	walk->symbols_lack = 0;
	walk->window.start = 0;
	walk->window.len = 0;
	epoch_begin(walk, layout);
	if (layout->chain == PV_CHAIN_CFRAME) {
		if (user_read(&walk->cframe, 8, (void *)(walk->tstate + layout->tstate.cframe)))
			return begin_failed(walk, walk->tstate + layout->tstate.cframe);
		if (cframe_read(layout, walk->cframe, &current, &previous))
			return begin_failed(walk, walk->cframe);
		walk->cframe_prev = previous;
	} else if (user_read(&current, 8, (void *)(walk->tstate + layout->tstate.frame))) {
		return begin_failed(walk, walk->tstate + layout->tstate.frame);
	}
	walk->frame = current;
	walk->leaf = current;
	if (current)
		return STEP_MORE;
	if (layout->chain == PV_CHAIN_CFRAME &&
	    walk->cframe != walk->tstate + layout->tstate.root_cframe)
		return run_failed(walk, layout);
	return over(walk, PV_CNT_NO_FRAMES);
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

	if (pystack_begin(walk, layout))
		return;
	pystack_set_out(walk);
	bpf_loop(PV_WALK_MAX, walk_one, &ctx, 0);
	pystack_arrive(walk);
}

__hidden void pystack_finish(struct pv_walk *walk)
{
	struct pv_sample *sample = &walk->sample;

	sample->skipped_cnt = 0;
	sample->root_first = 0;
	sample->frame_cnt = walk->walked_cnt;
	if (walk->walked_cnt > PV_MAX_FRAMES) {
		sample->frame_cnt = PV_MAX_FRAMES;
		sample->skipped_cnt = walk->walked_cnt - PV_MAX_FRAMES;
		sample->root_first = (walk->walked_cnt - PV_LEAF_FRAMES) & (PV_ROOT_FRAMES - 1);
		if (walk->outcome == PV_CNT_COMPLETE)
			walk->outcome = PV_CNT_TRUNCATED;
	}
	sample->outcome = walk->outcome;
}

__hidden void pystack_give_up(struct pv_walk *walk)
{
	if (!walk->faults.cnt || outcome_is_shown(walk->outcome))
		return;
	/* Nothing that an earlier walk or an earlier attempt left is said of this one. */
	if (!walk->tstate) {
		walk->sample.interp = 0;
		walk->sample.interp_id = 0;
	}
	walk->walked_cnt = 0;
	walk->new_cnt = 0;
	walk->from_cframe = 0;
	walk->from_register = 0;
	push(walk, 0, PV_FRAME_UNREADABLE, 0, 0);
	walk->outcome = PV_CNT_UNREADABLE;
	pystack_finish(walk);
}
