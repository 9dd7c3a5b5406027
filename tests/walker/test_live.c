// SPDX-License-Identifier: Apache-2.0
/*
 * Walks the threads of real interpreters, one test each, and compares every frame with what
 * sys._current_frames() says of it. Run from the top of the tree.
 */
#include <errno.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#include <cmocka.h>

#include "host.h"
#include "proc/mem.h"
#include "py/code.h"
#include "py/runtime.h"
#include "util/file.h"

#define PYTHON_MAX    64
#define THREAD_MIN    14  /* what child.py blocks, its reporter left out */
#define FRAME_MIN     380 /* and how deep, all together */
#define WAIT_MAX_S    60  /* until a child that does not get there counts as broken */
#define BLOCKED_CALLS SYS_read, SYS_clock_nanosleep, SYS_pselect6

/* The list of interpreters that the live tests keep: id, then the arguments, tabs between. */
#define LIST_COMMAND                                               \
	"tests/live/interpreters | python3 -c 'import json, sys\n" \
	"for one in json.load(sys.stdin):\n"                       \
	"    if one[\"hexversion\"] >= 0x03060000: "               \
	"print(one[\"id\"], *one[\"argv\"], sep=\"\\t\")'"

struct python {
	char *id;
	char *argv[8];
};

static struct python pythons[PYTHON_MAX];
static size_t python_cnt;
static struct buf program;

struct child {
	pid_t pid;
	FILE *to;   /* its stdin */
	FILE *from; /* its stdout */
};

struct session {
	struct child child;
	struct py_runtime runtime;
	struct pv_walk *walk;
	size_t thread_cnt;
	size_t frame_cnt;
	size_t hidden_cnt;
};

static void child_start(struct child *child, const struct python *python)
{
	char *argv[12];
	int in[2], out[2];
	size_t n = 0;

	for (; python->argv[n]; n++)
		argv[n] = python->argv[n];
	argv[n++] = (char *)"-c";
	argv[n++] = (char *)buf_str(&program);
	argv[n++] = (char *)"wait";
	argv[n] = NULL;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (!child->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[0]);
		close(in[1]);
		close(out[0]);
		close(out[1]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	child->to = fdopen(in[1], "w");
	child->from = fdopen(out[0], "r");
	assert_non_null(child->to);
	assert_non_null(child->from);
}

static void child_end(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	fclose(child->to);
	fclose(child->from);
}

/* Does the thread sleep in a system call of child.py's own, not in a wait for the GIL (futex)? */
static bool thread_is_blocked(pid_t pid, const char *tid, int fd)
{
	static const long calls[] = { BLOCKED_CALLS,
#ifdef SYS_select
		                      SYS_select
#endif
	};
	unsigned long long first = 0;
	struct buf text = { 0 };
	char path[320];
	long call = -1;
	bool blocked = false;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", pid, tid);
	if (!file_read(path, 4096, &text) &&
	    sscanf(buf_str(&text), "%ld 0x%llx", &call, &first) == 2)
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			blocked |= call == calls[i];
	buf_free(&text);
	return blocked && (call != SYS_read || first == 0 || first == (unsigned int)fd);
}

static int blocked_cnt(pid_t pid, int fd)
{
	struct dirent *entry;
	char path[32];
	int cnt = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			cnt += thread_is_blocked(pid, entry->d_name, fd);
	closedir(dir);
	return cnt;
}

/* Return when every thread of the child stands where it is going to stay. */
static void child_wait_blocked(struct child *child, int fd, int thread_cnt)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	int cnt = 0;

	for (int i = 0; i < WAIT_MAX_S * 500; i++) {
		cnt = blocked_cnt(child->pid, fd);
		if (cnt == thread_cnt)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("%d of %d threads came to rest", cnt, thread_cnt);
}

static int read_child(void *ctx, uint64_t addr, void *out, size_t len)
{
	return mem_read(((struct child *)ctx)->pid, addr, out, len);
}

/* The first bytes of a code object and the hash that belongs to its fingerprint. */
static uint64_t code_head(struct session *session, uint64_t code, uint8_t *head)
{
	const struct pv_layout *layout = &session->runtime.layout;
	pid_t pid = session->child.pid;
	uint64_t str, hash = 0;

	assert_int_equal(mem_read(pid, code, head, layout->code.read_len), 0);
	if (layout->code.fp_str == PV_NO_FIELD)
		return 0;
	memcpy(&str, head + layout->code.fp_str, sizeof(str));
	assert_int_equal(mem_read(pid, str + layout->str.hash, &hash, sizeof(hash)), 0);
	return hash;
}

/*
 * _PyFrame_IsIncomplete (3.11 to 3.15, Include/internal/pycore_frame.h): a frame before its first
 * traceable instruction, among them the one that calls __init__ (_Py_InitCleanup, 3.13 on).
 */
static bool frame_is_hidden(struct session *session, const struct pv_frame *frame)
{
	const struct pv_layout *layout = &session->runtime.layout;
	uint8_t head[PV_CODE_READ_MAX];
	int32_t firsttraceable;

	if (layout->code.co_firsttraceable == PV_NO_FIELD ||
	    PV_FRAME_KIND(frame) != PV_FRAME_PYTHON)
		return false;
	code_head(session, frame->addr, head);
	memcpy(&firsttraceable, head + layout->code.co_firsttraceable, sizeof(firsttraceable));
	return frame->lasti < 2 * (int64_t)firsttraceable;
}

static void check_identity(struct session *session, const struct pv_frame *frame, const char *name)
{
	const struct pv_layout *layout = &session->runtime.layout;
	uint8_t head[PV_CODE_READ_MAX];
	struct py_code code = { 0 };
	uint64_t hash = code_head(session, frame->addr, head);

	assert_int_equal(py_code_fingerprint(layout, head, hash), PV_FRAME_FP(frame));
	assert_int_equal(py_code_from_process(session->child.pid, layout, frame->addr,
	                                      PV_FRAME_FP(frame), &code),
	                 0);
	assert_string_equal(buf_str(&code.name), name);
	py_code_free(&code);
}

/* One "frame" line against the next frame of the walk that CPython shows. */
static uint32_t check_frame(struct session *session, uint32_t index)
{
	const struct pv_layout *layout = &session->runtime.layout;
	const struct pv_frame *frame = host_frame(session->walk, index);
	unsigned long long code;
	char name[128];
	int lasti;

	assert_int_equal(
		fscanf(session->child.from, " frame 0x%llx %d %127[^\n]", &code, &lasti, name), 3);
	while (frame && frame_is_hidden(session, frame)) {
		session->hidden_cnt++;
		frame = host_frame(session->walk, ++index);
	}
	assert_non_null(frame);
	assert_int_equal(PV_FRAME_KIND(frame) == PV_FRAME_UNREADABLE, 0);
	assert_int_equal(frame->addr, code);
	/* 3.10 counts f_lasti in code units and shows it in bytes (Objects/frameobject.c). */
	assert_int_equal(layout->version == 0x030a ? frame->lasti * 2 : frame->lasti, lasti);
	check_identity(session, frame, name);
	session->frame_cnt++;
	return index + 1;
}

static void check_thread(struct session *session, unsigned long long ident, uint32_t frame_cnt)
{
	const struct py_runtime *runtime = &session->runtime;
	struct pv_walk *walk = session->walk;
	uint64_t thread_id = 0;
	uint32_t index = 0;

	walk->tstate = pystate_find(&runtime->proc, &runtime->layout,
	                            &(struct pv_thread){ .tp = ident }, &walk->faults.at[0]);
	assert_int_not_equal(walk->tstate, 0);
	assert_int_equal(mem_read(session->child.pid,
	                          walk->tstate + runtime->layout.tstate.thread_id, &thread_id,
	                          sizeof(thread_id)),
	                 0);
	assert_int_equal(thread_id, ident);
	walk->PyCode_Type = runtime->proc.PyCode_Type;
	host_walk(walk, &runtime->layout);
	assert_int_equal(walk->outcome, PV_CNT_COMPLETE);
	assert_int_equal(walk->from_cframe, 0);
	assert_int_equal(walk->from_register, 0);
	for (uint32_t i = 0; i < frame_cnt; i++)
		index = check_frame(session, index);
	/* A chain has no hidden frame at its root. */
	assert_int_equal(index, walk->walked_cnt);
	session->thread_cnt++;
}

static void check_python(struct session *session, const struct python *python)
{
	struct child *child = &session->child;
	struct py_cache *cache = py_cache__new();
	unsigned long long ident;
	int fd, thread_cnt;
	uint32_t frame_cnt;
	char word[64];

	assert_non_null(cache);
	child_start(child, python);
	assert_int_equal(fscanf(child->from, "blocked %d %d", &fd, &thread_cnt), 2);
	child_wait_blocked(child, fd, thread_cnt);
	fputs("\n", child->to);
	fflush(child->to);
	assert_int_equal(py_runtime__find(cache, child->pid, &session->runtime, 1), 0);
	assert_string_equal(session->runtime.reason, "");
	assert_int_equal(session->runtime.proc.state, PV_PROC_PYTHON);
	host.read = read_child;
	host.ctx = child;
	while (fscanf(child->from, " thread %llu %63s %u", &ident, word, &frame_cnt) == 3)
		check_thread(session, ident, frame_cnt);
	assert_int_equal(fscanf(child->from, " %63s", word), 1);
	assert_string_equal(word, "end");
	print_message("# %s: %zu threads, %zu frames, %zu hidden\n", python->id,
	              session->thread_cnt, session->frame_cnt, session->hidden_cnt);
	assert_int_equal(session->thread_cnt, thread_cnt - 1);
	assert_true(session->thread_cnt >= THREAD_MIN - 1);
	assert_true(session->frame_cnt >= FRAME_MIN);
	/* A specialised call of a class: a frame of its own below __init__, 3.13 on. */
	assert_int_equal(session->hidden_cnt > 0, session->runtime.layout.version >= 0x030d);
	py_cache__free(cache);
}

static struct session session;

static int session_begin(void **state)
{
	(void)state;
	memset(&session, 0, sizeof(session));
	session.walk = calloc(1, sizeof(*session.walk));
	return session.walk ? 0 : -1;
}

static int session_end(void **state)
{
	(void)state;
	if (session.child.pid > 0)
		child_end(&session.child);
	free(session.walk);
	return 0;
}

static void test_python(void **state)
{
	check_python(&session, *state);
}

static int pythons_find(void)
{
	FILE *list = popen(LIST_COMMAND, "r");
	char *line = NULL;
	size_t size = 0;

	if (!list)
		return -1;
	while (python_cnt < PYTHON_MAX && getline(&line, &size, list) > 0) {
		struct python *python = &pythons[python_cnt++];
		char *rest = line;
		size_t n = 0;

		line[strcspn(line, "\n")] = '\0';
		python->id = strdup(strsep(&rest, "\t"));
		while (rest && n < 7)
			python->argv[n++] = strdup(strsep(&rest, "\t"));
	}
	free(line);
	return pclose(list);
}

static void pythons_forget(void)
{
	for (size_t i = 0; i < python_cnt; i++) {
		free(pythons[i].id);
		for (size_t n = 0; pythons[i].argv[n]; n++)
			free(pythons[i].argv[n]);
	}
}

static void test_there_are_interpreters(void **state)
{
	(void)state;
	assert_true(python_cnt > 0);
}

int main(void)
{
	struct CMUnitTest tests[PYTHON_MAX + 1] = {
		cmocka_unit_test(test_there_are_interpreters),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (file_read("tests/walker/child.py", 1u << 20, &program) || pythons_find()) {
		fprintf(stderr, "run this from the top of the tree, and with python3 at hand\n");
		return 2;
	}
	for (size_t i = 0; i < python_cnt; i++)
		tests[i + 1] = (struct CMUnitTest){ pythons[i].id, test_python, session_begin,
			                            session_end, &pythons[i] };
	failed = _cmocka_run_group_tests("live", tests, python_cnt + 1, NULL, NULL);
	pythons_forget();
	buf_free(&program);
	return failed;
}
