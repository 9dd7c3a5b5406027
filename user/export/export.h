/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - what an engine takes: a way to write a profile as the body of one request. An engine is
 * one file in this room and one row in export_writers[].
 */
#ifndef PV_EXPORT_EXPORT_H
#define PV_EXPORT_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/profile.h"
#include "util/buf.h"

#define EXPORT_ID_LEN 16

struct export_options {
	const char *host;                /* name of the host, a label of everything */
	const char *version;             /* pitviper's */
	bool cmdlines;                   /* command lines too: they may carry secrets */
	unsigned char id[EXPORT_ID_LEN]; /* of this request, the same at each attempt */
};

struct export_writer {
	const char *name;    /* "otlp" */
	const char *summary; /* one line of help */
	const char *path;    /* of the request, behind the URL's own, unless that has one; or "" */
	const char *content_type; /* of the body */
	bool gzip;                /* the body is to be compressed on its way */
	bool retry_500;           /* a 500 may be tried again: the engine does not forbid it */
	/*
	 * Append the request's body. All samples of @profile are in it, each once. 0 or negative
	 * errno. The profile is not changed, but its time line may be sorted.
	 */
	int (*write)(struct profile *profile, const struct export_options *options,
	             struct buf *body);
	/*
	 * How many of the request's profiles the engine says it refused, by the @body of a good
	 * response (any bytes); NULL: it can't say.
	 */
	uint64_t (*rejected)(const char *body, size_t len);
};

extern const struct export_writer *const export_writers[]; /* ends with NULL */

extern const struct export_writer export_otlp;
extern const struct export_writer export_pyroscope;
extern const struct export_writer export_parca;
extern const struct export_writer export_pprof;

/* The writer of that name; NULL: none. */
const struct export_writer *export_writer_by_name(const char *name);

#endif
