/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * pystack.bpf.h - walk the Python frames of one thread state.
 *
 * The step reads one frame and decides what comes next; the driver repeats it. CPython changes its
 * chain in several stores, and a tick may fall between any two of them, so every version's walk
 * checks what it can of the chain's own invariants and ends as TORN rather than show a chain that
 * fails them:
 *
 *   up to 3.10  PyThreadState.frame -> f_back ... NULL. Linked by one store each way.
 *   3.11, 3.12  PyThreadState.cframe -> a run of frames -> the next cframe -> ... The run must end in
 *               an entry frame whose `previous` is what the next cframe holds as current_frame.
 *   3.13 on     PyThreadState.current_frame -> ... must end in an entry frame with previous NULL.
 */
#ifndef PV_PYSTACK_BPF_H
#define PV_PYSTACK_BPF_H

#include "bpf/abi_proc.h"
#include "bpf/counters.h"

/* Frames walked at most, kept or not: bounds the time of a tick on a runaway recursion. */
#define PV_WALK_MAX 32768

/* Code objects noted for symbols.bpf.c in one tick; more wait for a later tick. */
#define PV_NEW_CODE_MAX 128

struct pv_new_code {
	__u64 code;
	__u64 fp;
};

/* Bytes of the thread's data stack that are read at once: frames of one thread lie side by side. */
#define PV_WINDOW 2048

/* Code objects whose fingerprint this CPU took lately, by address; see struct pv_memo. */
#define PV_MEMO_CNT 128

struct pv_memo_entry {
	__u64 code;
	__u64 epoch;
	__u64 fp;
};

/*
 * Entries of another epoch are void. The epoch ends with every tick, except where the interpreter
 * says (interp_code_generation) that no code object died since: `key`.
 */
struct pv_memo {
	__u64 epoch;
	__u64 key;
	struct pv_memo_entry entries[PV_MEMO_CNT];
};

/* Memory of the target as it was read last; the frame that is looked at lies at bytes + at. */
struct pv_window {
	__u64 start; /* address of bytes[0] */
	__u32 len;
	__u32 at;
	__u8 bytes[PV_WINDOW + PV_FRAME_READ_MAX] __attribute__((aligned(8)));
};

/* Reads that found no memory, of one walk; more are met by the next one. */
#define PV_FAULT_MAX 16

struct pv_fault {
	__u64 addr;
	__u32 len;
	__u32 pad;
};

struct pv_faults {
	__u32 cnt;
	__u32 pad;
	struct pv_fault at[PV_FAULT_MAX];
};

/* What the next step looks for. */
enum pv_walk_mode {
	PV_WALK_FRAME = 0,       /* read walk->frame */
	PV_WALK_SEEK_CALLER = 1, /* which register holds the frame that called the leaf? */
	PV_WALK_SEEK_CFRAME = 2, /* which register holds the previous C frame? */
};

#if defined(__TARGET_ARCH_arm64)
#define PV_USER_REG_CNT 31
#else
#define PV_USER_REG_CNT 15
#endif

struct pv_seek {
	__u64 found;    /* so far */
	__u32 reg_next; /* register to be looked at next */
	__u32 mode;     /* enum pv_walk_mode */
};

struct pv_walk {
	/* Set by the caller. */
	__u64 tstate;
	__u64 PyCode_Type;
	__u64 proc_tag;              /* any hash of the process identity */
	__u64 regs[PV_USER_REG_CNT]; /* of the interrupted user code; zeros if they are not known */
	/* Position. */
	__u64 frame;       /* to be read next */
	__u64 cframe;      /* 3.11, 3.12: tstate->cframe */
	__u64 cframe_prev; /* the cframe below the run being walked */
	__u64 leaf;        /* the frame the walk began with */
	__u64 callee;      /* recorded last, if it lies on the data stack; else 0 */
	struct pv_seek seek;
	/* Findings. */
	__u32 walked_cnt;
	__u32 outcome; /* enum pv_counter when the walk is over */
	__u32 run_cnt; /* entry frames passed */
	__u32 new_cnt;
	__u8 unreadable;
	__u8 from_cframe;   /* the leaf run was taken from the previous cframe */
	__u8 from_register; /* a frame or cframe was taken from a register */
	__u8 symbols_lack;  /* user space has to fetch names: set by symbols_send() */
	struct pv_new_code new_codes[PV_NEW_CODE_MAX];
	struct pv_faults faults;
	struct pv_memo memo;
	struct pv_window window;
	__u8 code_head[PV_CODE_READ_MAX]; /* the code object that was read last */
	/* The record that goes out: the caller fills the header, the walk the frames behind it. */
	struct pv_sample sample;
	struct pv_frame frames[PV_MAX_FRAMES];
};

/* Does a stack with that outcome go out? */
static __always_inline bool outcome_is_shown(__u32 outcome)
{
	return outcome == PV_CNT_COMPLETE || outcome == PV_CNT_TRUNCATED ||
	       outcome == PV_CNT_UNREADABLE;
}

/*
 * Walk from the leaf of @walk->tstate to the root or PV_WALK_MAX. Afterwards outcome, walked_cnt,
 * frames (see PV_ROOT_FRAMES for deep ones) and new_codes are final.
 */
void pystack_walk(struct pv_walk *walk, const struct pv_layout *layout);

/*
 * Say in walk->sample which frames were kept and in what order they lie; a stack that lost some is
 * no longer COMPLETE.
 */
void pystack_finish(struct pv_walk *walk);

/*
 * No more is tried though something in memory was not read: unless the walk has frames to show it ends
 * UNREADABLE, as one frame of that kind, for what it looks like now is not what is there.
 */
void pystack_give_up(struct pv_walk *walk);

/*
 * Parts of it, for other drivers: begin; unless that returns 1 set out, step until it returns 1 or
 * PV_WALK_MAX times, and arrive.
 */
int pystack_begin(struct pv_walk *walk, const struct pv_layout *layout);
int pystack_step(struct pv_walk *walk, const struct pv_layout *layout);

static __always_inline void pystack_set_out(struct pv_walk *walk)
{
	/* Stands if the walk does not come to an end of its own. */
	walk->outcome = PV_CNT_TRUNCATED;
}

static __always_inline void pystack_arrive(struct pv_walk *walk)
{
	if (walk->outcome == PV_CNT_TRUNCATED && (walk->from_cframe || walk->from_register))
		walk->outcome = PV_CNT_TORN;
}

#endif
