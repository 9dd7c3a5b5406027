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

#include "bpf/abi_event.h"

/* include/linux/sched.h */
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

/*
 * The running task and its fields. A task that comes as a typed pointer is read by plain loads, a
 * sixth of the price of a helper call; bpf_get_current_task_btf() is there from 5.11 on. What is not
 * there on the running kernel is dead code to its verifier.
 */
#define TASK_IS_TYPED bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

#define TASK_FIELD(task, ...)                                      \
	({                                                         \
		typeof(___arrow(task, __VA_ARGS__)) value_;        \
		if (TASK_IS_TYPED)                                 \
			value_ = ___arrow(task, __VA_ARGS__);      \
		else                                               \
			value_ = BPF_CORE_READ(task, __VA_ARGS__); \
		value_;                                            \
	})

static __always_inline struct task_struct *task_current(void)
{
	if (TASK_IS_TYPED)
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

/* The thread pointer of the task: for pthreads the value of pthread_self(). */
static __always_inline __u64 task_thread_pointer(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return TASK_FIELD(task, thread.fsbase);
#elif defined(__TARGET_ARCH_arm64)
	return TASK_FIELD(task, thread.uw.tp_value);
#endif
}

#define USER_REG_CNT 15

/*
 * The general registers of the interrupted user code, USER_REG_CNT of them. Zeros when the tick
 * met the kernel: the windows these are wanted for are a few user instructions long and make no
 * system call.
 */
static __always_inline void user_regs_read(struct bpf_perf_event_data *ctx, __u64 *regs)
{
#if defined(__TARGET_ARCH_x86)
	bool user = (ctx->regs.cs & 3) == 3;

#define USER_REG(i, name) regs[i] = user ? ctx->regs.name : 0
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
#else
	__builtin_memset(regs, 0, USER_REG_CNT * sizeof(*regs));
#endif
}

#endif
