/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * abi_call.h - calls that user space completes before it loads the programs.
 *
 * In the object they are calls of helpers with numbers that no kernel has.
 */
#ifndef PV_ABI_CALL_H
#define PV_ABI_CALL_H

/* bpf_task_work_schedule_resume(): by its number in the kernel's type data */
#define PV_CALL_TASK_WORK 0x70000001

#endif
