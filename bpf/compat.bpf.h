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

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

static __always_inline void task_proc_id(struct task_struct *task, struct pv_proc_id *id)
{
	id->tgid = (__u32)BPF_CORE_READ(task, tgid);
	id->exec_id = (__u32)BPF_CORE_READ(task, self_exec_id);
	id->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
}

static __always_inline bool proc_id_equal(const struct pv_proc_id *a, const struct pv_proc_id *b)
{
	return a->tgid == b->tgid && a->exec_id == b->exec_id && a->start_ns == b->start_ns;
}

/* The thread pointer of the task: for pthreads the value of pthread_self(). */
static __always_inline __u64 task_thread_pointer(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(task, thread.fsbase);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(task, thread.uw.tp_value);
#endif
}

#define USER_REG_CNT 16

/*
 * The general registers as they were in user mode at the tick. False when the tick met the kernel
 * and this kernel cannot give them (bpf_task_pt_regs: 5.15).
 */
static __always_inline bool user_regs_read(struct bpf_perf_event_data *ctx, __u64 *regs)
{
#if defined(__TARGET_ARCH_x86)
	/* cs & 3: the privilege level that was interrupted. */
	bpf_user_pt_regs_t *now = &ctx->regs;
	struct pt_regs saved;

	if ((now->cs & 3) == 3) {
		saved = *now;
	} else {
		struct task_struct *task;

		if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
			return false;
		task = bpf_get_current_task_btf();
		if (bpf_probe_read_kernel(&saved, sizeof(saved), (void *)bpf_task_pt_regs(task)))
			return false;
	}
	regs[0] = saved.rax;
	regs[1] = saved.rbx;
	regs[2] = saved.rcx;
	regs[3] = saved.rdx;
	regs[4] = saved.rsi;
	regs[5] = saved.rdi;
	regs[6] = saved.rbp;
	regs[7] = saved.r8;
	regs[8] = saved.r9;
	regs[9] = saved.r10;
	regs[10] = saved.r11;
	regs[11] = saved.r12;
	regs[12] = saved.r13;
	regs[13] = saved.r14;
	regs[14] = saved.r15;
	regs[15] = 0;
	return true;
#else
	return false;
#endif
}

#endif
