// SPDX-License-Identifier: Apache-2.0
/*
 * Thread names of real interpreters: those of pyenv, /usr/bin, $PITVIPER_PYTHONS (colons between)
 * and, for root, of the Debian suites that the live tests have unpacked. Each says itself which
 * thread has which name.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/mem.h"
#include "py/cache.h"
#include "py/layout.h"
#include "py/threads.h"

#define PYTHON_MAX  64
#define NAMES       13 /* threads of the script */
#define DEBUG_MAX   1024
#define CHURN_READS 1000

static const char script[] =
	"import sys, threading\n"
	"try:\n"
	"    import _thread\n"
	"except ImportError:\n"
	"    import thread as _thread\n"
	"version = sys.version_info[0] << 8 | sys.version_info[1]\n"
	"write = getattr(sys.stdout, 'buffer', sys.stdout).write\n"
	"write(('%d\\n' % version).encode())\n"
	"sys.stdout.flush()\n"
	"stop = _thread.allocate_lock()\n"
	"stop.acquire()\n"
	"ready = threading.Semaphore(0)\n"
	"def body():\n"
	"    ready.release()\n"
	"    stop.acquire()\n"
	"class Own(threading.Thread):\n"
	"    def __init__(self, **more):\n"
	"        threading.Thread.__init__(self, **more)\n"
	"        self.more = more\n"
	"names = ['worker-%d' % i for i in range(7)] + [u'\\u65e5\\u672c \\xe9 \\U0001f600']\n"
	/* 2.7 has names of bytes. */
	"if version < 0x300: names[7] = names[7].encode('utf-8')\n"
	"threads = [threading.Thread(target=body, name=name) for name in names]\n"
	"threads.append(threading.Thread(target=body, name='before'))\n"
	"threads.append(Own(target=body, name='own'))\n"
	"for thread in threads:\n"
	"    thread.daemon = True\n"
	"    thread.start()\n"
	"    ready.acquire()\n"
	"threads[8].name = 'after'\n"
	/* A dict of its own; so many attributes that it shares its keys with none. */
	"threads[0].__dict__\n"
	"for i in range(100):\n"
	"    setattr(threads[1], 'a%d' % i, i)\n"
	"idents = []\n"
	"def dummy():\n"
	"    threading.current_thread()\n"
	"    body()\n"
	"def nameless():\n"
	"    idents.append(_thread.get_ident())\n"
	"    body()\n"
	"_thread.start_new_thread(dummy, ())\n"
	"ready.acquire()\n"
	"_thread.start_new_thread(nameless, ())\n"
	"ready.acquire()\n"
	"encode = lambda name: name if version < 0x300 else name.encode()\n"
	"for t in threading.enumerate():\n"
	"    write(('%d\\t' % t.ident).encode() + encode(t.name) + b'\\n')\n"
	"for ident in idents: write(('%d\\t\\n' % ident).encode())\n"
	"write(b'.\\n')\n"
	"sys.stdout.flush()\n"
	"main = [t for t in threading.enumerate() if t.name == 'MainThread'][0]\n"
	"while sys.argv[1] == 'churn':\n"
	"    main.name = 'even'\n"
	"    some = [threading.Thread(target=int) for i in range(20)]\n"
	"    for thread in some: thread.start()\n"
	"    main.name = 'odd' * 50\n"
	"    for thread in some: thread.join()\n"
	/* Up to 3.6 nothing but the holder of the GIL leads to the interpreter. */
	"while version < 0x307: pass\n"
	"sys.stdin.read()\n";

struct python {
	char path[512];
	char root[512]; /* to chroot into; "": none */
};

static struct python pythons[PYTHON_MAX];
static size_t python_cnt;
static struct py_cache *cache;

struct child {
	pid_t pid;
	int in;
	FILE *out;
};

static void child_exec(const struct python *python, const char *mode)
{
	if (python->root[0] && (chroot(python->root) || chdir("/")))
		_exit(126);
	execl(python->path, python->path, "-S", "-E", "-c", script, mode, (char *)NULL);
	_exit(127);
}

static void child_start(struct child *child, const struct python *python, const char *mode)
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (!child->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		child_exec(python, mode);
	}
	close(in[0]);
	close(out[1]);
	child->in = in[1];
	child->out = fdopen(out[0], "r");
	assert_non_null(child->out);
}

static void child_end(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->in);
	fclose(child->out);
}

/* The interpreter of whatever thread has the GIL now. */
static uint64_t interp_of_holder(pid_t pid, const struct py_runtime *runtime)
{
	uint64_t tstate = 0, interp;

	while (!tstate)
		assert_int_equal(mem_read(pid, runtime->proc.tstate_current, &tstate, 8), 0);
	assert_int_equal(mem_read(pid, tstate + runtime->layout.tstate.interp, &interp, 8), 0);
	return interp;
}

/* The main interpreter, through the offsets that the layout came with. */
static uint64_t interp_find(pid_t pid, const struct py_runtime *runtime)
{
	struct py_runtime_offsets offsets;
	struct pv_layout layout;
	uint8_t data[DEBUG_MAX];
	char reason[192];
	uint64_t interp;

	if (!runtime->runtime_addr)
		return interp_of_holder(pid, runtime);
	if (runtime->layout.version < 0x030d) {
		assert_int_equal(py_layout_from_table((uint32_t)runtime->layout.version << 16,
		                                      &layout, &offsets),
		                 0);
	} else {
		assert_int_equal(mem_read(pid, runtime->runtime_addr, data, sizeof(data)), 0);
		assert_int_equal(py_layout_from_debug_offsets(data, sizeof(data), &layout, &offsets,
		                                              reason, sizeof(reason)),
		                 0);
	}
	assert_int_equal(mem_read(pid, runtime->runtime_addr + offsets.interpreters_head, &interp,
	                          sizeof(interp)),
	                 0);
	return interp;
}

static void target_start(struct child *child, const struct python *python, const char *mode,
                         struct py_runtime *runtime)
{
	char line[64];
	long wanted;

	child_start(child, python, mode);
	assert_non_null(fgets(line, sizeof(line), child->out));
	wanted = strtol(line, NULL, 10);
	assert_int_equal(py_runtime__find(cache, child->pid, runtime, 1), 0);
	assert_string_equal(runtime->reason, "");
	assert_int_equal(runtime->proc.state, PV_PROC_PYTHON);
	assert_int_equal(runtime->layout.version, wanted);
}

/* Read the child's list and compare; the number of threads. */
static int check_names(struct child *child, const struct py_runtime *runtime, uint64_t interp)
{
	struct buf name = { 0 };
	char line[512];
	int cnt = 0;

	while (fgets(line, sizeof(line), child->out) && line[0] != '.') {
		char *tab = strchr(line, '\t');
		unsigned long long ident = strtoull(line, NULL, 10);
		int err;

		assert_non_null(tab);
		line[strcspn(line, "\n")] = '\0';
		buf_clear(&name);
		buf_puts(&name, "<");
		err = py_thread_name(child->pid, runtime, interp, ident, &name);
		assert_int_equal(err, tab[1] ? 0 : -ENOENT);
		/* Appended, and nothing but the name. */
		assert_string_equal(buf_str(&name) + 1, tab + 1);
		assert_int_equal(buf_str(&name)[0], '<');
		cnt++;
	}
	assert_int_equal(py_thread_name(child->pid, runtime, interp, 12345, &name), -ENOENT);
	buf_free(&name);
	return cnt;
}

static void test_names(void **state)
{
	struct py_runtime runtime;
	struct child child;
	int checked = 0;

	(void)state;
	for (size_t i = 0; i < python_cnt; i++) {
		target_start(&child, &pythons[i], "wait", &runtime);
		print_message("%s%s: Python %s\n", pythons[i].root, pythons[i].path,
		              runtime.version);
		assert_int_equal(check_names(&child, &runtime, interp_find(child.pid, &runtime)),
		                 NAMES);
		child_end(&child);
		checked++;
	}
	assert_true(checked > 0);
}

/* A target that renames, starts and ends threads all the time: a true name, or none. */
static void test_churn(void **state)
{
	struct py_runtime runtime;
	struct buf name = { 0 };
	struct child child;
	int good = 0, checked = 0;

	(void)state;
	for (size_t i = 0; i < python_cnt; i++) {
		uint64_t interp;
		char line[512];

		target_start(&child, &pythons[i], "churn", &runtime);
		interp = interp_find(child.pid, &runtime);
		assert_non_null(fgets(line, sizeof(line), child.out));
		good = 0;
		for (int n = 0; n < CHURN_READS; n++) {
			buf_clear(&name);
			if (py_thread_name(child.pid, &runtime, interp, strtoull(line, NULL, 10),
			                   &name)) {
				assert_int_equal(name.len, 0);
				continue;
			}
			good++;
			assert_true(!strcmp(buf_str(&name), "even") ||
			            !strcmp(buf_str(&name), "MainThread") ||
			            (name.len == 150 && !strncmp(buf_str(&name), "oddodd", 6)));
		}
		child_end(&child);
		print_message("Python %s: %d of %d\n", runtime.version, good, CHURN_READS);
		assert_true(good > CHURN_READS / 10);
		checked++;
	}
	assert_true(checked > 0);
	buf_free(&name);
}

/* Pointers that lead anywhere: an error, and nothing in the buffer. */
static void test_hostile(void **state)
{
	struct buf name = { 0 };
	struct py_runtime runtime;
	struct child child;

	(void)state;
	for (size_t i = 0; i < python_cnt; i++) {
		uint64_t interp;

		target_start(&child, &pythons[i], "wait", &runtime);
		interp = interp_find(child.pid, &runtime);
		for (uint64_t off = 8; off < 4096; off += 8)
			assert_true(py_thread_name(child.pid, &runtime, interp + off, 1, &name) <
			            0);
		assert_true(py_thread_name(child.pid, &runtime, 0, 1, &name) < 0);
		assert_true(py_thread_name(child.pid, &runtime, UINT64_MAX, 1, &name) < 0);
		assert_true(py_thread_name(child.pid, &runtime, interp | 1, 1, &name) < 0);
		child_end(&child);
		assert_int_equal(py_thread_name(child.pid, &runtime, interp, 1, &name), -ESRCH);
		assert_int_equal(name.len, 0);
	}
	buf_free(&name);
}

static void python_add(const char *root, const char *path)
{
	char real[PATH_MAX], whole[1024];

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	if (python_cnt == PYTHON_MAX || !realpath(whole, real) || access(real, X_OK))
		return;
	snprintf(pythons[python_cnt].root, sizeof(pythons[0].root), "%s", root);
	snprintf(pythons[python_cnt].path, sizeof(pythons[0].path), "%s", path);
	python_cnt++;
}

/* @pattern matches interpreters below @root, or those of this system if it is "". */
static void python_glob(const char *root, const char *pattern)
{
	char whole[1024];
	glob_t found;

	snprintf(whole, sizeof(whole), "%s%s", root, pattern);
	if (glob(whole, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		python_add(root, found.gl_pathv[i] + strlen(root));
	globfree(&found);
}

static void suites_find(const char *folder)
{
	char pattern[1024];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/debian-*", folder);
	if (geteuid() || glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		python_glob(found.gl_pathv[i], "/usr/bin/python[23].*[0-9d]");
	globfree(&found);
}

static int pythons_find(void **state)
{
	const char *home = getenv("HOME"), *list = getenv("PITVIPER_PYTHONS");
	const char *pyenv = getenv("PYENV_ROOT");
	char root[512], pattern[600], *copy = strdup(list ? list : "");

	(void)state;
	for (char *path = strtok(copy, ":"); path; path = strtok(NULL, ":"))
		python_add("", path);
	free(copy);
	snprintf(root, sizeof(root), "%s/.pyenv", home ? home : "");
	snprintf(pattern, sizeof(pattern), "%s/versions/*/bin/python[23].*[0-9t]",
	         pyenv ? pyenv : root);
	python_glob("", pattern);
	python_glob("", "/usr/bin/python[23].*[0-9]");
	snprintf(root, sizeof(root), "%s/.cache/pitviper", home ? home : "");
	suites_find(getenv("PITVIPER_CACHE") ? getenv("PITVIPER_CACHE") : root);
	cache = py_cache__new();
	return cache && python_cnt ? 0 : -1;
}

static int pythons_forget(void **state)
{
	(void)state;
	py_cache__free(cache);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, pythons_find, pythons_forget);
}
