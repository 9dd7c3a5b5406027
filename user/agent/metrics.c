// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"

/* Slices that are missing before that is called a fault. */
#define FLUSH_LATE 3

void stats_add(struct stats_ledger *ledger, const struct profile_meta *meta, uint64_t sample_cnt)
{
	double period_s = meta->rate_hz ? 1.0 / meta->rate_hz : 0;

	ledger->tick_cnt += meta->tick_cnt;
	ledger->sample_cnt += sample_cnt;
	ledger->outcome_cnt = meta->outcome_cnt;
	ledger->event_cnt = meta->event_cnt;
	for (uint32_t i = 0; i < meta->outcome_cnt; i++) {
		uint64_t before = ledger->outcomes[i].count;

		ledger->outcomes[i] = meta->outcomes[i];
		ledger->outcomes[i].count += before;
		ledger->outcome_s[i] += (double)meta->outcomes[i].count * period_s;
	}
	for (uint32_t i = 0; i < meta->event_cnt; i++) {
		uint64_t before = ledger->events[i].count;

		ledger->events[i] = meta->events[i];
		ledger->events[i].count += before;
	}
}

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP pitviper_%s %s\n# TYPE pitviper_%s %s\n", name, help, name, type);
}

static void number(struct buf *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
	family(out, name, type, help);
	buf_printf(out, "pitviper_%s %" PRIu64 "\n", name, value);
}

static void real(struct buf *out, const char *name, const char *type, const char *help,
                 double value)
{
	family(out, name, type, help);
	buf_printf(out, "pitviper_%s %.15g\n", name, value);
}

/* "RING_FULL" as the value of a label: ring_full */
static void put_lower(struct buf *out, const char *name)
{
	for (; *name; name++)
		buf_putc(out, (char)tolower((unsigned char)*name));
}

static void rows(struct buf *out, const char *name, const char *label,
                 const struct profile_ledger_row *row, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		buf_printf(out, "pitviper_%s{%s=\"", name, label);
		put_lower(out, row[i].name);
		buf_printf(out, "\"} %" PRIu64 "\n", row[i].count);
	}
}

static void put_ledger(struct buf *out, const struct stats_ledger *ledger)
{
	family(out, "ticks_total", "counter", "Timer ticks by what became of them: the ledger.");
	rows(out, "ticks_total", "outcome", ledger->outcomes, ledger->outcome_cnt);
	family(out, "tick_cpu_seconds_total", "counter",
	       "CPU time that the ticks stand for, each weighted by the rate it had.");
	for (uint32_t i = 0; i < ledger->outcome_cnt; i++) {
		buf_puts(out, "pitviper_tick_cpu_seconds_total{outcome=\"");
		put_lower(out, ledger->outcomes[i].name);
		buf_printf(out, "\"} %.9g\n", ledger->outcome_s[i]);
	}
	family(out, "events_total", "counter", "What is counted beside the ledger.");
	rows(out, "events_total", "event", ledger->events, ledger->event_cnt);
	number(out, "samples_total", "counter",
	       "Samples handed on to the store, those that stand for lost ones too.",
	       ledger->sample_cnt);
}

static void put_cost(struct buf *out, const struct agent_stats *stats)
{
	const struct stats_cost *cost = &stats->cost;
	const struct {
		const char *part;
		uint64_t ns;
	} parts[] = {
		{ "bpf", cost->bpf_ns },          { "samples", cost->sample_ns },
		{ "watch", cost->watch_ns },      { "flush", cost->flush_ns },
		{ "requests", cost->request_ns },
	};

	family(out, "cpu_seconds_total", "counter", "CPU time of pitviper's own, by what for.");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		buf_printf(out, "pitviper_cpu_seconds_total{part=\"%s\"} %.9g\n", parts[i].part,
		           (double)parts[i].ns / NSEC_PER_SEC);
	real(out, "cpu_used_ratio", "gauge",
	     "Part of one CPU used in the last ten seconds, without requests.",
	     cost->used_ppm / 1e6);
	real(out, "cpu_budget_ratio", "gauge", "Part of one CPU it may use.", cost->max_ppm / 1e6);
	number(out, "cpu_budget_exceeded", "gauge",
	       "1: not even the lowest rate keeps within the budget.", cost->is_over);
	number(out, "resident_bytes", "gauge", "Resident memory.", stats->resident);
	number(out, "memory_budget_bytes", "gauge", "Resident memory it may have.",
	       stats->max_memory);
}

static void put_store(struct buf *out, const struct agent_stats *stats)
{
	const struct store_stats *store = &stats->store;

	number(out, "store_bytes", "gauge", "Size of the store and its log.", store->bytes);
	number(out, "store_budget_bytes", "gauge", "Size it may have.", stats->max_disk);
	number(out, "store_free_bytes", "gauge", "Free bytes of its file system.",
	       store->free_bytes);
	number(out, "store_buckets_total", "counter", "Buckets stored.", store->append_cnt);
	number(out, "store_samples_total", "counter", "Samples stored.", store->sample_cnt);
	number(out, "store_dropped_samples_total", "counter",
	       "Samples not stored: disk full, or below the floor.", store->dropped_cnt);
	number(out, "store_expired_buckets_total", "counter", "Buckets dropped by age or size.",
	       store->expired_cnt);
	number(out, "store_rolled_buckets_total", "counter", "Buckets rolled up to coarser ones.",
	       store->rolled_cnt);
	number(out, "store_writable", "gauge", "0: the last flush could not be stored.",
	       !store->paused);
}

static void put_export(struct buf *out, const struct exporter_stats *export)
{
	number(out, "export_queued_samples_total", "counter",
	       "Samples of the store put into the queue of exports.", export->queued_samples);
	number(out, "export_sent_samples_total", "counter",
	       "Samples that the destination acknowledged.", export->sent_samples);
	number(out, "export_requests_total", "counter", "Requests acknowledged.",
	       export->sent_requests);
	number(out, "export_bytes_total", "counter", "Bytes of their bodies, compressed.",
	       export->sent_bytes);
	number(out, "export_failed_attempts_total", "counter",
	       "Attempts that failed and are repeated.", export->failed_attempts);
	number(out, "export_refused_samples_total", "counter",
	       "Samples that the destination will never take.", export->refused_samples);
	number(out, "export_refused_profiles_total", "counter",
	       "Profiles refused out of requests that were taken.", export->refused_profiles);
	number(out, "export_dropped_samples_total", "counter",
	       "Samples dropped because the queue was full.", export->dropped_samples);
	number(out, "export_queue_requests", "gauge", "Requests in the queue.",
	       export->queue_items);
	number(out, "export_queue_bytes", "gauge", "Bytes in the queue.", export->queue_bytes);
	number(out, "export_working", "gauge", "0: the last attempt failed.", !export->problem[0]);
}

void metrics_text(const struct agent_stats *stats, struct buf *out)
{
	family(out, "build_info", "gauge", "The version.");
	buf_printf(out, "pitviper_build_info{version=\"%s\"} 1\n", PV_VERSION);
	real(out, "start_time_seconds", "gauge", "When it was started.",
	     (double)stats->start_unix_ns / NSEC_PER_SEC);
	number(out, "sampling", "gauge", "1: it samples; 0: the kill switch is set, or it can't.",
	       stats->state == STATS_SAMPLING);
	number(out, "sessions_total", "counter", "How often sampling was begun.",
	       stats->session_cnt);
	number(out, "rate_hz", "gauge", "Ticks a second on each CPU now.", stats->rate_hz);
	number(out, "rate_asked_hz", "gauge", "Ticks a second on each CPU that were asked for.",
	       stats->asked_hz);
	number(out, "cpus", "gauge", "CPUs that tick.", stats->cpu_cnt);
	real(out, "last_flush_time_seconds", "gauge", "Until when there is data in the store.",
	     (double)stats->flush_unix_ns / NSEC_PER_SEC);
	family(out, "targets", "gauge", "Python processes that live, by version.");
	for (uint32_t i = 0; i < stats->python_cnt; i++)
		buf_printf(out, "pitviper_targets{python=\"%u.%u\"} %u\n",
		           stats->pythons[i].version >> 8, stats->pythons[i].version & 0xff,
		           stats->pythons[i].cnt);
	put_ledger(out, &stats->ledger);
	put_cost(out, stats);
	put_store(out, stats);
	if (stats->exporting)
		put_export(out, &stats->export);
}

static const char *fault(const struct agent_stats *stats)
{
	uint64_t since_ns = stats->now_unix_ns - stats->flush_unix_ns;

	if (stats->state == STATS_BROKEN)
		return "sampling does not work";
	if (stats->store.paused)
		return "the store can't be written";
	if (stats->state == STATS_SAMPLING && stats->flush_unix_ns &&
	    stats->now_unix_ns > stats->flush_unix_ns &&
	    since_ns > FLUSH_LATE * stats->flush_every_ns)
		return "the store has got nothing for a while";
	return NULL;
}

bool metrics_health(const struct agent_stats *stats, struct buf *out)
{
	static const char *const states[] = { "starting", "sampling", "paused by the kill switch",
		                              "broken" };
	const char *wrong = fault(stats);

	buf_printf(out, "%s\n\n", wrong ? wrong : "ok");
	buf_printf(out, "state: %s\n", states[stats->state]);
	if (stats->problem[0])
		buf_printf(out, "problem: %s\n", stats->problem);
	buf_printf(out, "version: %s\n", PV_VERSION);
	buf_printf(out, "rate: %u Hz of %u Hz asked for, on %u CPUs\n", stats->rate_hz,
	           stats->asked_hz, stats->cpu_cnt);
	buf_printf(out, "cpu: %.3f %% of one CPU, of %.3f %%%s\n", stats->cost.used_ppm / 1e4,
	           stats->cost.max_ppm / 1e4,
	           stats->cost.is_over ? "; not even 1 Hz keeps within it" : "");
	buf_printf(out, "memory: %.1f MiB of %.1f MiB\n", (double)stats->resident / (1 << 20),
	           (double)stats->max_memory / (1 << 20));
	buf_printf(out, "store: %.1f MiB of %.1f MiB, %.1f MiB free\n",
	           (double)stats->store.bytes / (1 << 20), (double)stats->max_disk / (1 << 20),
	           (double)stats->store.free_bytes / (1 << 20));
	buf_printf(out, "python processes: %u\n", stats->process_cnt);
	buf_printf(out, "samples: %" PRIu64 " of %" PRIu64 " ticks\n", stats->ledger.sample_cnt,
	           stats->ledger.tick_cnt);
	return !wrong;
}
