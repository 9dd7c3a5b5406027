// SPDX-License-Identifier: Apache-2.0
#include "cmd/describe.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "out/out.h"
#include "proc/process.h"

#define FILE_PROGRAM_MAX 64   /* bytes of a program's name in a file's name */
#define TITLE_MAX        1024 /* bytes of a title */

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";

/* The last part of a path, made fit for a file name. */
static void put_program(struct buf *out, const char *path)
{
	const char *name = strrchr(path, '/');

	name = name && name[1] ? name + 1 : path;
	for (size_t i = 0; name[i] && i < FILE_PROGRAM_MAX; i++) {
		bool fits = strchr(plain, name[i]) && (i || (name[i] != '.' && name[i] != '-'));

		buf_putc(out, fits ? name[i] : '_');
	}
}

void describe_file(struct buf *out, const struct subject *subject, const char *extension)
{
	pid_t pid = subject->program_pid ? subject->program_pid
	            : subject->pid_cnt   ? subject->pids[0]
	                                 : 0;
	time_t now = time(NULL);
	struct buf comm = { 0 };
	char stamp[32] = "";
	struct tm tm;

	if (subject->program)
		put_program(out, subject->program[0]);
	else if (!subject->all && !process_comm(pid, pid, &comm) && comm.len)
		put_program(out, buf_str(&comm));
	else
		buf_puts(out, subject->all ? "all" : "pid");
	buf_free(&comm);
	if (pid)
		buf_printf(out, "-%d", pid);
	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "-%Y%m%d-%H%M%S", &tm);
	buf_printf(out, "%s%s", stamp, extension);
}

static void put_pids(struct buf *out, const struct subject *subject)
{
	if (subject->pid_cnt == 1) {
		buf_printf(out, "pid %d: ", subject->pids[0]);
		process_cmdline(subject->pids[0], out);
		return;
	}
	buf_puts(out, "pids ");
	for (size_t i = 0; i < subject->pid_cnt && out->len < TITLE_MAX; i++)
		buf_printf(out, "%s%d", i ? ", " : "", subject->pids[i]);
}

void describe_title(struct buf *out, const struct subject *subject)
{
	if (subject->all) {
		buf_puts(out, "all Python processes");
		if (subject->program)
			buf_puts(out, " during ");
	}
	if (subject->program)
		describe_command(out, subject->program);
	else if (!subject->all)
		put_pids(out, subject);
}

void describe_command(struct buf *out, char *const *argv)
{
	for (size_t i = 0; argv[i]; i++) {
		const char *word = argv[i];

		if (i)
			buf_putc(out, ' ');
		if (*word && !strpbrk(word, " \t\n\r\"'\\$`*?[](){}<>|&;!#~")) {
			buf_puts(out, word);
			continue;
		}
		buf_putc(out, '\'');
		for (; *word; word++) {
			if (*word == '\'')
				buf_puts(out, "'\\''");
			else
				buf_putc(out, *word);
		}
		buf_putc(out, '\'');
	}
}

void describe_host(struct buf *out)
{
	struct utsname name;

	if (!uname(&name))
		buf_printf(out, "%s, %s %s", name.nodename, name.sysname, name.release);
}

static void add_format(struct buf *out, const struct out_format *format)
{
	buf_printf(out, "  %-12s%-17s%s\n", format->name, format->extension, format->summary);
}

void describe_formats(struct buf *out, const struct out_format *more)
{
	buf_puts(out, "Formats:\n");
	for (size_t i = 0; out_formats[i]; i++)
		add_format(out, out_formats[i]);
	if (more)
		add_format(out, more);
}
