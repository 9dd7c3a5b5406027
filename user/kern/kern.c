// SPDX-License-Identifier: Apache-2.0
#include "kern/kern.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kern/driver.h"
#include "kern/features.h"
#include "kern/refusal.h"
#include "kern/list.h"
#include "kern/ticks.h"
#include "kern/types.h"
#include "pitviper.skel.h"
#include "util/clock.h"
#include "util/log.h"

/*
 * The ring holds what comes in between two drains, with room for a collector that is held up for a
 * second: rate x CPUs x a generous mean record, within these bounds.
 */
#define RING_RECORD_BYTES 1024
#define RING_BYTES_MIN    (1u << 20)
#define RING_BYTES_MAX    (64u << 20)
/* Wake the reader when this part of the ring is unread. */
#define RING_WAKE_DIV 4

/* Characters of one message of libbpf's that are shown. */
#define LOG_MAX 4096

struct kern {
	struct features features;
	const char *types; /* the file that the kernel's types are taken from; NULL: from itself */
	struct pitviper *skel;
	struct bpf_program *sampler; /* the one that was chosen */
	struct ring_buffer *ring;
	struct bpf_link *links[DRIVER_LIFECYCLE_CNT];
	struct ticks *ticks;
	int wake_fd;
	uint32_t rate_hz;
	int (*fn)(void *ctx, const struct pv_event_hdr *event, size_t size);
	void *fn_ctx;
};

static int kern_log(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char *text;
	int len;

	/* For who looks for the cause (-v); how each program was relocated is of no use to them. */
	if (level == LIBBPF_DEBUG)
		return 0;
	len = vasprintf(&text, fmt, args);
	if (len < 0)
		return 0;
	if (len && text[len - 1] == '\n')
		text[--len] = '\0';
	/* A verifier log is long, and what was wrong stands at its end. */
	log_debug("%s", len > LOG_MAX ? text + len - LOG_MAX : text);
	free(text);
	return 0;
}

static uint32_t ring_bytes(uint32_t rate_hz, int cpu_cnt)
{
	uint64_t want = (uint64_t)rate_hz * (uint64_t)cpu_cnt * RING_RECORD_BYTES;
	uint32_t bytes = RING_BYTES_MIN;

	while (bytes < want && bytes < RING_BYTES_MAX)
		bytes *= 2;
	return bytes;
}

static int kern_open(struct kern *kern, const struct kern_opts *opts)
{
	uint32_t rate_hz = opts->rate_max_hz > opts->rate_hz ? opts->rate_max_hz : opts->rate_hz;
	uint32_t bytes = ring_bytes(rate_hz, libbpf_num_possible_cpus());
	LIBBPF_OPTS(bpf_object_open_opts, open_opts, .btf_custom_path = kern->types);
	struct pitviper *skel = kern->skel = pitviper__open_opts(&open_opts);

	if (!skel)
		return -errno;
	skel->rodata->pv_all = opts->all;
	skel->rodata->pv_wake_bytes = bytes / RING_WAKE_DIV;
	skel->rodata->pv_timed = opts->timed;
	kern->sampler = driver_choose(&kern->features, skel);
	return bpf_map__set_max_entries(skel->maps.events, bytes);
}

static int kern_load(struct kern *kern, const struct kern_opts *opts)
{
	uint64_t begin_ns, begin_cpu_ns;
	int err;

	err = features_probe(&kern->features, kern->types);
	if (!err)
		err = driver_prepare(&kern->features);
	if (err)
		return err;
	err = kern_open(kern, opts);
	if (!err) {
		begin_ns = clock_ns(CLOCK_MONOTONIC);
		begin_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		err = pitviper__load(kern->skel);
		log_debug("programs loaded in %.1f ms, %.1f ms of CPU time",
		          (double)(clock_ns(CLOCK_MONOTONIC) - begin_ns) / 1e6,
		          (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_cpu_ns) / 1e6);
	}
	return err;
}

static int kern_attach(struct kern *kern)
{
	struct bpf_program *progs[DRIVER_LIFECYCLE_CNT];

	driver_lifecycle(&kern->features, kern->skel, progs);
	for (size_t i = 0; i < DRIVER_LIFECYCLE_CNT; i++) {
		kern->links[i] = bpf_program__attach(progs[i]);
		if (!kern->links[i])
			return -errno;
	}
	return 0;
}

static int on_record(void *ctx, void *data, size_t size)
{
	struct kern *kern = ctx;

	if (size < sizeof(struct pv_event_hdr))
		return 0;
	return kern->fn(kern->fn_ctx, data, size);
}

static int kern_ring(struct kern *kern)
{
	/*
	 * Edge-triggered: the ring counts as readable whenever anything is in it, but only a wake-up
	 * from the kernel side shall end our sleep.
	 */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int fd = bpf_map__fd(kern->skel->maps.events);

	kern->ring = ring_buffer__new(fd, on_record, kern, NULL);
	if (!kern->ring)
		return -errno;
	kern->wake_fd = epoll_create1(EPOLL_CLOEXEC);
	if (kern->wake_fd < 0 || epoll_ctl(kern->wake_fd, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	return 0;
}

bool kern_proc_is_ours(void)
{
	char self[16] = "";

	return readlink("/proc/self", self, sizeof(self) - 1) < 0 || atoi(self) == getpid();
}

static int ignore_process(void *ctx, const struct pv_listed *listed)
{
	(void)ctx;
	(void)listed;
	return 1;
}

/* A list tells the kernel side which pid namespace we are in: before anything is sampled. */
static int kern_note_reader(struct kern *kern)
{
	int err = kern__each_process(kern, ignore_process, NULL);

	return err < 0 ? err : 0;
}

/* What is to be known before anything is loaded. 0 or negative errno and @what. */
static int check_ground(const struct kern_opts *opts, char *what, size_t what_len)
{
	int err;

	if (!kern_proc_is_ours()) {
		snprintf(what, what_len,
		         "/proc shows another pid namespace than the one that pitviper runs in; "
		         "mount -t proc proc /proc");
		return -ENOTSUP;
	}
	err = opts->types ? types_check(opts->types, what, what_len) : 0;
	if (err == -ENOMEM)
		snprintf(what, what_len, "out of memory");
	return err;
}

struct kern *kern__open(const struct kern_opts *opts, char *what, size_t what_len)
{
	struct kern *kern = calloc(1, sizeof(*kern));
	const char *step = "load the BPF programs";
	struct refusal refusal;
	int err;

	if (!kern) {
		snprintf(what, what_len, "out of memory");
		return NULL;
	}
	err = check_ground(opts, what, what_len);
	if (err) {
		free(kern);
		errno = -err;
		return NULL;
	}
	kern->wake_fd = -1;
	kern->rate_hz = opts->rate_hz;
	if (!features_own_types())
		kern->types = opts->types;
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(kern_log);
	/* Some kernels would interpret the programs, at a multiple of what a tick may cost. */
	err = refusal_jit(&refusal) ? -EPERM : kern_load(kern, opts);
	if (!err) {
		step = "list the processes";
		err = kern_note_reader(kern);
	}
	if (!err && kern->types && !list_finds_us(kern->skel))
		err = -EINVAL;
	if (!err) {
		step = "attach the BPF programs to fork, exec and exit";
		err = kern_attach(kern);
	}
	if (!err) {
		step = "map the BPF ring buffer";
		err = kern_ring(kern);
	}
	if (!err)
		return kern;
	if (err == -ENOMEM)
		snprintf(what, what_len, "out of memory");
	else
		err = refusal_explain_bpf(-err, step, kern->types, what, what_len);
	kern__free(kern);
	errno = -err;
	return NULL;
}

void kern__free(struct kern *kern)
{
	if (!kern)
		return;
	ticks__free(kern->ticks);
	for (size_t i = 0; i < sizeof(kern->links) / sizeof(*kern->links); i++)
		bpf_link__destroy(kern->links[i]);
	if (kern->wake_fd >= 0)
		close(kern->wake_fd);
	ring_buffer__free(kern->ring);
	pitviper__destroy(kern->skel);
	free(kern);
}

int kern__start_ticks(struct kern *kern, char *what, size_t what_len)
{
	int err;

	kern->ticks = ticks__new(kern->sampler, NSEC_PER_SEC / kern->rate_hz);
	if (!kern->ticks)
		return -errno;
	err = ticks__follow(kern->ticks);
	if (err) {
		err = refusal_explain_ticks(-err, what, what_len);
		ticks__free(kern->ticks);
		kern->ticks = NULL;
	}
	return err;
}

int kern__follow_cpus(struct kern *kern)
{
	return kern->ticks ? ticks__follow(kern->ticks) : 0;
}

void kern__set_rate(struct kern *kern, uint32_t rate_hz)
{
	kern->rate_hz = rate_hz;
	if (kern->ticks)
		ticks__set_period(kern->ticks, NSEC_PER_SEC / rate_hz);
}

void kern__stop_ticks(struct kern *kern)
{
	if (kern->ticks)
		ticks__stop(kern->ticks);
}

void kern__close_deferred(struct kern *kern)
{
	kern->skel->bss->deferred_is_closed = true;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* Nothing waits while it sends, so this is a matter of microseconds. */
	while (kern->skel->bss->deferred_sending)
		sched_yield();
}

uint32_t kern__cpu_cnt(const struct kern *kern)
{
	return kern->ticks ? ticks__cpu_cnt(kern->ticks) : 0;
}

uint64_t kern__due_cnt(const struct kern *kern)
{
	return kern->ticks ? ticks__due_cnt(kern->ticks) : 0;
}

int kern__wake_fd(const struct kern *kern)
{
	return kern->wake_fd;
}

int kern__drain(struct kern *kern,
                int (*fn)(void *ctx, const struct pv_event_hdr *event, size_t size), void *ctx)
{
	struct epoll_event event;

	/* Take the edge, so that the descriptor is quiet until the next wake-up. */
	epoll_wait(kern->wake_fd, &event, 1, 0);
	kern->fn = fn;
	kern->fn_ctx = ctx;
	return ring_buffer__consume(kern->ring);
}

int kern__set_layout(struct kern *kern, uint32_t index, const struct pv_layout *layout)
{
	if (bpf_map_update_elem(bpf_map__fd(kern->skel->maps.layouts), &index, layout, BPF_ANY))
		return -errno;
	return 0;
}

int kern__set_proc(struct kern *kern, const struct pv_proc *proc)
{
	if (bpf_map_update_elem(bpf_map__fd(kern->skel->maps.procs), &proc->id.tgid, proc, BPF_ANY))
		return -errno;
	return 0;
}

int kern__set_exe(struct kern *kern, const struct pv_exe_id *id, const struct pv_exe *exe)
{
	if (bpf_map_update_elem(bpf_map__fd(kern->skel->maps.exes), id, exe, BPF_ANY))
		return -errno;
	return 0;
}

int kern__set_second(struct kern *kern, const struct pv_proc *proc)
{
	int fd = bpf_map__fd(kern->skel->maps.seconds);

	return bpf_map_update_elem(fd, &proc->id.tgid, proc, BPF_ANY) ? -errno : 0;
}

int kern__get_proc(struct kern *kern, uint32_t tgid, struct pv_proc *proc)
{
	if (bpf_map_lookup_elem(bpf_map__fd(kern->skel->maps.procs), &tgid, proc))
		return -errno;
	return 0;
}

int kern__del_proc(struct kern *kern, const struct pv_proc_id *id)
{
	struct pv_proc proc;
	int err = kern__get_proc(kern, id->tgid, &proc);

	if (err)
		return err;
	if (memcmp(&proc.id, id, sizeof(*id)))
		return -ENOENT;
	if (bpf_map_delete_elem(bpf_map__fd(kern->skel->maps.procs), &id->tgid))
		return -errno;
	return 0;
}

int kern__each_process(struct kern *kern, int (*fn)(void *ctx, const struct pv_listed *listed),
                       void *ctx)
{
	if (kern->features.has[FEATURE_ITERATOR])
		return list_by_iterator(kern->skel, fn, ctx);
	return list_by_pid(kern->skel, fn, ctx);
}

/* What the kernel side keeps on each CPU: struct pv_counters of bpf/maps.bpf.h. */
struct kern_counters {
	uint64_t cnt[PV_COUNTER_CNT];
	uint64_t spent_ns;
};

int kern__counters(struct kern *kern, uint64_t cnt[PV_COUNTER_CNT], uint64_t *spent_ns)
{
	int cpu_cnt = libbpf_num_possible_cpus();
	struct kern_counters *values;
	uint32_t zero = 0;
	int err = 0;

	if (cpu_cnt < 0)
		return cpu_cnt;
	values = calloc((size_t)cpu_cnt, sizeof(*values));
	if (!values)
		return -ENOMEM;
	memset(cnt, 0, PV_COUNTER_CNT * sizeof(*cnt));
	if (spent_ns)
		*spent_ns = 0;
	if (bpf_map_lookup_elem(bpf_map__fd(kern->skel->maps.counters), &zero, values))
		err = -errno;
	for (int cpu = 0; !err && cpu < cpu_cnt; cpu++) {
		for (int i = 0; i < PV_COUNTER_CNT; i++)
			cnt[i] += values[cpu].cnt[i];
		if (spent_ns)
			*spent_ns += values[cpu].spent_ns;
	}
	free(values);
	return err;
}
