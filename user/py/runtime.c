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
	struct runtime_mapped pythons[PY_RUNTIMES_MAX];
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

/* Those that are supported come first, else in the order of their addresses. */
static void runtime_add(struct runtime_scan *scan, struct runtime_mapped added)
{
	for (size_t i = 0; i < PY_RUNTIMES_MAX; i++) {
		struct runtime_mapped old = scan->pythons[i];

		if (old.file && (!old.file->python->reason[0] || added.file->python->reason[0]))
			continue;
		scan->pythons[i] = added;
		if (!old.file)
			return;
		added = old;
	}
}

static void runtime_take(struct runtime_scan *scan, const struct py_file *file,
                         const struct maps_entry *entry)
{
	struct runtime_mapped mapped = { .file = file, .entry = entry };

	scan->needs_python |= file->needs_python;
	if (!runtime_bias(file, entry, &mapped.bias))
		return;
	if (file->PyCode_Type_copy && !scan->PyCode_Type_copy)
		scan->PyCode_Type_copy = mapped.bias + file->PyCode_Type_copy;
	if (file->python)
		runtime_add(scan, mapped);
	if (file->libc.tsd.kind &&
	    (!scan->libc.file || (file->libc.l_tls_offset && !scan->libc.file->libc.l_tls_offset)))
		scan->libc = mapped;
	if (file->_r_debug && !scan->loader.file)
		scan->loader = mapped;
	if (file->debug_slot && !scan->program.file)
		scan->program = mapped;
}

/* What is mapped there: NULL and 0 if it cannot be opened. */
static int runtime_file(struct py_cache *cache, struct runtime_scan *scan,
                        const struct maps_entry *entry, const struct py_file **file)
{
	struct stat st;
	int fd, err;

	/* Opening by way of /proc costs ten times as much, and most files were met before. */
	*file = maps_stat(scan->pid, entry, &st) ? NULL : py_cache__known(cache, &st);
	if (*file)
		return 0;
	fd = maps_open(scan->pid, entry);
	if (fd < 0) {
		scan->refused |= fd == -EACCES || fd == -EPERM;
		return 0;
	}
	err = py_cache__file(cache, fd, file);
	close(fd);
	return err;
}

static int runtime_scan(struct py_cache *cache, const struct maps *maps, struct runtime_scan *scan)
{
	const struct maps_entry *last = NULL;

	for (size_t i = 0; i < maps->cnt; i++) {
		const struct maps_entry *entry = &maps->entries[i];
		const struct py_file *file;
		int err;

		if (entry->perms[2] != 'x' || !entry->inode)
			continue;
		/* One with the same offset is another copy of it: dlmopen() loads it once more. */
		if (last && last->inode == entry->inode && last->dev_major == entry->dev_major &&
		    last->dev_minor == entry->dev_minor && last->offset != entry->offset)
			continue;
		last = entry;
		err = runtime_file(cache, scan, entry, &file);
		if (err)
			return err;
		if (file)
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
static bool runtime_static_block(const struct runtime_scan *scan,
                                 const struct runtime_mapped *python, uint32_t module,
                                 int64_t *block)
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
		if (map.l_addr != python->bias)
			continue;
		if (mem_read(scan->pid, at + libc->l_tls_modid, &modid, 8) || modid != module ||
		    mem_read(scan->pid, at + libc->l_tls_offset, &offset, 8))
			return false;
		*block = -(int64_t)offset;
		return offset && offset < 1u << 30;
	}
	return false;
}

/*
 * glibc sysdeps/aarch64/dl-tlsdesc.h (struct tlsdesc, struct tlsdesc_dynamic_arg), musl
 * ldso/dynlink.c (do_relocs, REL_TLSDESC). 0 or negative errno; may decide the state.
 */
static int runtime_descriptor(const struct runtime_scan *scan, uint64_t value, struct pv_tls *tls,
                              struct py_runtime *runtime)
{
	uint64_t index[2]; /* module, offset */
	int err;

	if (value < PV_TLS_OFFSET_MAX) {
		*tls = (struct pv_tls){ .kind = PV_TLS_STATIC, .off = (int64_t)value };
		return 0;
	}
	err = mem_read(scan->pid, value, index, sizeof(index));
	if (err && err != -EFAULT)
		return err;
	/* Up to glibc 2.33 it may be set up when it is first used, and is something else before. */
	if (err || !index[0] || index[0] > PV_TLS_MODULE_MAX || index[1] > PV_TLS_OFFSET_MAX)
		undecided(runtime, "the descriptor of thread-local storage is not set up yet");
	else if (!scan->libc.file)
		unsupported(runtime, "the C library is neither glibc nor musl");
	else
		*tls = (struct pv_tls){ .kind = PV_TLS_DTV,
			                .dtv_stride = scan->libc.file->libc.dtv_stride,
			                .module = (uint32_t)index[0],
			                .off = (int64_t)index[1] };
	return 0;
}

/* Turn a recipe into what holds for this process. 0 or negative errno; may decide the state. */
static int runtime_tls(const struct runtime_scan *scan, const struct runtime_mapped *python,
                       const struct py_tls_recipe *recipe, struct pv_tls *tls,
                       struct py_runtime *runtime)
{
	uint64_t value = 0, slot = python->bias + recipe->slot;
	int64_t block;
	int err;

	*tls = (struct pv_tls){ .kind = PV_TLS_NONE };
	if (recipe->form == PY_TLS_NONE)
		return 0;
	if (recipe->form == PY_TLS_STATIC) {
		*tls = (struct pv_tls){ .kind = PV_TLS_STATIC, .off = recipe->off };
		return 0;
	}
	if (recipe->form == PY_TLS_DESCRIPTOR)
		slot += sizeof(value); /* the first word is a function */
	err = mem_read(scan->pid, slot, &value, sizeof(value));
	if (err && err != -EFAULT)
		return err;
	if (!value) {
		undecided(runtime, "thread-local storage is not set up yet");
	} else if (recipe->form == PY_TLS_STATIC_SLOT) {
		*tls = (struct pv_tls){ .kind = PV_TLS_STATIC, .off = (int64_t)value };
	} else if (recipe->form == PY_TLS_DESCRIPTOR) {
		return runtime_descriptor(scan, value, tls, runtime);
	} else if (value > PV_TLS_MODULE_MAX) {
		unsupported(runtime, "thread-local storage module %llu cannot be",
		            (unsigned long long)value);
	} else if (!scan->libc.file) {
		unsupported(runtime, "the C library is neither glibc nor musl");
	} else if (runtime_static_block(scan, python, (uint32_t)value, &block)) {
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
static int runtime_fill(const struct runtime_scan *scan, const struct runtime_mapped *mapped,
                        struct py_runtime *runtime)
{
	const struct py_binary *python = mapped->file->python;
	struct pv_proc *proc = &runtime->proc;
	uint64_t bias = mapped->bias;
	int err;

	/* The libraries are mapped one by one: without the C library, its part would be missing. */
	if (!scan->libc.file && mapped->file->needs_libc) {
		undecided(runtime, "the C library is not mapped yet");
		return 0;
	}
	proc->state = PV_PROC_PYTHON;
	runtime->layout = python->layout;
	if (python->_PyRuntime)
		runtime->runtime_addr = bias + python->_PyRuntime;
	if (python->_PyRuntime && python->offsets.interpreters_head)
		proc->interpreters = runtime->runtime_addr + python->offsets.interpreters_head;
	if (python->offsets.tstate_current)
		proc->tstate_current = runtime->runtime_addr + python->offsets.tstate_current;
	else if (!python->_PyRuntime)
		proc->tstate_current = bias + python->_PyThreadState_Current;
	if (python->offsets.autotsskey)
		proc->autotsskey = runtime->runtime_addr + python->offsets.autotsskey;
	else if (python->autoTLSkey)
		proc->autotsskey = bias + python->autoTLSkey;
	if (python->interp_head)
		proc->interp_head = bias + python->interp_head;
	if (scan->PyCode_Type_copy && !python->program)
		proc->PyCode_Type = scan->PyCode_Type_copy;
	else if (python->PyCode_Type)
		proc->PyCode_Type = bias + python->PyCode_Type;
	if (scan->libc.file)
		proc->tsd = scan->libc.file->libc.tsd;
	proc->tsd.plain_key = !python->_PyRuntime;
	err = runtime_tls(scan, mapped, &python->tls_tstate, &proc->tls_tstate, runtime);
	if (!err && proc->state == PV_PROC_PYTHON)
		err = runtime_tls(scan, mapped, &python->tls_gilstate, &proc->tls_gilstate,
		                  runtime);
	return err;
}

static struct pv_tls_recipe runtime_recipe(const struct py_tls_recipe *from)
{
	static const uint32_t forms[] = {
		[PY_TLS_NONE] = PV_TLS_FORM_NONE,
		[PY_TLS_STATIC] = PV_TLS_FORM_OFFSET,
		[PY_TLS_STATIC_SLOT] = PV_TLS_FORM_OFFSET_SLOT,
		[PY_TLS_MODULE] = PV_TLS_FORM_MODULE_SLOT,
		[PY_TLS_DESCRIPTOR] = PV_TLS_FORM_DESCRIPTOR,
	};

	return (struct pv_tls_recipe){ .form = forms[from->form],
		                       .slot = from->slot,
		                       .off = from->off };
}

/* What @runtime says, free of where things were loaded in this process. */
static void runtime_exe(const struct runtime_scan *scan, struct py_runtime *runtime)
{
	const struct py_file *file = scan->pythons[0].file, *program = file;
	struct pv_exe *exe = &runtime->exe;
	uint64_t bias = scan->pythons[0].bias;

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
	exe->proc.interpreters -= exe->proc.interpreters ? bias : 0;
	exe->proc.interp_head -= exe->proc.interp_head ? bias : 0;
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

static const char *runtime_build(const struct py_binary *python)
{
	static const char *const names[2][2][2] = {
		{ { "shared", "shared debug" },
		  { "shared free-threaded", "shared free-threaded debug" } },
		{ { "static", "static debug" },
		  { "static free-threaded", "static free-threaded debug" } },
	};
	bool free_threaded = python->layout.flags & PV_LAYOUT_FREE_THREADED;

	return names[python->program][free_threaded][python->debug];
}

/* What is known of one runtime of the process. */
static int runtime_conclude(const struct runtime_scan *scan, const struct runtime_mapped *mapped,
                            struct py_runtime *runtime)
{
	const struct py_binary *python = mapped->file->python;

	snprintf(runtime->version, sizeof(runtime->version), "%s", python->version);
	snprintf(runtime->file, sizeof(runtime->file), "%s", mapped->entry->path);
	runtime->build = runtime_build(python);
	if (python->reason[0]) {
		unsupported(runtime, "%s", python->reason);
		return 0;
	}
	runtime->source = python->source;
	return runtime_fill(scan, mapped, runtime);
}

static int runtime_conclude_all(const struct runtime_scan *scan, struct py_runtime *runtimes,
                                size_t cnt)
{
	int err = 0;

	if (!scan->pythons[0].file) {
		if (scan->refused)
			return -EACCES;
		if (scan->needs_python)
			undecided(&runtimes[0], "libpython is not mapped yet");
		return 0;
	}
	for (size_t i = 0; !err && i < cnt && scan->pythons[i].file; i++)
		err = runtime_conclude(scan, &scan->pythons[i], &runtimes[i]);
	return err;
}

int py_runtime__find(struct py_cache *cache, pid_t pid, struct py_runtime *runtimes, size_t cnt)
{
	struct runtime_scan scan = { .pid = pid };
	struct maps maps;
	int err;

	for (size_t i = 0; i < cnt; i++) {
		runtimes[i] = (struct py_runtime){ .build = "", .source = "" };
		runtimes[i].proc.state = PV_PROC_NOT_PYTHON;
	}
	py_cache__trim(cache);
	err = maps_read(pid, &maps);
	if (err)
		return err;
	err = runtime_scan(cache, &maps, &scan);
	if (!err)
		err = runtime_conclude_all(&scan, runtimes, cnt);
	/* Where a second one is has to be found in each process. */
	if (!err && runtimes[0].proc.state != PV_PROC_UNDECIDED && !scan.refused &&
	    !scan.pythons[1].file)
		runtime_exe(&scan, &runtimes[0]);
	maps_free(&maps);
	return err;
}
