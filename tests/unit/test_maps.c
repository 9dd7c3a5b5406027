// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/maps.h"
#include "proc/mem.h"
#include "proc/process.h"

static int parse(const char *text, struct maps *maps)
{
	return maps_parse(strdup(text), maps);
}

static void test_parse(void **state)
{
	struct maps maps;

	(void)state;
	assert_int_equal(parse("00400000-0041f000 r--p 00000000 fe:00 247702"
	                       "                             /usr/bin/python3.11\n"
	                       "7f0000000000-7f0000001000 r-xs 0001f000 103:0a 5 /a b (deleted)\n"
	                       "7ffd0000-7ffe0000 rw-p 00000000 00:00 0          [stack]\n"
	                       "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 \n"
	                       "1000-2000 ---p 0 0:0 0 /x\\012y\n",
	                       &maps),
	                 0);
	assert_int_equal(maps.cnt, 5);
	assert_int_equal(maps.entries[0].start, 0x400000);
	assert_int_equal(maps.entries[0].end, 0x41f000);
	assert_int_equal(maps.entries[0].dev_major, 0xfe);
	assert_int_equal(maps.entries[0].inode, 247702);
	assert_string_equal(maps.entries[0].path, "/usr/bin/python3.11");
	assert_string_equal(maps.entries[1].perms, "r-xs");
	assert_int_equal(maps.entries[1].offset, 0x1f000);
	assert_int_equal(maps.entries[1].dev_major, 0x103);
	assert_int_equal(maps.entries[1].dev_minor, 10);
	assert_string_equal(maps.entries[1].path, "/a b");
	assert_string_equal(maps.entries[2].path, "[stack]");
	assert_string_equal(maps.entries[3].path, "");
	assert_string_equal(maps.entries[4].path, "/x\ny");
	maps_free(&maps);
	assert_int_equal(parse("", &maps), 0);
	assert_int_equal(maps.cnt, 0);
	maps_free(&maps);
}

static void test_parse_damaged(void **state)
{
	static const char *const bad[] = {
		"x\n",
		"\n",
		"1000\n",
		"1000-\n",
		"1000-2000\n",
		"1000-2000 r\n",
		"1000-2000 r-xp\n",
		"1000-2000 r-xp 0\n",
		"1000-2000 r-xp 0 0\n",
		"1000-2000 r-xp 0 0:0\n",
		"1000-2000 r-xp 0 0:0 \n",
		"1000-2000 r-xp 0 0:0 1x /a\n",
		"2000-1000 r-xp 0 0:0 0 /a\n",
		"1000-1000 r-xp 0 0:0 0 /a\n",
		"10000000000000000-20000000000000000 r-xp 0 0:0 0 /a\n",
		"-1000-2000 r-xp 0 0:0 0 /a\n",
		"1000-2000 r-xp 0 100000000:0 0 /a\n",
		"1000-2000 r-xp 0 0:0 99999999999999999999 /a\n",
	};
	static const char good[] = "1000-2000 r-xp 0 0:0 0 /a (deleted)\n";
	struct maps maps;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(bad[i], &maps), -EPROTO);
		assert_null(maps.entries);
	}
	/* Cut anywhere: an error or a shorter path, never a read behind the end. */
	for (size_t len = 0; len < sizeof(good); len++) {
		char *text = strndup(good, len);
		int err = maps_parse(text, &maps);

		assert_true(err == 0 || err == -EPROTO);
		maps_free(&maps);
	}
}

static const int marker = 0x5ca1ab1e;

static void test_self(void **state)
{
	const struct maps_entry *found = NULL;
	struct maps_entry other;
	struct maps maps;
	struct stat st, self;
	int fd;

	(void)state;
	assert_int_equal(maps_read(getpid(), &maps), 0);
	for (size_t i = 0; i < maps.cnt; i++) {
		uint64_t addr = (uint64_t)(uintptr_t)&marker;

		if (addr >= maps.entries[i].start && addr < maps.entries[i].end)
			found = &maps.entries[i];
	}
	assert_non_null(found);
	fd = maps_open(getpid(), found);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat("/proc/self/exe", &self), 0);
	assert_int_equal(st.st_ino, self.st_ino);
	close(fd);
	assert_int_equal(maps_stat(getpid(), found, &st), 0);
	assert_int_equal(st.st_ino, self.st_ino);
	assert_int_equal(st.st_dev, self.st_dev);
	/* Another file has the path by now; an anonymous mapping has none. */
	other = *found;
	other.inode++;
	assert_int_equal(maps_stat(getpid(), &other, &st), -ENOENT);
	other.path = "[heap]";
	assert_int_equal(maps_stat(getpid(), &other, &st), -ENOENT);
	maps_free(&maps);
}

/* Without the rights for map_files, and under a filter that hides openat2(). */
static int open_hidden(const struct maps_entry *entry)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	struct stat st;
	int fd;

	if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0) ||
	    seccomp_load(filter) || syscall(SYS_capset, &header, none))
		return 2;
	fd = maps_open(getpid(), entry);
	return fd < 0 || fstat(fd, &st) || st.st_ino != entry->inode;
}

static void test_no_openat2(void **state)
{
	const struct maps_entry *found = NULL;
	struct maps maps;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(maps_read(getpid(), &maps), 0);
	for (size_t i = 0; i < maps.cnt; i++)
		if (strstr(maps.entries[i].path, "/libcmocka.so"))
			found = &maps.entries[i];
	assert_non_null(found);
	pid = fork();
	if (!pid)
		_exit(open_hidden(found));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	maps_free(&maps);
}

static pid_t zombie(void)
{
	siginfo_t info;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

static void test_gone(void **state)
{
	pid_t pid = zombie();
	struct maps maps;
	int value;

	(void)state;
	assert_int_equal(maps_read(pid, &maps), -ESRCH);
	assert_true(mem_read(pid, (uint64_t)(uintptr_t)&marker, &value, sizeof(value)) < 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(maps_read(pid, &maps), -ESRCH);
	assert_int_equal(mem_read(pid, (uint64_t)(uintptr_t)&marker, &value, sizeof(value)),
	                 -ESRCH);
	assert_false(process_exists(pid));
	assert_true(process_exists(getpid()));
}

static void test_mem(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *area =
		mmap(NULL, page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t end = (uint64_t)(uintptr_t)area + page;
	char out[16];
	int value = 0;

	(void)state;
	assert_ptr_not_equal(area, MAP_FAILED);
	assert_int_equal(munmap(area + page, page), 0);
	assert_int_equal(mem_read(getpid(), (uint64_t)(uintptr_t)&marker, &value, 4), 0);
	assert_int_equal(value, marker);
	memcpy(area + page - 8, "12345678", 8);
	assert_int_equal(mem_read(getpid(), end - 8, out, 8), 0);
	assert_memory_equal(out, "12345678", 8);
	assert_int_equal(mem_read(getpid(), end - 8, out, 9), -EFAULT);
	assert_int_equal(mem_read(getpid(), 8, out, 8), -EFAULT);
	assert_int_equal(mem_read(getpid(), UINT64_MAX - 3, out, 8), -EFAULT);
	assert_int_equal(mem_read(getpid(), 1ull << 63, out, 8), -EFAULT);
	assert_int_equal(mem_read(getpid(), 8, out, 0), 0);
	munmap(area, page);
}

static int count(void *ctx, pid_t pid)
{
	pid_t *last = ctx;

	assert_true(pid > *last);
	*last = pid;
	return pid == getpid() ? 7 : 0;
}

static void test_process(void **state)
{
	struct buf text = { 0 };
	pid_t last = 0;

	(void)state;
	assert_int_equal(process_each(count, &last), 7);
	assert_int_equal(last, getpid());
	assert_int_equal(process_cmdline(getpid(), &text), 0);
	assert_non_null(strstr(buf_str(&text), "test_maps"));
	buf_clear(&text);
	assert_int_equal(process_comm(getpid(), getpid(), &text), 0);
	assert_string_equal(buf_str(&text), "test_maps");
	buf_clear(&text);
	assert_int_equal(process_cmdline(INT32_MAX, &text), -ESRCH);
	assert_int_equal(process_comm(INT32_MAX, INT32_MAX, &text), -ESRCH);
	buf_free(&text);
}

static void test_cmdline_long(void **state)
{
	static char arg[3 * PROCESS_CMDLINE_MAX];
	struct buf text = { 0 };
	int ready[2], hold[2];
	char byte;
	pid_t pid;

	(void)state;
	/* Three-byte characters, one of which lies across the limit. */
	for (size_t i = 0; i + 3 < sizeof(arg); i += 3)
		memcpy(arg + i, "\xe2\x82\xac", 3);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(hold), 0);
	pid = fork();
	if (!pid) {
		dup2(hold[0], 0);
		dup2(ready[1], 1);
		execlp("sh", "sh", "-c", "echo; read x", arg, NULL);
		_exit(127);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(process_cmdline(pid, &text), 0);
	assert_true(text.len <= PROCESS_CMDLINE_MAX + 3);
	assert_memory_equal(text.data, "sh -c echo;", 11);
	assert_memory_equal(text.data + text.len - 6, "\xe2\x82\xac\xe2\x80\xa6", 6);
	buf_free(&text);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(hold[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),   cmocka_unit_test(test_parse_damaged),
		cmocka_unit_test(test_self),    cmocka_unit_test(test_no_openat2),
		cmocka_unit_test(test_gone),    cmocka_unit_test(test_mem),
		cmocka_unit_test(test_process), cmocka_unit_test(test_cmdline_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
