/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - names made safe for a terminal, XML and JSON. Input is any bytes; what is not UTF-8 comes
 * out as U+FFFD. All functions append to a buf, whose `err` says whether memory ran out.
 */
#ifndef PV_OUT_TEXT_H
#define PV_OUT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

/* The code point at *@at, U+FFFD for a malformed byte; moves *@at (below @end) behind it. */
uint32_t text_next(const char **at, const char *end);

/*
 * One line that shows what is in it: controls, line ends, invisible and text-direction characters
 * as \n, \x1b, \u202e; a backslash doubled, so that different texts stay different.
 */
void text_visible(struct buf *out, const char *s, size_t len);

/* As XML text or attribute value; characters that XML 1.0 forbids become U+FFFD. */
void text_xml(struct buf *out, const char *s, size_t len);

/* As a JSON string, quotes included. */
void text_json(struct buf *out, const char *s, size_t len);

/* A number with thousands apart: 12,345. */
void text_number(struct buf *out, uint64_t n);

/* Columns a terminal would need: 2 for wide East Asian characters and emoji, 0 for combining. */
unsigned int text_columns(uint32_t code_point);

#endif
