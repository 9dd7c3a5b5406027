// SPDX-License-Identifier: Apache-2.0
#include "cmd/checks.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "collect/session.h"
#include "kern/features.h"
#include "kern/kern.h"
#include "kern/probe.h"
#include "kern/refusal.h"
#include "kern/types.h"
#include "util/buf.h"
#include "util/caps.h"
#include "util/file.h"

static void found(struct finding *finding, enum verdict verdict, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void mend(struct finding *finding, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void found(struct finding *finding, enum verdict verdict, const char *fmt, ...)
{
	va_list args;

	finding->verdict = verdict;
	va_start(args, fmt);
	vsnprintf(finding->what, sizeof(finding->what), fmt, args);
	va_end(args);
}

static void mend(struct finding *finding, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(finding->remedy, sizeof(finding->remedy), fmt, args);
	va_end(args);
}

static void mend_by_privilege(struct finding *finding)
{
	refusal_mend_by_privilege(finding->remedy, sizeof(finding->remedy));
}

/* True: the host says no in this way, and that is the finding. */
static bool refused(struct finding *finding, refusal_fn *look)
{
	struct refusal refusal = { 0 };

	if (!look(&refusal))
		return false;
	finding->is_kernel = refusal.is_kernel;
	found(finding, CHECK_MISSING, "%s", refusal.what);
	mend(finding, "%s", refusal.remedy);
	return true;
}

static void look_kernel(struct finding *finding)
{
	struct utsname name = { 0 };
	struct features features;
	int err = features_probe(&features, finding->types);

	uname(&name);
	finding->is_kernel = true;
	if (err == -EINVAL) {
		found(finding, CHECK_MISSING, "PITVIPER_WITHOUT names what is no optional feature");
		return;
	}
	/* Without its type data nothing can be told; that has a row of its own. */
	for (int i = 0; !err && i < FEATURE_CNT; i++) {
		if (features.has[i] || feature_rows[i].without)
			continue;
		found(finding, CHECK_MISSING, "%s: it lacks the %s", name.release,
		      feature_rows[i].name);
		mend(finding, "install Linux 5.10 or newer");
		return;
	}
	found(finding, CHECK_OK, "%s", name.release);
}

static void look_arch(struct finding *finding)
{
	struct utsname name = { 0 };

	finding->is_kernel = true;
	uname(&name);
	if (!strcmp(name.machine, "x86_64") || !strcmp(name.machine, "aarch64"))
		found(finding, CHECK_OK, "%s", name.machine);
	else
		found(finding, CHECK_MISSING, "%s; this version knows x86_64 and aarch64",
		      name.machine);
}

static void look_btf(struct finding *finding)
{
	bool own = features_own_types();

	if (finding->types)
		found(finding, CHECK_OK, own ? TYPES_PATH "; %s is not needed" : "%s",
		      finding->types);
	else if (!refused(finding, refusal_btf))
		found(finding, CHECK_OK, TYPES_PATH);
}

static void look_bpf(struct finding *finding)
{
	long unprivileged = -1;

	if (refused(finding, refusal_bpf_call))
		return;
	file_read_number("/proc/sys/kernel/unprivileged_bpf_disabled", &unprivileged);
	found(finding, CHECK_OK,
	      "usable; kernel.unprivileged_bpf_disabled = %ld, which does not matter with CAP_BPF",
	      unprivileged);
}

static void look_jit(struct finding *finding)
{
	if (!refused(finding, refusal_jit))
		found(finding, CHECK_OK, "on");
}

static void look_perf(struct finding *finding)
{
	if (!refused(finding, refusal_perf_call))
		found(finding, CHECK_OK, "cpu-clock event opened");
}

static void look_paranoid(struct finding *finding)
{
	long level;

	if (!file_read_number("/proc/sys/kernel/perf_event_paranoid", &level))
		found(finding, CHECK_WARNING, "cannot be read");
	else if (refused(finding, refusal_perf_call))
		return;
	else
		found(finding, CHECK_OK, "%ld, which does not matter with CAP_%s", level,
		      level > 2 && caps_have(CAP_SYS_ADMIN) ? "SYS_ADMIN" : "PERFMON");
}

static void look_rate(struct finding *finding)
{
	long rate;

	if (!file_read_number("/proc/sys/kernel/perf_event_max_sample_rate", &rate)) {
		found(finding, CHECK_WARNING, "cannot be read");
		return;
	}
	if (rate >= SESSION_RATE_MAX) {
		found(finding, CHECK_OK, "%ld a second", rate);
		return;
	}
	found(finding, CHECK_WARNING, "%ld a second: the kernel throttles a --rate above it", rate);
	mend(finding, "sudo sysctl -w kernel.perf_event_max_sample_rate=%d", 10 * SESSION_RATE_MAX);
}

static void look_caps(struct finding *finding)
{
	struct buf missing = { 0 };
	bool is_needed = caps_missing(true, &missing);

	found(finding, CHECK_OK, caps_have(CAP_SYS_ADMIN) ? "all, by CAP_SYS_ADMIN" : "all");
	if (missing.len) {
		found(finding, is_needed ? CHECK_MISSING : CHECK_WARNING, "not there: %s",
		      buf_str(&missing));
		mend_by_privilege(finding);
	}
	buf_free(&missing);
}

static void look_lockdown(struct finding *finding)
{
	struct buf text = { 0 };

	if (refused(finding, refusal_lockdown))
		return;
	if (file_read("/sys/kernel/security/lockdown", 128, &text))
		found(finding, CHECK_OK, "not in this kernel, or securityfs is not mounted");
	else
		found(finding, CHECK_OK, "%s",
		      strstr(buf_str(&text), "[integrity]") ? "integrity: does not matter"
		                                            : "none");
	buf_free(&text);
}

static void look_yama(struct finding *finding)
{
	long scope;

	if (!file_read_number("/proc/sys/kernel/yama/ptrace_scope", &scope)) {
		found(finding, CHECK_OK, "Yama is not in this kernel");
	} else if (scope >= 3) {
		found(finding, CHECK_MISSING, "%ld: nobody may read another process, nor root",
		      scope);
		mend(finding, "echo kernel.yama.ptrace_scope=1 | sudo tee "
		              "/etc/sysctl.d/10-ptrace.conf, then reboot");
	} else if (caps_have(CAP_SYS_PTRACE)) {
		found(finding, CHECK_OK, "%ld, which does not matter with CAP_SYS_PTRACE", scope);
	} else {
		found(finding, scope ? CHECK_MISSING : CHECK_OK, "%ld%s", scope,
		      scope ? ": other processes can't be read without CAP_SYS_PTRACE" : "");
		if (scope)
			mend_by_privilege(finding);
	}
}

/* PROC_PID_INIT_INO of include/linux/proc_ns.h: the number of the initial namespace. */
#define INITIAL_PID_NS "pid:[4026531836]"

static void look_pid_ns(struct finding *finding)
{
	char link[64];
	ssize_t len = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);

	if (len < 0) {
		found(finding, CHECK_WARNING, "/proc/self/ns/pid: %s", strerror(errno));
		mend(finding, "sudo mount -t proc proc /proc");
		return;
	}
	link[len] = '\0';
	if (!strcmp(link, INITIAL_PID_NS)) {
		found(finding, CHECK_OK, "the initial one");
		return;
	}
	if (!kern_proc_is_ours()) {
		found(finding, CHECK_MISSING, "%s, but /proc shows that of somebody else", link);
		mend(finding, "sudo mount -t proc proc /proc");
		return;
	}
	found(finding, CHECK_OK, "%s: the processes of this container only; --pid=host shows all",
	      link);
}

static void look_memlock(struct finding *finding)
{
	if (!refused(finding, refusal_memlock))
		found(finding, CHECK_OK, "does not matter here");
}

static void look_hidepid(struct finding *finding)
{
	if (!refused(finding, refusal_hidepid))
		found(finding, CHECK_OK, "shows all processes");
}

static void look_user_ns(struct finding *finding)
{
	if (!refused(finding, refusal_user_ns))
		found(finding, CHECK_OK, "that of the host");
}

static void look_probe(struct finding *finding)
{
	char what[sizeof(finding->what)] = "";
	int err = kern_probe(finding->types, what, sizeof(what));
	struct refusal refusal;

	if (!err) {
		found(finding, CHECK_OK, "loaded, attached and ticking");
		return;
	}
	finding->is_kernel = err == -ENOTSUP || err == -EINVAL;
	found(finding, CHECK_MISSING, "%s", *what ? what : strerror(-err));
	/* Of other causes the sentence has the remedy itself. */
	if (err == -EPERM && refusal_caps(&refusal))
		mend_by_privilege(finding);
}

const struct check checks[] = {
	{ "kernel", look_kernel,
	  "What it lacks of what pitviper needs, or does without: see below." },
	{ "architecture", look_arch, "Registers and thread pointers differ between machines." },
	{ "kernel type data (BTF)", look_btf,
	  "It tells the programs where this kernel keeps what." },
	{ "bpf() system call", look_bpf, "The sampler is a BPF program." },
	{ "bpf_jit_enable", look_jit, "With it the kernel compiles the programs." },
	{ "perf_event_open()", look_perf, "A perf event on each CPU is the timer." },
	{ "perf_event_paranoid", look_paranoid, "Says who may watch whole CPUs." },
	{ "perf_event_max_sample_rate", look_rate,
	  "The most ticks a second that the kernel grants." },
	{ "capabilities", look_caps,
	  "BPF, PERFMON: the sampler; SYS_PTRACE, DAC_READ_SEARCH: to look into other users' "
	  "processes\n         and files; SYSLOG: names of kernel functions." },
	{ "lockdown", look_lockdown, "In confidentiality mode BPF programs may not read memory." },
	{ "yama.ptrace_scope", look_yama, "Names are read from the memory of other processes." },
	{ "pid namespace", look_pid_ns, "Which processes there are for us, and by which numbers." },
	{ "user namespace", look_user_ns, "Capabilities count for BPF in that of the host only." },
	{ "/proc", look_hidepid, "It tells which processes there are, and what they run." },
	{ "locked memory", look_memlock, "Older kernels count BPF maps against this limit." },
	{ "the sampler itself", look_probe, "All of it, tried for real." },
};

const size_t check_cnt = sizeof(checks) / sizeof(checks[0]);
