// SPDX-License-Identifier: Apache-2.0
#include "out/formats.h"

static int flame_write(struct profile *profile, const struct out_view *options, FILE *stream)
{
	(void)profile;
	(void)options;
	(void)stream;
	return 0;
}

const struct out_format out_flame_svg = {
	.name = "flamegraph",
	.extension = ".svg",
	.summary = "interactive flame graph",
	.next_step = "open it in a browser",
	.write = flame_write,
};
