/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - reading small files whole, folders of numbers, and outputs that are either complete or not there.
 */
#ifndef PV_UTIL_FILE_H
#define PV_UTIL_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "util/buf.h"

/*
 * Append the whole file to @out, at most @max bytes. 0, -EFBIG when there is more, or another
 * negative errno. /proc files are read to their end whatever size they claim.
 */
int file_read(const char *path, size_t max, struct buf *out);

/* The number that a small file begins with. False: there is no such file, or no number in it. */
bool file_read_number(const char *path, long *number);
/*
 * Append to @out each name of a folder that is a number above 0, as an int, in the folder's order: the
 * processes of /proc. 0 or negative errno.
 */
int file_numbers(const char *path, struct buf *out);

/*
 * An output that appears under its name only when it is complete: written to a new file beside it
 * (mode 0600, owned by @uid/@gid), synced and renamed on commit, removed on abort. A path that
 * exists and is not a regular file (a pipe, /dev/stdout, /dev/null) is written in place.
 */
struct outfile {
	FILE *stream;
	char *path;     /* where it will be */
	char *tmp_path; /* where it is now; NULL: in place */
};

/* 0, or a negative errno and nothing is left on disk. (uid_t)-1: leave the owner alone. */
int outfile_open(struct outfile *file, const char *path, uid_t uid, gid_t gid);
/* Flush, sync, rename, close. 0, or a negative errno and the temporary file is removed. */
int outfile_commit(struct outfile *file);
/* Close and remove. Harmless after a commit or a failed open. */
void outfile_abort(struct outfile *file);

#endif
