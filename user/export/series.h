/* SPDX-License-Identifier: Apache-2.0 */
/* series.h - a pprof profile for each group of processes, with labels: what Pyroscope and Parca take. */
#ifndef PV_EXPORT_SERIES_H
#define PV_EXPORT_SERIES_H

#include <stddef.h>

#include "export/export.h"
#include "export/groups.h"

struct series_label {
	const char *name;
	const char *value; /* any bytes, of @len */
	size_t len;
};

#define SERIES_NAME   "process_cpu" /* both engines' name of a profile of CPU time */
#define SERIES_LABELS (GROUP_LABELS + 2)

/* One series: its labels (@cnt of them) and its gzipped pprof. 0 or negative errno, which ends it. */
typedef int (*series_fn)(void *ctx, uint32_t index, const struct series_label *labels, size_t cnt,
                         const struct buf *pprof);

/* Call @fn for every group of @profile. 0 or negative errno. */
int series_each(struct profile *profile, const struct export_options *options, series_fn fn,
                void *ctx);
/* The profile as gzipped pprof, appended to @out. 0 or negative errno. */
int series_pprof(struct profile *profile, struct buf *out);

#endif
