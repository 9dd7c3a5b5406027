// SPDX-License-Identifier: Apache-2.0
/*
 * host.c - a program that embeds Python: the tests build it and say which libpython and what to run.
 *
 *	host [-w] [-m] [-a] HOME LIBPYTHON CODE [HOME LIBPYTHON CODE]
 *
 * Each triple is a runtime on a thread of its own, loaded so that none sees the other's symbols; "-" as
 * LIBPYTHON is the one that the program was linked with. Says `ready` when all are set up.
 *
 *	-w	say `waiting` and load the last one only when a line comes on standard input
 *	-m	load each into a namespace of its own, with a C library of its own (dlmopen)
 *	-a	both on the main thread, turn by turn
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNTIMES_MAX 2

struct runtime {
	const char *home, *library, *code;
	bool own_namespace;
	void (*Py_Initialize)(void);
	int (*PyRun_SimpleString)(const char *code);
	sem_t *started;
};

static void die(const char *what)
{
	fprintf(stderr, "host: %s: %s\n", what, dlerror());
	exit(1);
}

static void *symbol(void *handle, const char *name)
{
	void *found = dlsym(handle, name);

	if (!found)
		die(name);
	return found;
}

static void start(struct runtime *runtime)
{
	void *handle = RTLD_DEFAULT;

	if (strcmp(runtime->library, "-")) {
		handle = runtime->own_namespace ? dlmopen(LM_ID_NEWLM, runtime->library, RTLD_NOW)
		                                : dlopen(runtime->library, RTLD_NOW | RTLD_LOCAL);
		if (!handle)
			die(runtime->library);
	}
	runtime->Py_Initialize = symbol(handle, "Py_Initialize");
	runtime->PyRun_SimpleString = symbol(handle, "PyRun_SimpleString");
	if (runtime->own_namespace)
		((int (*)(const char *, const char *, int))symbol(handle, "setenv"))(
			"PYTHONHOME", runtime->home, 1);
	setenv("PYTHONHOME", runtime->home, 1);
	runtime->Py_Initialize();
}

static void *run(void *arg)
{
	struct runtime *runtime = arg;

	start(runtime);
	sem_post(runtime->started);
	runtime->PyRun_SimpleString(runtime->code);
	return NULL;
}

static void alternate(struct runtime *runtimes, int cnt)
{
	for (int i = 0; i < cnt; i++)
		start(&runtimes[i]);
	puts("ready");
	for (;;)
		for (int i = 0; i < cnt; i++)
			if (runtimes[i].PyRun_SimpleString(runtimes[i].code))
				exit(1);
}

static void wait_for_line(void)
{
	char line[8];

	puts("waiting");
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
}

static void on_threads(struct runtime *runtimes, int cnt, bool wait)
{
	pthread_t threads[RUNTIMES_MAX];
	sem_t started;

	sem_init(&started, 0, 0);
	for (int i = 0; i < cnt; i++) {
		if (wait && i == cnt - 1)
			wait_for_line();
		runtimes[i].started = &started;
		if (pthread_create(&threads[i], NULL, run, &runtimes[i]))
			exit(1);
		sem_wait(&started);
	}
	puts("ready");
	for (int i = 0; i < cnt; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	struct runtime runtimes[RUNTIMES_MAX] = { 0 };
	bool wait = false, own_namespace = false, one_thread = false;
	int option, cnt = 0;

	while ((option = getopt(argc, argv, "+wma")) != -1) {
		wait |= option == 'w';
		own_namespace |= option == 'm';
		one_thread |= option == 'a';
	}
	for (; cnt < RUNTIMES_MAX && optind + 2 < argc; optind += 3)
		runtimes[cnt++] = (struct runtime){ .home = argv[optind],
			                            .library = argv[optind + 1],
			                            .code = argv[optind + 2],
			                            .own_namespace = own_namespace };
	alarm(300);
	setvbuf(stdout, NULL, _IONBF, 0);
	if (one_thread)
		alternate(runtimes, cnt);
	else
		on_threads(runtimes, cnt, wait);
	return 1;
}
