/* SPDX-License-Identifier: Apache-2.0 */
/* open.h - what is at a path: a store, something else, a wreck. Of this room only. */
#ifndef PV_STORE_OPEN_H
#define PV_STORE_OPEN_H

#include <stddef.h>

#include "store/store.h"

enum open_kind {
	OPEN_NOTHING, /* no file, or an empty one */
	OPEN_SQLITE,
	OPEN_OTHER, /* no SQLite file, or its head is damaged */
};

/* What there is by its first bytes. 0 or negative errno. */
int open_look(const char *path, enum open_kind *kind);
/* The directory without links, and the name in it. The caller frees it; NULL and errno. */
char *open_real_path(const char *path);
/* Make an empty file with the owner and mode of @opts, if there is none. */
int open_make(const char *path, const struct store_opts *opts);
/* Hold the one writer's lock in @lock_path. A descriptor, or -EBUSY and the like. */
int open_lock(const char *lock_path, const struct store_opts *opts);
/* Move the file and its log out of the way; what it is called now into @name. */
int open_set_aside(const char *path, char *name, size_t name_len);
/* "file:..." for sqlite3_open_v2(), with the letters escaped that mean something there. */
char *open_uri(const char *path, const char *query);

#endif
