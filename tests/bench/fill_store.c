// SPDX-License-Identifier: Apache-2.0
/*
 * fill_store.c - a store as the agent leaves it after some days on a host with 100 Python processes and 2
 * busy CPUs at 19 Hz, roll-up and retention included:
 *
 *	fill_store FILE DAYS
 *
 * Prints, as "name value" lines, the bytes of the file after the first day and in the end, and the CPU
 * seconds that it took. Time ends now; nothing waits for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/store.h"
#include "util/clock.h"

#define PROCESSES   100
#define PROGRAMS    20
#define THREADS     4
#define RATE_HZ     19
#define CPUS        2
#define FLUSH_NS    (10 * NSEC_PER_SEC)
#define DEPTH_MAX   40
#define BRANCHES    5    /* functions that one calls */
#define LINES       3    /* of each, where samples end */
#define RESTART_CNT 2160 /* flushes that a process lives: six hours */
#define DAY_FLUSHES 8640

static uint64_t state = 88172645463325252ull;

/* xorshift64: the same store every time. */
static uint32_t pick(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 11) % below);
}

/* Small numbers far more often. */
static uint32_t pick_skewed(uint32_t below)
{
	uint32_t a = pick(below), b = pick(below), c = pick(below);

	a = a < b ? a : b;
	return a < c ? a : c;
}

static uint32_t string(struct profile *profile, const char *s)
{
	return profile__string(profile, s, strlen(s));
}

/* A walk down a program's calls: which function a place in the tree is, the way there decides. */
static uint32_t add_stack(struct profile *profile, uint32_t program)
{
	uint32_t depth = 15 + 5 * pick_skewed((DEPTH_MAX - 15) / 5), way = program * 2654435761u;
	uint32_t at = PROFILE_ROOT;
	char name[48], file[64];

	for (uint32_t i = 0; i < depth; i++) {
		/* A few places decide what is to be done; some ten thousand stacks in all. */
		uint32_t branch = i >= 12 && i % 4 == 0 ? pick_skewed(BRANCHES) : 0;
		uint32_t function = (way ^ way >> 13) % 400;
		struct profile_frame frame = { .kind = PROFILE_FRAME_PYTHON };

		snprintf(name, sizeof(name), "Handler%u.method_%u", function % 37, function);
		snprintf(file, sizeof(file), "/srv/program%u/package/module_%u.py", program,
		         function % 23);
		frame.name = string(profile, name);
		frame.file = string(profile, file);
		frame.first_line = (int32_t)function * 20 + 1;
		frame.line = frame.first_line + 1 +
		             (int32_t)(i + 1 < depth ? branch : pick_skewed(LINES));
		at = profile__stack(profile, at, profile__frame(profile, &frame));
		way = way * 31 + branch + 7;
	}
	return at;
}

static void add_sample(struct profile *profile, uint64_t flush, uint64_t start_ns)
{
	uint32_t process = pick_skewed(PROCESSES), program = process % PROGRAMS;
	/* Each has a turn of its own at which it is restarted. */
	uint64_t generation = (flush + process * 21) / RESTART_CNT;
	char command[64];
	struct profile_track track = {
		.pid = 1000 + process + (uint32_t)generation * 1000,
		.process_key = 1 + start_ns + generation,
	};
	struct profile_label label = { .pid = track.pid, .process_key = track.process_key };

	snprintf(command, sizeof(command), "python3 /srv/program%u/main.py --worker %u", program,
	         process);
	track.process = string(profile, command);
	track.tid = track.pid + pick_skewed(THREADS);
	track.thread_key = track.tid;
	track.thread = string(profile, "MainThread");
	snprintf(command, sizeof(command), "/system.slice/program%u.service", program);
	label.name = string(profile, PROFILE_CGROUP);
	label.value = string(profile, command);
	profile__set_label(profile, &label);
	profile__add(profile, profile__track(profile, &track), add_stack(profile, program), 1);
}

static int add_flush(struct store *store, uint64_t flush, uint64_t start_ns)
{
	struct profile_meta meta = { .pythons = "3.12",
		                     .start_unix_ns = start_ns + flush * FLUSH_NS,
		                     .duration_ns = FLUSH_NS,
		                     .rate_hz = RATE_HZ,
		                     .cpu_cnt = CPUS,
		                     .tick_cnt = RATE_HZ * CPUS * 10,
		                     .outcome_cnt = 2,
		                     .outcomes = { { "IDLE", "idle", "nothing", 0 },
		                                   { "COMPLETE", "complete", "whole", 0 } } };
	struct profile *profile = profile__new();
	int err;

	if (!profile)
		return -ENOMEM;
	for (uint32_t i = 0; i < RATE_HZ * CPUS * 10; i++)
		add_sample(profile, flush, start_ns);
	meta.outcomes[1].count = meta.tick_cnt;
	profile__set_meta(profile, &meta);
	err = store__append(store, profile);
	profile__free(profile);
	return err;
}

static int fill(struct store *store, uint64_t flush_cnt)
{
	const struct store_policy policy = {
		.max_bytes = 512ull << 20,
		.max_age_ns = 7 * 86400 * NSEC_PER_SEC,
		.minute_age_ns = STORE_MINUTE_AGE_NS,
		.decade_age_ns = STORE_DECADE_AGE_NS,
	};
	uint64_t start_ns = clock_ns(CLOCK_REALTIME) - flush_cnt * FLUSH_NS;
	struct store_stats stats;
	int err = 0;

	for (uint64_t i = 0; !err && i < flush_cnt; i++) {
		err = add_flush(store, i, start_ns);
		if (!err)
			err = store__keep(store, &policy, start_ns + (i + 1) * FLUSH_NS);
		err = err < 0 ? err : 0;
		if (i + 1 != DAY_FLUSHES && i + 1 != flush_cnt)
			continue;
		store__stats(store, &stats);
		printf("%s %" PRIu64 "\n", i + 1 == flush_cnt ? "bytes" : "day_bytes", stats.bytes);
	}
	printf("cpu_s %.3f\n", (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / NSEC_PER_SEC);
	return err;
}

int main(int argc, char **argv)
{
	const struct store_opts opts = { .uid = -1, .gid = -1, .mode = 0600 };
	const struct profile_meta head = { .title = "all Python processes", .version = PV_VERSION };
	char what[512];
	struct store *store;
	int err;

	if (argc != 3)
		return 2;
	store = store__open(argv[1], &opts, what, sizeof(what));
	if (!store) {
		fprintf(stderr, "%s\n", what);
		return 1;
	}
	err = store__begin(store, &head);
	if (!err)
		err = fill(store, (uint64_t)(atof(argv[2]) * DAY_FLUSHES));
	store__close(store);
	return err ? 1 : 0;
}
