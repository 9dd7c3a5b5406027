/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * abi_proc.h - what user space tells the kernel side about one process and one memory layout.
 *
 * struct pv_layout describes a CPython build family and is shared by all processes that run it;
 * struct pv_proc is one process image. Offsets are bytes and carry CPython's own spelling of the
 * field. An offset of a field that a version does not have is PV_NO_FIELD.
 */
#ifndef PV_ABI_PROC_H
#define PV_ABI_PROC_H

#include <linux/types.h>
#include "abi_event.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

#define PV_NO_FIELD 0xffff

#define PV_MAX_PROCS   32768 /* processes in the kernel's table, Python or not */
#define PV_MAX_LAYOUTS 256   /* distinct layouts in one session */
#define PV_MAX_SECONDS 1024  /* processes with two runtimes */
#define PV_MAX_EXES    1024 /* programs that an exec is recognised by; the longest unused goes first */

/* Upper bounds of what the walker reads of one object; user space refuses a layout beyond them. */
#define PV_FRAME_READ_MAX 128
#define PV_CODE_READ_MAX  256
/* The fingerprint covers this many bytes of the code object from pv_layout.code.fp_off on. */
#define PV_FP_BYTES 88

/* How a version links its frames. */
enum pv_chain {
	PV_CHAIN_FRAMEOBJECT = 1, /* up to 3.10: PyThreadState.frame, f_back */
	PV_CHAIN_CFRAME = 2,      /* 3.11, 3.12: PyThreadState.cframe -> current_frame, previous */
	PV_CHAIN_TSTATE = 3,      /* 3.13 on: PyThreadState.current_frame, previous */
};

struct pv_layout_tstate {
	__u16 interp;
	__u16 thread_id;
	__u16 frame;         /* up to 3.10: frame; 3.13 on: current_frame */
	__u16 cframe;        /* 3.11, 3.12 */
	__u16 root_cframe;   /* 3.11, 3.12: the struct itself, inside the thread state */
	__u16 base_frame;    /* 3.15 on: pointer to the outermost entry frame */
	__u16 datastack_top; /* 3.11, 3.12, where it is looked at; datastack_limit follows */
};

struct pv_layout_cframe {
	__u16 current_frame;
	__u16 previous;
};

/* PyFrameObject up to 3.10, _PyInterpreterFrame from 3.11 on. */
struct pv_layout_frame {
	__u16 read_len; /* bytes from the start that hold all fields below, <= PV_FRAME_READ_MAX */
	__u16 previous; /* f_back; previous */
	__u16 code;     /* f_code; f_executable (low 3 bits may be tags) */
	__u16 instr;    /* f_lasti (int); prev_instr, instr_ptr (pointer) */
	__u16 owner;    /* u8; 3.11 on */
	__u16 is_entry; /* u8; 3.11 only */
	__u16 tlbc_index;     /* i32; free-threaded 3.14 on */
	__u8 owner_generator; /* value of owner: FRAME_OWNED_BY_GENERATOR */
	__u8 owner_entry;     /* owner >= this: an entry frame without code; 0xff: there is none */
};

struct pv_layout_code {
	__u16 read_len; /* bytes from the start that hold all fields below, <= PV_CODE_READ_MAX */
	__u16 fp_off;   /* start of the PV_FP_BYTES that tell one code object from another */
	/* Up to 3.11 the object itself has no serial number: the str at this offset adds its hash. */
	__u16 fp_str; /* PV_NO_FIELD from 3.12 on (co_version lies inside the fp bytes) */
	__u16 ob_type;
	__u16 co_firstlineno;
	__u16 co_filename;
	__u16 co_name;           /* co_qualname where there is one */
	__u16 co_linetable;      /* co_lnotab up to 3.9 */
	__u16 co_code_adaptive;  /* start of the bytecode, inline; PV_NO_FIELD up to 3.10 */
	__u16 co_firsttraceable; /* i32; PV_NO_FIELD up to 3.10 */
	__u16 co_tlbc;           /* free-threaded 3.14 on */
	__u16 pad;
};

/* PyASCIIObject / PyCompactUnicodeObject, and bytes. 2.7: str is bytes, kind_shift PV_NO_SHIFT. */
#define PV_NO_SHIFT 0xff
struct pv_layout_str {
	__u16 length;       /* i64, code points */
	__u16 hash;         /* i64 */
	__u16 state;        /* u32 */
	__u16 ascii_data;   /* compact ASCII data starts here */
	__u16 compact_data; /* compact non-ASCII data starts here */
	__u16 bytes_size;   /* PyBytesObject.ob_size */
	__u16 bytes_data;   /* PyBytesObject.ob_sval */
	__u8 kind_shift;    /* 3 bits of state from here: 1, 2 or 4 bytes a code point */
	__u8 compact_bit;
	__u8 ascii_bit;
	__u8 pad[3];
};

#define PV_LAYOUT_FREE_THREADED 0x1

struct pv_layout {
	__u16 version; /* major << 8 | minor */
	__u8 chain;    /* enum pv_chain */
	__u8 flags;    /* PV_LAYOUT_* */
	struct pv_layout_tstate tstate;
	struct pv_layout_cframe cframe;
	struct pv_layout_frame frame;
	struct pv_layout_code code;
	struct pv_layout_str str;
	__u16 interp_id;           /* PyInterpreterState.id, i64 */
	__u16 interp_threads_head; /* the newest thread state; 3.13 on */
	__u16 pad;
	/*
	 * PyInterpreterState._code_object_generation (u64), which changes whenever a code object
	 * dies; 3.14 on. While it stands still no address can have changed its meaning.
	 */
	__u16 interp_code_generation;
};

/* How to read one thread-local pointer of the running thread. TP is the thread pointer (fs base). */
enum pv_tls_kind {
	PV_TLS_NONE = 0,
	PV_TLS_STATIC = 1, /* *(TP + off) */
	PV_TLS_DTV = 2,    /* module's block through the dtv, then + off */
};

struct pv_tls {
	__u8 kind;       /* enum pv_tls_kind */
	__u8 dtv_stride; /* bytes a dtv entry: 16 glibc, 8 musl */
	__u16 pad;
	__u32 module; /* DTV: module id */
	__s64 off;    /* STATIC: from TP; DTV: inside the module's block */
};

/* pthread_getspecific() of a key, by libc. */
enum pv_tsd_kind {
	PV_TSD_NONE = 0,
	PV_TSD_GLIBC = 1, /* first 32 keys at first, 16 bytes each, value at + 8; then 2 levels */
	PV_TSD_MUSL = 2,  /* *first is an array of values */
};

struct pv_tsd {
	__u8 kind;      /* enum pv_tsd_kind */
	__u8 plain_key; /* 3.6: autotsskey is that of an int, -1 while there is no key */
	/*
	 * Bytes from the thread's own structure, which pthread_self() names, to the thread pointer: 0
	 * on x86-64, its size on aarch64. The offsets here are from its start.
	 */
	__u16 self;
	__u16 first;  /* glibc x86-64 0x310, musl 0x80 */
	__u16 second; /* glibc x86-64 0x510: pointers to the further blocks of 32 keys */
};

enum pv_proc_state {
	PV_PROC_UNDECIDED = 0, /* exec'd just now, nobody looked yet */
	PV_PROC_NOT_PYTHON = 1,
	PV_PROC_UNSUPPORTED = 2, /* Python, but no layout */
	PV_PROC_PYTHON = 3,
	PV_PROC_STARTING =
		4, /* a program that is known; where its libpython was loaded is not yet */
};

#define PV_PROC_WANTED   0x1 /* selected by pid; the only ones sampled unless all are */
#define PV_PROC_CHILDREN 0x2 /* fork and exec hand WANTED on */

/*
 * One process image, keyed by tgid in the `procs` map. Valid only for the task whose identity
 * equals `id`; the sampler checks. All addresses are the process's own.
 */
struct pv_proc {
	struct pv_proc_id id;
	__u8 state;     /* enum pv_proc_state */
	__u8 flags;     /* PV_PROC_* */
	__u16 layout;   /* index into `layouts` */
	__u32 tick_cnt; /* written by the sampler, not exact: ticks met in states other than PYTHON */
	__u32 lost_cnt; /* written by the sampler: its samples that found the ring full */
	__u32 pad;
	/* 3.7 - 3.11: address of _PyRuntime.gilstate.tstate_current (2.7, 3.6: _PyThreadState_Current);
	 * else 0. */
	__u64 tstate_current;
	struct pv_tls tls_tstate;   /* 3.12 on: _Py_tss_tstate, the attached thread state */
	struct pv_tls tls_gilstate; /* 3.15 on: _Py_tss_gilstate */
	/*
	 * 3.7 - 3.14: address of autoTSSkey {int is_initialized; u32 key}, 3.6: of autoTLSkey, see
	 * pv_tsd.plain_key; else 0.
	 */
	__u64 autotsskey;
	__u64 interpreters; /* 3.7 on: address of the pointer to the newest interpreter */
	__u64 interp_head;  /* 2.7: address of interp_head, the first PyInterpreterState; else 0 */
	struct pv_tsd tsd;
	__u64 PyCode_Type; /* address of the type object; 0: not known, not checked */
	/*
	 * Not 0: an embedder with two runtimes. The other one is the entry of the same process in
	 * `seconds`, which says nothing but where that runtime is.
	 */
	__u32 has_second;
	__u32 second_pad;
	/* STARTING only. */
	struct pv_exe_id exe;
	__u64 exe_bias; /* of the program */
};

enum pv_tls_form {
	PV_TLS_FORM_NONE = 0,
	PV_TLS_FORM_OFFSET = 1,      /* off: from the thread pointer */
	PV_TLS_FORM_OFFSET_SLOT = 2, /* the i64 at slot: from the thread pointer (initial-exec) */
	PV_TLS_FORM_MODULE_SLOT =
		3, /* the u64 at slot: module id; off: inside the module's block */
	/*
	 * aarch64. slot: a TLS descriptor, whose second word is an offset from the thread pointer, or the
	 * address of {u64 module id, u64 offset inside its block}: for glibc and musl alike, and not for
	 * others. The dynamic linker prefers the first, as long as there is room.
	 */
	PV_TLS_FORM_DESCRIPTOR = 4,
};

/*
 * An offset from the thread pointer is less, an address is not: where the programs begin that can't be
 * moved. Nobody's static thread-local storage is as large.
 */
#define PV_TLS_OFFSET_MAX 0x400000
#define PV_TLS_MODULE_MAX (1 << 20) /* no process has more modules; the word is something else */

/* Where a binary keeps a thread-local pointer: becomes a struct pv_tls where it was loaded. */
struct pv_tls_recipe {
	__u32 form; /* enum pv_tls_form */
	__u32 pad;
	__u64 slot; /* address in the file */
	__s64 off;
};

/*
 * A program that was seen before, keyed by struct pv_exe_id: what makes a struct pv_proc of it at the
 * moment of its exec. Addresses are those of the files; the load bias is added.
 */
struct pv_exe {
	struct pv_proc proc; /* id, flags, exe, exe_bias and, of a library, tls_* are not used */
	__u64 start_code;    /* mm->start_code with a load bias of 0 */
	/*
	 * The value of the program's DT_DEBUG, which leads to the dynamic linker's list of what it has
	 * loaded (link.h: struct r_debug). 0: the runtime is in the program itself.
	 */
	__u64 debug_slot;
	/* The library that holds the runtime: its dynamic section, and how that begins. */
	__u64 dynamic;
	__u64 dynamic_head[2];
	struct pv_tls_recipe tls_tstate;
	struct pv_tls_recipe tls_gilstate;
	/* glibc's struct link_map; 0: not known, and thread-local blocks are found through the dtv. */
	__u16 l_tls_offset;
	__u16 l_tls_modid;
	__u8 dtv_stride;
	__u8 PyCode_Type_in_program; /* its address is the program's (a copy relocation) */
	__u16 pad;
};

#pragma GCC diagnostic pop
#endif
