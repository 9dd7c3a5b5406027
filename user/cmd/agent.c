// SPDX-License-Identifier: Apache-2.0
#include "cmd/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/exports.h"
#include "cmd/conf.h"
#include "cmd/describe.h"
#include "cmd/exit.h"
#include "cmd/opt.h"
#include "cmd/signals.h"
#include "collect/session.h"
#include "store/store.h"
#include "util/log.h"

#define CONFIG_PATH "/etc/pitviper/agent.conf"
#define REASON_LEN  1024

struct agent_options {
	const char *config;
	bool check;
	bool example;
	bool quiet;
	struct agent_config agent;
};

#define KEY(kind, member, name, metavar, initial_, help, ...)                               \
	OPT(kind, agent_options, agent.member, 0, name, metavar, help, .initial = initial_, \
	    .in_file = true, ##__VA_ARGS__)

static const struct opt_row rows[] = {
	OPT(STRING, agent_options, config, 'c', "config", "FILE",
	    "the configuration\n(default: " CONFIG_PATH ", if it is there)",
	    .section = "Configuration"),
	OPT(FLAG, agent_options, check, 0, "check", NULL,
	    "look through the configuration, tell what is wrong\nwith it, by line, and do no more"),
	OPT(FLAG, agent_options, example, 0, "example", NULL,
	    "print a configuration file with every key and its\ndefault"),
	KEY(UINT, rate_hz, "rate", "HZ", "19",
	    "ticks a second on each CPU, 1 to 10000; a prime is\nin step with nothing; max-cpu may "
	    "lower it",
	    .min = 1, .max = SESSION_RATE_MAX, .section = "Sampling, and what it may cost"),
	KEY(PERCENT, max_cpu_ppm, "max-cpu", "PERCENT", "0.5%",
	    "CPU time of its own, of one CPU: BPF programs and\nprocess, without the answers to "
	    "requests; the rate is\nlowered before it is exceeded"),
	KEY(SIZE, max_memory, "max-memory", "SIZE", "64M",
	    "resident memory; near it a slice is stored at once,\nbeyond it sampling begins anew"),
	KEY(STRING, types, "btf", "FILE", NULL,
	    "the types of this kernel (BTF), if it offers none"),
	KEY(STRING, store, "store", "FILE", STORE_DEFAULT_PATH,
	    "where it is kept; a change needs a restart", .section = "Store"),
	KEY(SPAN, flush_ns, "flush", "TIME", "10s",
	    "what is stored at a time, and lost with the power"),
	KEY(SIZE, max_disk, "max-disk", "SIZE", "512M", "size of the store; what is older goes"),
	KEY(SPAN, max_age_ns, "max-age", "TIME", "7d",
	    "what is older goes; after a day it is kept by the\nminute, after three by ten "
	    "minutes"),
	KEY(SIZE, min_free, "min-free", "SIZE", "256M",
	    "free space of the file system that is never used"),
	KEY(STRING, service, "service", "RULES", "env:OTEL_SERVICE_NAME container unit script comm",
	    "how a process's service is called, by the first rule\nthat yields a name: env:NAME, "
	    "container, pod, unit,\nscript, comm, cmdline:REGEX, =TEXT; a change needs a\nrestart",
	    .section = "Labels and export"),
	KEY(STRING, export.to, "export", "ENGINE URL", NULL,
	    "send what is stored there, too: otlp, pyroscope,\nparca or pprof, a blank and the "
	    "URL; "
	    "a change of this\nand what follows needs a restart"),
	KEY(STRING, export.token, "export-token", "FILE", NULL,
	    "a file with a token, read at each attempt; not for\nothers to read"),
	KEY(STRING, export.headers, "export-headers", "FILE", NULL,
	    "a file with lines of 'Name: value', likewise"),
	KEY(STRING, export.ca, "export-ca", "FILE", NULL,
	    "certificates of authorities, PEM, instead of the\nhost's"),
	KEY(STRING, export.cert, "export-cert", "FILE", NULL, "our own certificate, PEM"),
	KEY(STRING, export.key, "export-key", "FILE", NULL,
	    "its key, unless that is in the same file"),
	KEY(SPAN, export.every_ns, "export-every", "TIME", "60s", "from one request to the next"),
	KEY(STRING, export.queue, "export-queue", "DIR", NULL,
	    "where requests wait until they are taken\n(default: the store's path and -export)"),
	KEY(SIZE, export.queue_bytes, "export-queue-size", "SIZE", "64M",
	    "what may wait there; what is older goes"),
	KEY(FLAG, export.cmdlines, "export-command-lines", NULL, NULL,
	    "command lines, too: they may carry secrets"),
	KEY(STRING, listen, "listen", "ADDRESS", "unix:/run/pitviper/agent.sock",
	    "where requests are answered: unix:PATH, IP:PORT or\nnone", .section = "Requests"),
	KEY(FLAG, allow_remote, "allow-remote", NULL, NULL,
	    "let `listen` be an address that other hosts reach;\nthere is no password"),
	KEY(STRING, kill_switch, "kill-switch", "FILE", "/etc/pitviper/off",
	    "while this file is there nothing is sampled", .section = "Life"),
	KEY(STRING, lock_in, "lock-in", "HOW", "yes",
	    "once begun, give up what is not needed: capabilities\nand system calls. yes: others "
	    "fail; strict: they end\nthe agent; no. A change needs a restart"),
	KEY(FLAG, verbose, "verbose", NULL, NULL, "print more"),
	OPT(FLAG, agent_options, quiet, 'q', "quiet", NULL, "print errors and warnings only"),
	OPT_BARE(HELP, 'h', "help", "print this"),
};

static const struct opt_spec spec = {
	.command = "agent",
	.usage = "pitviper agent [options]",
	.about = "Sample every Python process of this host for ever, within a budget, into a store "
		 "that\n'pitviper report' reads.\n",
	.rows = rows,
	.row_cnt = sizeof(rows) / sizeof(rows[0]),
	.notes = "SIGTERM and SIGINT end it; what was sampled is stored. SIGHUP reads the "
		 "configuration again.\n"
		 "A key of the file is an option's name: rate = 19. Options override the file.\n",
};

/* One reading of the configuration; the strings of `options` lie in `text`. */
struct reading {
	struct buf text;
	struct agent_options options;
};

static enum exit_code check_values(const struct agent_config *config)
{
	char what[REASON_LEN];

	if (strcmp(config->lock_in, "yes") && strcmp(config->lock_in, "no") &&
	    strcmp(config->lock_in, "strict")) {
		log_error("lock-in: '%s' is none of yes, strict and no", config->lock_in);
		return EXIT_USAGE;
	}
	if (config->store[0] != '/' || config->kill_switch[0] != '/') {
		log_error("%s must be a whole path, from / on",
		          config->store[0] != '/' ? "store" : "kill-switch");
		return EXIT_USAGE;
	}
	if (exports_check(config, what, sizeof(what))) {
		log_error("%s", what);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

/* The defaults, the file over them, the command line over both. EXIT_OK and *done: that was all. */
static enum exit_code read_config(char **argv, struct reading *reading, bool *done)
{
	const char *path = CONFIG_PATH;
	enum opt_outcome outcome;
	char **program;
	int err;

	*reading = (struct reading){ 0 };
	opt_defaults(&spec, &reading->options);
	/* First for the file's name, then once more over what it says. */
	outcome = opt_parse(&spec, argv, &reading->options, &program);
	*done = outcome == OPT_DONE;
	if (outcome != OPT_GO)
		return outcome == OPT_BAD ? EXIT_USAGE : EXIT_OK;
	if (reading->options.config)
		path = reading->options.config;
	outcome = conf_read(&spec, path, &reading->text, &reading->options, &err);
	if (err && (err != -ENOENT || reading->options.config)) {
		log_error("cannot read %s: %s", path, strerror(-err));
		return EXIT_USAGE;
	}
	if (!err && outcome != OPT_GO)
		return EXIT_USAGE;
	if (opt_parse(&spec, argv, &reading->options, &program) != OPT_GO)
		return EXIT_USAGE;
	return check_values(&reading->options.agent);
}

static void set_level(const struct agent_options *options)
{
	log_set_level(options->quiet ? LOG_WARN : options->agent.verbose ? LOG_DEBUG : LOG_INFO);
}

static void reload(struct agent *agent, char **argv, struct reading *reading)
{
	struct reading fresh;
	bool done;

	if (read_config(argv, &fresh, &done)) {
		log_error("the configuration stays as it was");
		buf_free(&fresh.text);
		return;
	}
	set_level(&fresh.options);
	agent__reload(agent, &fresh.options.agent);
	buf_free(&reading->text);
	*reading = fresh;
}

static void loop(struct agent *agent, struct signals *signals, char **argv, struct reading *reading)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (!stop) {
		agent__step(agent, signals->fd);
		while (!stop && signals_next(signals, &info)) {
			if (info.ssi_signo == SIGHUP)
				reload(agent, argv, reading);
			else
				stop = info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ||
				       info.ssi_signo == SIGQUIT;
		}
	}
	agent__stopping(agent);
}

static enum exit_code exit_of_agent(enum agent_error error)
{
	static const enum exit_code codes[] = {
		[AGENT_OK] = EXIT_OK,
		[AGENT_BAD_CONFIG] = EXIT_USAGE,
		[AGENT_NOT_PERMITTED] = EXIT_NOT_PERMITTED,
		[AGENT_NO_BPF] = EXIT_NO_BPF,
		[AGENT_STORE] = EXIT_OUTPUT,
		[AGENT_INTERNAL] = EXIT_INTERNAL,
	};

	return codes[error];
}

static enum exit_code run(char **argv, struct reading *reading)
{
	struct signals signals = { .fd = -1 };
	struct buf command = { 0 }, host = { 0 };
	struct agent_names names;
	enum agent_error error = AGENT_INTERNAL;
	char what[REASON_LEN] = "";
	struct agent *agent = NULL;
	int err = signals_open(&signals, false);

	buf_puts(&command, "pitviper ");
	describe_command(&command, argv);
	describe_host(&host);
	names = (struct agent_names){ buf_str(&command), buf_str(&host) };
	if (err)
		snprintf(what, sizeof(what), "cannot take over the signals: %s", strerror(-err));
	else
		agent = agent__new(&reading->options.agent, &names, &error, what, sizeof(what));
	if (agent)
		loop(agent, &signals, argv, reading);
	else
		log_error("%s", what);
	agent__free(agent);
	signals_close(&signals);
	buf_free(&command);
	buf_free(&host);
	return exit_of_agent(error);
}

int cmd_agent(char **argv)
{
	struct reading reading;
	enum exit_code code;
	bool done;

	code = read_config(argv, &reading, &done);
	if (!code && !done && reading.options.example) {
		conf_example(&spec, stdout);
	} else if (!code && !done) {
		set_level(&reading.options);
		if (!reading.options.check)
			code = run(argv, &reading);
		else
			log_info("the configuration is good");
	}
	buf_free(&reading.text);
	return code;
}
