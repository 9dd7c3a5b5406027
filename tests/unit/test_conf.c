// SPDX-License-Identifier: Apache-2.0
/* Configuration files by an option table: what is stored, what is refused, in which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>

#include "cmd/conf.h"

struct test_config {
	uint32_t rate_hz;
	uint32_t cpu_ppm;
	uint64_t memory;
	uint64_t age_ns;
	const char *path;
	bool remote;
	bool check;
};

static const struct opt_row rows[] = {
	OPT(UINT, test_config, rate_hz, 0, "rate", "HZ", "ticks", .min = 1, .max = 999,
	    .initial = "19", .in_file = true, .section = "Sampling"),
	OPT(PERCENT, test_config, cpu_ppm, 0, "max-cpu", "PERCENT", "of one\nCPU",
	    .initial = "0.5%", .in_file = true),
	OPT(SIZE, test_config, memory, 0, "max-memory", "SIZE", "memory", .initial = "64M",
	    .in_file = true),
	OPT(SPAN, test_config, age_ns, 0, "max-age", "TIME", "age", .initial = "7d",
	    .in_file = true),
	OPT(STRING, test_config, path, 0, "store", "FILE", "file", .in_file = true),
	OPT(FLAG, test_config, remote, 0, "remote", NULL, "from everywhere", .in_file = true),
	OPT(FLAG, test_config, check, 0, "check", NULL, "no key"),
};

static const struct opt_spec spec = { .command = "test",
	                              .rows = rows,
	                              .row_cnt = sizeof(rows) / sizeof(rows[0]) };

struct run {
	enum opt_outcome outcome;
	int err;
	struct buf text;
	struct test_config config;
	char messages[4096];
};

/* Read a file with that content, over the defaults. */
static void read_text(struct run *run, const char *content)
{
	char path[] = "/tmp/pitviper-conf-XXXXXX";
	int fd = mkstemp(path), saved = dup(2);
	FILE *messages = tmpfile();

	buf_free(&run->text);
	memset(run, 0, sizeof(*run));
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
	opt_defaults(&spec, &run->config);
	fflush(stderr);
	dup2(fileno(messages), 2);
	run->outcome = conf_read(&spec, path, &run->text, &run->config, &run->err);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	rewind(messages);
	run->messages[fread(run->messages, 1, sizeof(run->messages) - 1, messages)] = '\0';
	fclose(messages);
	unlink(path);
}

static void test_defaults(void **state)
{
	struct run run = { 0 };

	(void)state;
	read_text(&run, "");
	assert_int_equal(run.outcome, OPT_GO);
	assert_int_equal(run.config.rate_hz, 19);
	assert_int_equal(run.config.cpu_ppm, 5000);
	assert_int_equal(run.config.memory, 64 << 20);
	assert_int_equal(run.config.age_ns, 7 * 86400ull * 1000000000);
	assert_null(run.config.path);
	assert_false(run.config.remote);
	buf_free(&run.text);
}

static void test_values(void **state)
{
	struct run run = { 0 };

	(void)state;
	read_text(&run, "# a comment\n\n; another\n rate = 99 \nmax-cpu=12.25%\r\n"
	                "max-memory = 2G\nmax-age\t=\t15m\nstore = /a b/c=d\nremote = yes");
	assert_string_equal(run.messages, "");
	assert_int_equal(run.outcome, OPT_GO);
	assert_int_equal(run.config.rate_hz, 99);
	assert_int_equal(run.config.cpu_ppm, 122500);
	assert_int_equal(run.config.memory, 2ull << 30);
	assert_int_equal(run.config.age_ns, 900ull * 1000000000);
	assert_string_equal(run.config.path, "/a b/c=d");
	assert_true(run.config.remote);
	read_text(&run, "max-cpu = 100%\nremote = no\nmax-age = 10s\nmax-memory = 1K\n");
	assert_int_equal(run.config.cpu_ppm, 1000000);
	assert_int_equal(run.config.age_ns, 10ull * 1000000000);
	assert_int_equal(run.config.memory, 1024);
	buf_free(&run.text);
}

/* Each mistake is told with its line, all in one go. */
static void test_mistakes(void **state)
{
	static const struct {
		const char *line, *message;
	} mistakes[] = {
		{ "rat = 5", "unknown key 'rat'; did you mean 'rate'?" },
		{ "check = yes", "unknown key 'check'" },
		{ "rate 5", "no '=' in 'rate 5'" },
		{ "rate = 0", "rate: '0' is not a whole number from 1 to 999" },
		{ "rate =", "rate: ''" },
		{ "max-cpu = 0.5", "max-cpu: '0.5' is not a percentage" },
		{ "max-cpu = 0%", "not a percentage" },
		{ "max-cpu = 101%", "not a percentage" },
		{ "max-cpu = 0.5%%", "not a percentage" },
		{ "max-cpu = %", "not a percentage" },
		{ "max-memory = 64", "max-memory: '64' is not a size" },
		{ "max-memory = M", "not a size" },
		{ "max-memory = -1M", "not a size" },
		{ "max-memory = 99999999999999999T", "not a size" },
		{ "max-age = 7", "max-age: '7' is not a span of time" },
		{ "max-age = 0d", "not a span of time" },
		{ "store =", "store: the FILE is empty" },
		{ "remote = maybe", "'maybe' is neither yes nor no" },
		{ "[section]", "no '='" },
	};
	struct run run = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		char text[256];

		snprintf(text, sizeof(text), "# first\nstore = /x\n\n%s\n", mistakes[i].line);
		if (strncmp(mistakes[i].line, "store", 5) == 0)
			snprintf(text, sizeof(text), "\n\n\n%s\n", mistakes[i].line);
		read_text(&run, text);
		assert_int_equal(run.outcome, OPT_BAD);
		assert_int_equal(run.err, 0);
		assert_non_null(strstr(run.messages, ":4: "));
		if (!strstr(run.messages, mistakes[i].message))
			fail_msg("'%s' gave: %s", mistakes[i].line, run.messages);
	}
	read_text(&run, "rate = 7\nrate = 8\nfoo = 1\nmax-age = x\n");
	assert_non_null(strstr(run.messages, ":2: rate was set in line 1 already"));
	assert_non_null(strstr(run.messages, ":3: "));
	assert_non_null(strstr(run.messages, ":4: "));
	assert_int_equal(run.config.rate_hz, 7);
	buf_free(&run.text);
}

static void test_no_file(void **state)
{
	struct test_config config;
	struct buf text = { 0 };
	int err;

	(void)state;
	assert_int_equal(conf_read(&spec, "/nonexistent/conf", &text, &config, &err), OPT_BAD);
	assert_int_equal(err, -ENOENT);
	buf_free(&text);
}

/* The example says what the defaults are: read with its keys set, nothing changes. */
static void test_example(void **state)
{
	struct test_config defaults = { 0 };
	struct run run = { 0 };
	char text[4096] = "", *at = text;
	FILE *stream = fmemopen(text, sizeof(text), "w");

	(void)state;
	conf_example(&spec, stream);
	fclose(stream);
	assert_null(strstr(text, "check"));
	while ((at = strstr(at, "\n#")) != NULL) {
		at++;
		if (at[1] != ' ' && strncmp(at, "#store", 6) != 0)
			at[0] = ' ';
	}
	read_text(&run, text);
	assert_string_equal(run.messages, "");
	opt_defaults(&spec, &defaults);
	assert_memory_equal(&run.config, &defaults, sizeof(defaults));
	buf_free(&run.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_values),
		cmocka_unit_test(test_mistakes), cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
