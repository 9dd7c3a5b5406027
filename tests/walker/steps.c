// SPDX-License-Identifier: Apache-2.0
/*
 * Lets a target program take one instruction after the other and walks its stack before each, as a
 * tick at that very instruction would: no window in which CPython's chain is half-written is missed.
 *
 *	steps STEPS WARM_MS FILE COMMAND...
 *
 * COMMAND prints `ready` and then works in one thread, WARM_MS of it at full speed, so that its code
 * is specialised. Each instruction is met twice: by a tick that sees the registers, and by one in the
 * kernel (a page fault, an interrupt), which does not. FILE gets the stacks as a pprof profile, in
 * which the label `thread` is "OUTCOME MENDED MODE ADDRESS": how the walk ended, what it was mended
 * from (whole, cframe, register), where the tick was (user, kernel), and the instruction. Standard
 * output gets a line "OUTCOME MENDED MODE COUNT" for each kind.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collect/stacks.h"
#include "host.h"
#include "out/out.h"
#include "py/runtime.h"
#include "util/clock.h"

#define TRACK_MAX (1u << 18)
#define PAGE      4096
#define PAGE_MAX  32

struct page {
	uint64_t addr;
	bool is_there;
	char bytes[PAGE];
};

struct steps {
	pid_t pid;
	FILE *output; /* of the target */
	struct py_runtime runtime;
	struct page pages[PAGE_MAX]; /* read since the last step */
	unsigned int page_cnt;
	unsigned int
		last_cnt; /* of the pages, before the last step: those are read again at once */
	struct pv_walk *walk;
	struct sym_store *store;
	struct sym *sym;
	struct stacks_shared shared;
	struct stacks *stacks;
	struct profile *profile;
	uint32_t tracks[TRACK_MAX]; /* of the profile */
	uint32_t track_cnt;
	uint64_t cnt[PV_TICK_OUTCOME_CNT][3][2];
};

#define OUTCOME_NAME(name, label, meaning) [PV_CNT_##name] = #name,
static const char *const outcomes[] = { PV_TICK_OUTCOMES(OUTCOME_NAME) };
static const char *const mended[] = { "whole", "cframe", "register" };
static const char *const modes[] = { "user", "kernel" };

static void die(const char *what)
{
	fprintf(stderr, "steps: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Most of what a walk reads is where the one before the last step read: one call instead of many. */
static void read_again(struct steps *steps)
{
	struct iovec local[PAGE_MAX], remote[PAGE_MAX];
	unsigned int cnt = 0;
	ssize_t len;

	for (unsigned int i = 0; i < steps->last_cnt; i++) {
		if (!steps->pages[i].is_there)
			continue;
		steps->pages[cnt].addr = steps->pages[i].addr;
		steps->pages[cnt].is_there = true;
		local[cnt] = (struct iovec){ steps->pages[cnt].bytes, PAGE };
		remote[cnt] = (struct iovec){ (void *)(uintptr_t)steps->pages[cnt].addr, PAGE };
		cnt++;
	}
	len = cnt ? process_vm_readv(steps->pid, local, cnt, remote, cnt, 0) : 0;
	steps->page_cnt = len > 0 ? (unsigned int)(len / PAGE) : 0;
	steps->last_cnt = 0;
}

/* The page at @addr; NULL: it is not there. Between two steps nothing changes. */
static const char *page_of(struct steps *steps, uint64_t addr)
{
	struct page *page = steps->pages;
	struct iovec local, remote = { (void *)(uintptr_t)addr, PAGE };

	if (!steps->page_cnt && steps->last_cnt)
		read_again(steps);
	for (; page < steps->pages + steps->page_cnt; page++)
		if (page->addr == addr)
			return page->is_there ? page->bytes : NULL;
	if (steps->page_cnt == PAGE_MAX) {
		steps->page_cnt = 0;
		page = steps->pages;
	}
	steps->page_cnt++;
	local = (struct iovec){ page->bytes, PAGE };
	page->addr = addr;
	page->is_there = process_vm_readv(steps->pid, &local, 1, &remote, 1, 0) == PAGE;
	return page->is_there ? page->bytes : NULL;
}

static int read_target(void *ctx, uint64_t addr, void *out, size_t len)
{
	char *to = out;

	while (len) {
		size_t at = addr % PAGE, part = len < PAGE - at ? len : PAGE - at;
		const char *page = page_of(ctx, addr - at);

		if (!page)
			return -EFAULT;
		memcpy(to, page + at, part);
		to += part;
		addr += part;
		len -= part;
	}
	return 0;
}

static void start(struct steps *steps, char **command, long warm_ms)
{
	const struct timespec warm = { warm_ms / 1000, warm_ms % 1000 * 1000000 };
	char line[16] = "";
	int out[2], status;

	if (pipe(out) || (steps->pid = fork()) < 0)
		die("start");
	if (!steps->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		close(out[0]);
		execvp(command[0], command);
		_exit(127);
	}
	close(out[1]);
	steps->output = fdopen(out[0], "r");
	if (!fgets(line, sizeof(line), steps->output) || strcmp(line, "ready\n") != 0)
		die("the target is not ready");
	nanosleep(&warm, NULL);
	if (ptrace(PTRACE_SEIZE, steps->pid, NULL, PTRACE_O_EXITKILL) ||
	    ptrace(PTRACE_INTERRUPT, steps->pid, NULL, NULL) ||
	    waitpid(steps->pid, &status, 0) != steps->pid || !WIFSTOPPED(status))
		die("stop the target");
}

/* What compat.bpf.h takes of the registers, in its order. */
static void take_registers(struct pv_walk *walk, const struct user_regs_struct *regs)
{
	const uint64_t taken[PV_USER_REG_CNT] = {
		regs->rax, regs->rbx, regs->rcx, regs->rdx, regs->rsi,
		regs->rdi, regs->rbp, regs->r8,  regs->r9,  regs->r10,
		regs->r11, regs->r12, regs->r13, regs->r14, regs->r15,
	};

	memcpy(walk->regs, taken, sizeof(taken));
}

/* The track of that kind of walk at that instruction. */
static uint32_t track(struct steps *steps, uint32_t outcome, unsigned int how, unsigned int mode,
                      uint64_t rip)
{
	struct profile_track track = { .pid = (uint32_t)steps->pid };
	char text[64];
	int len = snprintf(text, sizeof(text), "%s %s %s %#llx", outcomes[outcome], mended[how],
	                   modes[mode], (unsigned long long)rip);
	uint32_t id;

	track.thread_key = rip;
	track.tid = (outcome * 3 + how) * 2 + mode;
	track.process = profile__string(steps->profile, "", 0);
	track.thread = profile__string(steps->profile, text, (size_t)len);
	id = profile__track(steps->profile, &track);
	if (id >= TRACK_MAX)
		die("too many instructions");
	steps->tracks[id] = id;
	return id;
}

static void look(struct steps *steps, unsigned int mode, const struct user_regs_struct *regs)
{
	struct pv_walk *walk = steps->walk;
	uint32_t outcome = PV_CNT_NO_STATE;
	unsigned int how = 0;

	walk->tstate =
		pystate_find(&steps->runtime.proc, &steps->runtime.layout,
	                     &(struct pv_thread){ .tp = regs->fs_base }, &walk->faults.at[0]);
	if (walk->tstate) {
		walk->PyCode_Type = steps->runtime.proc.PyCode_Type;
		if (mode)
			memset(walk->regs, 0, sizeof(walk->regs));
		else
			take_registers(walk, regs);
		host_walk(walk, &steps->runtime.layout);
		outcome = walk->outcome;
		how = walk->from_register ? 2 : walk->from_cframe ? 1 : 0;
	}
	steps->cnt[outcome][how][mode]++;
	if (outcome != PV_CNT_COMPLETE && outcome != PV_CNT_TRUNCATED &&
	    outcome != PV_CNT_UNREADABLE && outcome != PV_CNT_TORN)
		return;
	if (outcome == PV_CNT_TORN) /* counts under no stack */
		walk->sample.frame_cnt = walk->sample.skipped_cnt = 0;
	if (stacks__add(steps->stacks, steps->sym, track(steps, outcome, how, mode, regs->rip),
	                &walk->sample,
	                sizeof(walk->sample) + walk->sample.frame_cnt * sizeof(struct pv_frame), 0))
		die("count a stack");
	if (sym__wants(steps->sym))
		sym__complete(steps->sym, steps->pid, &steps->runtime.layout);
}

static void look_twice(struct steps *steps)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, steps->pid, NULL, &regs))
		die("read the registers");
	look(steps, 0, &regs);
	look(steps, 1, &regs);
}

static void step(struct steps *steps)
{
	int status;

	steps->last_cnt = steps->page_cnt;
	steps->page_cnt = 0;
	if (ptrace(PTRACE_SINGLESTEP, steps->pid, NULL, NULL) ||
	    waitpid(steps->pid, &status, 0) != steps->pid || !WIFSTOPPED(status))
		die("take a step");
}

static void write_profile(struct steps *steps, const char *path)
{
	const struct profile_meta meta = {
		.title = "",
		.command = "",
		.version = "",
		.host = "",
		.pythons = steps->runtime.version,
		.rate_hz = 1,
	};
	const struct out_view view = { .full_filenames = true };
	FILE *stream = fopen(path, "w");

	profile__set_meta(steps->profile, &meta);
	if (!stream ||
	    stacks__profile(steps->stacks, steps->sym, steps->runtime.layout.version, steps->tracks,
	                    steps->profile) ||
	    out_format_by_name("pprof")->write(steps->profile, &view, stream) || fclose(stream))
		die(path);
}

static void print_counts(const struct steps *steps)
{
	for (unsigned int outcome = 0; outcome < PV_TICK_OUTCOME_CNT; outcome++)
		for (unsigned int how = 0; how < 3; how++)
			for (unsigned int mode = 0; mode < 2; mode++)
				if (steps->cnt[outcome][how][mode])
					printf("%s %s %s %llu\n", outcomes[outcome], mended[how],
					       modes[mode],
					       (unsigned long long)steps->cnt[outcome][how][mode]);
}

int main(int argc, char **argv)
{
	static struct steps steps;
	struct py_cache *cache = py_cache__new();
	long step_cnt;

	if (argc < 5)
		return 2;
	step_cnt = atol(argv[1]);
	steps.walk = calloc(1, sizeof(*steps.walk));
	steps.store = sym_store__new();
	if (!steps.store)
		die("begin");
	steps.sym = sym__new(steps.store);
	steps.shared = (struct stacks_shared){ .node_max = STACKS_NODE_MAX,
		                               .profile_max = STACKS_PROFILE_MAX };
	steps.stacks = stacks__new(&steps.shared);
	steps.profile = profile__new();
	if (!cache || !steps.walk || !steps.sym || !steps.stacks || !steps.profile)
		die("begin");
	start(&steps, argv + 4, atol(argv[2]));
	if (py_runtime__find(cache, steps.pid, &steps.runtime, 1) ||
	    steps.runtime.proc.state != PV_PROC_PYTHON)
		die(steps.runtime.reason);
	host.read = read_target;
	host.ctx = &steps;
	for (long i = 0; i < step_cnt; i++) {
		look_twice(&steps);
		step(&steps);
	}
	write_profile(&steps, argv[3]);
	print_counts(&steps);
	kill(steps.pid, SIGKILL);
	fclose(steps.output);
	profile__free(steps.profile);
	stacks__free(steps.stacks);
	sym__free(steps.sym);
	sym_store__free(steps.store);
	py_cache__free(cache);
	free(steps.walk);
	return 0;
}
