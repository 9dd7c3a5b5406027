// SPDX-License-Identifier: Apache-2.0
#include "cmd/tty.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "out/text.h"

bool tty_can_draw(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0 &&
	       tcgetpgrp(fd) == getpgrp();
}

bool tty_can_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR");

	return tty_can_draw(fd) && !(no_color && *no_color);
}

unsigned int tty_columns(int fd)
{
	struct winsize size = { 0 };

	return ioctl(fd, TIOCGWINSZ, &size) ? 0 : size.ws_col;
}

/* How many bytes of @s fit into @columns. */
static size_t fitting(const char *s, size_t len, unsigned int columns, unsigned int *taken)
{
	const char *at = s, *end = s + len, *fits = s;

	*taken = 0;
	while (at < end) {
		unsigned int wide = text_columns(text_next(&at, end));

		if (*taken + wide > columns)
			break;
		*taken += wide;
		fits = at;
	}
	return (size_t)(fits - s);
}

unsigned int tty_text_columns(const char *s, size_t len)
{
	unsigned int taken;

	fitting(s, len, ~0u, &taken);
	return taken;
}

void tty_cut(struct buf *out, const char *text, size_t len, unsigned int columns)
{
	unsigned int taken;

	if (!columns || fitting(text, len, columns, &taken) == len) {
		buf_add(out, text, len);
		return;
	}
	buf_add(out, text, fitting(text, len, columns - 1, &taken));
	buf_puts(out, "…");
}

void tty_pad(struct buf *out, size_t start, unsigned int columns)
{
	unsigned int taken = tty_text_columns(buf_str(out) + start, out->len - start);

	for (; taken < columns; taken++)
		buf_putc(out, ' ');
}
