// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/compat.bpf.h"
#include "bpf/emit.bpf.h"
#include "bpf/filter.bpf.h"

__noinline int filter_tell(void)
{
	struct task_struct *task = task_current();
	struct pv_proc_id id;

	task_proc_id(task, &id);
	emit_unknown(task, &id);
	return 0;
}
