// SPDX-License-Identifier: Apache-2.0
#include "kern/ticks.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "util/clock.h"
#include "util/file.h"

#define ONLINE_PATH "/sys/devices/system/cpu/online"

/* How long a tick may be late, and the next CPU's after it, before it is taken for the next one. */
#define AFTER_TICK_NS (200 * 1000ull)

struct tick {
	int fd;
	struct bpf_link *link; /* NULL: no event on this CPU */
	uint64_t seen_ns;      /* what it had counted when it was looked at last */
	uint64_t period_at_ns; /* what it had counted when the period was set */
};

struct ticks {
	struct bpf_program *prog;
	uint64_t period_ns;
	struct tick *cpus;
	int cpu_cap;
	uint32_t cpu_cnt;
	uint64_t
		past_due_cnt; /* periods that passed on CPUs that have gone since, and before the period was set */
	bool stopped;
};

struct ticks *ticks__new(struct bpf_program *prog, uint64_t period_ns)
{
	struct ticks *ticks = calloc(1, sizeof(*ticks));
	int cap = libbpf_num_possible_cpus();

	if (!ticks || cap < 0) {
		free(ticks);
		errno = cap < 0 ? -cap : ENOMEM;
		return NULL;
	}
	ticks->prog = prog;
	ticks->period_ns = period_ns;
	ticks->cpu_cap = cap;
	ticks->cpus = calloc((size_t)cap, sizeof(*ticks->cpus));
	if (!ticks->cpus) {
		free(ticks);
		errno = ENOMEM;
		return NULL;
	}
	return ticks;
}

static void tick_close(struct tick *tick)
{
	/* The link owns the event's descriptor. */
	bpf_link__destroy(tick->link);
	tick->link = NULL;
}

void ticks__free(struct ticks *ticks)
{
	if (!ticks)
		return;
	for (int cpu = 0; cpu < ticks->cpu_cap; cpu++)
		tick_close(&ticks->cpus[cpu]);
	free(ticks->cpus);
	free(ticks);
}

/* A cpu-clock event counts nanoseconds. */
static uint64_t tick_count_ns(const struct tick *tick)
{
	uint64_t count_ns = 0;

	if (!tick->link || read(tick->fd, &count_ns, sizeof(count_ns)) != sizeof(count_ns))
		return 0;
	return count_ns;
}

static uint64_t tick_due_cnt(const struct ticks *ticks, const struct tick *tick)
{
	uint64_t count_ns = tick_count_ns(tick);

	return count_ns > tick->period_at_ns ? (count_ns - tick->period_at_ns) / ticks->period_ns
	                                     : 0;
}

static int tick_open(struct ticks *ticks, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = ticks->period_ns,
		.disabled = 1,
	};
	struct tick *tick = &ticks->cpus[cpu];
	int err;

	tick->fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (tick->fd < 0)
		return -errno;
	tick->link = bpf_program__attach_perf_event(ticks->prog, tick->fd);
	if (!tick->link) {
		err = -errno;
		close(tick->fd);
		return err;
	}
	tick->seen_ns = tick->period_at_ns = 0;
	/* attach enables the event */
	return 0;
}

/* Call out for each CPU of a list like "0-3,6". False: not such a list. */
static bool cpu_list_parse(const char *text, int cap, bool *online)
{
	while (*text && *text != '\n') {
		char *end;
		long first = strtol(text, &end, 10), last = first;

		if (end == text)
			return false;
		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		for (long cpu = first; cpu <= last && cpu < cap; cpu++)
			online[cpu] = true;
		text = *end == ',' ? end + 1 : end;
		if (*end && *end != ',' && *end != '\n')
			return false;
	}
	return true;
}

static void tick_gone(struct ticks *ticks, struct tick *tick)
{
	ticks->past_due_cnt += tick_due_cnt(ticks, tick);
	tick_close(tick);
	ticks->cpu_cnt--;
}

/*
 * The event of a CPU that went offline stands still for ever, also when the CPU has come back before
 * we knew.
 */
static void drop_dead(struct ticks *ticks)
{
	for (int cpu = 0; cpu < ticks->cpu_cap; cpu++) {
		struct tick *tick = &ticks->cpus[cpu];
		uint64_t now_ns = tick_count_ns(tick);

		if (tick->link && now_ns == tick->seen_ns)
			tick_gone(ticks, tick);
		tick->seen_ns = now_ns;
	}
}

static int follow_list(struct ticks *ticks, const bool *online)
{
	for (int cpu = 0; cpu < ticks->cpu_cap; cpu++) {
		struct tick *tick = &ticks->cpus[cpu];
		int err;

		if (tick->link && !online[cpu])
			tick_gone(ticks, tick);
		if (tick->link || !online[cpu])
			continue;
		err = tick_open(ticks, cpu);
		/* Gone again between the list and the call. */
		if (err && err != -ENODEV)
			return err;
		if (!err)
			ticks->cpu_cnt++;
	}
	return 0;
}

int ticks__follow(struct ticks *ticks)
{
	struct buf list = { 0 };
	bool *online = NULL;
	int err = file_read(ONLINE_PATH, 65536, &list);

	if (err || ticks->stopped)
		goto out;
	drop_dead(ticks);
	online = calloc((size_t)ticks->cpu_cap, sizeof(*online));
	if (!online)
		err = -ENOMEM;
	else if (!cpu_list_parse(buf_str(&list), ticks->cpu_cap, online))
		err = -EPROTO;
	else
		err = follow_list(ticks, online);
out:
	free(online);
	buf_free(&list);
	return err;
}

/*
 * A new period begins at once and what has passed of the old one is lost, half of it on average: at 1 Hz
 * that is more than anyone would overlook. So wait for the end of the old one. It ends on all CPUs within
 * the time that it took to go through them when the period was set, the last time.
 */
static void wait_for_tick(const struct ticks *ticks)
{
	struct timespec left = { 0 };
	uint64_t passed_ns = 0, left_ns;

	for (int cpu = 0; !passed_ns && cpu < ticks->cpu_cap; cpu++) {
		const struct tick *tick = &ticks->cpus[cpu];

		if (tick->link)
			passed_ns = tick_count_ns(tick) - tick->period_at_ns;
	}
	left_ns = ticks->period_ns - passed_ns % ticks->period_ns + AFTER_TICK_NS;
	left.tv_sec = (time_t)(left_ns / NSEC_PER_SEC);
	left.tv_nsec = (long)(left_ns % NSEC_PER_SEC);
	nanosleep(&left, NULL);
}

void ticks__set_period(struct ticks *ticks, uint64_t period_ns)
{
	wait_for_tick(ticks);
	for (int cpu = 0; cpu < ticks->cpu_cap; cpu++) {
		struct tick *tick = &ticks->cpus[cpu];

		if (!tick->link)
			continue;
		/* One that cannot be set is of a CPU that goes: ticks__follow() opens it anew. */
		if (ioctl(tick->fd, PERF_EVENT_IOC_PERIOD, &period_ns)) {
			tick_gone(ticks, tick);
			continue;
		}
		ticks->past_due_cnt += tick_due_cnt(ticks, tick);
		tick->period_at_ns = tick_count_ns(tick);
	}
	ticks->period_ns = period_ns;
}

void ticks__stop(struct ticks *ticks)
{
	ticks->stopped = true;
	for (int cpu = 0; cpu < ticks->cpu_cap; cpu++)
		if (ticks->cpus[cpu].link)
			ioctl(ticks->cpus[cpu].fd, PERF_EVENT_IOC_DISABLE, 0);
}

uint32_t ticks__cpu_cnt(const struct ticks *ticks)
{
	return ticks->cpu_cnt;
}

uint64_t ticks__due_cnt(const struct ticks *ticks)
{
	uint64_t cnt = ticks->past_due_cnt;

	for (int cpu = 0; cpu < ticks->cpu_cap; cpu++)
		cnt += tick_due_cnt(ticks, &ticks->cpus[cpu]);
	return cnt;
}
