// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "bpf/pystate.bpf.h"

/* No thread has this many thread-specific keys or modules; beyond it the recipe is wrong. */
#define TSD_KEY_MAX 1024 /* PTHREAD_KEYS_MAX */
#define TSD_BLOCK   32   /* glibc: PTHREAD_KEY_2NDLEVEL_SIZE */

/* 0 if it is not in memory, which @fault tells. */
static __always_inline __u64 read_u64(struct pv_fault *fault, __u64 addr)
{
	__u64 value = 0;

	if (!bpf_probe_read_user(&value, sizeof(value), (void *)addr))
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
	dtv = read_u64(fault, tp + 8);
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
	__u64 block;

	if (key >= TSD_KEY_MAX)
		return 0;
	switch (tsd->kind) {
	case PV_TSD_GLIBC:
		/* struct pthread_key_data { uintptr_t seq; void *data; } */
		if (key < TSD_BLOCK)
			return read_u64(fault, tp + tsd->first + 16 * key + 8);
		block = read_u64(fault, tp + tsd->second + 8 * (key / TSD_BLOCK));
		return block ? read_u64(fault, block + 16 * (key % TSD_BLOCK) + 8) : 0;
	case PV_TSD_MUSL:
		block = read_u64(fault, tp + tsd->first);
		return block ? read_u64(fault, block + 8 * key) : 0;
	}
	return 0;
}

/* The thread state kept in the pthread key autoTSSkey (Python/pystate.c, PyGILState). */
static __always_inline __u64 gilstate_key_read(const struct pv_proc *proc, __u64 tp,
                                               struct pv_fault *fault)
{
	struct {
		__s32 is_initialized;
		__u32 key;
	} tss = {}; /* Py_tss_t, Include/pythread.h */

	if (!proc->autotsskey)
		return 0;
	if (bpf_probe_read_user(&tss, sizeof(tss), (void *)proc->autotsskey)) {
		fault->addr = proc->autotsskey;
		fault->len = sizeof(tss);
	}
	if (!tss.is_initialized)
		return 0;
	return tsd_read(&proc->tsd, tp, tss.key, fault);
}

__hidden __u64 pystate_find(const struct pv_proc *proc, const struct pv_layout *layout, __u64 tp,
                            struct pv_fault *fault)
{
	__u64 tstate;

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
	/*
	 * Up to 3.11 one word names the holder of the GIL. It is this thread's if it was made on
	 * it. Otherwise this thread runs without the GIL and its key says which state is its own.
	 */
	if (proc->tstate_current) {
		tstate = read_u64(fault, proc->tstate_current);
		if (tstate && read_u64(fault, tstate + layout->tstate.thread_id) == tp)
			return tstate;
	}
	return gilstate_key_read(proc, tp, fault);
}
