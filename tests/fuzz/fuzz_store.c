// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a store: a sound one with some bytes changed, one with these bytes for its samples and
 * points, or the whole file. It is read as report reads it, and opened by a writer, who must be able to
 * go on: with it or with a new one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"
#include "util/file.h"
#include "util/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX (4 << 20)

static char dir[64], path[96];
static struct buf sound;

static void remove_all(void)
{
	DIR *handle = opendir(dir);
	struct dirent *entry;

	while (handle && (entry = readdir(handle)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(handle), entry->d_name, 0);
	if (handle)
		closedir(handle);
}

static void leave(void)
{
	remove_all();
	rmdir(dir);
}

static uint32_t string(struct profile *profile, const char *s)
{
	return profile__string(profile, s, strlen(s));
}

static struct profile *some_profile(unsigned int seed)
{
	struct profile_meta meta = { .start_unix_ns = 1790000000000000000ull + seed * 1000,
		                     .duration_ns = 1000,
		                     .rate_hz = seed % 3 ? 99 : 19,
		                     .cpu_cnt = 2,
		                     .tick_cnt = 40,
		                     .outcome_cnt = 2,
		                     .event_cnt = 1,
		                     .outcomes = { { "IDLE", "idle", "", 30 },
		                                   { "COMPLETE", "complete", "", 10 } },
		                     .events = { { "MENDED", "mended", "", 3 } } };
	struct profile *profile = profile__new();

	for (unsigned int i = 0; profile && i < 8; i++) {
		const struct profile_track row = {
			i % 3, i, string(profile, "python a.py"), string(profile, "main"), i % 3, i
		};
		struct profile_point point = { .time_ns = i };
		struct profile_label label = { i % 3, i % 3, string(profile, "cgroup"),
			                       string(profile, "/a"), 0 };

		point.track = profile__track(profile, &row);
		for (unsigned int depth = 0; depth <= i; depth++) {
			const struct profile_frame frame = { string(profile, "f"),
				                             string(profile, "a.py"),
				                             (int32_t)(depth * seed + i), 1,
				                             PROFILE_FRAME_PYTHON };

			point.stack = profile__stack(profile, point.stack,
			                             profile__frame(profile, &frame));
		}
		profile__add(profile, point.track, point.stack, 1);
		profile__add_point(profile, &point);
		profile__set_label(profile, &label);
	}
	if (profile)
		profile__set_meta(profile, &meta);
	return profile;
}

static int write_to(unsigned int from, unsigned int to)
{
	const struct store_opts opts = { .uid = -1, .gid = -1, .mode = 0600, .single = true };
	const struct profile_meta head = { .title = "t" };
	char what[256];
	struct store *store = store__open(path, &opts, what, sizeof(what));
	int err = store ? store__begin(store, &head) : -errno;

	for (unsigned int i = from; !err && i < to; i++) {
		struct profile *profile = some_profile(i);

		err = profile ? store__append(store, profile) : -ENOMEM;
		profile__free(profile);
	}
	if (store && from)
		store__keep(store, &(struct store_policy){ .max_age_ns = 2000, .minute_age_ns = 1 },
		            1790000000000004000ull);
	store__close(store);
	return err;
}

static void set_up(void)
{
	snprintf(dir, sizeof(dir), "%s/fuzz-store-XXXXXX",
	         access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/a.pv", dir);
	atexit(leave);
	log_set_level(LOG_ERROR);
	if (write_to(0, 6) || file_read(path, FILE_MAX, &sound))
		abort();
}

static void put_file(const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

/* Five bytes each: where, as a part of the file, how, and what. */
static void put_changed(const uint8_t *data, size_t size)
{
	char *copy = malloc(sound.len);

	if (!copy)
		return;
	memcpy(copy, sound.data, sound.len);
	for (; size >= 5; data += 5, size -= 5) {
		size_t at = ((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % sound.len;

		copy[at] = (char)(data[3] & 1 ? copy[at] ^ data[4] : data[4]);
		if (data[3] & 2)
			copy[(at + 1) % sound.len] = (char)data[3];
	}
	put_file(copy, sound.len);
	free(copy);
}

static void put_rows(const uint8_t *data, size_t size)
{
	static const char *const texts[] = { "UPDATE sample SET data = ?",
		                             "UPDATE point SET data = ?",
		                             "UPDATE string SET text = ? WHERE id = 3" };
	sqlite3_stmt *stmt = NULL;
	sqlite3 *sql = NULL;

	put_file(sound.data, sound.len);
	if (sqlite3_open(path, &sql) == SQLITE_OK &&
	    sqlite3_prepare_v2(sql, texts[size % 3], -1, &stmt, NULL) == SQLITE_OK) {
		sqlite3_bind_blob(stmt, 1, data, (int)size, SQLITE_STATIC);
		sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	sqlite3_close(sql);
}

/* What was read can be walked from every leaf to the root. */
static void walk(struct profile *profile)
{
	size_t cnt;
	const struct profile_value *values = profile__values(profile, &cnt);

	for (size_t i = 0; i < cnt; i++) {
		uint32_t at = values[i].stack;

		if (values[i].track >= profile__track_cnt(profile))
			abort();
		for (; at != PROFILE_ROOT; at = profile__stack_parent(profile, at))
			if (at >= profile__stack_cnt(profile) ||
			    profile__stack_parent(profile, at) >= at)
				abort();
	}
}

static void read_it(void)
{
	struct store_query *query = store_query__new(0, UINT64_MAX);
	char what[256] = "";
	struct store *store = store__open_read(path, what, sizeof(what));
	struct profile *profile;
	uint64_t first_ns, last_ns;

	if (!store && !*what)
		abort();
	if (store && query) {
		store__range(store, &first_ns, &last_ns);
		if (!store_query__add(query, store)) {
			profile = store_query__profile(query);
			if (profile)
				walk(profile);
		}
	}
	store_query__free(query);
	store__close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dir[0])
		set_up();
	if (size < 1)
		return 0;
	if (data[0] % 8 < 4)
		put_changed(data + 1, size - 1);
	else if (data[0] % 8 < 7)
		put_rows(data + 1, size - 1);
	else
		put_file(data + 1, size - 1);
	read_it();
	if (data[0] & 16 && write_to(7, 9) == -EUCLEAN && write_to(7, 9) == -EUCLEAN)
		abort();
	remove_all();
	return 0;
}
