// SPDX-License-Identifier: Apache-2.0
/* Options as people type them: what is stored, what is refused, and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/opt.h"

struct test_config {
	struct opt_pids pids;
	bool all;
	bool threads;
	uint32_t rate_hz;
	uint64_t duration_ns;
	const char *output;
};

static const struct opt_row rows[] = {
	OPT(PIDS, test_config, pids, 'p', "pid", "PID", "processes", .section = "What"),
	OPT(FLAG, test_config, all, 'a', "all", NULL, "every\nprocess"),
	OPT(FLAG, test_config, threads, 't', "threads", NULL, "threads"),
	OPT(UINT, test_config, rate_hz, 'r', "rate", "HZ", "rate", .min = 1, .max = 10000),
	OPT(SECONDS, test_config, duration_ns, 'd', "duration", "SECONDS", "time"),
	OPT(STRING, test_config, output, 0, "a-very-long-output-name", "FILE", "file"),
	OPT_BARE(HELP, 'h', "help", "print this"),
	OPT_BARE(LATER, 'n', "native", "one day"),
	OPT_BARE(IGNORED, 0, "nonblocking", "never"),
};

static const struct opt_spec spec = {
	.command = "test",
	.usage = "test [options]",
	.about = "About.\n",
	.rows = rows,
	.row_cnt = sizeof(rows) / sizeof(rows[0]),
	.notes = "Notes.\n",
	.takes_program = true,
};

/* One parse, what it stored and what it printed on either stream. */
struct run {
	enum opt_outcome outcome;
	struct test_config config;
	char **program;
	char out[4096];
	char err[4096];
};

static void slurp(FILE *file, char *text, size_t size)
{
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

static void parse(struct run *run, char **argv)
{
	FILE *files[] = { tmpfile(), tmpfile() };
	int saved[2];

	memset(run, 0, sizeof(*run));
	run->config.rate_hz = 99;
	for (int i = 0; i < 2; i++) {
		fflush(i ? stderr : stdout);
		saved[i] = dup(i + 1);
		dup2(fileno(files[i]), i + 1);
	}
	run->outcome = opt_parse(&spec, argv, &run->config, &run->program);
	for (int i = 0; i < 2; i++) {
		fflush(i ? stderr : stdout);
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	slurp(files[0], run->out, sizeof(run->out));
	slurp(files[1], run->err, sizeof(run->err));
}

/* String literals are const, argv is not. */
#define ARG(s)          ((char[]){ s })
#define PARSE(run, ...) parse(run, (char *[]){ ARG("test"), __VA_ARGS__, NULL })
#define BAD(run, text, ...)                                           \
	do {                                                          \
		PARSE(run, __VA_ARGS__);                              \
		assert_int_equal((run)->outcome, OPT_BAD);            \
		if (!strstr((run)->err, text))                        \
			fail_msg("no '%s' in: %s", text, (run)->err); \
		assert_string_equal((run)->out, "");                  \
		opt_pids_free(&(run)->config.pids);                   \
	} while (0)

static void test_nothing(void **state)
{
	struct run run;

	(void)state;
	parse(&run, (char *[]){ ARG("test"), NULL });
	assert_int_equal(run.outcome, OPT_GO);
	assert_int_equal(run.config.rate_hz, 99);
	assert_null(run.program);
	assert_string_equal(run.err, "");
}

static void test_forms(void **state)
{
	struct run run;

	(void)state;
	PARSE(&run, ARG("--rate"), ARG("7"));
	assert_int_equal(run.config.rate_hz, 7);
	PARSE(&run, ARG("--rate=10000"));
	assert_int_equal(run.config.rate_hz, 10000);
	PARSE(&run, ARG("-r"), ARG("8"));
	assert_int_equal(run.config.rate_hz, 8);
	PARSE(&run, ARG("-r9"));
	assert_int_equal(run.config.rate_hz, 9);
	PARSE(&run, ARG("-atr10"), ARG("--nonblocking"));
	assert_int_equal(run.outcome, OPT_GO);
	assert_int_equal(run.config.rate_hz, 10);
	assert_true(run.config.all && run.config.threads);
	PARSE(&run, ARG("-at"));
	assert_true(run.config.all && run.config.threads);
	assert_int_equal(run.config.rate_hz, 99);
}

static void test_pids(void **state)
{
	struct run run;

	(void)state;
	PARSE(&run, ARG("-p1,2"), ARG("--pid=3"), ARG("-p"), ARG("2147483647"));
	assert_int_equal(run.outcome, OPT_GO);
	assert_int_equal(run.config.pids.cnt, 4);
	assert_int_equal(run.config.pids.pids[0], 1);
	assert_int_equal(run.config.pids.pids[1], 2);
	assert_int_equal(run.config.pids.pids[2], 3);
	assert_int_equal(run.config.pids.pids[3], INT32_MAX);
	opt_pids_free(&run.config.pids);
	BAD(&run, "'0' is not a process id", ARG("-p0"));
	BAD(&run, "'-1' is not a process id", ARG("-p"), ARG("-1"));
	BAD(&run, "'1,' is not a process id", ARG("-p1,"));
	BAD(&run, "',1' is not a process id", ARG("-p,1"));
	BAD(&run, "'2147483648' is not", ARG("-p2147483648"));
	BAD(&run, "'99999999999999999999999' is not", ARG("-p99999999999999999999999"));
	BAD(&run, "'abc' is not a process id", ARG("--pid"), ARG("abc"));
	BAD(&run, "-p needs a value", ARG("-p"));
	BAD(&run, "-p needs a value", ARG("-p"), ARG("--"), ARG("x"));
}

static void test_seconds(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "10", 10000000000 },
		{ "0.5", 500000000 },
		{ ".25", 250000000 },
		{ "2.", 2000000000 },
		{ "1.000000001", 1000000001 },
		{ "unlimited", 0 },
		{ "1000000000", 1000000000000000000 },
	};
	static const char *const bad[] = { "0",   "0.0",        "-1",  "1e3", "nan",
		                           "inf", "1s",         " 1",  "1 ",  "",
		                           ".",   "1000000001", "1,5", "0x1", "1.2.3" };
	struct run run;
	char word[40];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(word, sizeof(word), "%s", good[i].text);
		PARSE(&run, ARG("-d"), word);
		assert_int_equal(run.outcome, OPT_GO);
		assert_int_equal(run.config.duration_ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(word, sizeof(word), "%s", bad[i]);
		BAD(&run, "is not a number of seconds", ARG("-d"), word);
	}
}

static void test_numbers(void **state)
{
	static const char *const bad[] = { "0", "10001", "-5", "1.5", "99hz", "", "4294967297" };
	struct run run;
	char word[40];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(word, sizeof(word), "%s", bad[i]);
		BAD(&run, "--rate: '", ARG("--rate"), word);
		assert_non_null(strstr(run.err, "from 1 to 10000"));
	}
}

static void test_unknown(void **state)
{
	char long_name[200];
	struct run run;

	(void)state;
	BAD(&run, "unknown option --treads; did you mean --threads?", ARG("--treads"));
	BAD(&run, "unknown option --dur; did you mean --duration?", ARG("--dur=3"));
	BAD(&run, "unknown option --arte; did you mean --rate?", ARG("--arte"));
	BAD(&run, "unknown option --zzzzzz\n", ARG("--zzzzzz"));
	BAD(&run, "unknown option -x", ARG("-ax"));
	BAD(&run, "unknown option -\\x1b", ARG("-\033"));
	BAD(&run, "--all takes no value", ARG("--all=yes"));
	BAD(&run, "the FILE is empty", ARG("--a-very-long-output-name="));
	BAD(&run, "-n: not supported yet: one day", ARG("-n"));
	BAD(&run, "--native: not supported yet: one day", ARG("--native"));
	memset(long_name, 'r', sizeof(long_name));
	memcpy(long_name, "--", 2);
	long_name[sizeof(long_name) - 1] = '\0';
	BAD(&run, "unknown option --rrrr", long_name);
}

static void test_stray(void **state)
{
	struct run run;

	(void)state;
	BAD(&run, "pitviper test -p 123", ARG("123"));
	BAD(&run, "pitviper test -- app.py", ARG("-a"), ARG("app.py"));
	BAD(&run, "unexpected argument '-'", ARG("-"));
}

static void test_program(void **state)
{
	struct run run;

	(void)state;
	PARSE(&run, ARG("-a"), ARG("--"), ARG("prog"), ARG("-t"), ARG("--"), ARG("--rate=5"));
	assert_int_equal(run.outcome, OPT_GO);
	assert_string_equal(run.program[0], "prog");
	assert_string_equal(run.program[1], "-t");
	assert_string_equal(run.program[2], "--");
	assert_string_equal(run.program[3], "--rate=5");
	assert_null(run.program[4]);
	assert_false(run.config.threads);
	assert_int_equal(run.config.rate_hz, 99);
	BAD(&run, "no program behind --", ARG("--"));
}

static void test_help(void **state)
{
	struct run run;

	(void)state;
	PARSE(&run, ARG("--help"));
	assert_int_equal(run.outcome, OPT_DONE);
	assert_string_equal(run.err, "");
	assert_non_null(strstr(run.out, "usage: test [options]\n\nAbout.\n\nWhat:\n"));
	assert_non_null(strstr(run.out, "\n  -p, --pid PID             processes\n"));
	/* A second line of help, and a name that leaves no room for its help, go on below. */
	assert_non_null(strstr(run.out, "every\n                            process\n"));
	assert_non_null(strstr(run.out, "output-name FILE\n                            file\n"));
	assert_non_null(strstr(run.out, "\nNotes.\n"));
	assert_null(strstr(run.out, "native"));
	assert_null(strstr(run.out, "nonblocking"));
}

static void test_distance(void **state)
{
	static const char *const names[] = { "record", "ps", "doctor", "version", "help", NULL };

	(void)state;
	assert_int_equal(opt_distance("", ""), 0);
	assert_int_equal(opt_distance("", "abc"), 3);
	assert_int_equal(opt_distance("abc", ""), 3);
	assert_int_equal(opt_distance("rate", "rate"), 0);
	assert_int_equal(opt_distance("rate", "arte"), 1);
	assert_int_equal(opt_distance("rate", "rates"), 1);
	assert_int_equal(opt_distance("rate", "rote"), 1);
	assert_int_equal(opt_distance("kitten", "sitting"), 3);
	assert_string_equal(opt_nearest("recrod", names), "record");
	assert_string_equal(opt_nearest("rec", names), "record");
	assert_string_equal(opt_nearest("docter", names), "doctor");
	assert_string_equal(opt_nearest("sp", names), "ps");
	assert_null(opt_nearest("x", names));
	assert_null(opt_nearest("zz", names));
	assert_null(opt_nearest("", names));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing), cmocka_unit_test(test_forms),
		cmocka_unit_test(test_pids),    cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_stray),   cmocka_unit_test(test_program),
		cmocka_unit_test(test_help),    cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
