/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.h - what the kernel's type data (BTF) says of its functions and enumerations.
 *
 * Of the kernel itself, not of modules, which takes no more than read access to a file. Any thread.
 */
#ifndef PV_KERN_TYPES_H
#define PV_KERN_TYPES_H

#include <stdbool.h>
#include <stddef.h>

/* Where a kernel offers its own. */
#define TYPES_PATH "/sys/kernel/btf/vmlinux"

struct btf;

/*
 * Can @path, which was given by hand, be the types of a kernel of this architecture? 0; -EINVAL: no, and
 * @what (of @what_len bytes) says why and the remedy. -ENOMEM.
 */
int types_check(const char *path, char *what, size_t what_len);

/* The number of a function; 0: there is none of that name. */
int types_function(const struct btf *btf, const char *name);
/* Has the enumeration a value of that name? */
bool types_has_value(const struct btf *btf, const char *enumeration, const char *value);

#endif
