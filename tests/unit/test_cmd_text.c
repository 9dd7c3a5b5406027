// SPDX-License-Identifier: Apache-2.0
/* What the commands say: file names, command lines, cut lines, the ledger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/describe.h"
#include "cmd/summary.h"
#include "cmd/tty.h"

#define ARG(s) ((char[]){ s })

static void check_file(const char *program, const char *expected)
{
	char word[200];
	struct subject subject = { .program = (char *[]){ word, NULL }, .program_pid = 12 };
	struct buf out = { 0 };

	snprintf(word, sizeof(word), "%s", program);
	describe_file(&out, &subject, ".svg");
	assert_int_equal(strncmp(buf_str(&out), expected, strlen(expected)), 0);
	assert_string_equal(buf_str(&out) + out.len - 4, ".svg");
	assert_null(strchr(buf_str(&out), '/'));
	/* -YYYYmmdd-HHMMSS.svg follows */
	assert_int_equal(out.len, strlen(expected) + 20);
	buf_free(&out);
}

static void test_file_names(void **state)
{
	char long_name[160], cut[80];

	(void)state;
	check_file("python3", "python3-12");
	check_file("/usr/bin/python3.11", "python3.11-12");
	check_file("../-rf", "_rf-12");
	check_file("/x/.hidden", "_hidden-12");
	check_file("/x/a b\n;$(c)", "a_b____c_-12");
	check_file("bin/", "bin_-12");
	memset(long_name, 'a', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	snprintf(cut, sizeof(cut), "%.64s-12", long_name);
	check_file(long_name, cut);
}

static void test_file_name_of_others(void **state)
{
	pid_t none = INT32_MAX; /* beyond the kernel's PID_MAX_LIMIT */
	struct subject all = { .all = true }, pid = { .pids = &none, .pid_cnt = 1 };
	struct buf out = { 0 };

	(void)state;
	describe_file(&out, &all, ".folded");
	assert_int_equal(strncmp(buf_str(&out), "all-2", 5), 0);
	buf_clear(&out);
	describe_file(&out, &pid, ".folded");
	assert_int_equal(strncmp(buf_str(&out), "pid-2147483647-2", 16), 0);
	buf_free(&out);
}

static void test_titles(void **state)
{
	pid_t pids[] = { 12, 15 };
	char *program[] = { ARG("sh"), ARG("-c"), ARG("echo 'a b'"), ARG(""), NULL };
	struct subject several = { .pids = pids, .pid_cnt = 2 };
	struct subject launched = { .program = program };
	struct subject both = { .all = true, .program = program };
	struct buf out = { 0 };

	(void)state;
	describe_title(&out, &several);
	assert_string_equal(buf_str(&out), "pids 12, 15");
	buf_clear(&out);
	describe_title(&out, &launched);
	assert_string_equal(buf_str(&out), "sh -c 'echo '\\''a b'\\''' ''");
	buf_clear(&out);
	describe_title(&out, &both);
	assert_string_equal(buf_str(&out),
	                    "all Python processes during sh -c 'echo '\\''a b'\\''' ''");
	buf_free(&out);
}

static void check_cut(const char *text, unsigned int columns, const char *expected)
{
	struct buf out = { 0 };

	tty_cut(&out, text, strlen(text), columns);
	assert_string_equal(buf_str(&out), expected);
	buf_free(&out);
}

static void test_cut(void **state)
{
	(void)state;
	check_cut("abcdef", 0, "abcdef");
	check_cut("abcdef", 6, "abcdef");
	check_cut("abcdef", 5, "abcd…");
	check_cut("abcdef", 1, "…");
	check_cut("äöüß", 4, "äöüß");
	check_cut("äöüß", 3, "äö…");
	check_cut("漢字", 4, "漢字");
	check_cut("漢字", 3, "漢…");
	check_cut("漢字漢", 4, "漢…");
	check_cut("", 3, "");
}

static void test_ledger(void **state)
{
	struct profile_meta meta = {
		.tick_cnt = 12500,
		.outcome_cnt = 3,
		.event_cnt = 2,
		.outcomes = { { .label = "idle", .count = 10000 },
		              { .label = "never", .count = 0 },
		              { .label = "complete", .count = 2500 } },
		.events = { { .label = "code objects sent", .count = 7 },
		            { .label = "no such event", .count = 0 } },
	};
	struct buf out = { 0 };

	(void)state;
	summary_ledger(&out, &meta);
	assert_string_equal(buf_str(&out), "  idle      10,000   80.00%\n"
	                                   "  complete   2,500   20.00%\n"
	                                   "  ticks     12,500  100.00%  = sum\n"
	                                   "  code objects sent  7\n");
	buf_clear(&out);
	meta.tick_cnt = 12501;
	summary_ledger(&out, &meta);
	assert_non_null(strstr(buf_str(&out), "but the sum is 12,500: please report this\n"));
	buf_clear(&out);
	meta = (struct profile_meta){ 0 };
	summary_ledger(&out, &meta);
	assert_non_null(strstr(buf_str(&out), "  ticks  0"));
	buf_free(&out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_names), cmocka_unit_test(test_file_name_of_others),
		cmocka_unit_test(test_titles),     cmocka_unit_test(test_cut),
		cmocka_unit_test(test_ledger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
