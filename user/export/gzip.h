/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.h - a run of bytes, compressed. Any thread. */
#ifndef PV_EXPORT_GZIP_H
#define PV_EXPORT_GZIP_H

#include <stddef.h>

#include "util/buf.h"

/* Append @len bytes of @data as a gzip file. 0 or -ENOMEM. */
int gzip_add(struct buf *out, const void *data, size_t len);

#endif
