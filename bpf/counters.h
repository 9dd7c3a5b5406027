/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * counters.h - every outcome a perf tick can have, and every other thing worth counting.
 *
 * A tick ends in exactly one row of PV_TICK_OUTCOMES; the sum over the rows equals the number of
 * ticks, always. These lists make the BPF enums, the user-space names, the ledger and its tests:
 * a new outcome is one row here.
 *
 * X(NAME, "label in the ledger", "what it means, for a reader of the ledger")
 */
#ifndef PV_COUNTERS_H
#define PV_COUNTERS_H

/* clang-format off */
#define PV_TICK_OUTCOMES(X)                                                                        \
	X(IDLE, "idle", "the CPU had nothing to run")                                              \
	X(KERNEL_THREAD, "kernel thread", "a thread of the kernel itself was running")             \
	X(NOT_WANTED, "not selected", "a process that was not asked for")                          \
	X(NOT_PYTHON, "not Python", "a process without a Python runtime")                          \
	X(UNKNOWN_PROCESS, "process unknown", "a process nobody had looked at yet")                \
	X(UNKNOWN_LAYOUT, "layout unknown", "a Python build whose memory layout is not known")     \
	X(EXITING, "exiting", "a thread that has ended, while the kernel takes it down")           \
	X(NO_STATE, "no Python state", "a thread without a Python thread state")                   \
	X(NO_FRAMES, "no Python frames", "a Python thread that was running no Python function")    \
	X(COMPLETE, "complete", "the whole Python stack was recorded")                             \
	X(TRUNCATED, "truncated", "deeper than the limit: leaf and root ends were recorded")       \
	X(UNREADABLE, "unreadable", "part of the stack was not in memory, the rest was recorded")  \
	X(PENDING, "unfinished", "its pages were to be waited for, and the thread never went on")  \
	X(TORN, "torn", "the interpreter was half-way through changing its stack: not shown")      \
	X(RING_FULL, "ring full", "recorded, but the collector did not keep up and it was lost")

/* Things other than ticks. They are shown beside the ledger and do not enter its sum. */
#define PV_EVENT_COUNTS(X)                                                                         \
	X(RESCUED_CFRAME, "mended from the previous C frame", "3.11/3.12: new C frame unfinished") \
	X(RESCUED_REGISTER, "mended from a register", "the caller was found in a CPU register")    \
	X(WAITED, "waited for pages", "the stack was read when its pages were back in memory")     \
	X(SYMBOL_SENT, "code objects sent", "names and line tables copied at first sight")         \
	X(SYMBOL_DEFERRED, "code objects deferred", "over the limit per tick, sent by a later one")\
	X(SYMBOL_UNREADABLE, "code objects unreadable", "names or table were not in memory")       \
	X(SYMBOL_RING_FULL, "code objects lost, ring full", "sent again by a later tick")          \
	X(LIFECYCLE_RING_FULL, "process events lost, ring full", "exec, fork or exit not seen")    \
	X(PROC_TABLE_FULL, "processes refused, table full", "raise the limit of the process table")
/* clang-format on */

#define PV_COUNTER_ENUM(name, label, meaning) PV_CNT_##name,
enum pv_counter {
	PV_TICK_OUTCOMES(PV_COUNTER_ENUM) PV_TICK_OUTCOME_CNT,
	/* Counted first thing in the tick, apart from the outcome: the other side of the ledger. */
	PV_CNT_TICKS = PV_TICK_OUTCOME_CNT,
	PV_EVENT_COUNTS(PV_COUNTER_ENUM) PV_COUNTER_CNT,
};

#endif
