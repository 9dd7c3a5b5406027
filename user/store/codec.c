// SPDX-License-Identifier: Apache-2.0
#include "store/codec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define VARINT_MAX 10 /* bytes */

static void put(struct buf *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buf_putc(out, (char)(value | 0x80));
	buf_putc(out, (char)value);
}

static bool get(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (unsigned int i = 0; i < VARINT_MAX && *at < end; i++) {
		uint8_t byte = *(*at)++;

		*value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static int value_cmp(const void *left, const void *right)
{
	const struct codec_value *a = left, *b = right;

	if (a->thread != b->thread)
		return a->thread < b->thread ? -1 : 1;
	return (a->stack > b->stack) - (a->stack < b->stack);
}

/* Add up equal ones, which follow each other. Returns how many are left. */
static size_t merge(struct codec_value *values, size_t cnt)
{
	size_t kept = 0;

	for (size_t i = 0; i < cnt; i++) {
		if (kept && !value_cmp(&values[kept - 1], &values[i]))
			values[kept - 1].cnt += values[i].cnt;
		else
			values[kept++] = values[i];
	}
	return kept;
}

void codec_put_values(struct codec_value *values, size_t cnt, struct buf *out)
{
	uint64_t thread = 0;

	if (cnt)
		qsort(values, cnt, sizeof(*values), value_cmp);
	cnt = merge(values, cnt);
	for (size_t i = 0, end; i < cnt; i = end) {
		uint64_t stack = 0;

		for (end = i; end < cnt && values[end].thread == values[i].thread; end++)
			;
		put(out, values[i].thread - thread);
		thread = values[i].thread;
		put(out, end - i);
		for (size_t at = i; at < end; at++) {
			put(out, values[at].stack - stack);
			stack = values[at].stack;
			put(out, values[at].cnt);
		}
	}
}

int codec_each_value(const void *data, size_t len,
                     int (*fn)(void *ctx, const struct codec_value *value), void *ctx)
{
	const uint8_t *at = data, *end = len ? at + len : at;
	struct codec_value value = { 0 };
	uint64_t delta, left;
	int err;

	while (at < end) {
		if (!get(&at, end, &delta) || !get(&at, end, &left))
			return -EUCLEAN;
		value.thread += delta;
		value.stack = 0;
		for (; left; left--) {
			if (!get(&at, end, &delta) || !get(&at, end, &value.cnt))
				return -EUCLEAN;
			value.stack += delta;
			err = fn(ctx, &value);
			if (err)
				return err;
		}
	}
	return 0;
}

void codec_put_points(const struct codec_point *points, size_t cnt, struct buf *out)
{
	uint64_t time_ns = 0;

	for (size_t i = 0; i < cnt; i++) {
		put(out, points[i].time_ns - time_ns);
		time_ns = points[i].time_ns;
		put(out, points[i].thread);
		put(out, points[i].stack);
	}
}

int codec_each_point(const void *data, size_t len,
                     int (*fn)(void *ctx, const struct codec_point *point), void *ctx)
{
	const uint8_t *at = data, *end = len ? at + len : at;
	struct codec_point point = { 0 };
	uint64_t delta;
	int err;

	while (at < end) {
		if (!get(&at, end, &delta) || !get(&at, end, &point.thread) ||
		    !get(&at, end, &point.stack))
			return -EUCLEAN;
		point.time_ns += delta;
		err = fn(ctx, &point);
		if (err)
			return err;
	}
	return 0;
}
