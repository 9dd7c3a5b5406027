/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * abi_event.h - the records that cross the ring buffer from the kernel to the collector.
 *
 * Included by both sides. Every record starts with struct pv_event_hdr, whose `type` says which
 * struct it is. A record's size is the ring's own; trailing arrays are as long as their counts
 * say and never longer than the bounds below. Times are CLOCK_MONOTONIC nanoseconds unless a
 * name says otherwise. pids are those of the initial pid namespace unless a name says otherwise.
 */
#ifndef PV_ABI_EVENT_H
#define PV_ABI_EVENT_H

#include <linux/types.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* Frames one sample carries. A deeper stack keeps PV_LEAF_FRAMES from the leaf and PV_ROOT_FRAMES
 * from the root and is marked truncated.
 */
#define PV_MAX_FRAMES  1024
#define PV_ROOT_FRAMES 128
#define PV_LEAF_FRAMES (PV_MAX_FRAMES - PV_ROOT_FRAMES)

#define PV_COMM_LEN 16

/* Bytes of a code object's strings and line table that travel in one pv_symbol. What is longer is
 * cut, flagged PV_SYMBOL_*_CUT, and completed from the living process.
 */
#define PV_SYMBOL_STR_MAX   1023
#define PV_SYMBOL_TABLE_MAX 4095

enum pv_event_type {
	PV_EVENT_SAMPLE = 1, /* struct pv_sample */
	PV_EVENT_SYMBOL = 2, /* struct pv_symbol */
	PV_EVENT_EXEC = 3,   /* struct pv_exec: a process has a new image */
	PV_EVENT_FORK = 4,   /* struct pv_lifecycle: a new process; parent_* say whose copy it is */
	PV_EVENT_EXIT = 5,   /* struct pv_lifecycle: the last thread of a process is gone */
	PV_EVENT_UNKNOWN = 6, /* struct pv_exec: a tick met a process that nobody configured */
};

/*
 * Which process image this is about. start_ns and exec_id come from the kernel's own task
 * (start_boottime of the group leader, self_exec_id), so a reused pid or an exec never matches.
 */
struct pv_proc_id {
	__u32 tgid;
	__u32 exec_id;
	__u64 start_ns; /* CLOCK_BOOTTIME */
};

/*
 * The file that a process was made of by exec, as the kernel itself tells files apart: the same from
 * every mount namespace, and no path. All zeros: not known.
 */
struct pv_exe_id {
	__u64 ino;
	__u64 size; /* bytes */
	__u64 ctime_ns;
	__u32 dev; /* s_dev, in the kernel's own encoding */
	__u32 generation;
};

struct pv_event_hdr {
	__u32 type; /* enum pv_event_type */
	__u32 cpu;
	__u64 time_ns;
	struct pv_proc_id proc;
	__u32 pid; /* proc.tgid as the reader's pid namespace has it; 0: it has not */
	__u32 pad;
};

enum pv_frame_kind {
	PV_FRAME_PYTHON = 0,     /* addr: PyCodeObject * */
	PV_FRAME_GENERATOR = 1,  /* the same, the frame is owned by a generator or coroutine */
	PV_FRAME_UNREADABLE = 2, /* addr: the frame or code object that was not in memory */
};

struct pv_frame {
	__u64 addr;
	__u32 kind_fp; /* pv_frame_kind in the low 8 bits, code fingerprint in the high 24 */
	/*
	 * The executing instruction as CPython stores it: f_lasti up to 3.10 (bytes; 3.10: code
	 * units), from 3.11 on bytes from the start of the bytecode. May be negative: not started.
	 */
	__s32 lasti;
};

#define PV_FRAME_KIND(f) ((f)->kind_fp & 0xff)
#define PV_FRAME_FP(f)   ((f)->kind_fp >> 8)

/* One tick that found Python frames; frame_cnt of struct pv_frame follow it, leaf first. */
struct pv_sample {
	struct pv_event_hdr hdr;
	__u32 tid;       /* as the reader's pid namespace has it */
	__u16 outcome;   /* enum pv_counter: COMPLETE, TRUNCATED or UNREADABLE */
	__u16 frame_cnt; /* at most PV_MAX_FRAMES */
	/*
	 * Deeper stacks: skipped_cnt frames that were walked but not kept lie between the leaf part,
	 * the first PV_LEAF_FRAMES, and the root part. The root part is a circular buffer of
	 * PV_ROOT_FRAMES entries whose leafmost one is entry PV_LEAF_FRAMES + root_first.
	 */
	__u32 skipped_cnt;
	__u16 root_first;
	__u16 layout;          /* index into `layouts`: which CPython's rules apply */
	__u64 thread_start_ns; /* CLOCK_BOOTTIME: with tid the identity of the thread */
	__u64 thread_ident;    /* the thread pointer, which is threading.get_ident() */
	__u64 tstate;          /* PyThreadState * */
	__u64 interp;          /* PyInterpreterState * */
	__s64 interp_id;       /* its id: 0 is the main interpreter */
	char comm[PV_COMM_LEN];
};

#define PV_SAMPLE_FRAMES(sample) ((const struct pv_frame *)((sample) + 1))

#define PV_SYMBOL_NAME_CUT   0x1
#define PV_SYMBOL_FILE_CUT   0x2
#define PV_SYMBOL_TABLE_CUT  0x4
#define PV_SYMBOL_UNREADABLE 0x8 /* some part was not in memory; its length is 0 */

/*
 * Names and line table of one code object, copied the first time a tick on this CPU met it. The
 * payload is name, file and table back to back: {name,file,table}_len bytes each. Strings are
 * raw: Latin-1, UCS-2 or UCS-4 code points in host order as *_kind (1, 2, 4) says; 2.7: bytes,
 * kind 0.
 */
struct pv_symbol {
	struct pv_event_hdr hdr;
	__u64 code;  /* PyCodeObject * */
	__u32 fp;    /* 24 bits, as in pv_frame */
	__u32 flags; /* PV_SYMBOL_* */
	__s32 firstlineno;
	__s32 firsttraceable; /* _co_firsttraceable in code units; 0 before 3.11 */
	__u16 name_len;
	__u16 file_len;
	__u16 table_len;
	__u8 name_kind;
	__u8 file_kind;
	__u16 layout; /* as in pv_sample */
	__u8 pad[6];
	__u8 payload[];
};

struct pv_lifecycle {
	struct pv_event_hdr hdr;
	struct pv_proc_id parent; /* FORK only, else zero */
	char comm[PV_COMM_LEN];
	__u32 lost_cnt; /* EXIT only: samples of the process that found the ring full */
	__u32 pad;
};

/* A process that runs now, as the iterator lists it. */
struct pv_listed {
	struct pv_proc_id id;
	__u32 pid; /* as in pv_event_hdr */
	__u32 pad;
	struct pv_exe_id exe;
};

/*
 * The same as looked up by its pid; a pid of 0: there is none. What follows /proc/PID/stat and the
 * process itself know, too: it tells whether the kernel's types are those of the kernel that runs.
 */
struct pv_looked_up {
	struct pv_listed listed;
	__u64 arg_start;
	__u64 start_stack;
	__u64 thread_pointer; /* of its first thread */
};

#define PV_CMDLINE_MAX 1023

/* EXEC, and UNKNOWN, which has no command line. */
struct pv_exec {
	struct pv_event_hdr hdr;
	struct pv_exe_id exe;
	__u8 state;        /* enum pv_proc_state: what the kernel side knew of it */
	__u8 cmdline_cut;  /* there is more of it */
	__u16 cmdline_len; /* at most PV_CMDLINE_MAX */
	__u32 lost_cnt;    /* samples of the image before this one that found the ring full */
	char cmdline[];    /* the arguments, a zero byte after each */
};

#pragma GCC diagnostic pop
#endif
