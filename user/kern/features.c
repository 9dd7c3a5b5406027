// SPDX-License-Identifier: Apache-2.0
#include "kern/features.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "kern/types.h"

/* In the order in which doctor shows them. */
const struct feature_row feature_rows[FEATURE_CNT] = {
	[FEATURE_RING] = { "ring", "BPF ring buffer", "records go to user space by it", NULL },
	[FEATURE_TRACEPOINTS] = { "tracepoints", "typed raw tracepoints",
	                          "fork, exec and exit are met by them", NULL },
	[FEATURE_ITERATOR] = { "iterator", "task iterator", "processes are listed by it", NULL },
	[FEATURE_LOOP] = { "loop", "bpf_loop()", "repeats the step from frame to frame",
	                   "nested loops of calls repeat the step, to the same depth" },
	[FEATURE_TASK_WORK] = { "task_work", "bpf_task_work_schedule_resume()",
	                        "a page that is not in memory is waited for",
	                        "what is not in memory is marked [unreadable]" },
	[FEATURE_TASK_TYPE] = { "task_type", "bpf_get_current_task_btf()",
	                        "the running task is read by plain loads",
	                        "the running task is read by calls" },
	[FEATURE_TASK_REGS] = { "task_regs", "bpf_task_pt_regs()",
	                        "a tick within the kernel sees the registers of user code",
	                        "a frame that only a register leads to then ends as torn" },
};

static bool names(const char *list, const char *id)
{
	size_t len = strlen(id);

	while (*list) {
		size_t word = strcspn(list, ",");

		if (word == len && !memcmp(list, id, len))
			return true;
		list += word + (list[word] == ',');
	}
	return false;
}

/* Strike out what the list names. False: not all of it could be. */
static bool strike_out(struct features *features, const char *list)
{
	size_t left = 0, struck = 0;

	for (const char *at = list; *at; at += strcspn(at, ",")) {
		at += *at == ',';
		left++;
	}
	for (int i = 0; i < FEATURE_CNT; i++) {
		if (!feature_rows[i].without || !names(list, feature_rows[i].id))
			continue;
		features->has[i] = false;
		struck++;
	}
	return struck == left;
}

static int task_work(const struct btf *btf)
{
	/* 6.18 has it with `_impl` only; where both are, that is the one which is not to be called. */
	int id = types_function(btf, "bpf_task_work_schedule_resume");

	return id ? id : types_function(btf, "bpf_task_work_schedule_resume_impl");
}

static void probe(struct features *features, const struct btf *btf)
{
	bool *has = features->has;

	features->task_work = task_work(btf);
	has[FEATURE_RING] = types_has_value(btf, "bpf_map_type", "BPF_MAP_TYPE_RINGBUF");
	has[FEATURE_TRACEPOINTS] = types_has_value(btf, "bpf_attach_type", "BPF_TRACE_RAW_TP");
	has[FEATURE_ITERATOR] = types_has_value(btf, "bpf_attach_type", "BPF_TRACE_ITER") &&
	                        types_function(btf, "bpf_iter_task");
	has[FEATURE_LOOP] = types_has_value(btf, "bpf_func_id", "BPF_FUNC_loop");
	has[FEATURE_TASK_WORK] = features->task_work;
	has[FEATURE_TASK_TYPE] =
		types_has_value(btf, "bpf_func_id", "BPF_FUNC_get_current_task_btf");
	has[FEATURE_TASK_REGS] = types_has_value(btf, "bpf_func_id", "BPF_FUNC_task_pt_regs");
}

int features_probe(struct features *features)
{
	const char *without = getenv("PITVIPER_WITHOUT");
	struct btf *btf = btf__load_vmlinux_btf();

	memset(features, 0, sizeof(*features));
	if (!btf)
		return -errno;
	probe(features, btf);
	btf__free(btf);
	return without && !strike_out(features, without) ? -EINVAL : 0;
}
