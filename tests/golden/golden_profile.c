// SPDX-License-Identifier: Apache-2.0
/*
 * golden_profile.c - builds a fixed profile full of hostile names and writes it in any format:
 *
 *   golden_profile small|empty|big FORMAT [functions] [no_lines] [threads] [processes] [full] > FILE
 *   golden_profile small|empty|big export-ENGINE [cmdlines] > FILE      the body of a request
 *
 * The tests know what is in it; the sums are printed to stderr as "samples N".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/counters.h"
#include "export/export.h"
#include "out/out.h"
#include "profile/profile.h"

static struct profile *profile;

static uint32_t string(const char *s)
{
	return profile__string(profile, s, strlen(s));
}

static uint32_t push(uint32_t stack, const char *name, const char *file, int line, int first_line)
{
	const struct profile_frame frame = { string(name), string(file), line, first_line,
		                             PROFILE_FRAME_PYTHON };

	return profile__stack(profile, stack, profile__frame(profile, &frame));
}

static uint32_t push_mark(uint32_t stack, const char *name)
{
	const struct profile_frame frame = { string(name), string(""), 0, 0, PROFILE_FRAME_MARK };

	return profile__stack(profile, stack, profile__frame(profile, &frame));
}

static uint32_t track(uint32_t pid, uint32_t tid, const char *process, const char *thread)
{
	const struct profile_track row = { pid, tid, string(process), string(thread), 1, tid };

	return profile__track(profile, &row);
}

/* Count, and spread the samples over time: 10 ms apart on this track, from @start_ms on. */
static void add(uint32_t on, uint32_t stack, unsigned int cnt, uint64_t *clock_ms)
{
	if (profile__add(profile, on, stack, cnt))
		exit(2);
	for (; clock_ms && cnt; cnt--, *clock_ms += 10) {
		const struct profile_point point = { *clock_ms * 1000000, on, stack };

		if (profile__add_point(profile, &point))
			exit(2);
	}
}

/* Names that have broken profilers, or could: each a function called by the main module. */
static const char *const hostile[] = {
	"</script><script>alert(1)</script>",
	"]]><svg onload=alert(1)>",
	"a;b",
	"new\nline 7",
	"tab\tand\rreturn",
	"ends in 42",
	"\x1b[31mred\x1b[0m",
	"\xe2\x80\xae"
	"desrever",
	"nul-ish \x01\x7f",
	"\xc2\x9b"
	"31mc1",
	"\xf0\x9f\x90\x8d snake",
	"\xe8\x9b\x87.\xe6\xaf\x92\xe8\x9b\x87",
	"lone\xef\xbf\xbdsurrogate",
	"bad\xff\xfeutf8",
	"non\xef\xbf\xbf"
	"char",
	"&amp;\"quoted'\\",
	"# comment",
	"trailing ",
	"",
	"javascript:alert(1)",
	"%s%n${x}`y`",
};

static void add_hostile(uint32_t on, uint32_t base, uint64_t *clock_ms)
{
	char *giant = malloc(70001);

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		add(on, push(base, hostile[i], "/srv/app/hostile.py", 10 + (int)i, 10 + (int)i), 2,
		    clock_ms);
	if (!giant)
		exit(2);
	memset(giant, 'g', 70000);
	giant[70000] = '\0';
	add(on, push(base, giant, "/srv/app/hostile.py", 99, 99), 20, clock_ms);
	free(giant);
}

static void label(uint32_t pid, const char *name, const char *value)
{
	const struct profile_label row = { 1, pid, string(name), string(value), 0 };

	if (profile__set_label(profile, &row))
		exit(2);
}

static void add_labels(void)
{
	label(100, "service", "shop");
	label(100, "container", "6f2d0a8e5c1b");
	label(100, "pod", "shop-7\xff</x>");
	label(100, "comm", "python3");
	label(100, "python", "3.11");
	label(200, "comm", "python3.13");
}

static void build_small(void)
{
	uint32_t main_thread = track(100, 100, "python3 app.py --name=\"x\ny\"", "MainThread");
	uint32_t worker = track(100, 101, "python3 app.py --name=\"x\ny\"", "worker 3");
	uint32_t other = track(200, 200, "python3 -c </script>", "MainThread");
	uint32_t base = push(PROFILE_ROOT, "<module>", "/srv/app/app.py", 30, 1);
	uint32_t work = push(base, "Server.handle", "/srv/app/server.py", 21, 18);
	uint32_t json =
		push(work, "JSONEncoder.encode", "/usr/lib/python3.11/json/encoder.py", 200, 183);
	uint64_t clock_ms = 0, worker_ms = 500, other_ms = 250;

	add(main_thread, push(work, "parse", "/srv/app/util.py", 5, 3), 300, &clock_ms);
	add(main_thread, push(work, "parse", "/srv/app/util.py", 6, 3), 120, &clock_ms);
	add(main_thread, push(work, "parse", "/srv/app/other/util.py", 5, 3), 80, &clock_ms);
	add(main_thread, json, 150, &clock_ms);
	add(main_thread, push(json, "iterencode", "/usr/lib/python3.11/json/encoder.py", 260, 244),
	    60, &clock_ms);
	add(main_thread, push(base, "recurse", "/srv/app/app.py", 40, 38), 10, &clock_ms);
	add(main_thread,
	    push(push(base, "recurse", "/srv/app/app.py", 40, 38), "recurse", "/srv/app/app.py", 40,
	         38),
	    30, &clock_ms);
	add(worker,
	    push(push(PROFILE_ROOT, "Thread.run", "/usr/lib/python3.11/threading.py", 982, 979),
	         "dot", "/opt/venv/lib/python3.11/site-packages/numpy/core/numeric.py", 77, 70),
	    140, &worker_ms);
	add(worker, push_mark(base, "[truncated: 30 frames]"), 12, &worker_ms);
	add(worker, PROFILE_ROOT, 3, &worker_ms);
	add(other,
	    push(push(PROFILE_ROOT, "<module>", "<string>", 1, 1), "_call",
	         "<frozen importlib._bootstrap>", 241, 233),
	    55, &other_ms);
	add(other, push_mark(PROFILE_ROOT, "[unreadable]"), 4, &other_ms);
	add_hostile(main_thread, base, &clock_ms);
	add_labels();
}

/* 100,000 stacks, all different, 30 deep, as a service with many small functions would show. */
static void build_big(void)
{
	uint32_t on = track(1, 1, "python3 big.py", "MainThread");
	uint64_t random = 88172645463325252ull;
	char name[32], file[64];

	for (unsigned int i = 0; i < 100000; i++) {
		uint32_t stack = PROFILE_ROOT;

		for (unsigned int depth = 0; depth < 30; depth++) {
			unsigned int pick;

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			pick = depth == 29 ? i : (unsigned int)(random % (depth < 4 ? 3 : 40));
			snprintf(name, sizeof(name), "f%u_%u", depth, pick);
			snprintf(file, sizeof(file), "/srv/big/m%u/p%u.py", depth, pick % 7);
			stack = push(stack, name, file, 1 + (int)pick % 90, 1);
		}
		add(on, stack, 1 + i % 3, NULL);
	}
}

static void set_meta(void)
{
	struct profile_meta meta = {
		.title = "python3 app.py --name=\"x\ny\" </title><script>alert(1)</script>",
		.command = "pitviper record -o profile.svg -- python3 app.py",
		.version = PV_VERSION,
		.host = "viper (Linux 6.1.0)",
		.pythons = "3.11.7, 3.13.0",
		.start_unix_ns = 1700000000123456789ull,
		.duration_ns = 12500000000ull,
		.rate_hz = 99,
		.cpu_cnt = 2,
	};

	/* The rows are made up but add up: what was recorded as samples, and a round rest. */
#define OUTCOME(tick, text, sentence) \
	meta.outcomes[meta.outcome_cnt++] = (struct profile_ledger_row){ #tick, text, sentence, 0 };
#define EVENT(event, text, sentence) \
	meta.events[meta.event_cnt++] = (struct profile_ledger_row){ #event, text, sentence, 1 };
	PV_TICK_OUTCOMES(OUTCOME)
	PV_EVENT_COUNTS(EVENT)
	meta.outcomes[PV_CNT_IDLE].count = 1234;
	meta.outcomes[PV_CNT_TRUNCATED].count = 12;
	meta.outcomes[PV_CNT_UNREADABLE].count = 4;
	meta.outcomes[PV_CNT_NO_FRAMES].count = 3;
	meta.outcomes[PV_CNT_TORN].count = 2;
	meta.outcomes[PV_CNT_RING_FULL].count = 1;
	meta.outcomes[PV_CNT_COMPLETE].count =
		profile__sample_cnt(profile) > 19 ? profile__sample_cnt(profile) - 19 : 0;
	for (uint32_t i = 0; i < meta.outcome_cnt; i++)
		meta.tick_cnt += meta.outcomes[i].count;
	profile__set_meta(profile, &meta);
}

static int write_export(const struct export_writer *writer, bool cmdlines)
{
	const struct export_options options = {
		.host = "viper",
		.version = PV_VERSION,
		.cmdlines = cmdlines,
		.id = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	};
	struct buf body = { 0 };
	int err = writer->write(profile, &options, &body);

	if (!err && fwrite(buf_str(&body), 1, body.len, stdout) != body.len)
		err = -1;
	buf_free(&body);
	return err;
}

static int write_format(const struct out_format *format, int argc, char **argv)
{
	struct out_view view = { 0 };

	for (int i = 0; i < argc; i++) {
		view.functions |= !strcmp(argv[i], "functions");
		view.no_lines |= !strcmp(argv[i], "no_lines");
		view.threads |= !strcmp(argv[i], "threads");
		view.processes |= !strcmp(argv[i], "processes");
		view.full_filenames |= !strcmp(argv[i], "full");
	}
	return format->write(profile, &view, stdout);
}

int main(int argc, char **argv)
{
	const struct export_writer *writer = NULL;
	const struct out_format *format = NULL;
	int err;

	profile = profile__new();
	if (argc > 2 && !strncmp(argv[2], "export-", 7))
		writer = export_writer_by_name(argv[2] + 7);
	else if (argc > 2)
		format = out_format_by_name(argv[2]);
	if ((!format && !writer) || !profile)
		return 2;
	if (!strcmp(argv[1], "small"))
		build_small();
	else if (!strcmp(argv[1], "big"))
		build_big();
	else if (strcmp(argv[1], "empty") != 0)
		return 2;
	set_meta();
	err = writer ? write_export(writer, argc > 3 && !strcmp(argv[3], "cmdlines"))
	             : write_format(format, argc - 3, argv + 3);
	if (!err && (fflush(stdout) || ferror(stdout)))
		err = -1;
	fprintf(stderr, "samples %llu\n", (unsigned long long)profile__sample_cnt(profile));
	profile__free(profile);
	return err ? 1 : 0;
}
