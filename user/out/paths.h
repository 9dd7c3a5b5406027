/* SPDX-License-Identifier: Apache-2.0 */
/* paths.h - what a source file is called for short, and whose it is. */
#ifndef PV_OUT_PATHS_H
#define PV_OUT_PATHS_H

#include <stddef.h>
#include <stdint.h>

#include "profile/profile.h"

/*
 * The short name of a file is a suffix of its path: behind site-packages/, dist-packages/ or
 * lib/pythonX.Y/, else the base name; with as many more parent directories as it takes to tell all
 * files of the profile apart. Returns an array by string id of the byte where the short name
 * begins, meaningful for the strings that are some frame's file; the caller frees it. NULL: no
 * memory.
 */
uint32_t *paths_short(const struct profile *profile);

enum path_origin {
	PATH_APP,     /* the program's own */
	PATH_PACKAGE, /* installed: below site-packages/ or dist-packages/ */
	PATH_STDLIB,  /* Python's own library, frozen modules too */
};

/* Whose file it is; @module is set to the run of bytes that names its package or file. */
enum path_origin path_origin(const char *path, size_t len, const char **module, size_t *module_len);

#endif
