/* SPDX-License-Identifier: Apache-2.0 */
/* codec.h - values and points as the bytes of a row (schema.h describes them). Of this room only. */
#ifndef PV_STORE_CODEC_H
#define PV_STORE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct codec_value {
	uint64_t thread;
	uint64_t stack;
	uint64_t cnt;
};

struct codec_point {
	uint64_t time_ns; /* from the bucket's start */
	uint64_t thread;
	uint64_t stack;
};

/* Sorts @values, adds up those of the same thread and stack, appends them to @out. */
void codec_put_values(struct codec_value *values, size_t cnt, struct buf *out);
/* Call @fn for each value until it returns non-zero, which is returned. -EUCLEAN: damaged. */
int codec_each_value(const void *data, size_t len,
                     int (*fn)(void *ctx, const struct codec_value *value), void *ctx);
/* @points by time. */
void codec_put_points(const struct codec_point *points, size_t cnt, struct buf *out);
int codec_each_point(const void *data, size_t len,
                     int (*fn)(void *ctx, const struct codec_point *point), void *ctx);

#endif
