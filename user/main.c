// SPDX-License-Identifier: Apache-2.0
/* main.c - the commands, and which of them is meant. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/exit.h"
#include "cmd/opt.h"
#include "util/log.h"

/* Bytes from which on an allocation is a mapping of its own. */
#define MMAP_FROM (256 << 10)

struct command {
	const char *name;
	const char *summary;
	int (*run)(char **argv);
};

static int cmd_help(char **argv);
static int cmd_version(char **argv);

static const struct command commands[] = {
	{ "record", "record processes, the host or a program into a flame graph", cmd_record },
	{ "report", "draw a saved profile, or any time of what the agent keeps", cmd_report },
	{ "agent", "sample this host for ever, within a budget, into a store", cmd_agent },
	{ "ps", "list the Python processes: version, build, supported or why not", cmd_ps },
	{ "doctor", "say what this machine allows and how to mend what is missing", cmd_doctor },
	{ "version", "print the version", cmd_version },
	{ "help", "print this, or the help of a command", cmd_help },
};

#define COMMAND_CNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *stream)
{
	fputs("usage: pitviper COMMAND [options]\n\n"
	      "A sampling profiler for Python that does not stop, attach to or change what it "
	      "watches.\n"
	      "\nCommands:\n",
	      stream);
	for (size_t i = 0; i < COMMAND_CNT; i++)
		fprintf(stream, "  %-10s%s\n", commands[i].name, commands[i].summary);
	fputs("\n'pitviper COMMAND --help' says more.\n\nExit status:\n", stream);
#define PRINT_EXIT(name, number, meaning) fprintf(stream, "  %-5d %s\n", number, meaning);
	PV_EXIT_CODES(PRINT_EXIT)
#undef PRINT_EXIT
	fputs("'record -- program' ends with the program's own status when all went well, 128 + N\n"
	      "if signal N killed it.\n"
	      "\nExamples:\n"
	      "  sudo pitviper record -p 1234        a flame graph of one process, until Ctrl-C\n"
	      "  sudo pitviper record -a -d 10       of every Python process, for 10 seconds\n"
	      "  sudo pitviper record -- python3 app.py\n"
	      "  pitviper report --last 15m          what the agent saw, by function\n"
	      "  sudo pitviper doctor                can it work here?\n",
	      stream);
}

static const struct command *find_command(const char *name)
{
	const char *names[COMMAND_CNT + 1] = { 0 };
	const char *near;

	for (size_t i = 0; i < COMMAND_CNT; i++) {
		names[i] = commands[i].name;
		if (!strcmp(name, names[i]))
			return &commands[i];
	}
	near = opt_nearest(name, names);
	if (near)
		log_error("there is no command '%s'; did you mean '%s'?", name, near);
	else
		log_error("there is no command '%s'; 'pitviper help' lists them", name);
	return NULL;
}

static int cmd_help(char **argv)
{
	const struct command *command;

	if (!argv[1] || argv[1][0] == '-') {
		print_help(stdout);
		return EXIT_OK;
	}
	command = find_command(argv[1]);
	if (!command)
		return EXIT_USAGE;
	if (command->run == cmd_help || command->run == cmd_version) {
		print_help(stdout);
		return EXIT_OK;
	}
	return command->run((char *[]){ argv[1], (char[]){ "--help" }, NULL });
}

static int cmd_version(char **argv)
{
	(void)argv;
	puts("pitviper " PV_VERSION);
	return EXIT_OK;
}

static int dispatch(char **argv)
{
	const struct command *command;

	if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))
		return cmd_help(argv);
	if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V"))
		return cmd_version(argv);
	if (argv[0][0] == '-') {
		log_error("'%s': the command comes first: pitviper record %s ...", argv[0],
		          argv[0]);
		return EXIT_USAGE;
	}
	command = find_command(argv[0]);
	return command ? command->run(argv) : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	int code;

	/* A message is one write: others write to the same terminal or log. */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
#ifdef __GLIBC__
	/* What held the symbols of a large file goes back to the system: left alone, glibc keeps more the
	 * larger such a buffer was.
	 */
	mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
#endif
	code = dispatch(argv + 1);
	if (fflush(stdout) || ferror(stdout)) {
		log_error("cannot write to stdout: %s", strerror(errno));
		return code ? code : EXIT_OUTPUT;
	}
	return code;
}
