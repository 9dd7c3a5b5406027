/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.h - is there a CPython in this process, which one, and how is its memory laid out?
 *
 * Everything comes from /proc/PID/{maps,exe,mem,root} and the ELF files behind them; nothing runs,
 * nothing is written. What depends on the binary alone is cached by (device, inode, size, mtime).
 * One thread at a time per cache.
 */
#ifndef PV_PY_RUNTIME_H
#define PV_PY_RUNTIME_H

#include <stdbool.h>
#include <sys/types.h>

#include "bpf/abi_proc.h"

struct py_runtime {
	/*
	 * state, tstate_current, tls_*, autotsskey, interp_head, tsd and PyCode_Type are filled in;
	 * id, flags, layout, tick_cnt, lost_cnt and has_second are the caller's.
	 */
	struct pv_proc proc;
	struct pv_layout layout; /* valid when proc.state is PV_PROC_PYTHON */
	char version[24];        /* "3.11.7", "3.15.0b4"; "3.11" if the binary does not tell; "" */
	const char *build;       /* "static", "shared", "shared free-threaded debug", "" */
	const char *source;      /* where the layout came from: "debug offsets", "table 3.11", "" */
	char file[256];     /* the ELF file that holds the runtime, as the process sees it (cut) */
	char reason[192];   /* why PV_PROC_UNSUPPORTED or PV_PROC_UNDECIDED; "" otherwise */
	__u64 runtime_addr; /* _PyRuntime in the process; 0 */
	/*
	 * What the program's next process can be configured from without a look at it; proc.layout is
	 * the caller's. Valid if exe_known: the state is decided, and where all is depends on nothing
	 * but the files.
	 */
	struct pv_exe exe;
	bool exe_known;
};

struct py_cache;

struct py_cache *py_cache__new(void); /* NULL and errno */
void py_cache__free(struct py_cache *cache);

/* Runtimes of one process that are looked for: an embedder may load two libpythons. */
#define PY_RUNTIMES_MAX 2

/*
 * Look at process @pid and fill @cnt of @runtimes, 1 or PY_RUNTIMES_MAX, those that are supported
 * first. One that is not there is NOT_PYTHON. proc.state becomes
 *   PV_PROC_PYTHON       all is known
 *   PV_PROC_UNSUPPORTED  a CPython, but `reason`
 *   PV_PROC_UNDECIDED    it looks like a Python that has not got far enough (libpython not mapped
 *                        yet, thread-local storage not set up): ask again; `reason` says what misses
 *   PV_PROC_NOT_PYTHON   no CPython mapped (it may load one later)
 * 0, -ESRCH (no such process, or gone meanwhile), -EACCES/-EPERM (may not look), or another
 * negative errno.
 */
int py_runtime__find(struct py_cache *cache, pid_t pid, struct py_runtime *runtimes, size_t cnt);

#endif
