// SPDX-License-Identifier: Apache-2.0
#include "proc/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/file.h"

#define PF_EXITING 0x4 /* of a task's flags: include/linux/sched.h */

static int process_errno(int err)
{
	return err == -ENOENT ? -ESRCH : err;
}

/* The longest prefix of @data up to @max bytes that does not end inside a UTF-8 sequence. */
static size_t process_cut(const char *data, size_t max)
{
	size_t len = max;

	while (len > 0 && max - len < 4 && ((unsigned char)data[len] & 0xc0) == 0x80)
		len--;
	return max - len < 4 ? len : max;
}

int process_cmdline_join(const char *args, size_t len, bool cut, struct buf *out)
{
	size_t start = out->len;

	if (cut)
		len = process_cut(args, len);
	while (!cut && len && !args[len - 1])
		len--;
	buf_add(out, args, len);
	for (size_t i = start; i < out->len; i++)
		if (!out->data[i])
			out->data[i] = ' ';
	if (cut)
		buf_puts(out, "…");
	return out->err;
}

int process_cmdline(pid_t pid, struct buf *out)
{
	struct buf raw = { 0 };
	size_t len, start = out->len;
	char path[40];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	/* More than the limit is an error of file_read() that leaves what it has read. */
	err = file_read(path, PROCESS_CMDLINE_MAX + 1, &raw);
	if (err == -EFBIG)
		err = 0;
	if (!err && raw.err)
		err = raw.err;
	len = raw.len < PROCESS_CMDLINE_MAX ? raw.len : PROCESS_CMDLINE_MAX;
	if (!err)
		err = process_cmdline_join(buf_str(&raw), len, raw.len > len, out);
	if (!err && out->len == start) {
		buf_clear(&raw);
		err = process_comm(pid, pid, &raw);
		if (!err)
			buf_printf(out, "[%s]", buf_str(&raw));
	}
	buf_free(&raw);
	return err ? process_errno(err) : out->err;
}

int process_comm(pid_t pid, pid_t tid, struct buf *out)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
	err = file_read(path, 256, out);
	if (err)
		return process_errno(err);
	if (out->len && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	return out->err;
}

bool process_exists(pid_t pid)
{
	return pid > 0 && (!kill(pid, 0) || errno == EPERM);
}

/* Past the name in a stat file, which may hold anything, parentheses too: proc(5). NULL: no file. */
static const char *process_stat(const char *path, struct buf *text)
{
	const char *end;

	if (file_read(path, 4096, text))
		return NULL;
	end = strrchr(buf_str(text), ')');
	return end ? end + 1 : NULL;
}

bool process_has_thread(pid_t pid, pid_t tid, uint64_t start_ns)
{
	/* state ppid pgrp session tty tpgid flags 4 faults 4 times priority nice threads 0 start */
	static const char form[] = " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d "
				   "%*d %*d %*d %*d %llu";
	uint64_t tick_ns = NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	struct buf text = { 0 };
	unsigned long long start;
	unsigned int flags;
	const char *stat;
	char path[64], state;
	bool has;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	stat = process_stat(path, &text);
	has = stat && sscanf(stat, form, &state, &flags, &start) == 3 && state != 'Z' &&
	      state != 'X' && !(flags & PF_EXITING) && start == start_ns / tick_ns;
	buf_free(&text);
	return has;
}

pid_t process_parent(pid_t pid)
{
	struct buf stat = { 0 };
	char path[40];
	const char *end;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	end = process_stat(path, &stat);
	if (!end || sscanf(end, " %*c %d", &parent) != 1)
		parent = 0;
	buf_free(&stat);
	return parent;
}

static int process_compare(const void *a, const void *b)
{
	pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

	return (left > right) - (left < right);
}

int process_each(int (*fn)(void *ctx, pid_t pid), void *ctx)
{
	struct buf list = { 0 };
	int ret = file_numbers("/proc", &list);
	size_t cnt = list.len / sizeof(pid_t);
	pid_t *pids = (pid_t *)(void *)list.data;

	if (!ret && cnt)
		qsort(pids, cnt, sizeof(*pids), process_compare);
	for (size_t i = 0; !ret && i < cnt; i++)
		ret = fn(ctx, pids[i]);
	buf_free(&list);
	return ret;
}
