/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* x86.h - x86-64: where the thread pointer of a task is kept. Included by vmlinux.h only. */

struct thread_struct {
	unsigned long fsbase;
};
