/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * exe.bpf.h - configure a process at its exec, from a program that was seen before.
 *
 * A program with the runtime in itself is complete at once. One that is linked against libpython is
 * STARTING until the dynamic linker has loaded that: each tick looks for itself, until user space has
 * looked once and for all.
 */
#ifndef PV_EXE_BPF_H
#define PV_EXE_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/usermem.bpf.h"

/* Loaded objects that are looked at for libpython: it is one of the first. */
#define EXE_LINK_MAP_MAX 16
/* A block of thread-local storage farther from the thread pointer is no static one. */
#define EXE_TLS_OFFSET_MAX (1u << 30)

/* Add the load bias to what is an address. */
static __always_inline void exe_relocate(struct pv_proc *proc, __u64 bias)
{
	if (proc->tstate_current)
		proc->tstate_current += bias;
	if (proc->autotsskey)
		proc->autotsskey += bias;
	if (proc->interpreters)
		proc->interpreters += bias;
	if (proc->interp_head)
		proc->interp_head += bias;
	if (proc->PyCode_Type)
		proc->PyCode_Type += bias;
}

/*
 * Fill @proc for @task, which has just exec'd. Its id and flags are the caller's. False: the program
 * is not known, and @proc is UNDECIDED.
 */
static __always_inline bool exe_configure(struct task_struct *task, struct pv_proc *proc)
{
	const struct pv_exe *known;
	struct pv_exe_id exe;

	task_exe(task, &exe);
	known = bpf_map_lookup_elem(&exes, &exe);
	proc->state = PV_PROC_UNDECIDED;
	if (!known)
		return false;
	*proc = (struct pv_proc){
		.id = proc->id,
		.state = known->proc.state,
		.flags = proc->flags,
		.layout = known->proc.layout,
		.tstate_current = known->proc.tstate_current,
		.tls_tstate = known->proc.tls_tstate,
		.tls_gilstate = known->proc.tls_gilstate,
		.autotsskey = known->proc.autotsskey,
		.interpreters = known->proc.interpreters,
		.interp_head = known->proc.interp_head,
		.tsd = known->proc.tsd,
		.PyCode_Type = known->proc.PyCode_Type,
		.exe = exe,
		.exe_bias = BPF_CORE_READ(task, mm, start_code) - known->start_code,
	};
	if (proc->state != PV_PROC_PYTHON)
		return true;
	if (known->debug_slot)
		proc->state = PV_PROC_STARTING;
	else
		exe_relocate(proc, proc->exe_bias);
	return true;
}

/* The parts of struct link_map that are ABI (link.h). */
struct exe_link_map {
	__u64 l_addr, l_name, l_ld, l_next, l_prev;
};

/* Where the dynamic linker of @proc has loaded the library of @known; 0: it has not. */
static __always_inline __u64 exe_find_library(const struct pv_proc *proc,
                                              const struct pv_exe *known, struct exe_link_map *map)
{
	__u64 debug = 0, at = 0, head[2];

	/* struct r_debug { int r_version; struct link_map *r_map; ... } */
	if (user_read(&debug, 8, (void *)(proc->exe_bias + known->debug_slot)) || !debug ||
	    user_read(&at, 8, (void *)(debug + 8)))
		return 0;
	for (int i = 0; i < EXE_LINK_MAP_MAX && at; i++, at = map->l_next) {
		if (user_read(map, sizeof(*map), (void *)at))
			return 0;
		if (map->l_ld - map->l_addr == known->dynamic &&
		    !user_read(head, sizeof(head), (void *)map->l_ld) &&
		    head[0] == known->dynamic_head[0] && head[1] == known->dynamic_head[1])
			return at;
	}
	return 0;
}

/* As in user/py/runtime.c, runtime_descriptor(). */
static __always_inline bool exe_descriptor(__u64 value, struct pv_tls *tls)
{
	__u64 index[2] = {};

	if (value < PV_TLS_OFFSET_MAX) {
		tls->off = value;
		return true;
	}
	if (user_read(index, sizeof(index), (void *)value) || !index[0] ||
	    index[0] > PV_TLS_MODULE_MAX || index[1] > PV_TLS_OFFSET_MAX)
		return false;
	tls->kind = PV_TLS_DTV;
	tls->module = index[0];
	tls->off = index[1];
	return true;
}

/* False: the dynamic linker has not got as far as that. @at: the library's struct link_map. */
static __always_inline bool exe_tls(const struct pv_exe *known, const struct pv_tls_recipe *recipe,
                                    __u64 bias, __u64 at, struct pv_tls *tls)
{
	__u64 value = 0, module = 0, offset = 0, slot = bias + recipe->slot;

	*tls = (struct pv_tls){ .kind = PV_TLS_NONE };
	if (recipe->form == PV_TLS_FORM_NONE)
		return true;
	tls->kind = PV_TLS_STATIC;
	tls->off = recipe->off;
	if (recipe->form == PV_TLS_FORM_OFFSET)
		return true;
	if (recipe->form == PV_TLS_FORM_DESCRIPTOR)
		slot += sizeof(value);
	if (user_read(&value, 8, (void *)slot) || !value)
		return false;
	if (recipe->form == PV_TLS_FORM_OFFSET_SLOT) {
		tls->off = value;
		return true;
	}
	tls->dtv_stride = known->dtv_stride;
	if (recipe->form == PV_TLS_FORM_DESCRIPTOR)
		return exe_descriptor(value, tls);
	/* As in user/py/runtime.c, runtime_static_block(). */
	if (known->l_tls_offset && known->l_tls_modid &&
	    !user_read(&module, 8, (void *)(at + known->l_tls_modid)) &&
	    !user_read(&offset, 8, (void *)(at + known->l_tls_offset)) && module == value &&
	    offset && offset < EXE_TLS_OFFSET_MAX) {
		tls->off -= offset;
		return true;
	}
	tls->kind = PV_TLS_DTV;
	tls->module = value;
	return true;
}

/* Turn @proc, a copy of the tick's own, from STARTING to PYTHON if that can be done by now. */
static __always_inline bool exe_finish(struct pv_proc *proc)
{
	struct exe_link_map map = {};
	const struct pv_exe *known = bpf_map_lookup_elem(&exes, &proc->exe);
	__u64 at, type;

	if (!known)
		return false;
	at = exe_find_library(proc, known, &map);
	if (!at || !exe_tls(known, &known->tls_tstate, map.l_addr, at, &proc->tls_tstate) ||
	    !exe_tls(known, &known->tls_gilstate, map.l_addr, at, &proc->tls_gilstate))
		return false;
	type = proc->PyCode_Type;
	exe_relocate(proc, map.l_addr);
	if (known->PyCode_Type_in_program)
		proc->PyCode_Type = type + proc->exe_bias;
	proc->state = PV_PROC_PYTHON;
	return true;
}

#endif
