// SPDX-License-Identifier: Apache-2.0
#include "out/top.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out/diff.h"
#include "out/ledger.h"
#include "out/text.h"
#include "out/view.h"

/* A function by its label in the view, which is a name, a file and the line it begins with. */
struct function {
	uint32_t label;   /* string of the own pool */
	uint64_t self[2]; /* samples of the profile, of the base */
	uint64_t total[2];
};

struct table {
	struct pool labels;
	struct function *rows; /* by label */
	uint32_t cap;
	uint64_t sums[2];
};

static int row_of(struct table *table, const char *label, size_t len, uint32_t *row)
{
	*row = pool_intern(&table->labels, label, len);
	if (*row == HMAP_NONE)
		return -ENOMEM;
	if (*row >= table->cap) {
		uint32_t cap = table->cap ? table->cap * 2 : 256;
		struct function *rows = realloc(table->rows, cap * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		memset(rows + table->cap, 0, (cap - table->cap) * sizeof(*rows));
		table->rows = rows;
		table->cap = cap;
	}
	table->rows[*row].label = *row;
	return 0;
}

/* Samples of the nodes of one side. */
struct side {
	const struct view *view;
	const uint64_t *self, *total; /* by node; NULL: the view's own */
	int at;
};

/* Nodes from the root on; a function is counted at its first node on the way. */
static void walk(struct table *table, const struct side *side, const struct view_order *order,
                 const uint32_t *rows, uint32_t *open, uint32_t *way)
{
	const struct view *view = side->view;
	uint32_t depth = 0;

	for (uint32_t i = 1; i < view->node_cnt; i++) {
		uint32_t at = order->nodes[i];
		const struct view_node *node = &view->nodes[at];
		struct function *function = &table->rows[rows[node->frame]];

		for (; depth >= order->depths[i]; depth--)
			open[way[depth]]--;
		depth = order->depths[i];
		way[depth] = node->frame;
		if (!open[node->frame]++)
			function->total[side->at] += side->total ? side->total[at] : node->total;
		function->self[side->at] += side->self ? side->self[at] : node->self;
	}
	table->sums[side->at] = side->total ? side->total[VIEW_ROOT] : view->nodes[VIEW_ROOT].total;
}

static int count(struct table *table, const struct side *side)
{
	const struct view *view = side->view;
	struct view_order order = { 0 };
	int err = view_order_make(view, &order);
	uint32_t *rows = calloc((size_t)view->frame_cnt + 1, sizeof(*rows));
	/* How often the function of a frame is on the way, and the way, by depth. */
	uint32_t *open = calloc((size_t)view->frame_cnt + 1, sizeof(*open));
	uint32_t *way = calloc((size_t)order.depth_max + 1, sizeof(*way));

	if (!rows || !open || !way)
		err = -ENOMEM;
	for (uint32_t i = 0; i < view->frame_cnt && !err; i++) {
		size_t len;
		const char *label = view_text_at(view, view->frames[i].label, &len);

		err = row_of(table, label, len, &rows[i]);
	}
	if (!err)
		walk(table, side, &order, rows, open, way);
	view_order_free(&order);
	free(rows);
	free(open);
	free(way);
	return err;
}

static void table_free(struct table *table)
{
	pool_free(&table->labels);
	free(table->rows);
}

static double share(const struct table *table, uint64_t cnt, int side)
{
	return table->sums[side] ? 100.0 * (double)cnt / (double)table->sums[side] : 0;
}

static double self_change(const struct table *table, const struct function *function)
{
	return share(table, function->self[0], 0) - share(table, function->self[1], 1);
}

static double total_change(const struct table *table, const struct function *function)
{
	return share(table, function->total[0], 0) - share(table, function->total[1], 1);
}

static int label_cmp(const struct table *table, const struct function *a, const struct function *b)
{
	return strcmp(pool_get(&table->labels, a->label, NULL),
	              pool_get(&table->labels, b->label, NULL));
}

static int by_self(const void *left, const void *right, void *ctx)
{
	const struct function *a = left, *b = right;

	if (a->self[0] != b->self[0])
		return a->self[0] > b->self[0] ? -1 : 1;
	if (a->total[0] != b->total[0])
		return a->total[0] > b->total[0] ? -1 : 1;
	return label_cmp(ctx, a, b);
}

static double change(const struct table *table, const struct function *function)
{
	return fmax(fabs(self_change(table, function)), fabs(total_change(table, function)));
}

static int by_change(const void *left, const void *right, void *ctx)
{
	const struct function *a = left, *b = right;
	const struct table *table = ctx;
	double a_change = change(table, a), b_change = change(table, b);
	double a_self = fabs(self_change(table, a)), b_self = fabs(self_change(table, b));

	if (a_change != b_change)
		return a_change > b_change ? -1 : 1;
	/* Who did it, before who called it. */
	if (a_self != b_self)
		return a_self > b_self ? -1 : 1;
	return label_cmp(table, a, b);
}

static void put_cell(struct buf *out, const struct table *table, uint64_t cnt, int side)
{
	struct buf number = { 0 };

	text_number(&number, cnt);
	buf_printf(out, "%12s %6.2f%%", buf_str(&number), share(table, cnt, side));
	if (number.err)
		out->err = number.err;
	buf_free(&number);
}

static const struct out_view by_function = { .functions = true };

int top_write(struct profile *profile, uint32_t max, struct buf *out)
{
	struct table table = { 0 };
	struct view view;
	int err = view_open(&view, profile, &by_function, VIEW_VISIBLE);
	uint32_t cnt;

	if (!err)
		err = count(&table, &(struct side){ .view = &view });
	view_close(&view);
	cnt = table.labels.cnt;
	if (!err && cnt)
		qsort_r(table.rows, cnt, sizeof(*table.rows), by_self, &table);
	if (!err)
		buf_printf(out, "%20s %20s  %s\n", "self", "total", "function");
	for (uint32_t i = 0; !err && i < cnt && (!max || i < max); i++) {
		put_cell(out, &table, table.rows[i].self[0], 0);
		buf_putc(out, ' ');
		put_cell(out, &table, table.rows[i].total[0], 0);
		buf_printf(out, "  %s\n", pool_get(&table.labels, table.rows[i].label, NULL));
	}
	if (!err && max && cnt > max)
		buf_printf(out, "%41s  and %u more\n", "", cnt - max);
	table_free(&table);
	return err ? err : out->err;
}

static void put_change(struct buf *out, double change, double was, double is)
{
	buf_printf(out, "%+8.2f %7.2f%% %7.2f%%  ", change, was, is);
}

static int count_both(struct table *table, struct profile *profile, struct profile *base)
{
	struct diff diff;
	int err = diff_open(&diff, profile, base, &by_function, VIEW_VISIBLE);

	if (!err)
		err = count(table, &(struct side){ .view = &diff.view });
	if (!err)
		err = count(table, &(struct side){ .view = &diff.view,
		                                   .self = diff.base_self,
		                                   .total = diff.base_total,
		                                   .at = 1 });
	diff_close(&diff);
	return err;
}

int top_write_diff(struct profile *profile, struct profile *base, uint32_t max, struct buf *out)
{
	struct table table = { 0 };
	int err = count_both(&table, profile, base);
	uint32_t cnt = table.labels.cnt;

	if (!err && cnt)
		qsort_r(table.rows, cnt, sizeof(*table.rows), by_change, &table);
	if (!err)
		buf_printf(out, "%8s %8s %8s  %8s %8s %8s  %s\n", "self", "was", "is", "total",
		           "was", "is", "function");
	for (uint32_t i = 0; !err && i < cnt && (!max || i < max); i++) {
		const struct function *row = &table.rows[i];

		if (change(&table, row) == 0)
			break;
		put_change(out, self_change(&table, row), share(&table, row->self[1], 1),
		           share(&table, row->self[0], 0));
		put_change(out, total_change(&table, row), share(&table, row->total[1], 1),
		           share(&table, row->total[0], 0));
		buf_printf(out, "%s\n", pool_get(&table.labels, row->label, NULL));
	}
	table_free(&table);
	return err ? err : out->err;
}
