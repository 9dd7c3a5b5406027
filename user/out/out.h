/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out.h - output formats. A format is one file in this room and one row in out_formats[].
 */
#ifndef PV_OUT_OUT_H
#define PV_OUT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "profile/profile.h"

/* How stacks are shown, whatever the format. */
struct out_view {
	bool functions;      /* -F: merge the lines of a function, show its first line */
	bool no_lines;       /* --nolineno: merge the lines of a function, show no line */
	bool threads;        /* -t: a root frame for each thread */
	bool processes;      /* a root frame for each process */
	bool full_filenames; /* --full-filenames */
};

struct out_format {
	const char *name;      /* for -f: "flamegraph" */
	const char *extension; /* ".svg"; the longest that fits a path wins */
	const char *summary;   /* one line of help */
	const char *next_step; /* what to do with the file: "open it in a browser" */
	bool wants_points;     /* needs the time line */
	/* Write all of @profile to @stream. 0 or negative errno; stream errors count. */
	int (*write)(struct profile *profile, const struct out_view *view, FILE *stream);
};

extern const struct out_format *const out_formats[]; /* ends with NULL; the first is the default */

/* The format of that name or that path's extension; NULL: none. */
const struct out_format *out_format_by_name(const char *name);
const struct out_format *out_format_by_path(const char *path);

#endif
