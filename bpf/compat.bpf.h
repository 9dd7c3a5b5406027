/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * compat.bpf.h - what differs between kernels and architectures: fields of the running task, the
 * thread pointer, the interrupted user registers.
 */
#ifndef PV_COMPAT_BPF_H
#define PV_COMPAT_BPF_H

#include "vmlinux.h"

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/maps.bpf.h"

#if defined(__TARGET_ARCH_arm64)
#define USER_REG_CNT 31
#else
#define USER_REG_CNT 15
#endif

/* include/linux/sched.h */
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

/*
 * The running task and its fields. A task that comes as a typed pointer is read by plain loads, a
 * sixth of the price of a helper call. What the running kernel has not is dead code to its verifier.
 */
#define TASK_FIELD(task, ...)                                      \
	({                                                         \
		typeof(___arrow(task, __VA_ARGS__)) value_;        \
		if (pv_task_type)                                  \
			value_ = ___arrow(task, __VA_ARGS__);      \
		else                                               \
			value_ = BPF_CORE_READ(task, __VA_ARGS__); \
		value_;                                            \
	})

static __always_inline struct task_struct *task_current(void)
{
	if (pv_task_type)
		return (void *)bpf_get_current_task_btf();
	return (void *)bpf_get_current_task();
}

static __always_inline void task_proc_id(struct task_struct *task, struct pv_proc_id *id)
{
	id->tgid = (__u32)TASK_FIELD(task, tgid);
	id->exec_id = (__u32)TASK_FIELD(task, self_exec_id);
	id->start_ns = TASK_FIELD(task, group_leader, start_boottime);
}

static __always_inline bool proc_id_equal(const struct pv_proc_id *a, const struct pv_proc_id *b)
{
	return a->tgid == b->tgid && a->exec_id == b->exec_id && a->start_ns == b->start_ns;
}

/*
 * When the inode last changed. The field was renamed in 6.6 (commit 13bc24457850) and split in 6.11
 * (commit 3aa63a569c64); from 6.13 on its upper bits are flags (I_CTIME_QUERIED).
 */
struct inode___split {
	long long i_ctime_sec;
	__u32 i_ctime_nsec;
} __attribute__((preserve_access_index));

struct timespec64___field {
	long long tv_sec;
	long tv_nsec;
} __attribute__((preserve_access_index));

struct inode___renamed {
	struct timespec64___field __i_ctime;
} __attribute__((preserve_access_index));

struct inode___first {
	struct timespec64___field i_ctime;
} __attribute__((preserve_access_index));

#define NSEC_PER_SEC  1000000000ull
#define CTIME_NS_MASK 0x3fffffff

static __always_inline __u64 inode_ctime_ns(const struct inode *inode)
{
	const struct inode___split *split = (const void *)inode;
	const struct inode___renamed *renamed = (const void *)inode;
	const struct inode___first *first = (const void *)inode;

	if (bpf_core_field_exists(split->i_ctime_sec))
		return BPF_CORE_READ(split, i_ctime_sec) * NSEC_PER_SEC +
		       (BPF_CORE_READ(split, i_ctime_nsec) & CTIME_NS_MASK);
	if (bpf_core_field_exists(renamed->__i_ctime))
		return BPF_CORE_READ(renamed, __i_ctime.tv_sec) * NSEC_PER_SEC +
		       BPF_CORE_READ(renamed, __i_ctime.tv_nsec);
	return BPF_CORE_READ(first, i_ctime.tv_sec) * NSEC_PER_SEC +
	       BPF_CORE_READ(first, i_ctime.tv_nsec);
}

/* The program that the task runs; zeros for a task that has none. */
static __always_inline void task_exe(struct task_struct *task, struct pv_exe_id *exe)
{
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);

	__builtin_memset(exe, 0, sizeof(*exe));
	if (!inode)
		return;
	exe->ino = BPF_CORE_READ(inode, i_ino);
	exe->size = BPF_CORE_READ(inode, i_size);
	exe->ctime_ns = inode_ctime_ns(inode);
	exe->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	exe->generation = BPF_CORE_READ(inode, i_generation);
}

/*
 * The thread pointer of the task. On aarch64 a running thread may have another one than the kernel has
 * saved: it sets the register itself, without a system call, and the kernel takes note when it takes
 * the CPU away. That concerns the first thread, from its exec until then: at clone() and fork() the
 * kernel sees the true one (arch/arm64/kernel/process.c: copy_thread(), tls_preserve_current_state()).
 */
static __always_inline __u64 task_thread_pointer(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return TASK_FIELD(task, thread.fsbase);
#elif defined(__TARGET_ARCH_arm64)
	return TASK_FIELD(task, thread.uw.tp_value);
#endif
}

#if defined(__TARGET_ARCH_arm64)
#define TASK_TP_MAY_BE_STALE true
#else
#define TASK_TP_MAY_BE_STALE false
#endif

/*
 * The end of the C stack of the task: for a thread the thread pointer, as both glibc and musl put the
 * thread's own structure above its stack; for the first thread where exec put it.
 */
static __always_inline __u64 task_stack_top(struct task_struct *task, __u64 thread_pointer)
{
	if (TASK_FIELD(task, pid) == TASK_FIELD(task, tgid))
		return TASK_FIELD(task, mm, start_stack);
	return thread_pointer;
}

/* Did the tick interrupt user code? */
static __always_inline bool user_interrupted(struct bpf_perf_event_data *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return (ctx->regs.cs & 3) == 3;
#elif defined(__TARGET_ARCH_arm64)
	return !(ctx->regs.pstate & 0xf); /* PSR_MODE_EL0t */
#endif
}

/* Of the interrupted user code; 0 when the tick met the kernel. */
static __always_inline __u64 user_stack_pointer(struct bpf_perf_event_data *ctx)
{
#if defined(__TARGET_ARCH_x86)
	return user_interrupted(ctx) ? ctx->regs.rsp : 0;
#elif defined(__TARGET_ARCH_arm64)
	return user_interrupted(ctx) ? ctx->regs.sp : 0;
#endif
}

/* What user code had in its registers when it entered the kernel: struct pt_regs begins with them. */
static __always_inline void saved_regs_read(__u64 *regs)
{
	__u32 size = USER_REG_CNT * sizeof(*regs);

	if (!pv_task_type || !pv_task_regs ||
	    bpf_probe_read_kernel(regs, size, (void *)bpf_task_pt_regs(bpf_get_current_task_btf())))
		__builtin_memset(regs, 0, size);
}

/*
 * The general registers of the user code that the tick or, before it, the kernel has interrupted,
 * USER_REG_CNT of them in any order. Zeros where a kernel that the tick met does not tell
 * (pv_task_regs).
 */
static __always_inline void user_regs_read(struct bpf_perf_event_data *ctx, __u64 *regs)
{
	if (!user_interrupted(ctx)) {
		saved_regs_read(regs);
		return;
	}
#if defined(__TARGET_ARCH_x86)
#define USER_REG(i, name) regs[i] = ctx->regs.name
	USER_REG(0, rax);
	USER_REG(1, rbx);
	USER_REG(2, rcx);
	USER_REG(3, rdx);
	USER_REG(4, rsi);
	USER_REG(5, rdi);
	USER_REG(6, rbp);
	USER_REG(7, r8);
	USER_REG(8, r9);
	USER_REG(9, r10);
	USER_REG(10, r11);
	USER_REG(11, r12);
	USER_REG(12, r13);
	USER_REG(13, r14);
	USER_REG(14, r15);
#undef USER_REG
#elif defined(__TARGET_ARCH_arm64)
#pragma unroll
	for (int i = 0; i < USER_REG_CNT; i++)
		regs[i] = ctx->regs.regs[i];
#endif
}

#endif
