// SPDX-License-Identifier: Apache-2.0
/*
 * feed.c - stores made-up samples, a bucket each time a line comes in on standard input, and exports them:
 *
 *   feed STORE QUEUE ENGINE URL QUEUE-BYTES RATES [token=FILE] [headers=FILE] [ca=FILE] [cert=FILE]
 *
 * RATES: "19" or "19,23": the rates of the buckets in turn. At the end of the input the exporter is
 * stopped, and what it counted is printed, as JSON.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/exporter.h"
#include "store/store.h"
#include "util/clock.h"

#define START (1790000000ull * NSEC_PER_SEC)

static uint32_t string(struct profile *profile, const char *s)
{
	return profile__string(profile, s, strlen(s));
}

static void label(struct profile *profile, uint32_t pid, const char *name, const char *value)
{
	const struct profile_label row = { 1, pid, string(profile, name), string(profile, value),
		                           0 };

	profile__set_label(profile, &row);
}

/* Bucket @at: three processes with three stacks each, of which one is new every time. */
static int add_bucket(struct store *store, unsigned int at, uint32_t rate_hz)
{
	struct profile *profile = profile__new();
	struct profile_meta meta = {
		.title = "test",
		.command = "feed",
		.version = PV_VERSION,
		.host = "viper (Linux)",
		.pythons = "3.12",
		.start_unix_ns = START + at * 10 * NSEC_PER_SEC,
		.duration_ns = 10 * NSEC_PER_SEC,
		.rate_hz = rate_hz,
		.cpu_cnt = 2,
	};
	char name[32];
	int err = profile ? 0 : -ENOMEM;

	for (uint32_t pid = 1; pid <= 3 && !err; pid++) {
		const struct profile_track row = { pid,
			                           pid,
			                           string(profile, "python3 secret.py"),
			                           string(profile, "MainThread"),
			                           1,
			                           1 };

		label(profile, pid, "service", pid < 3 ? "web" : "batch");
		label(profile, pid, "comm", "python3");
		for (unsigned int i = 0; i < 3 && !err; i++) {
			struct profile_frame frame = { string(profile, "work"),
				                       string(profile, "/srv/app.py"),
				                       (int32_t)(i + 1), 1, PROFILE_FRAME_PYTHON };

			snprintf(name, sizeof(name), "step_%u", at);
			if (!i)
				frame.name = string(profile, name);
			err = profile__add(profile, profile__track(profile, &row),
			                   profile__stack(profile, PROFILE_ROOT,
			                                  profile__frame(profile, &frame)),
			                   1 + (at * 7 + pid * 3 + i) % 11);
		}
	}
	if (!err) {
		profile__set_meta(profile, &meta);
		err = store__append(store, profile);
	}
	profile__free(profile);
	return err;
}

static int feed(struct store *store, const char *rates)
{
	const char *at = rates;
	char line[16];
	int64_t last;
	int err = store__last_id(store, &last);

	while (!err && fgets(line, sizeof(line), stdin)) {
		char *end;
		uint32_t rate_hz = (uint32_t)strtoul(at, &end, 10);

		at = *end ? end + 1 : rates;
		err = add_bucket(store, (unsigned int)last++, rate_hz);
	}
	return err;
}

static void print_stats(struct exporter *exporter)
{
	struct exporter_stats stats;

	exporter__stats(exporter, &stats);
	printf("{\"queued\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"requests\": %" PRIu64
	       ", \"bytes\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"refused\": %" PRIu64
	       ", \"dropped\": %" PRIu64 ", \"items\": %" PRIu64 ", \"problem\": %d}\n",
	       stats.queued_samples, stats.sent_samples, stats.sent_requests, stats.sent_bytes,
	       stats.failed_attempts, stats.refused_samples, stats.dropped_samples,
	       stats.queue_items, stats.problem[0] != '\0');
}

int main(int argc, char **argv)
{
	const struct store_opts store_opts = { (uid_t)-1, (gid_t)-1, 0600, 0, false };
	struct exporter_opts opts = {
		.http = { .version = PV_VERSION, .timeout_ms = 2000 },
		.host = "viper",
		.every_ns = 50 * NSEC_PER_MSEC,
		.retry_ns = 5 * NSEC_PER_MSEC,
	};
	struct exporter *exporter;
	struct store *store;
	char what[256];
	int err;

	if (argc < 7)
		return 2;
	opts.store = argv[1];
	opts.queue_dir = argv[2];
	opts.writer = export_writer_by_name(argv[3]);
	opts.http.url = argv[4];
	opts.queue_bytes = strtoull(argv[5], NULL, 10);
	for (int i = 7; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value++)
			return 2;
		if (!strncmp(argv[i], "token=", 6))
			opts.http.token_file = value;
		if (!strncmp(argv[i], "headers=", 8))
			opts.http.headers_file = value;
		if (!strncmp(argv[i], "ca=", 3))
			opts.http.ca_file = value;
		if (!strncmp(argv[i], "cert=", 5))
			opts.http.cert_file = value;
	}
	store = store__open(argv[1], &store_opts, what, sizeof(what));
	exporter = store && opts.writer ? exporter__new(&opts, what, sizeof(what)) : NULL;
	if (!exporter || exporter__start(exporter)) {
		fprintf(stderr, "%s\n", what);
		return 1;
	}
	err = feed(store, argv[6]);
	exporter__stop(exporter, 20 * NSEC_PER_SEC);
	print_stats(exporter);
	exporter__free(exporter);
	store__close(store);
	return err ? 1 : 0;
}
