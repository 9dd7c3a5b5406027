// SPDX-License-Identifier: Apache-2.0
/* query.c - buckets of one or several stores as one profile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/codec.h"
#include "store/fetch.h"
#include "store/inside.h"
#include "util/pool.h"

#define RATE_MAX  10000   /* beyond what any pitviper samples at */
#define UNIT_MAX  1000000 /* units of a second that weighted samples are counted in */
#define STORE_MAX 4096

struct bucket {
	int64_t id;
	int64_t run;
	uint64_t start_ns;
	uint64_t span_ns;
	uint32_t rate_hz;
	uint32_t cpu_cnt;
	uint64_t tick_cnt;
	uint32_t store; /* index */
};

struct store_query {
	enum db_stmt
		which; /* DB_BUCKET_IN from_ns to_ns, DB_BUCKET_AFTER a bucket at most so many */
	int64_t args[2];
	struct store **stores;
	uint32_t store_cnt;
	struct bucket *buckets; /* by store, then by time */
	uint32_t bucket_cnt;
	uint32_t bucket_cap;
	uint32_t rate_hz; /* of the first bucket; of all, unless weighted */
	bool weighted;
	struct store_info info;
	struct profile *profile;
	struct profile_meta meta;
	struct pool texts; /* of meta */
	uint32_t run_cnt;
};

/* One bucket on its way into the profile. */
struct load {
	struct store_query *query;
	struct fetch fetch;
	const struct bucket *bucket;
	bool points;                    /* so far every sample has its point */
	uint64_t sample_cnt, point_cnt; /* of the bucket */
};

struct store_query *store_query__new(uint64_t from_ns, uint64_t to_ns)
{
	struct store_query *query = calloc(1, sizeof(*query));

	if (!query)
		return NULL;
	query->which = DB_BUCKET_IN;
	query->args[0] = (int64_t)from_ns;
	query->args[1] = to_ns < INT64_MAX ? (int64_t)to_ns : INT64_MAX;
	return query;
}

struct store_query *store_query__new_after(int64_t after, uint32_t max)
{
	struct store_query *query = calloc(1, sizeof(*query));

	if (!query)
		return NULL;
	query->which = DB_BUCKET_AFTER;
	query->args[0] = after;
	query->args[1] = max;
	return query;
}

void store_query__free(struct store_query *query)
{
	if (!query)
		return;
	for (uint32_t i = 0; i < query->store_cnt; i++)
		db_rollback(&query->stores[i]->db);
	free(query->stores);
	free(query->buckets);
	profile__free(query->profile);
	pool_free(&query->texts);
	free(query);
}

static int bucket_add(struct store_query *query, const struct bucket *bucket)
{
	struct store_info *info = &query->info;

	if (query->bucket_cnt == STORE_BUCKET_MAX)
		return -EFBIG;
	if (query->bucket_cnt == query->bucket_cap) {
		uint32_t cap = query->bucket_cap ? query->bucket_cap * 2 : 64;
		struct bucket *buckets = realloc(query->buckets, cap * sizeof(*buckets));

		if (!buckets)
			return -ENOMEM;
		query->buckets = buckets;
		query->bucket_cap = cap;
	}
	query->buckets[query->bucket_cnt++] = *bucket;
	if (!query->rate_hz)
		query->rate_hz = bucket->rate_hz;
	if (query->rate_hz != bucket->rate_hz)
		query->weighted = true;
	if (!info->bucket_cnt++ || bucket->start_ns < info->first_ns)
		info->first_ns = bucket->start_ns;
	if (bucket->id > info->last_id)
		info->last_id = bucket->id;
	if (bucket->start_ns + bucket->span_ns > info->last_ns)
		info->last_ns = bucket->start_ns + bucket->span_ns;
	info->weighted = query->weighted;
	return 0;
}

/* False: what can't be is damage. */
static bool bucket_read(sqlite3_stmt *stmt, struct bucket *bucket)
{
	int64_t span_ns = sqlite3_column_int64(stmt, 3), rate_hz = sqlite3_column_int64(stmt, 4);
	int64_t cpu_cnt = sqlite3_column_int64(stmt, 5), tick_cnt = sqlite3_column_int64(stmt, 6);

	bucket->id = sqlite3_column_int64(stmt, 0);
	bucket->run = sqlite3_column_int64(stmt, 1);
	bucket->start_ns = (uint64_t)sqlite3_column_int64(stmt, 2);
	bucket->span_ns = (uint64_t)span_ns;
	bucket->rate_hz = (uint32_t)rate_hz;
	bucket->cpu_cnt = (uint32_t)cpu_cnt;
	bucket->tick_cnt = (uint64_t)tick_cnt;
	return span_ns >= 0 && rate_hz > 0 && rate_hz <= RATE_MAX && cpu_cnt >= 0 &&
	       cpu_cnt <= INT32_MAX && tick_cnt >= 0;
}

int store_query__add(struct store_query *query, struct store *store)
{
	struct store **stores;
	sqlite3_stmt *stmt;
	uint32_t before = query->bucket_cnt;
	int got, err = query->store_cnt < STORE_MAX ? 0 : -EFBIG;

	stores = realloc(query->stores, (query->store_cnt + 1) * sizeof(struct store *));
	if (!stores)
		return -ENOMEM;
	query->stores = stores;
	/* Of two queries of one store both show the moment of the first. */
	if (!err && sqlite3_get_autocommit(store->db.sql))
		err = db_exec(&store->db, "BEGIN");
	if (err)
		return err;
	query->stores[query->store_cnt++] = store;
	stmt = db_bind(&store->db, query->which, query->args, 2);
	while (!err && (got = db_step(&store->db, stmt)) != 0) {
		struct bucket bucket = { .store = query->store_cnt - 1 };

		if (got < 0)
			return got;
		err = bucket_read(stmt, &bucket) ? bucket_add(query, &bucket) : -EUCLEAN;
	}
	if (err)
		sqlite3_reset(stmt);
	query->info.store_cnt += query->bucket_cnt > before;
	return err;
}

void store_query__info(const struct store_query *query, struct store_info *info)
{
	*info = query->info;
}

static const char *keep(struct store_query *query, const void *text, size_t len, int *err)
{
	uint32_t id = pool_intern(&query->texts, len ? text : "", len);

	if (id == HMAP_NONE) {
		*err = -ENOMEM;
		return "";
	}
	return pool_get(&query->texts, id, NULL);
}

static const char *keep_column(struct store_query *query, sqlite3_stmt *stmt, int at, int *err)
{
	const void *text = sqlite3_column_text(stmt, at);

	return keep(query, text, (size_t)sqlite3_column_bytes(stmt, at), err);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* The unit of all samples: so many a second. Each rate divides it, or it is as fine as a microsecond. */
static uint32_t unit_hz(const struct store_query *query)
{
	uint64_t unit = query->rate_hz;

	for (uint32_t i = 0; i < query->bucket_cnt && unit < UNIT_MAX; i++)
		unit = unit / common_divisor(unit, query->buckets[i].rate_hz) *
		       query->buckets[i].rate_hz;
	return unit < UNIT_MAX ? (uint32_t)unit : query->weighted ? UNIT_MAX : query->rate_hz;
}

static int on_value(void *ctx, const struct codec_value *value)
{
	struct load *load = ctx;
	struct profile *profile = load->query->profile;
	uint64_t unit = load->query->meta.rate_hz, rate = load->bucket->rate_hz;
	uint32_t track, stack;
	size_t value_cnt;
	int err = fetch_track(&load->fetch, value->thread, &track);

	if (!err)
		err = fetch_stack(&load->fetch, value->stack, &stack);
	if (err)
		return err;
	profile__values(profile, &value_cnt);
	if (value_cnt >= STORE_VALUE_MAX)
		return -EFBIG;
	if (value->cnt > INT64_MAX / UNIT_MAX)
		return -EUCLEAN;
	load->sample_cnt += value->cnt;
	return profile__add(profile, track, stack, (value->cnt * unit + rate / 2) / rate);
}

static int on_point(void *ctx, const struct codec_point *point)
{
	struct load *load = ctx;
	struct profile_point out = {
		.time_ns = load->bucket->start_ns - load->query->info.first_ns + point->time_ns,
	};
	int err = fetch_track(&load->fetch, point->thread, &out.track);

	if (!err)
		err = fetch_stack(&load->fetch, point->stack, &out.stack);
	if (err)
		return err;
	if (++load->point_cnt > STORE_VALUE_MAX)
		return -EFBIG;
	return profile__add_point(load->query->profile, &out);
}

static int load_samples(struct load *load, struct store *store)
{
	sqlite3_stmt *stmt = db_bind(&store->db, DB_SAMPLE_GET, &load->bucket->id, 1);
	int got = db_step(&store->db, stmt), err;

	load->sample_cnt = load->point_cnt = 0;
	if (got <= 0)
		return got;
	err = codec_each_value(sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1),
	                       on_value, load);
	sqlite3_reset(stmt);
	return err;
}

static int load_points(struct load *load, struct store *store)
{
	sqlite3_stmt *stmt;
	int got, err = 0;

	if (!load->points)
		return 0;
	stmt = db_bind(&store->db, DB_POINT_GET, &load->bucket->id, 1);
	got = db_step(&store->db, stmt);
	if (got < 0)
		return got;
	if (got) {
		err = codec_each_point(sqlite3_column_blob(stmt, 0),
		                       (size_t)sqlite3_column_bytes(stmt, 0), on_point, load);
		sqlite3_reset(stmt);
	}
	/* Half a time line would misstate the totals. */
	if (!err && load->point_cnt != load->sample_cnt) {
		load->points = false;
		profile__drop_points(load->query->profile);
	}
	return err;
}

/* The row of @rows that is called @name, made if it is new; NULL: too many. */
static struct profile_ledger_row *row_of(struct profile_ledger_row *rows, uint32_t *cnt,
                                         const char *name)
{
	for (uint32_t i = 0; i < *cnt; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	if (*cnt == PROFILE_LEDGER_MAX)
		return NULL;
	rows[*cnt] = (struct profile_ledger_row){ .name = name };
	return &rows[(*cnt)++];
}

/* The counters of @store as rows of the meta data, by id. */
static int load_counters(struct store_query *query, struct store *store, struct idmap *counters)
{
	struct profile_meta *meta = &query->meta;
	sqlite3_stmt *stmt = db_bind(&store->db, DB_COUNTER_GET, NULL, 0);
	int got, err = 0;

	while (!err && (got = db_step(&store->db, stmt)) != 0) {
		struct profile_ledger_row *row;
		bool event;

		if (got < 0)
			return got;
		event = sqlite3_column_int(stmt, 1);
		row = row_of(event ? meta->events : meta->outcomes,
		             event ? &meta->event_cnt : &meta->outcome_cnt,
		             keep_column(query, stmt, 2, &err));
		if (!row) {
			err = -EUCLEAN;
			break;
		}
		row->label = keep_column(query, stmt, 3, &err);
		row->meaning = keep_column(query, stmt, 4, &err);
		if (!err)
			err = idmap_add(counters, sqlite3_column_int64(stmt, 0),
			                event ? (uint32_t)(row - meta->events) + PROFILE_LEDGER_MAX
			                      : (uint32_t)(row - meta->outcomes));
	}
	if (err && stmt)
		sqlite3_reset(stmt);
	return err;
}

static int load_ledger(struct store_query *query, struct store *store, const struct bucket *bucket,
                       const struct idmap *counters)
{
	struct profile_meta *meta = &query->meta;
	sqlite3_stmt *stmt = db_bind(&store->db, DB_LEDGER_IN, &bucket->id, 1);
	int got;

	meta->tick_cnt += bucket->tick_cnt;
	while ((got = db_step(&store->db, stmt)) > 0) {
		uint32_t at = idmap_get(counters, sqlite3_column_int64(stmt, 0));
		uint64_t cnt = (uint64_t)sqlite3_column_int64(stmt, 1);

		if (at == HMAP_NONE) {
			sqlite3_reset(stmt);
			return -EUCLEAN;
		}
		if (at < PROFILE_LEDGER_MAX)
			meta->outcomes[at].count += cnt;
		else
			meta->events[at - PROFILE_LEDGER_MAX].count += cnt;
	}
	return got;
}

/* Does @list ("3.8, 3.12") have @item? */
static bool list_has(const char *list, const char *item, size_t len)
{
	for (const char *at = list; *at;) {
		size_t part = strcspn(at, ",");

		if (part == len && !strncmp(at, item, len))
			return true;
		at += part + strspn(at + part, ", ");
	}
	return false;
}

static const char *list_join(struct store_query *query, const char *list, const char *more,
                             int *err)
{
	struct buf out = { 0 };

	buf_puts(&out, list);
	for (const char *at = more; *at;) {
		size_t len = strcspn(at, ",");

		if (!list_has(list, at, len)) {
			if (out.len)
				buf_puts(&out, ", ");
			buf_add(&out, at, len);
		}
		at += len + strspn(at + len, ", ");
	}
	list = keep(query, buf_str(&out), out.len, err);
	if (out.err)
		*err = out.err;
	buf_free(&out);
	return list;
}

static const char *same(struct store_query *query, const char *old, const char *now,
                        const char *other)
{
	return !query->run_cnt || !strcmp(old, now) ? now : other;
}

static int load_run(struct store_query *query, struct store *store, int64_t run)
{
	struct profile_meta *meta = &query->meta;
	sqlite3_stmt *stmt = db_bind(&store->db, DB_RUN_GET, &run, 1);
	int got = db_step(&store->db, stmt), err = 0;

	if (got <= 0)
		return got ? got : -EUCLEAN;
	meta->title =
		same(query, meta->title, keep_column(query, stmt, 0, &err), "several recordings");
	meta->command = same(query, meta->command, keep_column(query, stmt, 1, &err), "");
	meta->version = same(query, meta->version, keep_column(query, stmt, 2, &err), "");
	meta->host = same(query, meta->host, keep_column(query, stmt, 3, &err), "several hosts");
	meta->pythons = list_join(query, query->run_cnt ? meta->pythons : "",
	                          keep_column(query, stmt, 4, &err), &err);
	query->run_cnt++;
	sqlite3_reset(stmt);
	return err;
}

static int load_store(struct store_query *query, uint32_t at, bool *points)
{
	struct store *store = query->stores[at];
	struct load load = {
		.query = query,
		.fetch = { .db = &store->db, .profile = query->profile },
		.points = *points,
	};
	struct idmap counters = { 0 }, runs = { 0 };
	int err = load_counters(query, store, &counters);

	for (uint32_t i = 0; !err && i < query->bucket_cnt; i++) {
		load.bucket = &query->buckets[i];
		if (load.bucket->store != at)
			continue;
		if (idmap_get(&runs, load.bucket->run) == HMAP_NONE) {
			err = load_run(query, store, load.bucket->run);
			if (!err)
				err = idmap_add(&runs, load.bucket->run, 0);
		}
		if (!err)
			err = load_ledger(query, store, load.bucket, &counters);
		if (!err)
			err = load_samples(&load, store);
		if (!err)
			err = load_points(&load, store);
	}
	*points = load.points;
	idmap_free(&counters);
	idmap_free(&runs);
	fetch_free(&load.fetch);
	return err;
}

static int by_time(const void *left, const void *right)
{
	const struct bucket *a = left, *b = right;

	return (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
}

/* The time that any bucket covers. Puts the buckets in order of time. */
static void fill_times(struct store_query *query)
{
	struct profile_meta *meta = &query->meta;
	uint64_t end_ns = 0;

	if (query->bucket_cnt)
		qsort(query->buckets, query->bucket_cnt, sizeof(*query->buckets), by_time);
	meta->start_unix_ns = query->info.first_ns;
	for (uint32_t i = 0; i < query->bucket_cnt; i++) {
		const struct bucket *bucket = &query->buckets[i];
		uint64_t start_ns = bucket->start_ns > end_ns ? bucket->start_ns : end_ns;
		uint64_t last_ns = bucket->start_ns + bucket->span_ns;

		if (last_ns > start_ns) {
			meta->duration_ns += last_ns - start_ns;
			end_ns = last_ns;
		}
		if (bucket->cpu_cnt > meta->cpu_cnt)
			meta->cpu_cnt = bucket->cpu_cnt;
	}
}

struct profile *store_query__profile(struct store_query *query)
{
	bool points = !query->weighted;
	int err = 0;

	if (query->profile)
		return query->profile;
	query->meta = (struct profile_meta){ .rate_hz = unit_hz(query) };
	query->profile = profile__new();
	if (!query->profile)
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < query->store_cnt; i++)
		err = load_store(query, i, &points);
	if (err) {
		profile__free(query->profile);
		query->profile = NULL;
		errno = -err;
		return NULL;
	}
	fill_times(query);
	profile__set_meta(query->profile, &query->meta);
	return query->profile;
}
