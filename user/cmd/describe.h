/* SPDX-License-Identifier: Apache-2.0 */
/* describe.h - what is being recorded, in words: the file's default name, the profile's head. */
#ifndef PV_CMD_DESCRIBE_H
#define PV_CMD_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/buf.h"

struct out_format;

struct subject {
	bool all;
	const pid_t *pids;
	size_t pid_cnt;
	char **program;    /* what was launched; NULL: nothing */
	pid_t program_pid; /* 0: nothing */
};

/* "python3-1234-20261123-214500.svg": letters, digits and . _ + - only, no directory. */
void describe_file(struct buf *out, const struct subject *subject, const char *extension);
/* A command line, "pid 12: a command line", "pids 12, 15", "all Python processes". */
void describe_title(struct buf *out, const struct subject *subject);
/* Words joined by spaces; those that a shell would take apart are quoted. */
void describe_command(struct buf *out, char *const *argv);
/* A table of the output formats, for a command's help; @more: one more, or NULL. */
void describe_formats(struct buf *out, const struct out_format *more);
/* "host, Linux 6.1.0" */
void describe_host(struct buf *out);

#endif
