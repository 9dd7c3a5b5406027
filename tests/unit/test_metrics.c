// SPDX-License-Identifier: Apache-2.0
/* What the agent tells of itself: slices add up, the text is Prometheus's, faults are named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/metrics.h"
#include "util/clock.h"

static void add_slice(struct stats_ledger *ledger, uint32_t rate_hz, uint64_t complete)
{
	struct profile_meta meta = {
		.rate_hz = rate_hz, .tick_cnt = complete + 2, .outcome_cnt = 2, .event_cnt = 1
	};

	meta.outcomes[0] = (struct profile_ledger_row){ "IDLE", "idle", "", 2 };
	meta.outcomes[1] = (struct profile_ledger_row){ "COMPLETE", "complete", "", complete };
	meta.events[0] = (struct profile_ledger_row){ "NOT_DELIVERED", "x", "", 1 };
	stats_add(ledger, &meta, complete);
}

static void has_line(const struct buf *text, const char *line)
{
	char want[160];

	snprintf(want, sizeof(want), "\n%s\n", line);
	if (!strstr(buf_str(text), want))
		fail_msg("no '%s' in:\n%s", line, buf_str(text));
}

static void test_slices_add_up(void **state)
{
	struct agent_stats stats = { .state = STATS_SAMPLING, .rate_hz = 19, .asked_hz = 99 };
	struct buf text = { 0 };

	(void)state;
	add_slice(&stats.ledger, 10, 30);
	add_slice(&stats.ledger, 100, 50);
	stats.pythons[0] = (struct session_python){ 0x030c, 7 };
	stats.python_cnt = 1;
	stats.cost = (struct stats_cost){ .bpf_ns = NSEC_PER_SEC / 4,
		                          .used_ppm = 1500,
		                          .max_ppm = 5000 };
	metrics_text(&stats, &text);
	has_line(&text, "pitviper_ticks_total{outcome=\"idle\"} 4");
	has_line(&text, "pitviper_ticks_total{outcome=\"complete\"} 80");
	has_line(&text, "pitviper_tick_cpu_seconds_total{outcome=\"complete\"} 3.5");
	has_line(&text, "pitviper_events_total{event=\"not_delivered\"} 2");
	has_line(&text, "pitviper_samples_total 80");
	has_line(&text, "pitviper_targets{python=\"3.12\"} 7");
	has_line(&text, "pitviper_cpu_seconds_total{part=\"bpf\"} 0.25");
	has_line(&text, "pitviper_cpu_used_ratio 0.0015");
	has_line(&text, "pitviper_rate_hz 19");
	has_line(&text, "pitviper_rate_asked_hz 99");
	assert_int_equal(stats.ledger.tick_cnt, 84);
	buf_free(&text);
}

/* Every sample line has the family it belongs to above it, with help and type, each family once. */
static void test_exposition(void **state)
{
	struct agent_stats stats = { 0 };
	struct buf text = { 0 };
	char family[64] = "", seen[4096] = "", word[64];
	char *line, *next;

	(void)state;
	add_slice(&stats.ledger, 10, 1);
	metrics_text(&stats, &text);
	for (next = text.data; (line = strsep(&next, "\n")) && *line;) {
		if (sscanf(line, "# HELP %63s", word) == 1) {
			assert_null(strstr(seen, word));
			snprintf(family, sizeof(family), "%s", word);
			snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s ", word);
			continue;
		}
		if (sscanf(line, "# TYPE %63s", word) == 1) {
			assert_string_equal(word, family);
			continue;
		}
		assert_int_equal(strncmp(line, family, strlen(family)), 0);
		assert_non_null(strchr("{ ", line[strlen(family)]));
		assert_non_null(strrchr(line, ' '));
	}
	buf_free(&text);
}

static void check_health(const struct agent_stats *stats, bool good, const char *word)
{
	struct buf text = { 0 };

	assert_int_equal(metrics_health(stats, &text), good);
	assert_int_equal(good, !strncmp(buf_str(&text), "ok\n", 3));
	assert_non_null(strstr(buf_str(&text), word));
	buf_free(&text);
}

static void test_health(void **state)
{
	struct agent_stats stats = {
		.state = STATS_SAMPLING,
		.now_unix_ns = 1000 * NSEC_PER_SEC,
		.flush_unix_ns = 990 * NSEC_PER_SEC,
		.flush_every_ns = 10 * NSEC_PER_SEC,
	};

	(void)state;
	check_health(&stats, true, "state: sampling");
	stats.now_unix_ns = 1021 * NSEC_PER_SEC;
	check_health(&stats, false, "has got nothing");
	/* The clock was set back. */
	stats.now_unix_ns = 900 * NSEC_PER_SEC;
	check_health(&stats, true, "state: sampling");
	stats.state = STATS_PAUSED;
	stats.now_unix_ns = 9999 * NSEC_PER_SEC;
	check_health(&stats, true, "paused by the kill switch");
	stats.state = STATS_BROKEN;
	snprintf(stats.problem, sizeof(stats.problem), "no BTF");
	check_health(&stats, false, "problem: no BTF");
	stats.state = STATS_SAMPLING;
	stats.now_unix_ns = 991 * NSEC_PER_SEC;
	stats.store.paused = true;
	check_health(&stats, false, "can't be written");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slices_add_up),
		cmocka_unit_test(test_exposition),
		cmocka_unit_test(test_health),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
