/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps.h - /proc/PID/maps: the mapped files of a process, and ways to open them that also work when
 * the process lives in other namespaces or the file was deleted.
 */
#ifndef PV_PROC_MAPS_H
#define PV_PROC_MAPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct maps_entry {
	uint64_t start;
	uint64_t end;
	uint64_t offset; /* in the file */
	uint64_t inode;  /* 0: anonymous */
	uint32_t dev_major;
	uint32_t dev_minor;
	char perms[5];    /* "r-xp" */
	const char *path; /* "" when there is none; unescaped; " (deleted)" taken off */
};

struct maps {
	struct maps_entry *entries;
	size_t cnt;
	char *text; /* the memory behind the paths */
};

#define MAPS_BYTES_MAX (64u << 20) /* a maps file beyond this is refused */

/* 0, -ESRCH (gone, or a kernel thread), -EACCES, -ENOMEM, -EFBIG. Free with maps_free(). */
int maps_read(pid_t pid, struct maps *maps);
/* Parse @text (taken over, freed with the maps) - for tests and fuzzers. 0, -EPROTO, -ENOMEM. */
int maps_parse(char *text, struct maps *maps);
void maps_free(struct maps *maps);

/*
 * What the file system says of the file behind @entry, without opening it: if it is still found by its path.
 * 0, or negative errno: ask maps_open().
 */
int maps_stat(pid_t pid, const struct maps_entry *entry, struct stat *st);
/*
 * Open the file behind @entry: /proc/PID/map_files first (right even if deleted or replaced), then
 * /proc/PID/root + path and /proc/PID/exe if device and inode are those mapped. fd or negative errno.
 */
int maps_open(pid_t pid, const struct maps_entry *entry);

#endif
