// SPDX-License-Identifier: Apache-2.0
/*
 * fake_python.c - what a profiler looks for in a libpython, without a Python behind it: for C libraries
 * that no package archive has a Python for. FAKE_OFFSETS is a file with the head of a real _PyRuntime.
 *
 * As a library (-DLIBRARY) the runtime and the accessor of its thread-local; as a program
 *
 *	fake_python LIBRARY CASE
 *
 * whose one thread works in C and has a thread state that is
 *
 *	attached	in the thread-local variable
 *	detached	in the thread-specific key only, as while the lock is released
 *	none		not there
 */
#include <stdint.h>

#ifdef LIBRARY
extern char _PyRuntime[1 << 19];
char _PyRuntime[1 << 19] = {
#include FAKE_OFFSETS
};
char PyCode_Type[512];

static _Thread_local char padding[40];
static _Thread_local void *_Py_tss_tstate;

void *PyThreadState_GetUnchecked(void)
{
	return _Py_tss_tstate;
}

void fake_attach(void *state)
{
	padding[0] = 1;
	_Py_tss_tstate = state;
}
#else
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static uint64_t state[512]; /* no frames */

int main(int argc, char **argv)
{
	void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
	void (*fake_attach)(void *state);
	pthread_key_t other, key;
	struct {
		int is_initialized;
		unsigned int key;
	} * autotsskey;

	if (!library)
		return 2;
	fake_attach = (void (*)(void *))dlsym(library, "fake_attach");
	autotsskey = (void *)((char *)dlsym(library, "_PyRuntime") + FAKE_AUTOTSSKEY);
	if (pthread_key_create(&other, NULL) || pthread_key_create(&key, NULL))
		return 1;
	autotsskey->is_initialized = 1;
	autotsskey->key = (unsigned int)key;
	fake_attach(strcmp(argv[2], "attached") ? NULL : state);
	if (!strcmp(argv[2], "detached"))
		pthread_setspecific(key, state);
	alarm(300);
	if (write(1, "ready\n", 6) != 6)
		return 1;
	for (volatile unsigned long n = 0;; n++)
		;
}
#endif
