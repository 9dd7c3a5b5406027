// SPDX-License-Identifier: Apache-2.0
/* pprof.c - one gzipped pprof of everything as the body: any receiver of pprof. */
#include <errno.h>

#include "export/export.h"
#include "export/series.h"

static int pprof_write(struct profile *profile, const struct export_options *options,
                       struct buf *body)
{
	/* a copy, in which command lines are only if wanted */
	struct profile *all = groups_split(profile, NULL, GROUPS_ALL, options->cmdlines);
	int err = all ? series_pprof(all, body) : -errno;

	profile__free(all);
	return err;
}

const struct export_writer export_pprof = {
	.name = "pprof",
	.summary = "gzipped pprof as the body of a POST: any receiver of it",
	.path = "",
	.content_type = "application/octet-stream",
	.retry_500 = true,
	.write = pprof_write,
};
