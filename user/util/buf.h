/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growing run of bytes that is always followed by a NUL, so that it can serve as a string.
 *
 * Zero-initialised is empty and valid. The first failed allocation sticks in `err` and later calls
 * do nothing, so a writer checks once, at the end. Not for sharing between threads.
 */
#ifndef PV_UTIL_BUF_H
#define PV_UTIL_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	size_t len; /* bytes, the NUL not counted */
	size_t cap;
	int err; /* 0 or -ENOMEM */
};

/* Make room for @more bytes behind the content; false (and err set) when there is no memory. */
bool buf_reserve(struct buf *buf, size_t more);
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *s);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Append one code point as UTF-8; surrogates and beyond-Unicode become U+FFFD. */
void buf_put_utf8(struct buf *buf, uint32_t code_point);
/* Keep the memory, forget the content. */
void buf_clear(struct buf *buf);
void buf_free(struct buf *buf);
/* The content as a string, "" when empty. */
const char *buf_str(const struct buf *buf);

#endif
