// SPDX-License-Identifier: Apache-2.0
#include "cmd/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/exit.h"
#include "cmd/opt.h"
#include "cmd/tty.h"
#include "kern/refusal.h"
#include "out/text.h"
#include "proc/process.h"
#include "py/runtime.h"
#include "util/log.h"

struct ps_config {
	struct opt_pids pids;
};

static const struct opt_row rows[] = {
	OPT(PIDS, ps_config, pids, 'p', "pid", "PID[,PID...]", "these only; may be given again"),
	OPT_BARE(HELP, 'h', "help", "print this"),
};

static const struct opt_spec spec = {
	.command = "ps",
	.usage = "pitviper ps [-p PID[,PID...]]",
	.about = "List the Python processes of this host: version, how the interpreter is built "
		 "in,\n"
		 "where the layout of its memory comes from, and whether record supports it.\n\n",
	.rows = rows,
	.row_cnt = sizeof(rows) / sizeof(rows[0]),
};

enum column { PID, VERSION, BUILD, LAYOUT, STATUS, COMMAND, COLUMN_CNT };

static const char *const headings[COLUMN_CNT] = { "PID",    "VERSION", "BUILD",
	                                          "LAYOUT", "STATUS",  "COMMAND" };

struct row {
	char *cells[COLUMN_CNT]; /* safe to be shown */
};

struct table {
	struct row *rows;
	size_t cnt;
	struct py_cache *cache;
	unsigned int hidden_cnt; /* processes that we may not look into */
};

static char *safe_cell(const char *text)
{
	struct buf out = { 0 };

	text_visible(&out, text, strlen(text));
	if (out.err || !out.data) {
		buf_free(&out);
		return strdup("");
	}
	return out.data;
}

static void table_free(struct table *table)
{
	for (size_t i = 0; i < table->cnt; i++)
		for (size_t j = 0; j < COLUMN_CNT; j++)
			free(table->rows[i].cells[j]);
	free(table->rows);
	py_cache__free(table->cache);
}

static int add_row(struct table *table, pid_t pid, const struct py_runtime *runtime)
{
	struct row *grown = realloc(table->rows, (table->cnt + 1) * sizeof(*grown)), *row;
	struct buf command = { 0 }, status = { 0 };
	char number[16];

	if (!grown)
		return -ENOMEM;
	table->rows = grown;
	row = &table->rows[table->cnt++];
	process_cmdline(pid, &command);
	if (runtime->proc.state == PV_PROC_PYTHON)
		buf_puts(&status, "supported");
	else
		buf_printf(&status, "%s: %s",
		           runtime->proc.state == PV_PROC_UNSUPPORTED ? "no" : "not yet",
		           runtime->reason);
	snprintf(number, sizeof(number), "%d", pid);
	row->cells[PID] = safe_cell(number);
	row->cells[VERSION] = safe_cell(*runtime->version ? runtime->version : "?");
	row->cells[BUILD] = safe_cell(runtime->build && *runtime->build ? runtime->build : "-");
	row->cells[LAYOUT] = safe_cell(runtime->source && *runtime->source ? runtime->source : "-");
	row->cells[STATUS] = safe_cell(buf_str(&status));
	row->cells[COMMAND] = safe_cell(buf_str(&command));
	buf_free(&command);
	buf_free(&status);
	for (size_t j = 0; j < COLUMN_CNT; j++)
		if (!row->cells[j])
			return -ENOMEM;
	return 0;
}

/* -ENOEXEC: not a Python process. */
static int look(struct table *table, pid_t pid)
{
	struct py_runtime runtimes[PY_RUNTIMES_MAX];
	int err = py_runtime__find(table->cache, pid, runtimes, PY_RUNTIMES_MAX);

	if (err)
		return err;
	if (runtimes[0].proc.state == PV_PROC_NOT_PYTHON)
		return -ENOEXEC;
	for (size_t i = 0; !err && i < PY_RUNTIMES_MAX; i++)
		if (runtimes[i].proc.state != PV_PROC_NOT_PYTHON)
			err = add_row(table, pid, &runtimes[i]);
	return err;
}

static int look_each(void *ctx, pid_t pid)
{
	struct table *table = ctx;
	int err = look(table, pid);

	if (err == -EACCES || err == -EPERM)
		table->hidden_cnt++;
	return err == -ENOMEM ? err : 0;
}

static const char *remedy(void)
{
	return geteuid() ? "CAP_SYS_PTRACE is needed; run as root: sudo pitviper ps"
	                 : "not even as root: it is protected, or this is a container";
}

static enum exit_code say_pid_error(pid_t pid, int err)
{
	struct refusal refusal = { 0 };
	char what[1024];

	if (err == -ESRCH && process_exists(pid) && refusal_hidepid(&refusal))
		err = -EACCES;
	switch (err) {
	case -ESRCH:
		log_error("no process with pid %d", pid);
		return EXIT_NO_PROCESS;
	case -ENOEXEC:
		log_error("process %d is not a Python process", pid);
		return EXIT_NOT_PYTHON;
	case -EACCES:
	case -EPERM:
		refusal_explain_reading(pid, what, sizeof(what));
		log_error("%s", what);
		return EXIT_NOT_PERMITTED;
	default:
		log_error("process %d: %s", pid, strerror(-err));
		return EXIT_INTERNAL;
	}
}

static void print_row(const char *const *cells, const unsigned int *widths, unsigned int columns)
{
	struct buf line = { 0 }, out = { 0 };

	for (size_t j = 0; j < COLUMN_CNT; j++) {
		size_t start = line.len;

		if (j == PID)
			for (size_t n = strlen(cells[j]); n < widths[j]; n++)
				buf_putc(&line, ' ');
		buf_puts(&line, cells[j]);
		if (j == COMMAND)
			break;
		tty_pad(&line, start, widths[j]);
		buf_puts(&line, "  ");
	}
	/* The cells are safe already: only the cut is wanted here. */
	tty_cut(&out, buf_str(&line), line.len, columns);
	puts(buf_str(&out));
	buf_free(&line);
	buf_free(&out);
}

static void print_table(const struct table *table)
{
	unsigned int columns = isatty(STDOUT_FILENO) ? tty_columns(STDOUT_FILENO) : 0;
	unsigned int widths[COLUMN_CNT];

	for (size_t j = 0; j < COLUMN_CNT; j++) {
		widths[j] = (unsigned int)strlen(headings[j]);
		for (size_t i = 0; i < table->cnt; i++) {
			const char *cell = table->rows[i].cells[j];
			unsigned int wide = tty_text_columns(cell, strlen(cell));

			if (wide > widths[j])
				widths[j] = wide;
		}
	}
	print_row(headings, widths, columns);
	for (size_t i = 0; i < table->cnt; i++)
		print_row((const char *const *)table->rows[i].cells, widths, columns);
}

static enum exit_code list(const struct ps_config *config, struct table *table)
{
	enum exit_code code = EXIT_OK;
	struct refusal refusal = { 0 };
	int err;

	for (size_t i = 0; i < config->pids.cnt; i++) {
		err = look(table, config->pids.pids[i]);
		if (err && !code)
			code = say_pid_error(config->pids.pids[i], err);
	}
	if (config->pids.cnt) {
		if (table->cnt)
			print_table(table);
		return code;
	}
	err = process_each(look_each, table);
	if (err) {
		log_error("cannot list the processes: %s", strerror(-err));
		return EXIT_INTERNAL;
	}
	print_table(table);
	if (refusal_hidepid(&refusal))
		log_warn("%s; %s", refusal.what, refusal.remedy);
	else if (table->hidden_cnt)
		log_warn("not permitted to look into %u %s: %s", table->hidden_cnt,
		         table->hidden_cnt == 1 ? "process" : "processes", remedy());
	return EXIT_OK;
}

int cmd_ps(char **argv)
{
	struct ps_config config = { 0 };
	struct table table = { 0 };
	enum opt_outcome outcome;
	enum exit_code code = EXIT_OK;
	char **program;

	outcome = opt_parse(&spec, argv, &config, &program);
	if (outcome == OPT_BAD)
		code = EXIT_USAGE;
	if (outcome == OPT_GO) {
		table.cache = py_cache__new();
		if (table.cache)
			code = list(&config, &table);
		else
			code = EXIT_INTERNAL;
	}
	table_free(&table);
	opt_pids_free(&config.pids);
	return code;
}
