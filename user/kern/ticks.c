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

#include "util/file.h"

#define ONLINE_PATH "/sys/devices/system/cpu/online"

struct tick {
	int fd;
	struct bpf_link *link; /* NULL: no event on this CPU */
};

struct ticks {
	struct bpf_program *prog;
	uint64_t period_ns;
	struct tick *cpus;
	int cpu_cap;
	uint32_t cpu_cnt;
	uint64_t gone_due_cnt; /* periods that passed on CPUs that have gone since */
	struct buf online;     /* what ONLINE_PATH said last */
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
	buf_free(&ticks->online);
	free(ticks->cpus);
	free(ticks);
}

/* A cpu-clock event counts nanoseconds. */
static uint64_t tick_due_cnt(const struct ticks *ticks, const struct tick *tick)
{
	uint64_t count_ns = 0;

	if (!tick->link || read(tick->fd, &count_ns, sizeof(count_ns)) != sizeof(count_ns))
		return 0;
	return count_ns / ticks->period_ns;
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

int ticks__follow(struct ticks *ticks)
{
	struct buf now = { 0 };
	bool *online = NULL;
	int err = file_read(ONLINE_PATH, 65536, &now);

	if (err || ticks->stopped)
		goto out;
	if (ticks->online.len == now.len &&
	    !memcmp(buf_str(&ticks->online), buf_str(&now), now.len))
		goto out;
	online = calloc((size_t)ticks->cpu_cap, sizeof(*online));
	if (!online || !cpu_list_parse(buf_str(&now), ticks->cpu_cap, online)) {
		err = online ? -EPROTO : -ENOMEM;
		goto out;
	}
	for (int cpu = 0; cpu < ticks->cpu_cap; cpu++) {
		if (ticks->cpus[cpu].link && !online[cpu]) {
			ticks->gone_due_cnt += tick_due_cnt(ticks, &ticks->cpus[cpu]);
			tick_close(&ticks->cpus[cpu]);
			ticks->cpu_cnt--;
		} else if (!ticks->cpus[cpu].link && online[cpu]) {
			err = tick_open(ticks, cpu);
			/* Gone again between the list and the call. */
			if (err == -ENODEV)
				err = 0;
			else if (err)
				goto out;
			else
				ticks->cpu_cnt++;
		}
	}
	buf_free(&ticks->online);
	ticks->online = now;
	now = (struct buf){ 0 };
out:
	free(online);
	buf_free(&now);
	return err;
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
	uint64_t cnt = ticks->gone_due_cnt;

	for (int cpu = 0; cpu < ticks->cpu_cap; cpu++)
		cnt += tick_due_cnt(ticks, &ticks->cpus[cpu]);
	return cnt;
}
