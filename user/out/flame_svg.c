// SPDX-License-Identifier: Apache-2.0
/*
 * flame_svg.c - an interactive flame graph in one file, root at the top.
 *
 * The picture is whole without its script: viewers that run none show it 1200 px wide. The script
 * and the style sheet are fixed texts; what was measured is only ever text or an attribute value.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out/diff.h"
#include "out/flame_boxes.h"
#include "out/formats.h"
#include "out/ledger.h"
#include "out/paths.h"
#include "out/text.h"
#include "out/view.h"
#include "util/clock.h"

#define WIDTH      1200 /* until the script takes the window's */
#define PAD        16
#define ROW        19  /* flame.js knows it too */
#define FRAMES_Y   122 /* header above; the bar of flame.js takes the last 42 of it */
#define FOOT_H     78
#define LEDGER_ROW 18
#define CHAR_W     7.23 /* of the monospace font at 12 px */
#define LABEL_MAX  400  /* bytes of a label in each box; longer ones are kept whole once */
#define FLUSH_SZ   (256 * 1024)

static const char flame_css[] = {
#include "assets/flame.css.inc"
};

static const char flame_js[] = {
#include "assets/flame.js.inc"
};

struct flame {
	const struct view *view;
	const struct diff *diff; /* NULL: one profile alone */
	struct flame_boxes boxes;
	const struct profile_meta *meta;
	struct buf out;
	struct buf text;
	FILE *stream;
};

static int flush(struct flame *flame, size_t above)
{
	struct buf *out = &flame->out;

	if (out->err || flame->text.err)
		return -ENOMEM;
	if (out->len <= above)
		return 0;
	if (fwrite(out->data, 1, out->len, flame->stream) != out->len)
		return errno ? -errno : -EIO;
	buf_clear(out);
	return 0;
}

/* Text of others as XML on one line, with nothing in it that cannot be seen. */
static void put_visible(struct flame *flame, const char *s, size_t len)
{
	buf_clear(&flame->text);
	text_visible(&flame->text, s, len);
	text_xml(&flame->out, buf_str(&flame->text), flame->text.len);
}

static void put_str(struct flame *flame, const char *s)
{
	put_visible(flame, ledger_str(s), strlen(ledger_str(s)));
}

/* Bytes of @s that fill at most @columns, and not more than @max, whole characters only. */
static size_t fit(const char *s, size_t len, unsigned int columns, size_t max)
{
	const char *at = s, *end = s + len;
	size_t fits = 0;

	while (at < end) {
		unsigned int need = text_columns(text_next(&at, end));

		if (need > columns || (size_t)(at - s) > max)
			return fits;
		columns -= need;
		fits = (size_t)(at - s);
	}
	return fits;
}

/* --- colours --- */

/* FNV-1a: the same name has the same colour in every picture of every version. */
static uint32_t colour_hash(const char *s, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)s[i]) * 16777619u;
	return hash ^ hash >> 15;
}

/* Of a differential one: grown or shrunk, and in which step. Steps are in points of the whole. */
static void put_change(struct flame *flame, uint32_t node)
{
	static const double steps[] = { 0.1, 0.5, 2, 5, 10 };
	double change = diff_share(flame->diff, node) - diff_base_share(flame->diff, node);
	int step = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		step += fabs(change) >= steps[i];
	buf_printf(&flame->out, "%c%d", step == 0 ? 'd' : change > 0 ? 'g' : 'h', step);
}

/* The class of a frame's box: whose code by hue, which function by lightness. See flame.css. */
static void put_class(struct flame *flame, const struct view_frame *frame)
{
	const char *name, *path, *module;
	size_t name_len, path_len, module_len;
	uint32_t shade;

	name = view_text_at(flame->view, frame->name, &name_len);
	if (frame->path == VIEW_NONE) {
		buf_putc(&flame->out, name_len && name[0] == '[' ? 'k' : 'r');
		return;
	}
	shade = colour_hash(name, name_len) % 4;
	path = profile__string_at(flame->view->profile, frame->path, &path_len);
	switch (path_origin(path, path_len, &module, &module_len)) {
	case PATH_APP:
		buf_printf(&flame->out, "a%" PRIu32,
		           colour_hash(module, module_len) % 5 * 4 + shade);
		break;
	case PATH_PACKAGE:
		buf_printf(&flame->out, "p%" PRIu32,
		           colour_hash(module, module_len) % 8 * 4 + shade);
		break;
	case PATH_STDLIB:
		buf_printf(&flame->out, "s%" PRIu32, shade);
		break;
	}
}

/* --- boxes --- */

static void put_share(struct flame *flame, uint64_t cnt, uint32_t node)
{
	buf_puts(&flame->out, " (");
	text_number(&flame->out, cnt);
	buf_puts(&flame->out, cnt == 1 ? " sample, " : " samples, ");
	ledger_percent(cnt, flame->view->nodes[VIEW_ROOT].total, &flame->out);
	if (flame->diff && node != VIEW_NONE)
		buf_printf(&flame->out, ", was %.2f%%", diff_base_share(flame->diff, node));
	buf_putc(&flame->out, ')');
}

/* A box's label is in the view, but for the root and merged frames: those are made in @made. */
static const char *box_label(const struct flame *flame, const struct flame_box *box,
                             struct buf *made, size_t *len)
{
	uint32_t frame;

	if (box->node == VIEW_ROOT) {
		*len = 3;
		return "all";
	}
	if (box->node != VIEW_NONE) {
		frame = flame->view->nodes[box->node].frame;
		return view_text_at(flame->view, flame->view->frames[frame].label, len);
	}
	buf_clear(made);
	buf_puts(made, "\xe2\x80\xa6 ");
	text_number(made, box->merged);
	buf_puts(made, box->merged == 1 ? " frame" : " frames");
	*len = made->len;
	return buf_str(made);
}

/* Boxes below 3 px have no outline (class t), which would be all there is to see of them. */
static void put_group(struct flame *flame, const struct flame_box *box, size_t label_len,
                      bool is_tiny)
{
	struct buf *out = &flame->out;

	buf_printf(out, "<g class=\"f %s", is_tiny ? "t " : "");
	if (box->node == VIEW_NONE)
		buf_puts(out, "m");
	else if (box->node == VIEW_ROOT)
		buf_puts(out, "r");
	else if (flame->diff)
		put_change(flame, box->node);
	else
		put_class(flame, &flame->view->frames[flame->view->nodes[box->node].frame]);
	buf_printf(out, "\" data-x=\"%" PRIu64 "\" data-n=\"%" PRIu64 "\"", box->x, box->cnt);
	if (flame->diff && box->node != VIEW_NONE)
		buf_printf(out, " data-was=\"%.2f\"", diff_base_share(flame->diff, box->node));
	if (box->node == VIEW_NONE)
		buf_printf(out, " data-merged=\"%" PRIu32 "\"", box->merged);
	else if (label_len > LABEL_MAX)
		buf_printf(out, " data-l=\"%" PRIu32 "\"", flame->view->nodes[box->node].frame);
	buf_putc(out, '>');
}

static int put_box(struct flame *flame, const struct flame_box *box, struct buf *made)
{
	double total = (double)flame->view->nodes[VIEW_ROOT].total;
	double x = total ? (double)box->x / total : 0, width = total ? (double)box->cnt / total : 1;
	double columns = (width * (WIDTH - 2 * PAD) - 7) / CHAR_W;
	struct buf *out = &flame->out;
	size_t len, cut;
	const char *label = box_label(flame, box, made, &len);

	put_group(flame, box, len, width * (WIDTH - 2 * PAD) < 3);
	buf_puts(out, "<title>");
	cut = fit(label, len, UINT32_MAX, LABEL_MAX);
	text_xml(out, label, cut);
	if (cut < len) {
		buf_puts(out, "\xe2\x80\xa6 [");
		text_number(out, len);
		buf_puts(out, " bytes]");
	}
	put_share(flame, box->cnt, box->node);
	buf_printf(out,
	           "</title><rect x=\"%.4f%%\" y=\"%" PRIu32
	           "\" width=\"%.4f%%\" height=\"%d\" rx=\"2\"/>",
	           100 * x, box->depth * ROW, 100 * width, ROW - 1);
	if (columns >= 3) {
		buf_printf(out, "<text x=\"%.4f%%\" dx=\"4\" y=\"%" PRIu32 "\">", 100 * x,
		           box->depth * ROW + 13);
		cut = fit(label, len, (unsigned int)columns, SIZE_MAX);
		if (cut < len)
			cut = fit(label, len, (unsigned int)columns - 1, SIZE_MAX);
		text_xml(out, label, cut);
		buf_puts(out, cut < len ? "\xe2\x80\xa6</text>" : "</text>");
	}
	buf_puts(out, "</g>\n");
	return flush(flame, FLUSH_SZ);
}

static int put_boxes(struct flame *flame)
{
	struct buf made = { 0 };
	int err = 0;

	buf_printf(&flame->out,
	           "<svg id=\"frames\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%" PRIu32
	           "\" data-n=\"%" PRIu64 "\" data-period=\"%" PRIu64 "\">\n",
	           PAD, FRAMES_Y, WIDTH - 2 * PAD, (flame->boxes.depth_max + 1) * ROW,
	           flame->view->nodes[VIEW_ROOT].total, ledger_period_ns(flame->meta));
	for (uint32_t i = 0; i < flame->boxes.cnt && !err; i++)
		err = put_box(flame, &flame->boxes.boxes[i], &made);
	buf_puts(&flame->out, "</svg>\n");
	buf_free(&made);
	return err;
}

/* Labels too long for each box, whole, once: hover is cut, search is not. */
static int put_long_labels(struct flame *flame)
{
	int err = 0;

	buf_puts(&flame->out, "<defs>");
	for (uint32_t i = 0; i < flame->view->frame_cnt && !err; i++) {
		size_t len;
		const char *label = view_text_at(flame->view, flame->view->frames[i].label, &len);

		if (len <= LABEL_MAX)
			continue;
		buf_printf(&flame->out, "<text id=\"L%" PRIu32 "\">", i);
		text_xml(&flame->out, label, len);
		buf_puts(&flame->out, "</text>\n");
		err = flush(flame, FLUSH_SZ);
	}
	buf_puts(&flame->out, "</defs>\n");
	return err;
}

/* --- header and footer --- */

/* One line that the script cuts to the window and a tooltip shows whole. @char_w: px, roughly. */
static void put_line(struct flame *flame, const char *class, int y, double char_w, const char *s)
{
	struct buf *out = &flame->out;
	struct buf line = { 0 };
	size_t cut;

	text_visible(&line, s, strlen(s));
	cut = fit(buf_str(&line), line.len, (unsigned int)((WIDTH - 2 * PAD) / char_w), SIZE_MAX);
	buf_printf(out, "<text class=\"%s fits\" x=\"%d\" y=\"%d\" data-w=\"%.2f\" data-whole=\"",
	           class, PAD, y, char_w);
	text_xml(out, buf_str(&line), line.len);
	buf_puts(out, "\">");
	text_xml(out, buf_str(&line), cut);
	buf_puts(out, cut < line.len ? "\xe2\x80\xa6<title>" : "<title>");
	text_xml(out, buf_str(&line), line.len);
	buf_puts(out, "</title></text>\n");
	if (line.err)
		out->err = line.err;
	buf_free(&line);
}

static void put_head(struct flame *flame)
{
	const struct profile_meta *meta = flame->meta;
	struct buf facts = { 0 };

	put_line(flame, "title", 32, 10.2, ledger_str(meta->title));
	ledger_time(meta->start_unix_ns, &facts);
	buf_printf(&facts, " \xc2\xb7 %.1f s", (double)meta->duration_ns / NSEC_PER_SEC);
	buf_printf(&facts, " \xc2\xb7 %" PRIu32 " Hz on %" PRIu32 " CPU%s", meta->rate_hz,
	           meta->cpu_cnt, meta->cpu_cnt == 1 ? "" : "s");
	if (*ledger_str(meta->pythons))
		buf_printf(&facts, " \xc2\xb7 Python %s", meta->pythons);
	buf_puts(&facts, " \xc2\xb7 ");
	text_number(&facts, flame->view->nodes[VIEW_ROOT].total);
	buf_puts(&facts, " samples");
	if (*ledger_str(meta->host))
		buf_printf(&facts, " \xc2\xb7 %s", meta->host);
	put_line(flame, "facts", 53, 7.4, buf_str(&facts));
	buf_clear(&facts);
	buf_printf(&facts, "$ %s", ledger_str(meta->command));
	put_line(flame, "soft", 72, CHAR_W, buf_str(&facts));
	if (facts.err)
		flame->out.err = facts.err;
	buf_free(&facts);
}

static void put_swatch(struct flame *flame, int x, int y, const char *class, const char *label)
{
	buf_printf(&flame->out,
	           "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"11\" height=\"11\" rx=\"2\"/>"
	           "<text class=\"facts soft\" x=\"%d\" y=\"%d\">%s</text>\n",
	           class, x, y - 10, x + 17, y, label);
}

/* What was lost, in a line: the share is of all ticks that hit Python code we wanted. */
static void put_losses(struct flame *flame, int y)
{
	static const struct {
		const char *name;
		const char *label;
		bool is_loss; /* nothing of the sample is in the picture */
	} rows[] = {
		{ "RING_FULL", "lost", true },
		{ "TORN", "torn", true },
		{ "TRUNCATED", "truncated", false },
		{ "UNREADABLE", "unreadable", false },
	};
	struct buf *out = &flame->out;
	uint64_t hits =
		ledger_outcome(flame->meta, "COMPLETE") + ledger_outcome(flame->meta, "NO_FRAMES");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		hits += ledger_outcome(flame->meta, rows[i].name);
	buf_printf(out, "<text id=\"losses\" class=\"facts\" x=\"%d\" y=\"%d\">", PAD, y);
	text_number(out, flame->view->nodes[VIEW_ROOT].total);
	buf_puts(out, " samples");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t cnt = ledger_outcome(flame->meta, rows[i].name);

		buf_printf(out, " \xc2\xb7 <tspan%s>%s ",
		           cnt && rows[i].is_loss ? " class=\"warn\"" : "", rows[i].label);
		text_number(out, cnt);
		if (cnt) {
			buf_puts(out, " (");
			ledger_percent(cnt, hits, out);
			buf_putc(out, ')');
		}
		buf_puts(out, "</tspan>");
	}
	if (flame->boxes.merged_cnt) {
		buf_puts(out, " \xc2\xb7 ");
		text_number(out, flame->boxes.merged_cnt);
		buf_puts(out, " frames merged for size");
	}
	buf_puts(out,
	         " \xc2\xb7 <tspan id=\"toggle\" class=\"link\" role=\"button\" tabindex=\"0\" "
	         "aria-expanded=\"false\" aria-controls=\"ledger\">ledger of all ");
	text_number(out, flame->meta->tick_cnt);
	buf_puts(out, " ticks</tspan></text>\n");
}

static void put_ledger_row(struct flame *flame, const struct profile_ledger_row *row, int y,
                           bool is_outcome)
{
	struct buf *out = &flame->out;
	const char *class = row->count ? "facts" : "facts soft";

	buf_printf(out, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, PAD, y);
	put_str(flame, row->label);
	buf_printf(out, "</text><text class=\"%s number\" x=\"330\" y=\"%d\">", class, y);
	text_number(out, row->count);
	if (is_outcome) {
		buf_printf(out, "</text><text class=\"%s number\" x=\"400\" y=\"%d\">", class, y);
		ledger_percent(row->count, flame->meta->tick_cnt, out);
	}
	buf_printf(out, "</text><text class=\"facts soft\" x=\"420\" y=\"%d\">", y);
	put_str(flame, row->meaning);
	buf_puts(out, "</text>\n");
}

static int ledger_height(const struct profile_meta *meta)
{
	return ((int)meta->outcome_cnt + (int)meta->event_cnt + 3) * LEDGER_ROW + PAD;
}

/* The whole ledger, not shown until asked for. */
static void put_ledger(struct flame *flame, int y)
{
	const struct profile_meta *meta = flame->meta;
	const struct profile_ledger_row all = { .label = "all ticks",
		                                .meaning = "each is in exactly one row above",
		                                .count = meta->tick_cnt };

	buf_printf(&flame->out, "<g id=\"ledger\" display=\"none\" data-height=\"%d\">\n",
	           ledger_height(meta));
	for (uint32_t i = 0; i < meta->outcome_cnt; i++, y += LEDGER_ROW)
		put_ledger_row(flame, &meta->outcomes[i], y, true);
	put_ledger_row(flame, &all, y, true);
	y += 2 * LEDGER_ROW;
	for (uint32_t i = 0; i < meta->event_cnt; i++, y += LEDGER_ROW)
		put_ledger_row(flame, &meta->events[i], y, false);
	buf_puts(&flame->out, "</g>\n");
}

static void put_foot(struct flame *flame)
{
	int y = FRAMES_Y + (int)(flame->boxes.depth_max + 1) * ROW;

	buf_puts(&flame->out, "<g id=\"foot\">\n");
	if (flame->diff) {
		put_swatch(flame, PAD, y + 26, "g4", "has grown");
		put_swatch(flame, PAD + 120, y + 26, "h4", "has shrunk");
		put_swatch(flame, PAD + 222, y + 26, "d0", "as before");
	} else {
		put_swatch(flame, PAD, y + 26, "a5", "the program");
		put_swatch(flame, PAD + 120, y + 26, "p13", "packages");
		put_swatch(flame, PAD + 222, y + 26, "s2", "standard library");
	}
	buf_printf(&flame->out,
	           "<text class=\"facts soft number right\" x=\"%d\" y=\"%d\">pitviper ",
	           WIDTH - PAD, y + 26);
	put_str(flame, flame->meta->version);
	buf_puts(&flame->out, "</text>\n");
	put_losses(flame, y + 52);
	buf_puts(&flame->out, "</g>\n");
	put_ledger(flame, y + FOOT_H + 6);
}

static void put_start(struct flame *flame)
{
	int height = FRAMES_Y + (int)(flame->boxes.depth_max + 1) * ROW + FOOT_H;
	struct buf *out = &flame->out;
	struct buf line = { 0 };

	buf_printf(out,
	           "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	           "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"%d\" "
	           "height=\"%d\" viewBox=\"0 0 %d %d\">\n<title>",
	           WIDTH, height, WIDTH, height);
	put_str(flame, flame->meta->title);
	buf_puts(out, " \xe2\x80\x93 flame graph by pitviper</title>\n<desc>");
	for (uint32_t i = 0; ledger_line(flame->meta, i, &line); i++, buf_clear(&line)) {
		put_str(flame, buf_str(&line));
		buf_putc(out, '\n');
	}
	buf_puts(out, "</desc>\n<style><![CDATA[\n");
	buf_add(out, flame_css, sizeof(flame_css));
	buf_puts(out, "]]></style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
	if (line.err)
		out->err = line.err;
	buf_free(&line);
}

static int write_all(struct flame *flame)
{
	int err = flame_boxes_make(flame->view, &flame->boxes);

	if (err)
		return err;
	put_start(flame);
	put_head(flame);
	err = put_boxes(flame);
	if (!err)
		err = put_long_labels(flame);
	put_foot(flame);
	buf_puts(&flame->out, "<script><![CDATA[\n");
	buf_add(&flame->out, flame_js, sizeof(flame_js));
	buf_puts(&flame->out, "]]></script>\n</svg>\n");
	return err ? err : flush(flame, 0);
}

static int write_and_free(struct flame *flame)
{
	int err = write_all(flame);

	flame_boxes_free(&flame->boxes);
	buf_free(&flame->out);
	buf_free(&flame->text);
	return err;
}

static int flame_write(struct profile *profile, const struct out_view *options, FILE *stream)
{
	struct view view;
	struct flame flame = { .view = &view, .meta = profile__meta(profile), .stream = stream };
	int err = view_open(&view, profile, options, VIEW_VISIBLE);

	if (!err)
		err = write_and_free(&flame);
	view_close(&view);
	return err;
}

int diff_write_svg(struct profile *profile, struct profile *base, const struct out_view *options,
                   FILE *stream)
{
	struct diff diff;
	struct flame flame = {
		.view = &diff.view,
		.diff = &diff,
		.meta = profile__meta(profile),
		.stream = stream,
	};
	int err = diff_open(&diff, profile, base, options, VIEW_VISIBLE);

	if (!err)
		err = write_and_free(&flame);
	diff_close(&diff);
	return err;
}

const struct out_format out_flame_svg = {
	.name = "flamegraph",
	.extension = ".svg",
	.summary = "interactive flame graph, one file for any browser",
	.next_step = "open it in a browser: click to zoom, Ctrl-F to search",
	.write = flame_write,
};
