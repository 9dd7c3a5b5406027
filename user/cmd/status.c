// SPDX-License-Identifier: Apache-2.0
#include "cmd/status.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/tty.h"
#include "out/text.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

#define DRAW_EVERY_NS (250 * NSEC_PER_MSEC)

static struct {
	bool active;
	bool shown;
	uint64_t duration_ns;
	uint64_t drawn_ns;
} line;

static void clear(void)
{
	if (!line.shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	line.shown = false;
	line.drawn_ns = 0;
}

void status_begin(uint64_t duration_ns)
{
	if (!tty_can_draw(STDERR_FILENO))
		return;
	line.active = true;
	line.duration_ns = duration_ns;
	log_set_before(clear);
}

static void put_count(struct buf *out, uint64_t cnt, const char *what)
{
	buf_puts(out, "  ");
	text_number(out, cnt);
	buf_printf(out, " %s", what);
}

static void put_line(struct buf *out, const struct session_status *status)
{
	double elapsed = (double)status->elapsed_ns / (double)NSEC_PER_SEC;

	buf_printf(out, "%.1f", elapsed);
	if (line.duration_ns)
		buf_printf(out, " of %.1f", (double)line.duration_ns / (double)NSEC_PER_SEC);
	buf_puts(out, " s");
	put_count(out, status->sample_cnt, status->sample_cnt == 1 ? "sample" : "samples");
	put_count(out, status->process_cnt, status->process_cnt == 1 ? "process" : "processes");
	put_count(out, status->lost_cnt, "lost");
	if (status->elapsed_ns)
		buf_printf(out, "  own CPU %.1f%%",
		           100.0 * (double)status->cpu_ns / (double)status->elapsed_ns);
	buf_puts(out, "  Ctrl-C ends");
}

void status_draw(struct session *session)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct session_status status;
	struct buf text = { 0 }, out = { 0 };
	unsigned int columns;

	if (!line.active || (line.shown && now_ns - line.drawn_ns < DRAW_EVERY_NS))
		return;
	if (!tty_can_draw(STDERR_FILENO)) /* put into the background meanwhile */
		return;
	session__status(session, &status);
	put_line(&text, &status);
	columns = tty_columns(STDERR_FILENO);
	/* The last column stays free: some terminals wrap when it is written. */
	tty_cut(&out, buf_str(&text), text.len, columns > 1 ? columns - 1 : 79);
	fprintf(stderr, "\r%s\033[K", buf_str(&out));
	fflush(stderr);
	line.shown = true;
	line.drawn_ns = now_ns;
	buf_free(&text);
	buf_free(&out);
}

void status_redraw(void)
{
	line.drawn_ns = 0;
}

void status_end(void)
{
	clear();
	if (line.active)
		log_set_before(NULL);
	line.active = false;
}
