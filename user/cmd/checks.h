/* SPDX-License-Identifier: Apache-2.0 */
/* checks.h - what doctor looks at. One check is one row. */
#ifndef PV_CMD_CHECKS_H
#define PV_CMD_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

enum verdict {
	CHECK_OK,
	CHECK_WARNING, /* record works, something will be missed */
	CHECK_MISSING, /* record does not work */
};

struct finding {
	const char *types; /* what --btf names, the question; NULL: it was not given */
	enum verdict verdict;
	bool is_kernel;   /* no privilege would help */
	char what[512];   /* what was found */
	char remedy[512]; /* the command that mends it; "": none is needed or known */
};

struct check {
	const char *name;
	void (*look)(struct finding *finding); /* the finding comes CHECK_OK, with the question */
	const char *why;                       /* what it is needed for */
};

extern const struct check checks[];
extern const size_t check_cnt;

#endif
