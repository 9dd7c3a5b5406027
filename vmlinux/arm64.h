/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* arm64.h - aarch64: where the thread pointer of a task is kept. Included by vmlinux.h only. */

struct thread_struct {
	struct {
		unsigned long tp_value;
	} uw;
};
