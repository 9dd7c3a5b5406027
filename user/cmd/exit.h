/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exit.h - what the process says to its caller when it ends. The numbers are an interface: they are
 * listed in `pitviper --help` and never change their meaning.
 */
#ifndef PV_CMD_EXIT_H
#define PV_CMD_EXIT_H

/* X(NAME, number, "meaning") */
#define PV_EXIT_CODES(X)                                                             \
	X(OK, 0, "done")                                                             \
	X(USAGE, 2, "bad option or argument")                                        \
	X(NO_PROCESS, 3, "no such process")                                          \
	X(NOT_PYTHON, 4, "not a Python process")                                     \
	X(NOT_PERMITTED, 5, "not permitted; 'pitviper doctor' says what is missing") \
	X(NO_BPF, 6, "the kernel lacks BTF, BPF or perf events")                     \
	X(UNSUPPORTED, 7, "a Python that is not supported")                          \
	X(OUTPUT, 8, "the output could not be written")                              \
	X(INTERNAL, 9, "out of memory, or an error that should not happen")          \
	X(NOTHING, 10, "the store has nothing of that time")                         \
	X(STORE, 11, "no profile in the .pv: not there, none, damaged, or newer")    \
	X(CANNOT_RUN, 127, "the program after -- could not be started")              \
	X(STOPPED, 130, "stopped at once by a second signal; nothing was written")

#define PV_EXIT_ENUM(name, number, meaning) EXIT_##name = number,
enum exit_code { PV_EXIT_CODES(PV_EXIT_ENUM) };
#undef PV_EXIT_ENUM

#endif
