/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h - a configuration file by a command's option table: each row marked in_file is a key, its long
 * name, with the value as on the command line; a flag takes yes or no.
 *
 *	# a comment
 *	rate = 19
 *
 * Spaces around key and value do not count. There are no quotes, sections or continued lines.
 */
#ifndef PV_CMD_CONF_H
#define PV_CMD_CONF_H

#include <stdio.h>

#include "cmd/opt.h"
#include "util/buf.h"

#define CONF_BYTES_MAX (1 << 20)

/*
 * Read the file @path into @text, which the config then points into, and set what it says. OPT_BAD: each
 * mistake was told with the number of its line; -ENOENT and the like in *err: the file can't be read.
 */
enum opt_outcome conf_read(const struct opt_spec *spec, const char *path, struct buf *text,
                           void *config, int *err);
/* A file with every key, its help and its default as comments. */
void conf_example(const struct opt_spec *spec, FILE *stream);

#endif
