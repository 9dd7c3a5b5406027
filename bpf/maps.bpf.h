/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * maps.bpf.h - the maps and load-time constants that programs share; maps.bpf.c defines them.
 *
 * User space writes `procs`, `layouts` and `exes`; the lifecycle programs copy, demote and delete entries
 * of `procs`; the tick only looks up.
 */
#ifndef PV_MAPS_BPF_H
#define PV_MAPS_BPF_H

#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi_proc.h"
#include "bpf/counters.h"

struct pv_counters {
	__u64 cnt[PV_COUNTER_CNT];
	__u64 spent_ns; /* by our programs on this CPU, if pv_timed */
};

/* tgid -> what we know of the process. Preallocated: lifecycle hooks must not allocate. */
struct procs_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PV_MAX_PROCS);
	__type(key, __u32);
	__type(value, struct pv_proc);
};

/* tgid -> the second runtime of those few processes that have two. */
struct seconds_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PV_MAX_SECONDS);
	__type(key, __u32);
	__type(value, struct pv_proc);
};

struct layouts_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PV_MAX_LAYOUTS);
	__type(key, __u32);
	__type(value, struct pv_layout);
};

/* Programs seen before. Written by user space. */
struct exes_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PV_MAX_EXES);
	__type(key, struct pv_exe_id);
	__type(value, struct pv_exe);
};

struct counters_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pv_counters);
};

/* Size set by user space before load: it follows the rate. */
struct events_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
};

extern struct procs_map procs SEC(".maps");
extern struct seconds_map seconds SEC(".maps");
extern struct layouts_map layouts SEC(".maps");
extern struct exes_map exes SEC(".maps");
extern struct counters_map counters SEC(".maps");
extern struct events_map events SEC(".maps");

/* Sample every Python process, not only those marked PV_PROC_WANTED. */
extern const volatile bool pv_all;
/* Take the time that the programs need. */
extern const volatile bool pv_timed;
/* What the kernel has: bpf_get_current_task_btf() (5.11), bpf_task_pt_regs() (5.15). */
extern const volatile bool pv_task_type;
extern const volatile bool pv_task_regs;
/* Bytes of unread records in the ring at which the reader is woken early. */
extern const volatile __u32 pv_wake_bytes;

/*
 * The pid namespace of user space, which names processes by its numbers: a struct pid_namespace *, and
 * how deep it lies. Level 0 is the first one, whose numbers are the kernel's own. Set when user space
 * lists the processes.
 */
extern __u64 pv_reader_ns;
extern __u32 pv_reader_level;

static __always_inline void count(enum pv_counter counter)
{
	__u32 zero = 0;
	struct pv_counters *mine = bpf_map_lookup_elem(&counters, &zero);

	if (mine && counter < PV_COUNTER_CNT)
		mine->cnt[counter]++;
}

/* The same from where a tick can come in between. */
static __always_inline void count_atomic(enum pv_counter counter, __s64 by)
{
	__u32 zero = 0;
	struct pv_counters *mine = bpf_map_lookup_elem(&counters, &zero);

	if (mine && counter < PV_COUNTER_CNT)
		__sync_fetch_and_add(&mine->cnt[counter], by);
}

/* Around all that a program does: what it took is added up. */
static __always_inline __u64 spend_begin(void)
{
	return pv_timed ? bpf_ktime_get_ns() : 0;
}

static __always_inline void spend_end(__u64 begin_ns)
{
	__u32 zero = 0;
	struct pv_counters *mine;

	if (!pv_timed)
		return;
	mine = bpf_map_lookup_elem(&counters, &zero);
	/* A tick may come in between: what is lost by that is next to nothing. */
	if (mine)
		mine->spent_ns += bpf_ktime_get_ns() - begin_ns;
}

#endif
