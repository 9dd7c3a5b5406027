/* SPDX-License-Identifier: Apache-2.0 */
/* tty.h - what is known of the terminal that we write to, and text that fits it. */
#ifndef PV_CMD_TTY_H
#define PV_CMD_TTY_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* A terminal that understands more than letters, and ours to draw on (not in the background). */
bool tty_can_draw(int fd);
/* The same, and NO_COLOR does not forbid colour. */
bool tty_can_colour(int fd);
/* Columns of the terminal @fd; 0: it is none, or does not say. */
unsigned int tty_columns(int fd);

/* Columns that UTF-8 text without controls takes. */
unsigned int tty_text_columns(const char *s, size_t len);
/* Append @text, which is visible already (out/text.h), cut to @columns with an ellipsis; 0: whole. */
void tty_cut(struct buf *out, const char *text, size_t len, unsigned int columns);
/* Append spaces until the text that begins at @start in @out takes @columns. */
void tty_pad(struct buf *out, size_t start, unsigned int columns);

#endif
