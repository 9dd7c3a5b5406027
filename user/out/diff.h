/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff.h - two profiles in one view: the nodes' own numbers are the profile's, and beside them stand the
 * base's. What only the base has is there too, with no samples. Shares are compared, not counts: neither
 * time nor rate need be the same.
 */
#ifndef PV_OUT_DIFF_H
#define PV_OUT_DIFF_H

#include <stdio.h>

#include "out/view.h"

struct diff {
	struct view view;
	struct profile *both; /* what the view shows */
	uint64_t *base_self;  /* by node of the view */
	uint64_t *base_total;
};

/* 0 or -ENOMEM; diff_close() in either case. */
int diff_open(struct diff *diff, struct profile *profile, struct profile *base,
              const struct out_view *options, enum view_text mode);
void diff_close(struct diff *diff);
/* Percent of all samples of the base that a node has in all. */
double diff_base_share(const struct diff *diff, uint32_t node);
double diff_share(const struct diff *diff, uint32_t node);

/*
 * A flame graph of @profile, coloured by what has changed since @base: red has grown, blue has shrunk.
 * 0 or negative errno; stream errors count.
 */
int diff_write_svg(struct profile *profile, struct profile *base, const struct out_view *options,
                   FILE *stream);

#endif
