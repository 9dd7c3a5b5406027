// SPDX-License-Identifier: Apache-2.0
/*
 * states.c - threads and thread states in every relation that the C API allows. Built by the tests.
 *
 *	states HOME LIBPYTHON CASE
 *
 *	foreign	states made by the first thread, used by two others, while the first works in C
 *	ensure	two threads that Python does not know, in and out of it (PyGILState_Ensure)
 *	native	one Python thread beside 160 that have no state and work in C
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NATIVE_CNT 160

static void *(*PyEval_SaveThread)(void);
static void (*PyEval_RestoreThread)(void *state);
static void *(*PyThreadState_New)(void *interp);
static void *(*PyInterpreterState_Head)(void);
static int (*PyGILState_Ensure)(void);
static void (*PyGILState_Release)(int state);
static int (*PyRun_SimpleString)(const char *code);

/* A function that works for a moment and returns, so that the lock goes round. */
static const char code[] = "def %s(n):\n"
			   "    total = 0\n"
			   "    for i in range(n):\n"
			   "        total += i\n"
			   "    return total\n"
			   "%s(%d)\n";

struct worker {
	const char *name;
	void *state; /* NULL: none yet */
};

static void run(const char *name, int n)
{
	char text[256];

	snprintf(text, sizeof(text), code, name, name, n);
	if (PyRun_SimpleString(text))
		exit(1);
}

static void *work_in_python(void *arg)
{
	struct worker *worker = arg;
	int ensured = 0;

	for (;;) {
		if (worker->state)
			PyEval_RestoreThread(worker->state);
		else
			ensured = PyGILState_Ensure();
		run(worker->name, 50000);
		if (worker->state)
			PyEval_SaveThread();
		else
			PyGILState_Release(ensured);
		usleep(1000); /* the lock is the other's for certain */
	}
	return NULL;
}

static void *work_in_c(void *arg)
{
	for (volatile unsigned long n = 0;; n++)
		;
	return arg;
}

static void start(void *(*function)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 1u << 20);
	if (pthread_create(&thread, &attr, function, arg))
		exit(1);
}

static void load(const char *library)
{
	void *python = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
	void (*Py_Initialize)(void);

	if (!python) {
		fprintf(stderr, "states: %s\n", dlerror());
		exit(1);
	}
#define LOAD(name)                                 \
	name = (typeof(name))dlsym(python, #name); \
	if (!name)                                 \
	exit(1)
	LOAD(Py_Initialize);
	LOAD(PyEval_SaveThread);
	LOAD(PyEval_RestoreThread);
	LOAD(PyThreadState_New);
	LOAD(PyInterpreterState_Head);
	LOAD(PyGILState_Ensure);
	LOAD(PyGILState_Release);
	LOAD(PyRun_SimpleString);
#undef LOAD
	Py_Initialize();
}

int main(int argc, char **argv)
{
	static struct worker one = { .name = "worker_one" }, two = { .name = "worker_two" };

	if (argc != 4)
		return 2;
	alarm(300);
	setenv("PYTHONHOME", argv[1], 1);
	load(argv[2]);
	if (!strcmp(argv[3], "foreign")) {
		one.state = PyThreadState_New(PyInterpreterState_Head());
		two.state = PyThreadState_New(PyInterpreterState_Head());
	}
	if (write(1, "ready\n", 6) != 6)
		return 1;
	if (!strcmp(argv[3], "native")) {
		for (int i = 0; i < NATIVE_CNT; i++)
			start(work_in_c, NULL);
		for (;;)
			run("lonely", 50000);
	}
	PyEval_SaveThread();
	start(work_in_python, &one);
	start(work_in_python, &two);
	work_in_c(NULL);
	return 0;
}
