// SPDX-License-Identifier: Apache-2.0
/*
 * Runs every interpreter of the machine: $PITVIPER_PYTHONS (a list separated by colons), those of
 * ~/.pyenv and /usr/bin. What is found out from outside is checked against what the interpreter
 * says of itself and, for the thread-local recipes, against its own list of thread states.
 */
#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <sched.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/mem.h"
#include "py/cache.h"
#include "py/runtime.h"
#include "py/layout.h"
#include "util/file.h"

#define PYTHON_MAX 64

struct child {
	pid_t pid;
	int to;   /* its stdin */
	int from; /* its stdout */
};

/* One line that the program prints about itself, then it waits or works, as `mode` says. */
static const char script[] =
	"import sys\n"
	"v = sys.version_info\n"
	"name = '%d.%d.%d' % v[:3]\n"
	"if v[3] != 'final':\n"
	"    name += {'alpha': 'a', 'beta': 'b', 'candidate': 'rc'}[v[3]] + str(v[4])\n"
	"try:\n"
	"    import sysconfig\n"
	"    nogil = sysconfig.get_config_var('Py_GIL_DISABLED')\n"
	"except ImportError:\n"
	"    nogil = None\n"
	"debug = hasattr(sys, 'gettotalrefcount')\n"
	"import threading\n"
	"ident = getattr(threading, 'get_ident', lambda: 0)()\n"
	"sys.stdout.write('%s %d %d %d %d\\n' % (name, bool(nogil), debug, "
	"ident,\n"
	"                                            id(type(compile('0', 'f', 'eval')))))\n"
	"sys.stdout.flush()\n"
	"while sys.argv[1] == 'spin':\n"
	"    pass\n"
	"sys.stdin.read()\n";

struct self_report {
	char version[32];
	int nogil, debug;
	unsigned long long ident, code_type;
};

static bool child_start(struct child *child, const char *python, const char *mode)
{
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (!child->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl(python, python, "-c", script, mode, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	child->to = in[1];
	child->from = out[0];
	return true;
}

static bool child_report(struct child *child, struct self_report *self)
{
	char line[256] = "";
	size_t len = 0;

	while (len < sizeof(line) - 1 && read(child->from, line + len, 1) == 1)
		if (line[len++] == '\n')
			break;
	return sscanf(line, "%31s %d %d %llu %llu", self->version, &self->nogil, &self->debug,
	              &self->ident, &self->code_type) == 5;
}

static void child_end(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->to);
	close(child->from);
}

static char *pythons[PYTHON_MAX];
static size_t python_cnt;

/* Each program once, whatever its names are. */
static void python_add(const char *path)
{
	struct stat st, other;

	if (python_cnt == PYTHON_MAX || stat(path, &st) || !S_ISREG(st.st_mode) ||
	    access(path, X_OK))
		return;
	for (size_t i = 0; i < python_cnt; i++)
		if (!stat(pythons[i], &other) && other.st_dev == st.st_dev &&
		    other.st_ino == st.st_ino)
			return;
	pythons[python_cnt++] = strdup(path);
}

static void python_glob(const char *pattern)
{
	glob_t found;

	if (!glob(pattern, GLOB_TILDE, NULL, &found))
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (!strstr(found.gl_pathv[i], "-config") &&
			    !strstr(found.gl_pathv[i], "-gdb"))
				python_add(found.gl_pathv[i]);
	globfree(&found);
}

static int find_pythons(void **state)
{
	char *list = strdup(getenv("PITVIPER_PYTHONS") ? getenv("PITVIPER_PYTHONS") : "");
	char *rest = list;

	(void)state;
	for (char *path; (path = strsep(&rest, ":"));)
		if (*path)
			python_add(path);
	free(list);
	python_glob("~/.pyenv/versions/*/bin/python[23].*");
	python_glob("/usr/bin/python[23].*");
	return 0;
}

static int forget_pythons(void **state)
{
	(void)state;
	for (size_t i = 0; i < python_cnt; i++)
		free(pythons[i]);
	return 0;
}

/* Debian configures with --enable-shared and builds a static program nevertheless: ask the maps. */
static bool is_shared(pid_t pid)
{
	struct buf maps = { 0 };
	char path[32];
	bool found;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	assert_int_equal(file_read(path, 1u << 20, &maps), 0);
	found = strstr(buf_str(&maps), "/libpython") != NULL;
	buf_free(&maps);
	return found;
}

static bool is_supported(const struct self_report *self)
{
	int major = 0, minor = 0;

	sscanf(self->version, "%d.%d", &major, &minor);
	/* Debug builds: those whose layout is known to be the release builds', or told by themselves. */
	if (self->debug)
		return major == 3 && (minor == 9 || minor == 11 || minor >= 13);
	return major == 3 ? minor >= 6 : minor == 7;
}

static void check_python(struct py_cache *cache, const char *python)
{
	struct self_report self;
	struct py_runtime runtime;
	struct child child;
	char build[64];

	child_start(&child, python, "wait");
	if (!child_report(&child, &self)) {
		print_message("%s does not run here\n", python);
		/* One that was asked for must. */
		assert_null(strstr(getenv("PITVIPER_PYTHONS") ?: "", python));
		child_end(&child);
		return;
	}
	assert_int_equal(py_runtime__find(cache, child.pid, &runtime, 1), 0);
	print_message("%s: %s %s, %s%s\n", python, runtime.version, runtime.build, runtime.source,
	              runtime.reason);
	assert_string_equal(runtime.version, self.version);
	snprintf(build, sizeof(build), "%s%s%s", is_shared(child.pid) ? "shared" : "static",
	         self.nogil ? " free-threaded" : "", self.debug ? " debug" : "");
	assert_string_equal(runtime.build, build);
	if (is_supported(&self)) {
		assert_int_equal(runtime.proc.state, PV_PROC_PYTHON);
		assert_string_equal(runtime.reason, "");
		assert_true(runtime.source[0] != '\0');
		assert_int_equal(runtime.proc.PyCode_Type, self.code_type);
		assert_int_equal(runtime.proc.tsd.kind, PV_TSD_GLIBC);
	} else {
		assert_int_equal(runtime.proc.state, PV_PROC_UNSUPPORTED);
		assert_true(runtime.reason[0] != '\0');
	}
	child_end(&child);
}

static void test_every_python(void **state)
{
	struct py_cache *cache = py_cache__new();

	(void)state;
	assert_non_null(cache);
	if (!python_cnt)
		skip();
	for (size_t i = 0; i < python_cnt; i++)
		check_python(cache, pythons[i]);
	py_cache__free(cache);
}

/* PyInterpreterState.tstate_head, threads.head: not part of a layout, here to have a second way. */
static uint16_t threads_head(uint16_t version)
{
	switch (version) {
	case 0x0207:
	case 0x0306:
	case 0x0307:
	case 0x0308:
	case 0x0309:
	case 0x030a:
		return 8;
	case 0x030b:
		return 16;
	case 0x030c:
		return 72;
	case 0x030f:
		return 7336;
	default:
		return 7344;
	}
}

static uint64_t peek(pid_t pid, uint64_t addr)
{
	uint64_t value = 0;

	assert_int_equal(mem_read(pid, addr, &value, sizeof(value)), 0);
	return value;
}

/*
 * The main thread's state through the runtime's own lists; 2.7 and 3.6 hide where these begin, but the
 * holder of the GIL leads there.
 */
static uint64_t main_tstate(pid_t pid, const struct py_runtime *runtime, uint16_t head)
{
	uint64_t interp, holder = 0;

	if (runtime->runtime_addr) {
		interp = peek(pid, runtime->runtime_addr + head);
	} else {
		while (!holder)
			holder = peek(pid, runtime->proc.tstate_current);
		interp = peek(pid, holder + runtime->layout.tstate.interp);
	}
	return peek(pid, interp + threads_head(runtime->layout.version));
}

static uint64_t read_tls(pid_t pid, const struct pv_tls *tls, uint64_t tp)
{
	uint64_t block = tp;

	if (tls->kind == PV_TLS_DTV)
		block = peek(pid, peek(pid, tp + 8) + (uint64_t)tls->dtv_stride * tls->module);
	return peek(pid, block + (uint64_t)tls->off);
}

static uint64_t read_tsd(pid_t pid, const struct py_runtime *runtime, uint64_t tp)
{
	uint64_t key = peek(pid, runtime->proc.autotsskey);

	if (runtime->proc.tsd.plain_key) {
		key &= UINT32_MAX;
	} else {
		assert_int_equal((uint32_t)key, 1); /* is_initialized */
		key >>= 32;
	}
	assert_true(key < 32);
	return peek(pid, tp + runtime->proc.tsd.first + 16 * key + 8);
}

/* Debug offsets as the process has them, not as its file does. */
static uint16_t live_interpreters_head(pid_t pid, const struct py_runtime *runtime)
{
	struct py_runtime_offsets offsets;
	struct pv_layout layout;
	char data[1024], reason[128];

	if (!runtime->runtime_addr)
		return 0;
	if (!py_layout_from_table((uint32_t)runtime->layout.version << 16, &layout, &offsets))
		return offsets.interpreters_head;
	assert_int_equal(mem_read(pid, runtime->runtime_addr, data, sizeof(data)), 0);
	assert_int_equal(py_layout_from_debug_offsets(data, sizeof(data), &layout, &offsets, reason,
	                                              sizeof(reason)),
	                 0);
	assert_memory_equal(&layout, &runtime->layout, sizeof(layout));
	return offsets.interpreters_head;
}

static uint64_t attached(pid_t pid, const struct py_runtime *runtime, uint64_t tp)
{
	if (runtime->proc.tstate_current)
		return peek(pid, runtime->proc.tstate_current);
	return read_tls(pid, &runtime->proc.tls_tstate, tp);
}

/* Every address and recipe against the main thread of a program that never lets go of the GIL. */
static void check_recipes(struct py_cache *cache, const char *python)
{
	struct self_report self;
	struct py_runtime runtime;
	struct child child;
	uint64_t tstate;
	pid_t pid;

	child_start(&child, python, "spin");
	pid = child.pid;
	if (!child_report(&child, &self) || !is_supported(&self)) {
		child_end(&child);
		return;
	}
	assert_int_equal(py_runtime__find(cache, pid, &runtime, 1), 0);
	assert_int_equal(runtime.proc.state, PV_PROC_PYTHON);
	tstate = main_tstate(pid, &runtime, live_interpreters_head(pid, &runtime));
	assert_true(tstate != 0);
	if (runtime.layout.version < 0x0300) /* the script does not know it */
		self.ident = peek(pid, tstate + runtime.layout.tstate.thread_id);
	assert_int_equal(peek(pid, tstate + runtime.layout.tstate.thread_id), self.ident);
	assert_true((runtime.layout.version <= 0x030b) == (runtime.proc.tstate_current != 0));
	assert_true((runtime.layout.version >= 0x030c) ==
	            (runtime.proc.tls_tstate.kind != PV_TLS_NONE));
	assert_true((runtime.layout.version >= 0x030f) ==
	            (runtime.proc.tls_gilstate.kind != PV_TLS_NONE));
	assert_true((runtime.layout.version < 0x030f && runtime.layout.version > 0x0300) ==
	            (runtime.proc.autotsskey != 0));
	if (runtime.proc.autotsskey)
		assert_int_equal(read_tsd(pid, &runtime, self.ident), tstate);
	if (runtime.proc.tls_gilstate.kind)
		assert_int_equal(read_tls(pid, &runtime.proc.tls_gilstate, self.ident), tstate);
	/* The program let go of the GIL while it printed; soon it has it again, for good. */
	for (int i = 0; i < 1000000 && attached(pid, &runtime, self.ident) != tstate; i++)
		sched_yield();
	assert_int_equal(attached(pid, &runtime, self.ident), tstate);
	child_end(&child);
}

static void test_recipes(void **state)
{
	struct py_cache *cache = py_cache__new();

	(void)state;
	if (!python_cnt)
		skip();
	for (size_t i = 0; i < python_cnt; i++)
		check_recipes(cache, pythons[i]);
	py_cache__free(cache);
}

static void test_not_python(void **state)
{
	struct py_cache *cache = py_cache__new();
	struct py_runtime runtime;
	size_t misses;

	(void)state;
	assert_int_equal(py_runtime__find(cache, getpid(), &runtime, 1), 0);
	assert_int_equal(runtime.proc.state, PV_PROC_NOT_PYTHON);
	assert_string_equal(runtime.version, "");
	assert_string_equal(runtime.reason, "");
	misses = py_cache__miss_cnt(cache);
	assert_true(misses > 1);
	/* Known files are not read again. */
	assert_int_equal(py_runtime__find(cache, getpid(), &runtime, 1), 0);
	assert_int_equal(py_cache__miss_cnt(cache), misses);
	assert_int_equal(py_runtime__find(cache, INT32_MAX, &runtime, 1), -ESRCH);
	py_cache__free(cache);
}

/*
 * A program linked against libpython that has not loaded it yet: a copy of this one whose libcmocka
 * is renamed, mapped and not run.
 */
static void test_undecided(void **state)
{
	struct py_cache *cache = py_cache__new();
	struct buf self = { 0 };
	struct py_runtime runtime;
	size_t renamed = 0;
	void *map;
	int fd;

	(void)state;
	assert_int_equal(file_read("/proc/self/exe", 64u << 20, &self), 0);
	for (size_t i = 0; i + 10 < self.len; i++) {
		if (memcmp(self.data + i, "libcmocka.", 10))
			continue;
		memcpy(self.data + i, "libpython.", 10);
		renamed++;
	}
	assert_true(renamed > 0);
	fd = memfd_create("program", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, self.data, self.len), self.len);
	map = mmap(NULL, self.len, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(py_runtime__find(cache, getpid(), &runtime, 1), 0);
	assert_int_equal(runtime.proc.state, PV_PROC_UNDECIDED);
	assert_true(runtime.reason[0] != '\0');
	munmap(map, self.len);
	assert_int_equal(py_runtime__find(cache, getpid(), &runtime, 1), 0);
	assert_int_equal(runtime.proc.state, PV_PROC_NOT_PYTHON);
	close(fd);
	buf_free(&self);
	py_cache__free(cache);
}

/*
 * The bytes of the fingerprint must never change while a code object lives: not by specialisation,
 * tracing, weak references, other threads, or by a look at the object's attributes.
 */
static const char fingerprint_script[] =
	"import sys, weakref, threading, gc\n"
	"try: import ctypes\n"
	"except ImportError: sys.exit(4)\n"
	"off, size = int(sys.argv[1]), int(sys.argv[2])\n"
	"class A(object):\n"
	"    x = 1\n"
	"    def m(self): return self.x\n"
	"    def __repr__(self): return super(A, self).__repr__()\n"
	"def f(n): return sum([A().m() + len([i]) for i in range(n)])\n"
	"def g(n):\n"
	"    for i in range(n): yield i\n"
	"def h(n):\n"
	"    def inner(y): return n + y\n"
	"    return sum(inner(i) for i in g(n))\n"
	"codes = [x.__code__ for x in (f, g, h, A.m, A.__repr__, threading.Thread.run)]\n"
	"snap = lambda: [ctypes.string_at(id(c) + off, size) for c in codes]\n"
	"def work():\n"
	"    for i in range(50): f(50); h(50); repr(A())\n"
	"before = snap()\n"
	"assert len(set(before)) == len(codes)\n"
	"work()\n"
	"trace = lambda *x: trace\n"
	"sys.settrace(trace); work(); sys.settrace(None)\n"
	"sys.setprofile(trace); work(); sys.setprofile(None)\n"
	"refs = [weakref.ref(c) for c in codes]\n"
	"for c in codes: c.co_code, c.co_varnames, hash(c), list(getattr(c, 'co_lines', list)())\n"
	"f.__code__ = f.__code__\n"
	"len = lambda x: 3\n"
	"work()\n"
	"threads = [threading.Thread(target=work) for i in range(3)]\n"
	"for t in threads: t.start()\n"
	"for t in threads: t.join()\n"
	"gc.collect()\n"
	"work(); sys.exit(0 if snap() == before else 3)\n";

/* Was it there to be checked? Not unsupported versions, nor installations without ctypes. */
static bool check_fingerprint(struct py_cache *cache, const char *python)
{
	struct py_runtime runtime;
	struct self_report self;
	struct child child;
	char off[8], size[8];
	int status;
	pid_t pid;

	child_start(&child, python, "wait");
	if (!child_report(&child, &self) || !is_supported(&self)) {
		child_end(&child);
		return false;
	}
	assert_int_equal(py_runtime__find(cache, child.pid, &runtime, 1), 0);
	child_end(&child);
	snprintf(off, sizeof(off), "%u", runtime.layout.code.fp_off);
	snprintf(size, sizeof(size), "%u", PV_FP_BYTES);
	pid = fork();
	if (!pid) {
		execl(python, python, "-c", fingerprint_script, off, size, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 4)
		return false;
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

static void test_fingerprint_is_stable(void **state)
{
	struct py_cache *cache = py_cache__new();
	size_t checked = 0;

	(void)state;
	if (!python_cnt)
		skip();
	for (size_t i = 0; i < python_cnt; i++)
		checked += check_fingerprint(cache, pythons[i]);
	assert_true(checked > 0);
	py_cache__free(cache);
}

/* From fork to a running interpreter: never refused, and decided in the end. */
static void check_startup(struct py_cache *cache, const char *python)
{
	struct self_report self;
	struct py_runtime runtime;
	struct child child;
	int last = -1;

	child_start(&child, python, "wait");
	while (last != PV_PROC_PYTHON) {
		struct pollfd ready = { .fd = child.from, .events = POLLIN };

		if (py_runtime__find(cache, child.pid, &runtime, 1))
			break; /* between two images */
		assert_int_not_equal(runtime.proc.state, PV_PROC_UNSUPPORTED);
		/* Before the exec the child is this program. */
		assert_true(last != PV_PROC_UNDECIDED || runtime.proc.state != PV_PROC_NOT_PYTHON);
		last = runtime.proc.state;
		if (poll(&ready, 1, 0) > 0)
			break;
	}
	assert_true(child_report(&child, &self));
	assert_int_equal(py_runtime__find(cache, child.pid, &runtime, 1), 0);
	assert_int_equal(runtime.proc.state, PV_PROC_PYTHON);
	child_end(&child);
}

static void test_startup(void **state)
{
	struct py_cache *cache = py_cache__new();

	(void)state;
	if (!python_cnt)
		skip();
	for (size_t i = 0; i < python_cnt; i++) {
		struct self_report self;
		struct child child;
		bool supported;

		child_start(&child, pythons[i], "wait");
		supported = child_report(&child, &self) && is_supported(&self);
		child_end(&child);
		for (int round = 0; supported && round < 5; round++)
			check_startup(cache, pythons[i]);
	}
	py_cache__free(cache);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_python),
		cmocka_unit_test(test_recipes),
		cmocka_unit_test(test_not_python),
		cmocka_unit_test(test_undecided),
		cmocka_unit_test(test_fingerprint_is_stable),
		cmocka_unit_test(test_startup),
	};

	return cmocka_run_group_tests(tests, find_pythons, forget_pythons);
}
