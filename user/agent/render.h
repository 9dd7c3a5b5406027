/* SPDX-License-Identifier: Apache-2.0 */
/* render.h - a part of the store as a file of some format, in memory. Any thread. */
#ifndef PV_AGENT_RENDER_H
#define PV_AGENT_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct render_file {
	size_t max_bytes; /* of the body */
	struct buf body;
	const char *type; /* of its content, for HTTP; static */
	char name[48];    /* to save it under */
	char what[256];   /* in words, when it failed */
};

/*
 * The buckets that begin from @from_ns on and before @to_ns (since 1970) of the store at @path, which this
 * process writes. @format: a
 * name of out_formats[], NULL: the first. 0, -EINVAL: no such format; -ENODATA: no buckets; -EFBIG: too
 * much; or another negative errno.
 */
int render_range(const char *path, uint64_t from_ns, uint64_t to_ns, const char *format,
                 struct render_file *file);
/* "15m": a whole number and s, m, h or d. False: not so, or 0. */
bool render_span(const char *text, uint64_t *span_ns);

#endif
