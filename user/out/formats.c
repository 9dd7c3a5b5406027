// SPDX-License-Identifier: Apache-2.0
#include "out/formats.h"

#include <string.h>

const struct out_format *const out_formats[] = {
	&out_flame_svg, &out_speedscope, &out_pprof, &out_folded, NULL,
};

/* Names that people bring along: py-spy's, and the extension for the format. */
static const struct {
	const char *alias;
	const char *name;
} aliases[] = {
	{ "raw", "folded" },
	{ "collapsed", "folded" },
};

const struct out_format *out_format_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		if (!strcmp(name, aliases[i].alias))
			name = aliases[i].name;
	}
	for (size_t i = 0; out_formats[i]; i++) {
		if (!strcmp(name, out_formats[i]->name) ||
		    !strcmp(name, out_formats[i]->extension + 1))
			return out_formats[i];
	}
	return NULL;
}

const struct out_format *out_format_by_path(const char *path)
{
	const struct out_format *best = NULL;
	size_t len = strlen(path), best_len = 0;

	for (size_t i = 0; out_formats[i]; i++) {
		size_t ext_len = strlen(out_formats[i]->extension);

		if (ext_len > len || ext_len <= best_len ||
		    strcmp(path + len - ext_len, out_formats[i]->extension) != 0)
			continue;
		best = out_formats[i];
		best_len = ext_len;
	}
	return best;
}
