// SPDX-License-Identifier: Apache-2.0
#include "py/runtime.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proc/maps.h"
#include "proc/mem.h"
#include "py/cache.h"
#include "py/discover.h"

#define RUNTIME_LINK_MAP_MAX 4096 /* loaded objects that are looked at */

/* A file in a process: what it is and where it was loaded. */
struct runtime_mapped {
	const struct py_file *file;
	const struct maps_entry *entry;
	uint64_t bias;
};

/* What a walk over the mappings has found. */
struct runtime_scan {
	pid_t pid;
	struct runtime_mapped python;
	struct runtime_mapped libc;
	struct runtime_mapped loader; /* the dynamic linker */
	struct runtime_mapped program;
	uint64_t PyCode_Type_copy; /* 0: none */
	bool needs_python;
	bool refused; /* a file could not be opened for want of rights */
};

/* The load bias: where the executable segment is, against where the file says. */
static bool runtime_bias(const struct py_file *file, const struct maps_entry *entry, uint64_t *bias)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = file->code.offset & ~(page - 1);

	if (!(file->code.flags & PF_X) || entry->offset < start ||
	    entry->offset >= file->code.offset + file->code.filesz)
		return false;
	*bias = entry->start - entry->offset + file->code.offset - file->code.vaddr;
	return true;
}

static void runtime_take(struct runtime_scan *scan, const struct py_file *file,
                         const struct maps_entry *entry)
{
	struct runtime_mapped mapped = { .file = file, .entry = entry };
	const struct runtime_mapped *old = &scan->python;

	scan->needs_python |= file->needs_python;
	if (!runtime_bias(file, entry, &mapped.bias))
		return;
	if (file->PyCode_Type_copy && !scan->PyCode_Type_copy)
		scan->PyCode_Type_copy = mapped.bias + file->PyCode_Type_copy;
	/* Two runtimes in one process: the first that is supported. */
	if (file->python &&
	    (!old->file || (old->file->python->reason[0] && !file->python->reason[0])))
		scan->python = mapped;
	if (file->libc.tsd.kind &&
	    (!scan->libc.file || (file->libc.l_tls_offset && !scan->libc.file->libc.l_tls_offset)))
		scan->libc = mapped;
	if (file->_r_debug && !scan->loader.file)
		scan->loader = mapped;
	if (file->debug_slot && !scan->program.file)
		scan->program = mapped;
}

static int runtime_scan(struct py_cache *cache, const struct maps *maps, struct runtime_scan *scan)
{
	const struct maps_entry *last = NULL;

	for (size_t i = 0; i < maps->cnt; i++) {
		const struct maps_entry *entry = &maps->entries[i];
		const struct py_file *file;
		int fd, err;

		if (entry->perms[2] != 'x' || !entry->inode)
			continue;
		if (last && last->inode == entry->inode && last->dev_major == entry->dev_major &&
		    last->dev_minor == entry->dev_minor)
			continue;
		last = entry;
		fd = maps_open(scan->pid, entry);
		if (fd < 0) {
			scan->refused |= fd == -EACCES || fd == -EPERM;
			continue;
		}
		err = py_cache__file(cache, fd, &file);
		close(fd);
		if (err)
			return err;
		runtime_take(scan, file, entry);
	}
	return 0;
}

#define undecided(runtime, ...)                                                      \
	do {                                                                         \
		(runtime)->proc.state = PV_PROC_UNDECIDED;                           \
		snprintf((runtime)->reason, sizeof((runtime)->reason), __VA_ARGS__); \
	} while (0)

#define unsupported(runtime, ...)                                                    \
	do {                                                                         \
		(runtime)->proc.state = PV_PROC_UNSUPPORTED;                         \
		snprintf((runtime)->reason, sizeof((runtime)->reason), __VA_ARGS__); \
	} while (0)

/* The parts of glibc's link_map that are ABI (link.h), read in one go. */
struct runtime_link_map {
	uint64_t l_addr, l_name, l_ld, l_next, l_prev;
};

/*
 * A library that was there when the program started has its block at the same distance from the
 * thread pointer in every thread: link_map.l_tls_offset below it (glibc, x86-64: elf/dl-tls.c,
 * TLS_TCB_AT_TP). 0 means dynamic, -1 that it must stay so. False: not known, use the dtv.
 */
static bool runtime_static_block(const struct runtime_scan *scan, uint32_t module, int64_t *block)
{
	const struct py_libc *libc = &scan->libc.file->libc;
	struct runtime_link_map map;
	uint64_t at, modid, offset;

	if (!scan->loader.file || !libc->l_tls_offset || !libc->l_tls_modid)
		return false;
	/* struct r_debug { int r_version; struct link_map *r_map; … } */
	if (mem_read(scan->pid, scan->loader.bias + scan->loader.file->_r_debug + 8, &at, 8))
		return false;
	for (int i = 0; at && i < RUNTIME_LINK_MAP_MAX; i++, at = map.l_next) {
		if (mem_read(scan->pid, at, &map, sizeof(map)))
			return false;
		if (map.l_addr != scan->python.bias)
			continue;
		if (mem_read(scan->pid, at + libc->l_tls_modid, &modid, 8) || modid != module ||
		    mem_read(scan->pid, at + libc->l_tls_offset, &offset, 8))
			return false;
		*block = -(int64_t)offset;
		return offset && offset < 1u << 30;
	}
	return false;
}

/* Turn a recipe into what holds for this process. 0 or negative errno; may decide the state. */
static int runtime_tls(const struct runtime_scan *scan, const struct py_tls_recipe *recipe,
                       struct pv_tls *tls, struct py_runtime *runtime)
{
	uint64_t value = 0;
	int64_t block;
	int err;

	*tls = (struct pv_tls){ .kind = PV_TLS_NONE };
	if (recipe->form == PY_TLS_NONE)
		return 0;
	if (recipe->form == PY_TLS_STATIC) {
		*tls = (struct pv_tls){ .kind = PV_TLS_STATIC, .off = recipe->off };
		return 0;
	}
	err = mem_read(scan->pid, scan->python.bias + recipe->slot, &value, sizeof(value));
	if (err && err != -EFAULT)
		return err;
	if (!value) {
		undecided(runtime, "thread-local storage is not set up yet");
	} else if (recipe->form == PY_TLS_STATIC_SLOT) {
		*tls = (struct pv_tls){ .kind = PV_TLS_STATIC, .off = (int64_t)value };
	} else if (value > UINT32_MAX || value > 1u << 20) {
		unsupported(runtime, "thread-local storage module %llu cannot be",
		            (unsigned long long)value);
	} else if (!scan->libc.file) {
		unsupported(runtime, "the C library is neither glibc nor musl");
	} else if (runtime_static_block(scan, (uint32_t)value, &block)) {
		*tls = (struct pv_tls){ .kind = PV_TLS_STATIC, .off = block + recipe->off };
	} else {
		*tls = (struct pv_tls){ .kind = PV_TLS_DTV,
			                .dtv_stride = scan->libc.file->libc.dtv_stride,
			                .module = (uint32_t)value,
			                .off = recipe->off };
	}
	return 0;
}

/* The addresses of this process. */
static int runtime_fill(const struct runtime_scan *scan, struct py_runtime *runtime)
{
	const struct py_binary *python = scan->python.file->python;
	struct pv_proc *proc = &runtime->proc;
	uint64_t bias = scan->python.bias;
	int err;

	/* The libraries are mapped one by one: without the C library, its part would be missing. */
	if (!scan->libc.file && scan->python.file->needs_libc) {
		undecided(runtime, "the C library is not mapped yet");
		return 0;
	}
	proc->state = PV_PROC_PYTHON;
	runtime->layout = python->layout;
	runtime->runtime_addr = bias + python->_PyRuntime;
	if (python->offsets.tstate_current)
		proc->tstate_current = runtime->runtime_addr + python->offsets.tstate_current;
	if (python->offsets.autotsskey)
		proc->autotsskey = runtime->runtime_addr + python->offsets.autotsskey;
	if (scan->PyCode_Type_copy && !python->program)
		proc->PyCode_Type = scan->PyCode_Type_copy;
	else if (python->PyCode_Type)
		proc->PyCode_Type = bias + python->PyCode_Type;
	if (scan->libc.file)
		proc->tsd = scan->libc.file->libc.tsd;
	err = runtime_tls(scan, &python->tls_tstate, &proc->tls_tstate, runtime);
	if (!err && proc->state == PV_PROC_PYTHON)
		err = runtime_tls(scan, &python->tls_gilstate, &proc->tls_gilstate, runtime);
	return err;
}

static struct pv_tls_recipe runtime_recipe(const struct py_tls_recipe *from)
{
	static const uint32_t forms[] = {
		[PY_TLS_NONE] = PV_TLS_FORM_NONE,
		[PY_TLS_STATIC] = PV_TLS_FORM_OFFSET,
		[PY_TLS_STATIC_SLOT] = PV_TLS_FORM_OFFSET_SLOT,
		[PY_TLS_MODULE] = PV_TLS_FORM_MODULE_SLOT,
	};

	return (struct pv_tls_recipe){ .form = forms[from->form],
		                       .slot = from->slot,
		                       .off = from->off };
}

/* What @runtime says, free of where things were loaded in this process. */
static void runtime_exe(const struct runtime_scan *scan, struct py_runtime *runtime)
{
	const struct py_file *file = scan->python.file, *program = file;
	struct pv_exe *exe = &runtime->exe;
	uint64_t bias = scan->python.bias;

	exe->proc = runtime->proc;
	runtime->exe_known = true;
	if (runtime->proc.state != PV_PROC_PYTHON)
		return;
	if (!file->python->program) {
		program = scan->program.file;
		runtime->exe_known = program && file->dynamic;
		if (!runtime->exe_known)
			return;
		exe->debug_slot = program->debug_slot;
		exe->dynamic = file->dynamic;
		memcpy(exe->dynamic_head, file->dynamic_head, sizeof(exe->dynamic_head));
	}
	exe->start_code = program->code.vaddr;
	exe->proc.tstate_current -= exe->proc.tstate_current ? bias : 0;
	exe->proc.autotsskey -= exe->proc.autotsskey ? bias : 0;
	exe->PyCode_Type_in_program = scan->PyCode_Type_copy && !file->python->program;
	if (exe->PyCode_Type_in_program)
		exe->proc.PyCode_Type = scan->PyCode_Type_copy - scan->program.bias;
	else if (exe->proc.PyCode_Type)
		exe->proc.PyCode_Type -= bias;
	exe->tls_tstate = runtime_recipe(&file->python->tls_tstate);
	exe->tls_gilstate = runtime_recipe(&file->python->tls_gilstate);
	if (!scan->libc.file)
		return;
	exe->l_tls_offset = scan->libc.file->libc.l_tls_offset;
	exe->l_tls_modid = scan->libc.file->libc.l_tls_modid;
	exe->dtv_stride = scan->libc.file->libc.dtv_stride;
}

static int runtime_conclude(const struct runtime_scan *scan, struct py_runtime *runtime)
{
	const struct py_binary *python;

	if (!scan->python.file) {
		if (scan->refused)
			return -EACCES;
		if (scan->needs_python)
			undecided(runtime, "libpython is not mapped yet");
		return 0;
	}
	python = scan->python.file->python;
	snprintf(runtime->version, sizeof(runtime->version), "%s", python->version);
	snprintf(runtime->file, sizeof(runtime->file), "%s", scan->python.entry->path);
	runtime->build = python->program ? "static" : "shared";
	if (python->reason[0]) {
		unsupported(runtime, "%s", python->reason);
		return 0;
	}
	runtime->source = python->source;
	return runtime_fill(scan, runtime);
}

int py_runtime__find(struct py_cache *cache, pid_t pid, struct py_runtime *runtime)
{
	struct runtime_scan scan = { .pid = pid };
	struct maps maps;
	int err;

	*runtime = (struct py_runtime){ .build = "", .source = "" };
	runtime->proc.state = PV_PROC_NOT_PYTHON;
	py_cache__trim(cache);
	err = maps_read(pid, &maps);
	if (err)
		return err;
	err = runtime_scan(cache, &maps, &scan);
	if (!err)
		err = runtime_conclude(&scan, runtime);
	if (!err && runtime->proc.state != PV_PROC_UNDECIDED && !scan.refused)
		runtime_exe(&scan, runtime);
	maps_free(&maps);
	return err;
}
