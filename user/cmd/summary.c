// SPDX-License-Identifier: Apache-2.0
#include "cmd/summary.h"

#include <string.h>

#include "out/ledger.h"
#include "out/text.h"
#include "util/log.h"

struct widths {
	unsigned int label;
	unsigned int count;
};

static void put_number(struct buf *out, uint64_t number, unsigned int columns)
{
	struct buf text = { 0 };

	text_number(&text, number);
	buf_printf(out, "%*s", (int)columns, buf_str(&text));
	buf_free(&text);
}

static void widen(struct widths *widths, const char *label, uint64_t count)
{
	struct buf text = { 0 };

	text_number(&text, count);
	if (strlen(label) > widths->label)
		widths->label = (unsigned int)strlen(label);
	if (text.len > widths->count)
		widths->count = (unsigned int)text.len;
	buf_free(&text);
}

static void put_row(struct buf *out, const struct widths *widths, const char *label, uint64_t count)
{
	buf_printf(out, "  %-*s  ", (int)widths->label, label);
	put_number(out, count, widths->count);
}

static void put_percent(struct buf *out, uint64_t part, uint64_t whole)
{
	struct buf text = { 0 };

	ledger_percent(part, whole, &text);
	buf_printf(out, "  %7s", buf_str(&text));
	buf_free(&text);
}

static void put_sum(struct buf *out, const struct profile_meta *meta, uint64_t sum,
                    const struct widths *widths)
{
	put_row(out, widths, "ticks", meta->tick_cnt);
	put_percent(out, sum, meta->tick_cnt);
	if (sum == meta->tick_cnt) {
		buf_puts(out, "  = sum\n");
		return;
	}
	buf_puts(out, ", but the sum is ");
	text_number(out, sum);
	buf_puts(out, ": please report this\n");
}

void summary_ledger(struct buf *out, const struct profile_meta *meta)
{
	struct widths widths = { 0 };
	uint64_t sum = 0;

	for (uint32_t i = 0; i < meta->outcome_cnt; i++) {
		sum += meta->outcomes[i].count;
		if (meta->outcomes[i].count)
			widen(&widths, meta->outcomes[i].label, meta->outcomes[i].count);
	}
	widen(&widths, "ticks", meta->tick_cnt);
	for (uint32_t i = 0; i < meta->outcome_cnt; i++) {
		if (!meta->outcomes[i].count)
			continue;
		put_row(out, &widths, meta->outcomes[i].label, meta->outcomes[i].count);
		put_percent(out, meta->outcomes[i].count, meta->tick_cnt);
		buf_putc(out, '\n');
	}
	put_sum(out, meta, sum, &widths);
	widths = (struct widths){ 0 };
	for (uint32_t i = 0; i < meta->event_cnt; i++)
		if (meta->events[i].count)
			widen(&widths, meta->events[i].label, meta->events[i].count);
	for (uint32_t i = 0; i < meta->event_cnt; i++) {
		if (!meta->events[i].count)
			continue;
		put_row(out, &widths, meta->events[i].label, meta->events[i].count);
		buf_putc(out, '\n');
	}
}

void summary_say(struct buf *head, const struct profile_meta *meta)
{
	summary_ledger(head, meta);
	if (head->len)
		head->data[--head->len] = '\0'; /* the last line end comes with the message */
	log_info("%s", buf_str(head));
}
