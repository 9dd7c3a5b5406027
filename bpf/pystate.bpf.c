// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "bpf/pystate.bpf.h"
#include "bpf/usermem.bpf.h"

/* No thread has this many thread-specific keys or modules; beyond it the recipe is wrong. */
#define TSD_KEY_MAX 1024 /* PTHREAD_KEYS_MAX */
#define TSD_BLOCK   32   /* glibc: PTHREAD_KEY_2NDLEVEL_SIZE */

/* sizeof(PyThreadState) is 368 in 3.10 and 360 in 3.11. */
#define TSTATE_SIZE_MAX 512

/* tcbhead_t.dtv: glibc sysdeps/{x86_64,aarch64}/nptl/tls.h */
#if defined(__TARGET_ARCH_arm64)
#define TP_DTV 0
#else
#define TP_DTV 8
#endif

/* 0 if it is not in memory, which @fault tells. */
static __always_inline __u64 read_u64(struct pv_fault *fault, __u64 addr)
{
	__u64 value = 0;

	if (!user_read(&value, sizeof(value), (void *)addr))
		return value;
	fault->addr = addr;
	fault->len = sizeof(value);
	return 0;
}

/* One thread-local pointer by its recipe; 0 also when the thread has no such block yet. */
static __always_inline __u64 tls_read(const struct pv_tls *tls, __u64 tp, struct pv_fault *fault)
{
	__u64 dtv, block;

	if (tls->kind == PV_TLS_STATIC)
		return read_u64(fault, tp + tls->off);
	if (tls->kind != PV_TLS_DTV)
		return 0;
	dtv = read_u64(fault, tp + TP_DTV);
	if (!dtv)
		return 0;
	/* glibc keeps the slot count at dtv[-1], musl at dtv[0]; a late module may lie beyond it. */
	if (read_u64(fault, tls->dtv_stride == 16 ? dtv - 16 : dtv) < tls->module)
		return 0;
	block = read_u64(fault, dtv + (__u64)tls->dtv_stride * tls->module);
	if (!block || block == ~0ull)
		return 0;
	return read_u64(fault, block + tls->off);
}

/* pthread_getspecific(key) of the thread. */
static __always_inline __u64 tsd_read(const struct pv_tsd *tsd, __u64 tp, __u32 key,
                                      struct pv_fault *fault)
{
	__u64 self = tp - tsd->self, block;

	if (key >= TSD_KEY_MAX)
		return 0;
	switch (tsd->kind) {
	case PV_TSD_GLIBC:
		/* struct pthread_key_data { uintptr_t seq; void *data; } */
		if (key < TSD_BLOCK)
			return read_u64(fault, self + tsd->first + 16 * key + 8);
		block = read_u64(fault, self + tsd->second + 8 * (key / TSD_BLOCK));
		return block ? read_u64(fault, block + 16 * (key % TSD_BLOCK) + 8) : 0;
	case PV_TSD_MUSL:
		block = read_u64(fault, self + tsd->first);
		return block ? read_u64(fault, block + 8 * key) : 0;
	}
	return 0;
}

/* The thread state kept in the pthread key of PyGILState (Python/pystate.c). */
static __always_inline __u64 gilstate_key_read(const struct pv_proc *proc, __u64 tp,
                                               struct pv_fault *fault)
{
	struct {
		__s32 is_initialized;
		__u32 key;
	} tss = {}; /* Py_tss_t, Include/pythread.h */

	if (!proc->autotsskey)
		return 0;
	if (user_read(&tss, sizeof(tss), (void *)proc->autotsskey)) {
		fault->addr = proc->autotsskey;
		fault->len = sizeof(tss);
		return 0;
	}
	/* 3.6 Python/pystate.c: static int autoTLSkey = -1 */
	if (proc->tsd.plain_key)
		return tsd_read(&proc->tsd, tp, (__u32)tss.is_initialized, fault);
	return tss.is_initialized ? tsd_read(&proc->tsd, tp, tss.key, fault) : 0;
}

/* 2.7 Include/pystate.h: PyInterpreterState.next, .tstate_head; PyThreadState.next */
#define INTERP_NEXT        0
#define INTERP_TSTATE_HEAD 8
#define TSTATE_NEXT        0

/*
 * The newest state of the newest interpreter that was made on this thread: where a sub-interpreter
 * runs, it was entered last.
 */
static __always_inline __u64 states_find(const struct pv_proc *proc, const struct pv_layout *layout,
                                         __u64 ident, struct pv_fault *fault)
{
	__u64 interp = read_u64(fault, proc->interp_head), tstate;

	if (!interp)
		return 0;
	tstate = read_u64(fault, interp + INTERP_TSTATE_HEAD);
	for (int i = 0; i < PV_STATES_MAX; i++) {
		if (!tstate) {
			interp = read_u64(fault, interp + INTERP_NEXT);
			if (!interp)
				return 0;
			tstate = read_u64(fault, interp + INTERP_TSTATE_HEAD);
			continue;
		}
		if (read_u64(fault, tstate + layout->tstate.thread_id) == ident)
			return tstate;
		tstate = read_u64(fault, tstate + TSTATE_NEXT);
	}
	return 0;
}

/* Whose is the state that holds the GIL? */
enum holder {
	HOLDER_OTHER,
	HOLDER_OURS,
	HOLDER_UNKNOWN,
};

/*
 * 3.10 and 3.11: PyThreadState.cframe is a local variable of the innermost eval loop, so it lies on
 * the stack of the thread that runs there, whoever made the state (Python/ceval.c,
 * _PyEval_EvalFrameDefault).
 */
static __always_inline enum holder holder_by_stack(const struct pv_layout *layout,
                                                   const struct pv_thread *thread, __u64 tstate,
                                                   struct pv_fault *fault)
{
	__u64 cframe;

	if (layout->tstate.cframe == PV_NO_FIELD || !thread->sp || thread->sp >= thread->stack_top)
		return HOLDER_UNKNOWN;
	cframe = read_u64(fault, tstate + layout->tstate.cframe);
	/* The root one is part of the state: no function runs, or none did just now. */
	if (cframe - tstate < TSTATE_SIZE_MAX)
		return HOLDER_UNKNOWN;
	return cframe >= thread->sp && cframe < thread->stack_top ? HOLDER_OURS : HOLDER_OTHER;
}

/*
 * Up to 3.9: whoever calls the eval loop has the frame object that runs in a register of the caller's,
 * which the loop saves on its stack. Needs sp to be known.
 */
static __always_inline bool frame_is_on_stack(const struct pv_layout *layout,
                                              const struct pv_thread *thread, __u64 tstate,
                                              struct pv_fault *fault)
{
	__u64 len = thread->stack_top - thread->sp, cnt, wanted, differs, hit = 0;

	if (!thread->scratch || layout->tstate.frame == PV_NO_FIELD || !thread->sp ||
	    thread->sp >= thread->stack_top)
		return false;
	wanted = read_u64(fault, tstate + layout->tstate.frame);
	if (len >= PV_STACK_SCAN)
		len = PV_STACK_SCAN - sizeof(__u64);
	if (!wanted)
		return false;
	/* Bounded where it is used: before 5.12 the verifier forgets a bound that goes by the stack. */
	asm volatile("" : "+r"(len));
	len &= PV_STACK_SCAN - 1;
	if (user_read(thread->scratch, len, (void *)thread->sp))
		return false;
	/* Without branches, which would be as many paths for the verifier to follow. */
	cnt = len / sizeof(__u64);
	for (__u64 i = 0; i < PV_STACK_SCAN / sizeof(__u64); i++) {
		differs = thread->scratch[i] ^ wanted;
		/* The top bit: is it no different, and not beyond the end? */
		hit |= ~(differs | -differs) & (i - cnt);
	}
	return hit >> 63;
}

/*
 * Where no C frame tells: the maker of a state is most often who uses it, and has it as its first one.
 * Otherwise one thread may have made it for another, or keep one for each of several interpreters: then
 * the frame on the stack decides. @first: the state in the thread's key.
 */
static __always_inline bool holder_is_ours(const struct pv_layout *layout,
                                           const struct pv_thread *thread, __u64 ident,
                                           __u64 tstate, __u64 first, struct pv_fault *fault)
{
	if (read_u64(fault, tstate + layout->tstate.thread_id) == ident) {
		if (!first || first == tstate || !thread->scratch)
			return true;
	} else if (first) {
		return false;
	}
	return frame_is_on_stack(layout, thread, tstate, fault);
}

/* Up to 3.11 one word names the holder of the GIL. 0: that is another thread, or nobody. */
static __always_inline __u64 holder_find(const struct pv_proc *proc, const struct pv_layout *layout,
                                         const struct pv_thread *thread, __u64 first,
                                         struct pv_fault *fault)
{
	__u64 tstate = proc->tstate_current ? read_u64(fault, proc->tstate_current) : 0;

	if (!tstate)
		return 0;
	switch (holder_by_stack(layout, thread, tstate, fault)) {
	case HOLDER_OURS:
		return tstate;
	case HOLDER_OTHER:
		return 0;
	case HOLDER_UNKNOWN:
		break;
	}
	return holder_is_ours(layout, thread, thread->tp - proc->tsd.self, tstate, first, fault)
	               ? tstate
	               : 0;
}

__hidden __u64 pystate_find(const struct pv_proc *proc, const struct pv_layout *layout,
                            const struct pv_thread *thread, struct pv_fault *fault)
{
	__u64 tstate, first, tp = thread->tp;

	fault->addr = 0;
	fault->len = 0;
	fault->pad = 0;

	/* 3.12 on: _Py_tss_tstate is what is really attached; NULL while the GIL is released. */
	if (proc->tls_tstate.kind != PV_TLS_NONE) {
		tstate = tls_read(&proc->tls_tstate, tp, fault);
		if (tstate)
			return tstate;
		if (proc->tls_gilstate.kind != PV_TLS_NONE)
			return tls_read(&proc->tls_gilstate, tp, fault);
		return gilstate_key_read(proc, tp, fault);
	}
	/* 2.7: no key leads there, and all states are looked through. */
	if (proc->interp_head) {
		tstate = holder_find(proc, layout, thread, 0, fault);
		return tstate ? tstate : states_find(proc, layout, tp - proc->tsd.self, fault);
	}
	/* Without the GIL the key says which state is its own. */
	first = gilstate_key_read(proc, tp, fault);
	tstate = holder_find(proc, layout, thread, first, fault);
	return tstate ? tstate : first;
}

/* Is any Python function on the stack of @tstate? */
static __always_inline bool has_frames(const struct pv_layout *layout, __u64 tstate)
{
	struct pv_fault fault;
	__u64 frame;

	if (layout->chain == PV_CHAIN_CFRAME) {
		frame = read_u64(&fault, tstate + layout->tstate.cframe);
		return frame && read_u64(&fault, frame + layout->cframe.current_frame);
	}
	frame = read_u64(&fault, tstate + layout->tstate.frame);
	if (layout->tstate.base_frame != PV_NO_FIELD &&
	    frame == read_u64(&fault, tstate + layout->tstate.base_frame))
		return false;
	return frame;
}

static __always_inline bool is_attached(const struct pv_proc *proc, __u64 tp, __u64 tstate)
{
	struct pv_fault fault;

	if (proc->tls_tstate.kind != PV_TLS_NONE)
		return tls_read(&proc->tls_tstate, tp, &fault) == tstate;
	return proc->tstate_current && read_u64(&fault, proc->tstate_current) == tstate;
}

__hidden __u32 pystate_rank(const struct pv_proc *proc, const struct pv_layout *layout,
                            const struct pv_thread *thread, __u64 tstate)
{
	if (!tstate)
		return 0;
	if (!has_frames(layout, tstate))
		return 1;
	/* One that calls into the other most often gives its lock up before. */
	return is_attached(proc, thread->tp, tstate) ? 3 : 2;
}

__hidden __u64 pystate_thread_pointer(const struct pv_proc *proc, const struct pv_layout *layout)
{
	struct pv_fault fault;
	__u64 interp, tstate, ident;

	if (!proc->interpreters || layout->interp_threads_head == PV_NO_FIELD)
		return 0;
	interp = read_u64(&fault, proc->interpreters);
	if (!interp)
		return 0;
	tstate = read_u64(&fault, interp + layout->interp_threads_head);
	ident = tstate ? read_u64(&fault, tstate + layout->tstate.thread_id) : 0;
	return ident ? ident + proc->tsd.self : 0;
}
