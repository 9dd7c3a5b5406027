// SPDX-License-Identifier: Apache-2.0
#include "cmd/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/describe.h"
#include "cmd/exit.h"
#include "cmd/opt.h"
#include "cmd/owner.h"
#include "cmd/signals.h"
#include "cmd/sources.h"
#include "cmd/summary.h"
#include "cmd/when.h"
#include "out/diff.h"
#include "out/ledger.h"
#include "out/out.h"
#include "out/text.h"
#include "out/top.h"
#include "store/store.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"

#define TOP_DEFAULT 20
#define LAST_NS     (15 * 60 * NSEC_PER_SEC) /* of the agent's store, unless a time is named */

struct report_config {
	struct opt_words files;
	const char *store;
	const char *last;
	const char *from;
	const char *to;
	struct opt_pids pids;
	const char *comm;
	const char *cgroup;
	const char *thread;
	const char *focus;
	const char *ignore;
	const char *output;
	const char *format;
	uint32_t top;
	const char *diff;
	bool threads;
	bool functions;
	bool no_lines;
	bool full_filenames;
	bool quiet;
};

static const struct opt_row rows[] = {
	OPT(STRING, report_config, store, 0, "store", "FILE",
	    "the agent's store (default: " STORE_DEFAULT_PATH ")", .section = "Which profile"),
	OPT(STRING, report_config, last, 0, "last", "TIME",
	    "the last 15m, 1h30m, 2d; of FILEs from their end back"),
	OPT(STRING, report_config, from, 0, "from", "TIME",
	    "from 14:00, '2026-11-26 14:00', 'yesterday 14:00'"),
	OPT(STRING, report_config, to, 0, "to", "TIME", "until then"),
	OPT(PIDS, report_config, pids, 'p', "pid", "PID[,PID...]", "only these processes",
	    .section = "What of it (regular expressions)"),
	OPT(STRING, report_config, comm, 0, "comm", "REGEX", "processes of that name"),
	OPT(STRING, report_config, cgroup, 0, "cgroup", "REGEX", "processes in that cgroup"),
	OPT(STRING, report_config, thread, 0, "thread", "REGEX", "threads of that name"),
	OPT(STRING, report_config, focus, 0, "focus", "REGEX",
	    "stacks with that function: 'name (file)'"),
	OPT(STRING, report_config, ignore, 0, "ignore", "REGEX", "stacks without that function"),
	OPT(STRING, report_config, output, 'o', "output", "FILE",
	    "write here (default: a table on the terminal)", .section = "How"),
	OPT(STRING, report_config, format, 'f', "format", "NAME",
	    "see below (default: by FILE's extension); without -o\nto standard output"),
	OPT(UINT, report_config, top, 0, "top", "N", "the first N functions as a table", .min = 1,
	    .max = 1000000),
	OPT(STRING, report_config, diff, 0, "diff", "RANGE|FILE",
	    "what has changed since 13:00-13:10, or since another\nprofile: as a table, with -o "
	    "as a differential .svg"),
	OPT(FLAG, report_config, threads, 't', "threads", NULL, "keep threads apart"),
	OPT(FLAG, report_config, functions, 'F', "function", NULL,
	    "count by function instead of by line"),
	OPT(FLAG, report_config, no_lines, 0, "nolineno", NULL, "show no line numbers"),
	OPT(FLAG, report_config, full_filenames, 0, "full-filenames", NULL,
	    "show files with their whole path"),
	OPT(FLAG, report_config, quiet, 'q', "quiet", NULL, "print errors and warnings only",
	    .section = "Messages"),
	OPT_BARE(HELP, 'h', "help", "print this"),
};

static const char about[] =
	"Draw profiles that were saved by record -o FILE.pv, several together too, or any time of\n"
	"what the agent keeps. Root is not needed: for the agent's store membership in the "
	"group\n" STORE_GROUP " is.\n";

static const char notes[] =
	"A time of day is the last one there was; --to 14:10 is the first one behind --from. "
	"Without\n"
	"a time, FILEs are drawn whole and of the agent's store the last 15 minutes.\n"
	"\n"
	"Examples:\n"
	"  pitviper report run.pv -o run.svg\n"
	"  pitviper report --last 15m --comm gunicorn --top 30\n"
	"  pitviper report --from 14:00 --to 14:10 --diff 13:00-13:10 -o incident.svg\n"
	"  pitviper report new.pv --diff old.pv\n";

struct report {
	const struct report_config *config;
	const struct out_format *format; /* NULL: no file */
	uint64_t now_ns;                 /* what times are counted from */
	uint64_t from_ns, to_ns;
	struct sources sources, base_sources;
	struct select *select;
	struct drawn drawn, base;
	struct profile_meta meta;
	struct buf title;
	struct signals signals;
	struct outfile outfile;
};

static enum exit_code refuse(const char *option, const char *text, const char *want)
{
	log_error("%s: '%s' is no %s", option, text, want);
	return EXIT_USAGE;
}

static enum exit_code check_config(const struct report *report)
{
	const struct report_config *config = report->config;
	const char *refusal = NULL;

	if (config->files.cnt && config->store)
		refusal = "FILEs and --store exclude each other: name all files as FILEs";
	else if (config->last && (config->from || config->to))
		refusal = "--last and --from or --to exclude each other";
	else if (config->diff && config->output && report->format != out_formats[0])
		refusal = "--diff draws a flame graph or a table: -o FILE.svg, or no -o";
	else if (config->diff && config->format && !config->output)
		refusal = "--diff draws a flame graph or a table: -o FILE.svg, or no -f";
	if (!refusal)
		return EXIT_OK;
	log_error("%s", refusal);
	return EXIT_USAGE;
}

/* Is --diff neither a range of time nor a file? */
static bool is_no_base(const char *diff, uint64_t now_ns)
{
	uint64_t from_ns, to_ns;

	return !when_range(diff, now_ns, &from_ns, &to_ns) && access(diff, F_OK) &&
	       !strchr(diff, '/') && !strstr(diff, STORE_EXTENSION);
}

/*
 * What is no time is told before any file is opened. What a time means depends on the files, whether it
 * is one does not.
 */
static enum exit_code check_times(const struct report_config *config)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME), ns;

	if (config->last && !when_duration(config->last, &ns))
		return refuse("--last", config->last, "length of time (as 15m, 1h30m, 2d)");
	if (config->from && !when_time(config->from, now_ns, 0, &ns))
		return refuse("--from", config->from, "time (as 14:00, '2026-11-26 14:00', 15m)");
	if (config->to && !when_time(config->to, now_ns, 0, &ns))
		return refuse("--to", config->to, "time (as 14:10, '2026-11-26 14:10', now)");
	if (config->diff && is_no_base(config->diff, now_ns))
		return refuse("--diff", config->diff,
		              "range of time (as 13:00-13:10), nor is it a file");
	return EXIT_OK;
}

static enum exit_code choose_format(struct report *report)
{
	const char *asked = report->config->format, *path = report->config->output;

	if (asked)
		report->format = out_format_by_name(asked);
	else if (path)
		report->format = out_format_by_path(path);
	if (report->format || (!asked && !path))
		return EXIT_OK;
	if (asked)
		log_error("--format: there is no '%s'; 'pitviper report --help' lists them", asked);
	else
		log_error("-o %s: its extension names no format; -f does, 'pitviper report "
		          "--help' lists them",
		          path);
	return EXIT_USAGE;
}

/* What --last, --from and --to mean; of saved profiles the end is what the clock is for the agent. */
static enum exit_code choose_time(struct report *report)
{
	const struct report_config *config = report->config;
	uint64_t first_ns, last_ns, ago_ns = LAST_NS;
	enum exit_code code = sources_range(&report->sources, &first_ns, &last_ns);

	if (code)
		return code;
	report->now_ns = config->files.cnt ? last_ns : clock_ns(CLOCK_REALTIME);
	report->from_ns = 0;
	report->to_ns = UINT64_MAX;
	if (config->last)
		when_duration(config->last, &ago_ns);
	if (config->last || (!config->files.cnt && !config->from && !config->to))
		report->from_ns = report->now_ns > ago_ns ? report->now_ns - ago_ns : 0;
	if (config->last)
		report->to_ns = report->now_ns;
	if (config->from)
		when_time(config->from, report->now_ns, 0, &report->from_ns);
	if (config->to)
		when_time(config->to, report->now_ns, config->from ? report->from_ns : 0,
		          &report->to_ns);
	if (report->to_ns > report->from_ns)
		return EXIT_OK;
	log_error("--to %s is not behind --from %s", config->to, config->from);
	return EXIT_USAGE;
}

static enum exit_code open_sources(struct report *report)
{
	const struct report_config *config = report->config;
	const char *store = config->store ? config->store : STORE_DEFAULT_PATH;

	if (config->files.cnt)
		return sources_open(&report->sources, config->files.words, config->files.cnt);
	return sources_open(&report->sources, &store, 1);
}

static enum exit_code make_select(struct report *report)
{
	const struct report_config *config = report->config;
	const struct select_opts opts = {
		.pids = config->pids.pids,
		.pid_cnt = config->pids.cnt,
		.comm = config->comm,
		.cgroup = config->cgroup,
		.thread = config->thread,
		.focus = config->focus,
		.ignore = config->ignore,
	};
	char what[512];

	if (!opts.pid_cnt && !opts.comm && !opts.cgroup && !opts.thread && !opts.focus &&
	    !opts.ignore)
		return EXIT_OK;
	report->select = select__new(&opts, what, sizeof(what));
	if (report->select)
		return EXIT_OK;
	log_error("%s", what);
	return errno == EINVAL ? EXIT_USAGE : EXIT_INTERNAL;
}

/* A time of the same store, or all of another one. */
static enum exit_code draw_base(struct report *report)
{
	const char *diff = report->config->diff;
	uint64_t from_ns, to_ns;
	enum exit_code code;

	if (when_range(diff, report->now_ns, &from_ns, &to_ns))
		return sources_draw(&report->sources, from_ns, to_ns, report->select,
		                    &report->base);
	code = sources_open(&report->base_sources, &diff, 1);
	if (code)
		return code;
	return sources_draw(&report->base_sources, 0, UINT64_MAX, report->select, &report->base);
}

static void put_part(struct buf *out, const char *name, const char *value)
{
	if (value)
		buf_printf(out, ", %s %s", name, value);
}

/* The picture says which part it shows. */
static enum exit_code entitle(struct report *report)
{
	const struct report_config *config = report->config;
	struct buf *title = &report->title;

	report->meta = *profile__meta(report->drawn.profile);
	buf_puts(title, ledger_str(report->meta.title));
	for (size_t i = 0; i < config->pids.cnt; i++)
		buf_printf(title, "%s%d", i ? ", " : ", only pid ", config->pids.pids[i]);
	put_part(title, "comm", config->comm);
	put_part(title, "cgroup", config->cgroup);
	put_part(title, "thread", config->thread);
	put_part(title, "focus", config->focus);
	put_part(title, "ignore", config->ignore);
	put_part(title, "compared with", config->diff);
	if (title->err) {
		log_error("out of memory");
		return EXIT_INTERNAL;
	}
	report->meta.title = buf_str(title);
	profile__set_meta(report->drawn.profile, &report->meta);
	return EXIT_OK;
}

/* Processes are shown apart where there is more than one. */
static bool has_processes(const struct profile *profile)
{
	for (uint32_t i = 1; i < profile__track_cnt(profile); i++)
		if (profile__track_at(profile, i)->pid != profile__track_at(profile, 0)->pid)
			return true;
	return false;
}

static int draw_to(struct report *report, FILE *stream)
{
	const struct report_config *config = report->config;
	const struct out_view view = {
		.functions = config->functions,
		.no_lines = config->no_lines,
		.threads = config->threads,
		.processes = has_processes(report->drawn.profile),
		.full_filenames = config->full_filenames,
	};

	if (config->diff)
		return diff_write_svg(report->drawn.profile, report->base.profile, &view, stream);
	return report->format->write(report->drawn.profile, &view, stream);
}

static enum exit_code write_file(struct report *report)
{
	const char *path = report->config->output;
	struct owner owner = owner_find();
	int err = signals_open(&report->signals, false);

	if (!err)
		err = outfile_open(&report->outfile, path, owner.uid, owner.gid);
	if (!err) {
		signals_guard(&report->signals, report->outfile.tmp_path, 0);
		err = draw_to(report, report->outfile.stream);
	}
	if (!err)
		err = outfile_commit(&report->outfile);
	if (!err) {
		log_info("wrote %s; %s", path, report->format->next_step);
		return EXIT_OK;
	}
	log_error("cannot write %s: %s", path, strerror(-err));
	return EXIT_OUTPUT;
}

static enum exit_code write_table(struct report *report)
{
	uint32_t max = report->config->top ? report->config->top : TOP_DEFAULT;
	struct buf text = { 0 };
	int err = report->config->diff
	                  ? top_write_diff(report->drawn.profile, report->base.profile, max, &text)
	                  : top_write(report->drawn.profile, max, &text);

	if (!err)
		fwrite(buf_str(&text), 1, text.len, stdout);
	buf_free(&text);
	if (!err)
		return EXIT_OK;
	log_error("cannot make the table: %s", strerror(-err));
	return EXIT_INTERNAL;
}

static void say_summary(const struct report *report)
{
	const struct profile_meta *meta = profile__meta(report->drawn.profile);
	struct buf text = { 0 };

	text_number(&text, profile__sample_cnt(report->drawn.profile));
	buf_printf(&text, " %s in %.1f s from ",
	           report->drawn.info.weighted ? "weighted samples" : "samples",
	           (double)meta->duration_ns / (double)NSEC_PER_SEC);
	ledger_time(meta->start_unix_ns, &text);
	buf_printf(&text, ", %u Hz", meta->rate_hz);
	if (report->base.profile) {
		buf_puts(&text, "; compared with ");
		text_number(&text, profile__sample_cnt(report->base.profile));
		buf_puts(&text, " from ");
		ledger_time(profile__meta(report->base.profile)->start_unix_ns, &text);
	}
	buf_putc(&text, '\n');
	summary_say(&text, meta);
	buf_free(&text);
}

static enum exit_code write_out(struct report *report)
{
	const struct report_config *config = report->config;
	enum exit_code code = EXIT_OK;
	int err;

	if (config->top || !report->format)
		code = write_table(report);
	if (!code && config->output)
		return write_file(report);
	if (code || !report->format || config->output)
		return code;
	err = draw_to(report, stdout);
	if (!err)
		return EXIT_OK;
	log_error("cannot write to stdout: %s", strerror(-err));
	return EXIT_OUTPUT;
}

static enum exit_code run(struct report *report)
{
	enum exit_code code = choose_format(report);

	if (!code)
		code = check_config(report);
	if (!code)
		code = check_times(report->config);
	if (!code)
		code = make_select(report);
	if (!code)
		code = open_sources(report);
	if (!code)
		code = choose_time(report);
	if (!code)
		code = sources_draw(&report->sources, report->from_ns, report->to_ns,
		                    report->select, &report->drawn);
	if (!code && report->config->diff)
		code = draw_base(report);
	if (!code)
		code = entitle(report);
	if (!code && report->select && !profile__sample_cnt(report->drawn.profile))
		log_warn("no sample is left of what was asked for");
	if (!code)
		code = write_out(report);
	if (!code)
		say_summary(report);
	return code;
}

int cmd_report(char **argv)
{
	struct report_config config = { 0 };
	struct report report = { .config = &config, .signals = { .fd = -1 } };
	struct buf below = { 0 };
	struct opt_spec spec = {
		.command = "report",
		.usage = "pitviper report [options] FILE.pv...\n"
			 "       pitviper report [options] [--last TIME | --from TIME --to TIME]",
		.about = about,
		.rows = rows,
		.row_cnt = sizeof(rows) / sizeof(rows[0]),
		.words = &config.files,
	};
	enum opt_outcome outcome;
	char **program;
	int code = EXIT_OK;

	describe_formats(&below, NULL);
	buf_printf(&below, "\n%s", notes);
	spec.notes = buf_str(&below);
	outcome = opt_parse(&spec, argv, &config, &program);
	buf_free(&below);
	if (outcome == OPT_BAD)
		code = EXIT_USAGE;
	if (outcome == OPT_GO) {
		log_set_level(config.quiet ? LOG_WARN : LOG_INFO);
		code = run(&report);
	}
	drawn_free(&report.drawn);
	drawn_free(&report.base);
	sources_close(&report.sources);
	sources_close(&report.base_sources);
	select__free(report.select);
	outfile_abort(&report.outfile);
	signals_close(&report.signals);
	buf_free(&report.title);
	opt_words_free(&config.files);
	opt_pids_free(&config.pids);
	return code;
}
