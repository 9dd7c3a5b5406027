// SPDX-License-Identifier: Apache-2.0
#include "kern/refusal.h"

#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "kern/features.h"
#include "kern/types.h"
#include "util/buf.h"
#include "util/caps.h"
#include "util/file.h"

#define ALL_CAPS "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_syslog"
#define JIT_PATH "/proc/sys/net/core/bpf_jit_enable"
#define SECCOMP_FIX \
	"allow it in the container's seccomp profile (docker: --security-opt seccomp=FILE)"

static void say(struct refusal *refusal, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void mend(struct refusal *refusal, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct refusal *refusal, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(refusal->what, sizeof(refusal->what), fmt, args);
	va_end(args);
}

static void mend(struct refusal *refusal, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(refusal->remedy, sizeof(refusal->remedy), fmt, args);
	va_end(args);
}

void refusal_mend_by_privilege(char *remedy, size_t remedy_len)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (!geteuid()) {
		snprintf(remedy, remedy_len,
		         "root without this capability: a container? start it with --privileged "
		         "--pid=host, or run pitviper on the host");
		return;
	}
	self[len < 0 ? 0 : len] = '\0';
	snprintf(remedy, remedy_len,
	         "sudo pitviper ... (or once: sudo setcap " ALL_CAPS "+ep '%.300s')",
	         len < 0 ? "pitviper" : self);
}

/* Is a seccomp filter upon us? Mode 2 of /proc/self/status. */
static bool is_filtered(void)
{
	struct buf text = { 0 };
	bool found = !file_read("/proc/self/status", 65536, &text) &&
	             strstr(buf_str(&text), "\nSeccomp:\t2");

	buf_free(&text);
	return found;
}

bool refusal_btf(struct refusal *refusal)
{
	if (features_own_types())
		return false;
	refusal->is_kernel = true;
	say(refusal, "this kernel offers no BTF (%s: %s)", TYPES_PATH, strerror(errno));
	mend(refusal, "%s",
	     access("/sys/kernel", F_OK)
	             ? "sudo mount -t sysfs sysfs /sys"
	             : "name a file with that of this very kernel by --btf FILE: "
	               "from github.com/aquasecurity/btfhub-archive, or made from the vmlinux of "
	               "its debug package (pahole --btf_encode_detached=FILE vmlinux); or boot a "
	               "kernel that was built with CONFIG_DEBUG_INFO_BTF=y");
	return true;
}

bool refusal_user_ns(struct refusal *refusal)
{
	struct buf text = { 0 };
	unsigned int inside, outside, cnt;
	bool own = !file_read("/proc/self/uid_map", 4096, &text) &&
	           (sscanf(buf_str(&text), "%u %u %u", &inside, &outside, &cnt) != 3 || inside ||
	            outside || cnt != UINT_MAX);

	buf_free(&text);
	if (!own)
		return false;
	say(refusal, "this is a user namespace (a rootless container?), whose capabilities the "
	             "kernel does not count for BPF");
	mend(refusal, "run pitviper on the host, or in a container of the host's user namespace");
	return true;
}

bool refusal_caps(struct refusal *refusal)
{
	struct buf missing = { 0 };
	bool found = caps_missing(false, &missing);

	if (found) {
		say(refusal, "not there: %s", buf_str(&missing));
		refusal_mend_by_privilege(refusal->remedy, sizeof(refusal->remedy));
	}
	buf_free(&missing);
	return found;
}

bool refusal_bpf_call(struct refusal *refusal)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY };
	int err;

	/* No map has keys of no length: who may use bpf() is told so. */
	if (syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)) >= 0)
		return false;
	err = errno;
	if (err == EINVAL || err == E2BIG)
		return false;
	if (is_filtered() && caps_have_or_admin(CAP_BPF)) {
		say(refusal, "a seccomp filter hides bpf() (%s)", strerror(err));
		mend(refusal, SECCOMP_FIX ", or run pitviper on the host");
		return true;
	}
	say(refusal, "bpf(): %s", strerror(err));
	refusal->is_kernel = err == ENOSYS;
	if (refusal->is_kernel)
		mend(refusal, "boot a kernel that was built with CONFIG_BPF_SYSCALL=y");
	else
		refusal_mend_by_privilege(refusal->remedy, sizeof(refusal->remedy));
	return true;
}

bool refusal_lockdown(struct refusal *refusal)
{
	struct buf text = { 0 };
	bool locked = !file_read("/sys/kernel/security/lockdown", 128, &text) &&
	              strstr(buf_str(&text), "[confidentiality]");

	buf_free(&text);
	if (!locked)
		return false;
	refusal->is_kernel = true;
	say(refusal, "the kernel is locked down for confidentiality: BPF may not read its memory");
	mend(refusal, "boot without lockdown=confidentiality on the kernel command line "
	              "(lockdown=integrity does not matter)");
	return true;
}

bool refusal_jit(struct refusal *refusal)
{
	long enabled;

	if (!file_read_number(JIT_PATH, &enabled) || enabled)
		return false;
	say(refusal, "net.core.bpf_jit_enable is 0: the kernel compiles no programs, and "
	             "interpreted ones are too slow for a timer");
	mend(refusal, "sudo sysctl -w net.core.bpf_jit_enable=1");
	return true;
}

/*
 * Kernel 5.11 counts BPF memory in the memory cgroup (commit 3ac1f01b43b6) instead; the helper came
 * with that release, distributions take both back to older ones or none.
 */
static bool counts_memlock(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER, BPF_FUNC_ktime_get_coarse_ns,
	                               NULL) == 0;
}

bool refusal_memlock(struct refusal *refusal)
{
	struct rlimit limit = { 0 };

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    caps_have(CAP_SYS_RESOURCE) || !counts_memlock())
		return false;
	say(refusal, "this kernel counts BPF maps as locked memory, of which %llu KiB are allowed",
	    (unsigned long long)limit.rlim_cur / 1024);
	mend(refusal, "sudo prlimit --memlock=unlimited --pid $$ (systemd: LimitMEMLOCK=infinity), "
	              "then start pitviper from that shell");
	return true;
}

static int try_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 10000000,
		.disabled = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

bool refusal_perf_call(struct refusal *refusal)
{
	long level = 0;
	bool known = file_read_number("/proc/sys/kernel/perf_event_paranoid", &level);
	int err = try_perf();

	if (!err || err == ENODEV) /* CPU 0 may be offline */
		return false;
	refusal->is_kernel = err == ENOSYS || err == ENOENT || !known;
	if (refusal->is_kernel) {
		say(refusal, "perf_event_open(): %s", strerror(err));
		mend(refusal, "boot a kernel that was built with CONFIG_PERF_EVENTS=y");
	} else if (!caps_have_or_admin(CAP_PERFMON)) {
		say(refusal,
		    "kernel.perf_event_paranoid is %ld: whole CPUs may not be watched "
		    "without CAP_PERFMON",
		    level);
		refusal_mend_by_privilege(refusal->remedy, sizeof(refusal->remedy));
	} else if (level > 2 && !caps_have(CAP_SYS_ADMIN)) {
		say(refusal,
		    "kernel.perf_event_paranoid is %ld: this distribution's kernel then "
		    "asks for CAP_SYS_ADMIN, CAP_PERFMON is not enough",
		    level);
		mend(refusal, "sudo sysctl -w kernel.perf_event_paranoid=2, or sudo pitviper ...");
	} else if (is_filtered()) {
		say(refusal, "a seccomp filter hides perf_event_open() (%s)", strerror(err));
		mend(refusal, SECCOMP_FIX ", or run pitviper on the host");
	} else {
		say(refusal, "perf_event_open(): %s", strerror(err));
		refusal_mend_by_privilege(refusal->remedy, sizeof(refusal->remedy));
	}
	return true;
}

/* The mount options of /proc; false: it can't be told. */
static bool proc_options(char *options, size_t options_len)
{
	static const char mark[] = " /proc proc ";
	struct buf text = { 0 };
	const char *line = NULL, *next, *end;

	next = file_read("/proc/self/mounts", 1 << 20, &text) ? NULL : buf_str(&text);
	/* The last one covers those before it. */
	while (next && (next = strstr(next, mark))) {
		next += strlen(mark);
		line = next;
	}
	if (line) {
		end = strchrnul(line, ' ');
		snprintf(options, options_len, "%.*s", (int)(end - line), line);
	}
	buf_free(&text);
	return line;
}

bool refusal_hidepid(struct refusal *refusal)
{
	char options[512];
	const char *hide;

	if (caps_have(CAP_SYS_PTRACE) || !proc_options(options, sizeof(options)))
		return false;
	hide = strstr(options, "hidepid=");
	if (!hide || !strncmp(hide, "hidepid=0", 9) || !strncmp(hide, "hidepid=off", 11))
		return false;
	say(refusal,
	    "/proc is mounted with %.*s: without CAP_SYS_PTRACE other users' processes are "
	    "hidden",
	    (int)strcspn(hide, ","), hide);
	refusal_mend_by_privilege(refusal->remedy, sizeof(refusal->remedy));
	return true;
}

/* What hides others stands before them. NULL closes. */
static refusal_fn *const of_bpf[] = {
	refusal_btf,      refusal_user_ns, refusal_caps,    refusal_bpf_call,
	refusal_lockdown, refusal_jit,     refusal_memlock, NULL,
};
static refusal_fn *const of_ticks[] = { refusal_caps, refusal_perf_call, refusal_lockdown, NULL };

static int explain(refusal_fn *const *reasons, int err, const char *step, const char *types,
                   char *what, size_t what_len)
{
	for (; *reasons; reasons++) {
		struct refusal refusal = { 0 };

		/* The file tells what the kernel does not. */
		if ((types && *reasons == refusal_btf) || !(*reasons)(&refusal))
			continue;
		snprintf(what, what_len, "cannot %s: %s; %s", step, refusal.what, refusal.remedy);
		return refusal.is_kernel ? -ENOTSUP : -EPERM;
	}
	if (types) {
		refusal_explain_types(types, what, what_len);
		return -EINVAL;
	}
	snprintf(
		what, what_len,
		"cannot %s: %s; 'pitviper doctor' shows what is missing, -v shows the kernel's own "
		"words",
		step, strerror(err));
	return err == EPERM || err == EACCES ? -EPERM : -ENOTSUP;
}

int refusal_explain_bpf(int err, const char *step, const char *types, char *what, size_t what_len)
{
	/* From bpf() EACCES is the verifier's word, not that of a privilege. */
	return explain(of_bpf, err == EACCES ? EINVAL : err, step, types, what, what_len);
}

void refusal_explain_types(const char *types, char *what, size_t what_len)
{
	struct utsname name = { 0 };

	uname(&name);
	snprintf(what, what_len,
	         "the types in %s are not those of the kernel that runs; take those of Linux %s, "
	         "of this very build",
	         types, name.release);
}

int refusal_explain_ticks(int err, char *what, size_t what_len)
{
	return explain(of_ticks, err, "start a timer on each CPU", NULL, what, what_len);
}

void refusal_explain_reading(int pid, char *what, size_t what_len)
{
	struct refusal refusal = { 0 };
	long scope = 0;

	if (refusal_hidepid(&refusal) || refusal_caps(&refusal) || refusal_user_ns(&refusal)) {
		;
	} else if (file_read_number("/proc/sys/kernel/yama/ptrace_scope", &scope) && scope >= 3) {
		say(&refusal, "kernel.yama.ptrace_scope is %ld: nobody may read another process",
		    scope);
		mend(&refusal, "set it to 1 in /etc/sysctl.d/ and reboot");
	} else if (!caps_have(CAP_DAC_READ_SEARCH)) {
		say(&refusal,
		    "not there: CAP_DAC_READ_SEARCH, to open files that we may not read otherwise");
		refusal_mend_by_privilege(refusal.remedy, sizeof(refusal.remedy));
	} else {
		say(&refusal, "the kernel does not let us, a security module may forbid it");
		mend(&refusal,
		     "look for a denial in the audit log (journalctl -k), or run on the host");
	}
	snprintf(what, what_len, "not permitted to read process %d: %s; %s", pid, refusal.what,
	         refusal.remedy);
}
