// SPDX-License-Identifier: Apache-2.0
/* folded.c - one line a stack: "root;...;leaf count", sorted, without any header. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "out/formats.h"
#include "out/view.h"
#include "util/buf.h"

/* Where a node's path ends in the line, by depth, so that each node adds only its own label. */
static int write_lines(const struct view *view, const struct view_order *order, FILE *stream)
{
	size_t *ends = calloc((size_t)order->depth_max + 1, sizeof(*ends));
	struct buf line = { 0 };
	int err = ends ? 0 : -ENOMEM;

	for (uint32_t i = 1; i < view->node_cnt && !err; i++) {
		const struct view_node *node = &view->nodes[order->nodes[i]];
		uint32_t depth = order->depths[i];
		size_t len;
		const char *label = view_text_at(view, view->frames[node->frame].label, &len);

		line.len = ends[depth - 1];
		if (depth > 1)
			buf_putc(&line, ';');
		buf_add(&line, label, len);
		ends[depth] = line.len;
		if (!node->self)
			continue;
		buf_printf(&line, " %" PRIu64 "\n", node->self);
		err = line.err;
		if (!err && fwrite(line.data, 1, line.len, stream) != line.len)
			err = errno ? -errno : -EIO;
	}
	free(ends);
	buf_free(&line);
	return err;
}

static int folded_write(struct profile *profile, const struct out_view *options, FILE *stream)
{
	struct view_order order = { 0 };
	struct view view;
	int err = view_open(&view, profile, options, VIEW_FOLDED);

	if (!err)
		err = view_order_make(&view, &order);
	if (!err)
		err = write_lines(&view, &order, stream);
	view_order_free(&order);
	view_close(&view);
	return err;
}

const struct out_format out_folded = {
	.name = "folded",
	.extension = ".folded",
	.summary = "one line a stack: a;b;c count (py-spy's raw)",
	.next_step = "feed it to flamegraph.pl, or open it at https://www.speedscope.app",
	.write = folded_write,
};
