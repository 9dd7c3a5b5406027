// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <cmocka.h>

#include "kern/types.h"

static char path[] = "/tmp/pitviper-types-XXXXXX";

static void write_file(const void *data, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* A struct task_struct with the first field, a struct thread_struct with the second. */
static void write_types(const char *of_task, const char *of_thread)
{
	struct btf *btf = btf__new_empty();
	const void *data;
	uint32_t size;
	int number;

	number = btf__add_int(btf, "long", 8, 0);
	assert_true(number > 0);
	assert_true(btf__add_struct(btf, "thread_struct", 8) > 0);
	assert_int_equal(btf__add_field(btf, of_thread, number, 0, 0), 0);
	assert_true(btf__add_struct(btf, "task_struct", 16) > 0);
	assert_int_equal(btf__add_field(btf, "flags", number, 0, 0), 0);
	assert_int_equal(btf__add_field(btf, of_task, number, 64, 0), 0);
	data = btf__raw_data(btf, &size);
	assert_non_null(data);
	write_file(data, size);
	btf__free(btf);
}

static void assert_refused(const char *file, const char *why)
{
	char what[1024] = "";

	assert_int_equal(types_check(file, what, sizeof(what)), -EINVAL);
	if (!strstr(what, why) || !strstr(what, file))
		fail_msg("%s", what);
}

static void test_of_a_kernel(void **state)
{
	char what[1024] = "";

	(void)state;
#if defined(__x86_64__)
	write_types("thread", "fsbase");
#else
	write_types("thread", "uw");
#endif
	assert_int_equal(types_check(path, what, sizeof(what)), 0);
	assert_string_equal(what, "");
}

static void test_of_another_machine(void **state)
{
	struct utsname name;

	(void)state;
	write_types("thread", "ksp");
	assert_refused(path, "another architecture; take those of Linux ");
	assert_int_equal(uname(&name), 0);
	assert_refused(path, name.release);
	assert_refused(path, name.machine);
}

static void test_of_no_kernel(void **state)
{
	(void)state;
	write_types("thread_id", "fsbase");
	assert_refused(path, "not those of a kernel");
}

static void test_no_types(void **state)
{
	static const char text[] = "# no types", magic[4] = { (char)0x9f, (char)0xeb, 1, 0 };

	(void)state;
	write_file(text, sizeof(text));
	assert_refused(path, "pahole --btf_encode_detached=FILE vmlinux");
	write_file(magic, sizeof(magic));
	assert_refused(path, "has no types");
	write_file(text, 0);
	assert_refused(path, "has no types");
	assert_refused("/proc/self/exe", "has no types");
}

static void test_no_file(void **state)
{
	(void)state;
	assert_refused("/nowhere/types.btf",
	               "cannot read the types in /nowhere/types.btf: No such file");
	assert_refused("/tmp", "cannot read the types in /tmp: Is a directory");
	assert_refused("/dev/null", "cannot read the types in /dev/null: Invalid argument");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_a_kernel),  cmocka_unit_test(test_of_another_machine),
		cmocka_unit_test(test_of_no_kernel), cmocka_unit_test(test_no_types),
		cmocka_unit_test(test_no_file),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
