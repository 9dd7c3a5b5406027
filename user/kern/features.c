// SPDX-License-Identifier: Apache-2.0
#include "kern/features.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "kern/types.h"

/* In the order in which doctor shows them. */
const struct feature_row feature_rows[FEATURE_CNT] = {
	[FEATURE_TYPES] = { "btf", "type data of its own (BTF)",
	                    "it tells where this kernel keeps what",
	                    "the file that --btf names tells where this kernel keeps what" },
	[FEATURE_RING] = { "ring", "BPF ring buffer", "records go to user space by it", NULL },
	[FEATURE_TRACEPOINTS] = { "tracepoints", "typed raw tracepoints",
	                          "fork, exec and exit are met by them",
	                          "untyped raw tracepoints meet fork, exec and exit" },
	[FEATURE_ITERATOR] = { "iterator", "task iterator", "processes are listed by it",
	                       "processes are listed by /proc and looked up by pid" },
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

bool features_own_types(void)
{
	const char *without = getenv("PITVIPER_WITHOUT");

	if (without && names(without, feature_rows[FEATURE_TYPES].id)) {
		errno = ENOENT;
		return false;
	}
	return !access(TYPES_PATH, R_OK);
}

/* What falls with what the kernel lacks. */
static void settle(bool *has)
{
	/* The kernel checks what is typed against its own types, whatever else may tell them. */
	if (!has[FEATURE_TYPES]) {
		has[FEATURE_TRACEPOINTS] = false;
		has[FEATURE_ITERATOR] = false;
		has[FEATURE_TASK_WORK] = false;
	}
	/* Where tasks come untyped they are read by calls, all of them. */
	if (!has[FEATURE_TRACEPOINTS] || !has[FEATURE_ITERATOR])
		has[FEATURE_TASK_TYPE] = false;
	if (!has[FEATURE_TASK_TYPE])
		has[FEATURE_TASK_REGS] = false;
}

int features_probe(struct features *features, const char *types)
{
	const char *without = getenv("PITVIPER_WITHOUT");
	bool own = features_own_types(), all_known;
	struct btf *btf;

	memset(features, 0, sizeof(*features));
	if (!own && !types)
		return -ENOENT;
	btf = own ? btf__load_vmlinux_btf() : btf__parse(types, NULL);
	if (!btf)
		return -errno;
	probe(features, btf);
	btf__free(btf);
	features->has[FEATURE_TYPES] = own;
	all_known = !without || strike_out(features, without);
	settle(features->has);
	return all_known ? 0 : -EINVAL;
}
