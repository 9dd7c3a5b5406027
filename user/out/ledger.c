// SPDX-License-Identifier: Apache-2.0
#include "out/ledger.h"

#include <string.h>
#include <time.h>

#include "out/text.h"
#include "util/clock.h"

uint64_t ledger_period_ns(const struct profile_meta *meta)
{
	return meta->rate_hz && meta->rate_hz <= NSEC_PER_SEC ? NSEC_PER_SEC / meta->rate_hz : 1;
}

void ledger_percent(uint64_t part, uint64_t whole, struct buf *out)
{
	buf_printf(out, "%.2f%%", whole ? 100.0 * (double)part / (double)whole : 0.0);
}

bool ledger_line(const struct profile_meta *meta, uint32_t i, struct buf *out)
{
	const struct profile_ledger_row *row;

	if (i > meta->outcome_cnt + meta->event_cnt)
		return false;
	if (!i) {
		buf_puts(out, "ledger: ");
		text_number(out, meta->tick_cnt);
		buf_puts(out, " ticks, each in exactly one row");
		return true;
	}
	row = i <= meta->outcome_cnt ? &meta->outcomes[i - 1]
	                             : &meta->events[i - 1 - meta->outcome_cnt];
	buf_puts(out, i <= meta->outcome_cnt ? "ledger: " : "event: ");
	buf_puts(out, ledger_str(row->label));
	buf_putc(out, ' ');
	text_number(out, row->count);
	if (i <= meta->outcome_cnt) {
		buf_puts(out, " (");
		ledger_percent(row->count, meta->tick_cnt, out);
		buf_putc(out, ')');
	}
	buf_puts(out, ": ");
	buf_puts(out, ledger_str(row->meaning));
	return true;
}

uint64_t ledger_outcome(const struct profile_meta *meta, const char *name)
{
	for (uint32_t i = 0; i < meta->outcome_cnt; i++) {
		if (!strcmp(ledger_str(meta->outcomes[i].name), name))
			return meta->outcomes[i].count;
	}
	return 0;
}

void ledger_time(uint64_t unix_ns, struct buf *out)
{
	time_t seconds = (time_t)(unix_ns / NSEC_PER_SEC);
	struct tm tm;
	char text[64];

	if (gmtime_r(&seconds, &tm) && strftime(text, sizeof(text), "%F %T UTC", &tm))
		buf_puts(out, text);
}
