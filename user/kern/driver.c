// SPDX-License-Identifier: Apache-2.0
#include "kern/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/abi_call.h"
#include "bpf/abi_event.h"
#include "pitviper.skel.h"

/*
 * What libbpf knows our handler of sampling programs by; 0: it does not yet. It stays: libbpf before 1.3
 * keeps a pointer to what it has freed when the last one goes, and frees it again with the next session.
 */
static int handler;

/* @cookie: the number of the function that is called. */
static int complete_calls(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	size_t cnt = bpf_program__insn_cnt(prog);
	struct bpf_insn *insns = malloc(cnt * sizeof(*insns));
	int err;

	(void)opts;
	if (!insns)
		return -ENOMEM;
	memcpy(insns, bpf_program__insns(prog), cnt * sizeof(*insns));
	for (size_t i = 0; i < cnt; i++) {
		if (insns[i].code != (BPF_JMP | BPF_CALL) || insns[i].src_reg ||
		    insns[i].imm != PV_CALL_TASK_WORK)
			continue;
		insns[i].src_reg = BPF_PSEUDO_KFUNC_CALL;
		insns[i].imm = (int)cookie;
	}
	err = bpf_program__set_insns(prog, insns, cnt);
	free(insns);
	return err;
}

int driver_prepare(const struct features *features)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .cookie = features->task_work,
	            .prog_prepare_load_fn = complete_calls);

	/* The kernel is the same as before. */
	if (handler > 0)
		return 0;
	handler = libbpf_register_prog_handler("perf_event", BPF_PROG_TYPE_PERF_EVENT, 0, &opts);
	return handler < 0 ? handler : 0;
}

void driver_lifecycle(const struct features *features, const struct pitviper *skel,
                      struct bpf_program *progs[DRIVER_LIFECYCLE_CNT])
{
	bool typed = features->has[FEATURE_TRACEPOINTS];

	progs[0] = typed ? skel->progs.process_fork : skel->progs.process_fork_raw;
	progs[1] = typed ? skel->progs.process_exec : skel->progs.process_exec_raw;
	progs[2] = typed ? skel->progs.process_exit : skel->progs.process_exit_raw;
}

static void choose_others(const struct features *features, struct pitviper *skel)
{
	bool typed = features->has[FEATURE_TRACEPOINTS], lists = features->has[FEATURE_ITERATOR];

	bpf_program__set_autoload(skel->progs.process_fork, typed);
	bpf_program__set_autoload(skel->progs.process_exec, typed);
	bpf_program__set_autoload(skel->progs.process_exit, typed);
	bpf_program__set_autoload(skel->progs.process_fork_raw, !typed);
	bpf_program__set_autoload(skel->progs.process_exec_raw, !typed);
	bpf_program__set_autoload(skel->progs.process_exit_raw, !typed);
	bpf_program__set_autoload(skel->progs.list_processes, lists);
	bpf_program__set_autoload(skel->progs.look_up_process, !lists);
}

struct bpf_program *driver_choose(const struct features *features, struct pitviper *skel)
{
	struct bpf_program *const rows[] = {
		skel->progs.sample_tick_calls,
		skel->progs.sample_tick_loop,
		skel->progs.sample_tick_wait,
	};
	struct bpf_program *chosen = skel->progs.sample_tick_calls;

	if (features->has[FEATURE_LOOP])
		chosen = skel->progs.sample_tick_loop;
	/* Which takes the other two: where pages are waited for, the walk is repeated by bpf_loop(). */
	if (features->has[FEATURE_LOOP] && features->has[FEATURE_TASK_WORK] &&
	    features->has[FEATURE_TASK_TYPE])
		chosen = skel->progs.sample_tick_wait;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		bpf_program__set_autoload(rows[i], rows[i] == chosen);
	choose_others(features, skel);
	skel->rodata->pv_task_type = features->has[FEATURE_TASK_TYPE];
	skel->rodata->pv_task_regs = features->has[FEATURE_TASK_REGS];
	/* Memory that nobody would use. */
	if (chosen != skel->progs.sample_tick_wait)
		bpf_map__set_max_entries(skel->maps.deferred, 1);
	return chosen;
}
