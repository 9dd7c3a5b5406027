// SPDX-License-Identifier: Apache-2.0
#include "cmd/cmd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/describe.h"
#include "cmd/exit.h"
#include "cmd/launch.h"
#include "cmd/opt.h"
#include "cmd/owner.h"
#include "cmd/saving.h"
#include "cmd/signals.h"
#include "cmd/status.h"
#include "cmd/summary.h"
#include "collect/session.h"
#include "kern/refusal.h"
#include "out/out.h"
#include "out/text.h"
#include "proc/process.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"

#define RUN_MS     250
#define REASON_LEN 1024
#define FORMAT_MAX 32

struct record_config {
	struct opt_pids pids;
	bool all;
	bool subprocesses;
	uint64_t duration_ns; /* 0: no end is set */
	uint32_t rate_hz;
	const char *types;
	const char *output;
	const char *format;
	bool threads;
	bool functions;
	bool no_lines;
	bool full_filenames;
	bool quiet;
	bool verbose;
};

static const struct opt_row rows[] = {
	OPT(PIDS, record_config, pids, 'p', "pid", "PID[,PID...]",
	    "these processes; may be given again", .section = "What to record"),
	OPT(FLAG, record_config, all, 'a', "all", NULL,
	    "every Python process on the host, also those that\nstart later"),
	OPT(FLAG, record_config, subprocesses, 's', "subprocesses", NULL, "their children too"),
	OPT(SECONDS, record_config, duration_ns, 'd', "duration", "SECONDS",
	    "end after that time (default: on Ctrl-C, or when the\nprocesses have ended)",
	    .section = "How"),
	OPT(UINT, record_config, rate_hz, 'r', "rate", "HZ",
	    "samples a second, 1 to 10000 (default: 99)", .min = 1, .max = SESSION_RATE_MAX),
	OPT(STRING, record_config, types, 0, "btf", "FILE",
	    "the types of this kernel (BTF), if it offers none"),
	OPT(STRING, record_config, output, 'o', "output", "FILE",
	    "write here (default: program-pid-time.svg)", .section = "Output"),
	OPT(STRING, record_config, format, 'f', "format", "NAME",
	    "see below (default: by FILE's extension, else flamegraph)"),
	OPT(FLAG, record_config, threads, 't', "threads", NULL, "keep threads apart"),
	OPT(FLAG, record_config, functions, 'F', "function", NULL,
	    "count by function instead of by line"),
	OPT(FLAG, record_config, no_lines, 0, "nolineno", NULL, "show no line numbers"),
	OPT(FLAG, record_config, full_filenames, 0, "full-filenames", NULL,
	    "show files with their whole path"),
	OPT(FLAG, record_config, quiet, 'q', "quiet", NULL, "print errors and warnings only",
	    .section = "Messages"),
	OPT(FLAG, record_config, verbose, 'v', "verbose", NULL, "print more"),
	OPT_BARE(HELP, 'h', "help", "print this"),
	OPT_BARE(LATER, 'i', "idle", "only threads that use the CPU are recorded"),
	OPT_BARE(LATER, 'n', "native", "only Python frames are recorded"),
	OPT_BARE(LATER, 'g', "gil", "threads are recorded whether they hold the GIL or not"),
	OPT_BARE(IGNORED, 0, "nonblocking", "no process is ever stopped"),
};

static const char about[] =
	"Record where Python processes spend their CPU time, without stopping them.\n";

static const char notes[] =
	"A program behind -- runs as the user who called sudo, with the terminal, the signals\n"
	"and the exit status it would have alone. When the recording ends before it does, the\n"
	"profile is written at once and pitviper waits for the program, whose status it passes\n"
	"on. The first Ctrl-C (or SIGTERM, SIGHUP) ends the recording and writes the profile,\n"
	"a second one stops at once and writes nothing.\n"
	"\n"
	"Examples:\n"
	"  sudo pitviper record -p 1234                      until Ctrl-C\n"
	"  sudo pitviper record -a -d 30 -o host.svg         the whole host for 30 seconds\n"
	"  sudo pitviper record -s -o run.pb.gz -- python3 app.py --port 80\n";

/* One run of the command. */
struct recording {
	const struct record_config *config;
	char **argv;
	const struct out_format *format;
	struct owner owner;
	struct signals signals;
	struct launch *launch;
	struct subject subject;
	struct buf path;
	struct outfile outfile;
	struct saving saving; /* in its stead */
	struct session *session;
	unsigned int stop_cnt;           /* signals that ask for an end */
	const char *why;                 /* the recording has ended because */
	struct buf title, command, host; /* of the profile's head */
};

static enum exit_code exit_of(enum session_error error)
{
	static const enum exit_code codes[] = {
		[SESSION_OK] = EXIT_OK,
		[SESSION_NO_PROCESS] = EXIT_NO_PROCESS,
		[SESSION_NOT_PYTHON] = EXIT_NOT_PYTHON,
		[SESSION_UNSUPPORTED] = EXIT_UNSUPPORTED,
		[SESSION_NOT_PERMITTED] = EXIT_NOT_PERMITTED,
		[SESSION_NO_BPF] = EXIT_NO_BPF,
		[SESSION_BAD_TYPES] = EXIT_USAGE,
		[SESSION_INTERNAL] = EXIT_INTERNAL,
	};

	return codes[error];
}

static bool is_store(const char *path)
{
	size_t len = strlen(path), extension_len = strlen(STORE_EXTENSION);

	return len > extension_len && !strcmp(path + len - extension_len, STORE_EXTENSION);
}

static bool saves(const struct recording *rec)
{
	return rec->format == &saving_format;
}

static enum exit_code choose_format(struct recording *rec)
{
	const char *names[FORMAT_MAX + 1] = { 0 };
	const char *near, *asked = rec->config->format;

	rec->format = out_formats[0];
	if (!asked) {
		const char *path = rec->config->output;
		const struct out_format *by_path = path ? out_format_by_path(path) : NULL;

		if (by_path)
			rec->format = by_path;
		else if (path && is_store(path))
			rec->format = &saving_format;
		return EXIT_OK;
	}
	rec->format =
		strcmp(asked, saving_format.name) != 0 ? out_format_by_name(asked) : &saving_format;
	if (rec->format)
		return EXIT_OK;
	names[0] = saving_format.name;
	for (size_t i = 0; out_formats[i] && i + 1 < FORMAT_MAX; i++)
		names[i + 1] = out_formats[i]->name;
	near = opt_nearest(asked, names);
	if (near)
		log_error("--format: there is no '%s'; did you mean '%s'?", asked, near);
	else
		log_error("--format: there is no '%s'; 'pitviper record --help' lists them", asked);
	return EXIT_USAGE;
}

static enum exit_code check_config(const struct record_config *config, char **program)
{
	const char *refusal = NULL;

	if (config->pids.cnt && config->all)
		refusal = "-p and -a exclude each other: -a takes every Python process already";
	else if (config->pids.cnt && program)
		refusal = "-p and a program to start exclude each other: record one or the other";
	else if (config->quiet && config->verbose)
		refusal = "-q and -v exclude each other";
	else if (!config->pids.cnt && !config->all && !program)
		refusal = "nothing to record: name processes with -p, take all with -a, or start "
			  "a program: pitviper record -- python3 app.py";
	if (!refusal)
		return EXIT_OK;
	log_error("%s", refusal);
	return EXIT_USAGE;
}

/* The process that @tid is a thread of; 0: it cannot be told. */
static pid_t process_of(pid_t tid)
{
	struct buf text = { 0 };
	const char *line;
	char path[40];
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (!file_read(path, 1 << 16, &text)) {
		line = strstr(buf_str(&text), "\nTgid:");
		if (!line || sscanf(line, "\nTgid: %d", &pid) != 1)
			pid = 0;
	}
	buf_free(&text);
	return pid;
}

/* Said before anything is loaded: these are the mistakes that happen. */
static enum exit_code check_pids(const struct opt_pids *pids)
{
	for (size_t i = 0; i < pids->cnt; i++) {
		pid_t pid = pids->pids[i], process;

		if (!process_exists(pid)) {
			log_error("no process with pid %d; 'pitviper ps' lists the Python "
			          "processes",
			          pid);
			return EXIT_NO_PROCESS;
		}
		process = process_of(pid);
		if (process && process != pid) {
			log_error("%d is a thread of process %d; name the process: -p %d", pid,
			          process, process);
			return EXIT_NO_PROCESS;
		}
	}
	return EXIT_OK;
}

static enum exit_code open_output(struct recording *rec)
{
	char what[REASON_LEN] = "";
	int err;

	if (rec->config->output)
		buf_puts(&rec->path, rec->config->output);
	else
		describe_file(&rec->path, &rec->subject, rec->format->extension);
	if (saves(rec)) {
		err = saving_open(&rec->saving, buf_str(&rec->path), &rec->owner, what,
		                  sizeof(what));
		if (!err)
			return EXIT_OK;
		log_error("%s; nothing was recorded; -o names another file", what);
		return EXIT_OUTPUT;
	}
	err = outfile_open(&rec->outfile, buf_str(&rec->path), rec->owner.uid, rec->owner.gid);
	if (!err)
		return EXIT_OK;
	log_error("cannot write %s: %s; nothing was recorded; -o names another file",
	          buf_str(&rec->path), strerror(-err));
	return EXIT_OUTPUT;
}

/* Everything that can be refused before the kernel is asked for anything. */
static enum exit_code prepare(struct recording *rec, char **program)
{
	enum exit_code code = check_pids(&rec->config->pids);
	int err;

	if (code)
		return code;
	rec->owner = owner_find();
	err = signals_open(&rec->signals, program);
	if (err) {
		log_error("cannot take over the signals: %s", strerror(-err));
		return EXIT_INTERNAL;
	}
	if (program) {
		rec->launch = launch__hold(program, &rec->owner, &rec->signals);
		if (!rec->launch) {
			log_error("cannot start a process for %s: %s", program[0], strerror(errno));
			return EXIT_INTERNAL;
		}
		rec->subject.program = program;
		rec->subject.program_pid = launch__pid(rec->launch);
	}
	describe_title(&rec->title, &rec->subject);
	buf_puts(&rec->command, "pitviper ");
	describe_command(&rec->command, rec->argv);
	describe_host(&rec->host);
	return open_output(rec);
}

static struct profile_meta head_of(const struct recording *rec)
{
	return (struct profile_meta){
		.title = buf_str(&rec->title),
		.command = buf_str(&rec->command),
		.version = PV_VERSION,
		.host = buf_str(&rec->host),
	};
}

static int begin_saving(struct recording *rec)
{
	const struct profile_meta head = head_of(rec);

	return saving_begin(&rec->saving, &head);
}

static enum exit_code begin(struct recording *rec)
{
	const struct record_config *config = rec->config;
	const struct session_opts opts = {
		.all = config->all,
		.pids = config->pids.pids,
		.pid_cnt = config->pids.cnt,
		.children = config->subprocesses,
		.rate_hz = config->rate_hz,
		.points = rec->format->wants_points,
		.labels = saves(rec),
		.types = config->types,
	};
	struct refusal refusal = { 0 };
	enum session_error error;
	char what[REASON_LEN] = "";
	int err = 0;

	rec->session = session__new(&opts, &error, what, sizeof(what));
	/* With the other capabilities the sampler runs, and would tell nothing of other users' processes. */
	if (rec->session && config->all && refusal_caps(&refusal))
		log_warn("%s; only processes of the same user can be read; %s", refusal.what,
		         refusal.remedy);
	if (rec->session && rec->launch && !config->all)
		err = session__add_pid(rec->session, launch__pid(rec->launch));
	if (err) {
		log_error("cannot follow the program: %s", strerror(-err));
		return EXIT_INTERNAL;
	}
	if (rec->session)
		error = session__start(rec->session, what, sizeof(what));
	if (error) {
		log_error("%s", what);
		return exit_of(error);
	}
	if (saves(rec)) {
		err = begin_saving(rec);
		if (err) {
			log_error("cannot begin: %s", strerror(-err));
			return EXIT_INTERNAL;
		}
	}
	if (rec->launch && launch__release(rec->launch, what, sizeof(what))) {
		log_error("%s", what);
		return EXIT_CANNOT_RUN;
	}
	log_debug("sampling has begun");
	return EXIT_OK;
}

static void on_signal(struct recording *rec, const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;

	if (signo == SIGWINCH) {
		status_redraw();
		return;
	}
	if (signo == SIGCHLD) {
		if (rec->launch && launch__reap(rec->launch, false))
			rec->why = "the program ended";
		return;
	}
	/*
	 * What is typed at the terminal reaches the program as it does us. What was sent to us
	 * alone is meant for it, unless it was itself the sender (to its process group).
	 */
	if (rec->launch && signo != SIGQUIT && signals_is_sent(info) &&
	    (pid_t)info->ssi_pid != launch__pid(rec->launch))
		launch__signal(rec->launch, signo);
	if (signo == SIGUSR1 || signo == SIGUSR2)
		return;
	rec->stop_cnt += signo == SIGQUIT ? 2 : 1;
	if (!rec->why)
		rec->why = signo == SIGINT    ? "stopped by SIGINT"
		           : signo == SIGTERM ? "stopped by SIGTERM"
		                              : "stopped by SIGHUP";
}

static void take_signals(struct recording *rec)
{
	struct signalfd_siginfo info;

	while (signals_next(&rec->signals, &info))
		on_signal(rec, &info);
}

static enum exit_code loop(struct recording *rec)
{
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC), checked_ns = start_ns;
	uint64_t duration_ns = rec->config->duration_ns;
	struct session_status status;
	int err = 0;

	while (!err && !rec->why) {
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
		uint64_t left_ns = duration_ns - (now_ns - start_ns);

		if (duration_ns && now_ns - start_ns >= duration_ns) {
			rec->why = "the time is over";
			break;
		}
		if (!duration_ns || left_ns > RUN_MS * NSEC_PER_MSEC)
			left_ns = RUN_MS * NSEC_PER_MSEC;
		err = session__run(rec->session, (int)(left_ns / NSEC_PER_MSEC), rec->signals.fd);
		take_signals(rec);
		if (!err && saves(rec))
			err = saving_run(&rec->saving, rec->session);
		/* A busy ring wakes us far more often than this needs to be asked. */
		now_ns = clock_ns(CLOCK_MONOTONIC);
		if (now_ns - checked_ns >= RUN_MS * NSEC_PER_MSEC) {
			checked_ns = now_ns;
			status_draw(rec->session);
			session__status(rec->session, &status);
			if (rec->config->pids.cnt && !status.target_cnt && !rec->why)
				rec->why = "no process is left";
		}
	}
	status_end();
	session__status(rec->session, &status);
	if (status.first_sample_ns)
		log_debug("first sample after %llu ms",
		          (unsigned long long)(status.first_sample_ns / NSEC_PER_MSEC));
	if (!err)
		return EXIT_OK;
	log_error("recording broke off: %s; what there is will be written", strerror(-err));
	return EXIT_INTERNAL;
}

static enum exit_code write_profile(struct recording *rec, struct profile *profile)
{
	const struct record_config *config = rec->config;
	const struct out_view view = {
		.functions = config->functions,
		.no_lines = config->no_lines,
		.threads = config->threads,
		.processes = config->all || config->subprocesses || config->pids.cnt > 1,
		.full_filenames = config->full_filenames,
	};
	int err = rec->format->write(profile, &view, rec->outfile.stream);

	if (!err)
		err = outfile_commit(&rec->outfile);
	if (!err)
		return EXIT_OK;
	log_error("cannot write %s: %s; the profile is lost", buf_str(&rec->path), strerror(-err));
	return EXIT_OUTPUT;
}

static void say_result(const struct recording *rec, const struct profile_meta *meta, uint64_t cnt)
{
	/* Those that were lost stand in the profile too, and the ledger tells of them. */
	uint64_t sample_cnt = cnt - session__lost_cnt(rec->session);
	struct buf text = { 0 };

	if (!sample_cnt)
		log_warn("no samples: %s",
		         meta->tick_cnt ? "the processes used no CPU while they were watched"
		                        : "the recording was too short");
	log_info("wrote %s; %s", buf_str(&rec->path), rec->format->next_step);
	text_number(&text, sample_cnt);
	buf_printf(&text, " %s in %.1f s at %u Hz", sample_cnt == 1 ? "sample" : "samples",
	           (double)meta->duration_ns / (double)NSEC_PER_SEC, meta->rate_hz);
	if (meta->pythons && *meta->pythons)
		buf_printf(&text, ", Python %s", meta->pythons);
	buf_printf(&text, " (%s)\n", rec->why ? rec->why : "broken off");
	summary_say(&text, meta);
	buf_free(&text);
}

static enum exit_code finish_drawing(struct recording *rec)
{
	struct profile_meta meta = head_of(rec);
	struct profile *profile = session__profile(rec->session, &meta);
	enum exit_code code;

	if (!profile) {
		log_error("cannot make the profile: %s", strerror(errno));
		return EXIT_INTERNAL;
	}
	profile__set_meta(profile, &meta);
	code = write_profile(rec, profile);
	if (!code)
		say_result(rec, &meta, profile__sample_cnt(profile));
	profile__free(profile);
	return code;
}

static enum exit_code finish_saving(struct recording *rec)
{
	struct saving *saving = &rec->saving;
	int err = saving_finish(saving, rec->session);

	if (err)
		log_error("not all that was recorded is in %s: %s", buf_str(&rec->path),
		          err == -EIO ? "see above" : strerror(-err));
	else
		say_result(rec, &saving->sum, saving->sample_cnt);
	return err ? EXIT_OUTPUT : EXIT_OK;
}

static enum exit_code finish(struct recording *rec)
{
	enum exit_code code = EXIT_INTERNAL;
	int err;

	/* One signal may come now without harm if none has come yet: it asks for what is being done. */
	signals_guard(&rec->signals, rec->outfile.tmp_path, rec->stop_cnt ? 0 : 1);
	err = session__stop(rec->session);
	if (err)
		log_error("cannot make the profile: %s", strerror(-err));
	else
		code = saves(rec) ? finish_saving(rec) : finish_drawing(rec);
	signals_unguard(&rec->signals);
	return code;
}

/* The recording is over, the program need not be: wait as the shell would. */
static void wait_program(struct recording *rec)
{
	struct signalfd_siginfo info;

	if (!launch__is_running(rec->launch) || launch__reap(rec->launch, false))
		return;
	log_info("the recording has ended; waiting for the program (pid %d)",
	         launch__pid(rec->launch));
	while (launch__is_running(rec->launch)) {
		struct pollfd ready = { .fd = rec->signals.fd, .events = POLLIN };

		poll(&ready, 1, -1);
		while (signals_next(&rec->signals, &info))
			on_signal(rec, &info);
	}
}

static int run(struct recording *rec, char **program)
{
	enum exit_code code = prepare(rec, program), loop_code;

	if (!code)
		code = begin(rec);
	if (!code) {
		if (!rec->config->quiet && !program)
			status_begin(rec->config->duration_ns);
		loop_code = loop(rec);
		if (rec->stop_cnt > 1) {
			log_error(saves(rec) ? "stopped at once; what was stored before is there"
			                     : "stopped at once, nothing was written");
			return EXIT_STOPPED;
		}
		code = finish(rec);
		if (!code)
			code = loop_code;
	}
	/* Let go of the kernel side now, the program may go on for days. */
	session__free(rec->session);
	rec->session = NULL;
	outfile_abort(&rec->outfile);
	saving_close(&rec->saving);
	if (!rec->launch)
		return code;
	wait_program(rec);
	return code || !launch__reap(rec->launch, false) ? (int)code : launch__status(rec->launch);
}

int cmd_record(char **argv)
{
	struct record_config config = { .rate_hz = 99 };
	struct recording rec = { .config = &config, .argv = argv, .signals = { .fd = -1 } };
	struct buf below = { 0 };
	struct opt_spec spec = {
		.command = "record",
		.usage = "pitviper record [options] -p PID[,PID...]\n"
			 "       pitviper record [options] -a\n"
			 "       pitviper record [options] -- program args...",
		.about = about,
		.rows = rows,
		.row_cnt = sizeof(rows) / sizeof(rows[0]),
		.takes_program = true,
	};
	enum opt_outcome outcome;
	char **program;
	int code = EXIT_OK;

	describe_formats(&below, &saving_format);
	buf_printf(&below, "\n%s", notes);
	spec.notes = buf_str(&below);
	outcome = opt_parse(&spec, argv, &config, &program);
	buf_free(&below);
	if (outcome == OPT_BAD)
		code = EXIT_USAGE;
	if (outcome == OPT_GO)
		code = check_config(&config, program);
	if (outcome == OPT_GO && !code)
		code = choose_format(&rec);
	if (outcome == OPT_GO && !code) {
		log_set_level(config.quiet ? LOG_WARN : config.verbose ? LOG_DEBUG : LOG_INFO);
		rec.subject = (struct subject){ .all = config.all,
			                        .pids = config.pids.pids,
			                        .pid_cnt = config.pids.cnt };
		code = run(&rec, program);
	}
	session__free(rec.session);
	outfile_abort(&rec.outfile);
	saving_close(&rec.saving);
	launch__free(rec.launch);
	signals_close(&rec.signals);
	buf_free(&rec.path);
	buf_free(&rec.title);
	buf_free(&rec.command);
	buf_free(&rec.host);
	opt_pids_free(&config.pids);
	return code;
}
