// SPDX-License-Identifier: Apache-2.0
#include "kern/list.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "pitviper.skel.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/file.h"

int list_by_iterator(struct pitviper *skel, list_fn *fn, void *ctx)
{
	struct bpf_link *link = bpf_program__attach_iter(skel->progs.list_processes, NULL);
	struct pv_listed listed[64];
	int fd, err = 0;
	ssize_t got;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		err = -errno;
	while (!err && (got = read(fd, listed, sizeof(listed))) != 0) {
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0) {
			err = -errno;
			break;
		}
		/* The kernel hands out whole records: each fits the seq_file's page. */
		for (size_t i = 0; !err && i < (size_t)got / sizeof(*listed); i++)
			err = fn(ctx, &listed[i]);
	}
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return err;
}

/* 0 or negative errno; skel->bss->looked_up says what was found. */
static int look_up(struct pitviper *skel, int pid)
{
	uint64_t args[] = { (uint64_t)pid };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = sizeof(args));

	return bpf_prog_test_run_opts(bpf_program__fd(skel->progs.look_up_process), &opts);
}

int list_by_pid(struct pitviper *skel, list_fn *fn, void *ctx)
{
	struct buf pids = { 0 };
	int err = file_numbers("/proc", &pids);

	for (size_t i = 0; !err && i < pids.len / sizeof(int); i++) {
		struct pv_listed listed;

		err = look_up(skel, ((const int *)(const void *)pids.data)[i]);
		listed = skel->bss->looked_up.listed;
		if (!err && listed.pid)
			err = fn(ctx, &listed);
	}
	buf_free(&pids);
	return err;
}

/* Of /proc/self/stat, as proc(5) numbers them: 22 starttime, 28 startstack, 48 arg_start. */
#define STAT_SELF                                                                               \
	" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu"     \
	" %*u %*d %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %*d %*u %*u %*u %*u" \
	" %*d %*u %*u %*u %llu"

static bool is_ours(const struct pv_looked_up *found, const char *fields)
{
	uint64_t tick_ns = NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	unsigned long long start, stack, arg_start;
	struct stat program;

	if (sscanf(fields, STAT_SELF, &start, &stack, &arg_start) != 3 ||
	    stat("/proc/self/exe", &program))
		return false;
#if defined(__x86_64__)
	if (found->thread_pointer != (uint64_t)__builtin_thread_pointer())
		return false;
#endif
	return found->listed.pid == (uint32_t)getpid() &&
	       found->listed.id.start_ns / tick_ns == start &&
	       found->listed.exe.size == (uint64_t)program.st_size && found->start_stack == stack &&
	       found->arg_start == arg_start;
}

bool list_finds_us(struct pitviper *skel)
{
	struct buf text = { 0 };
	const char *end =
		file_read("/proc/self/stat", 4096, &text) ? NULL : strrchr(buf_str(&text), ')');
	bool found = end && !look_up(skel, getpid()) && is_ours(&skel->bss->looked_up, end + 1);

	buf_free(&text);
	return found;
}
