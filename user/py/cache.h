/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - what is known of ELF files, by (device, inode, size, mtime, ctime). Private to the room.
 */
#ifndef PV_PY_CACHE_H
#define PV_PY_CACHE_H

#include <sys/stat.h>

#include "py/discover.h"
#include "py/runtime.h"

#define PY_CACHE_MAX 16384 /* files; when there are more, all are forgotten */

/* Make room; pointers that py_cache__file() gave become invalid here and nowhere else. */
void py_cache__trim(struct py_cache *cache);
/* What the file is of which @st tells, if that is known; else NULL. */
const struct py_file *py_cache__known(const struct py_cache *cache, const struct stat *st);
/* What the file behind @fd is. 0 or negative errno. */
int py_cache__file(struct py_cache *cache, int fd, const struct py_file **file);
/* Files that were really read, since the cache was made. */
size_t py_cache__miss_cnt(const struct py_cache *cache);

#endif
