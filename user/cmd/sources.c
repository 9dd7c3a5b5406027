// SPDX-License-Identifier: Apache-2.0
#include "cmd/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"
#include "util/log.h"

#define WHAT_LEN 4608
#define TIME_LEN 48

static enum exit_code exit_of(int err)
{
	switch (err) {
	case -EACCES:
	case -EPERM:
		return EXIT_NOT_PERMITTED;
	case -ENOMEM:
		return EXIT_INTERNAL;
	}
	return EXIT_STORE;
}

enum exit_code sources_open(struct sources *sources, const char *const *paths, size_t cnt)
{
	*sources = (struct sources){ .stores = calloc(cnt + 1, sizeof(struct store *)) };
	if (!sources->stores) {
		log_error("out of memory");
		return EXIT_INTERNAL;
	}
	for (size_t i = 0; i < cnt; i++) {
		char what[WHAT_LEN] = "";

		sources->stores[i] = store__open_read(paths[i], what, sizeof(what));
		if (!sources->stores[i]) {
			int err = -errno;

			log_error("%s", what);
			return exit_of(err);
		}
		sources->cnt++;
	}
	return EXIT_OK;
}

void sources_close(struct sources *sources)
{
	for (size_t i = 0; i < sources->cnt; i++)
		store__close(sources->stores[i]);
	free(sources->stores);
	*sources = (struct sources){ 0 };
}

/* What reading @store failed with, in words. */
static enum exit_code say_failed(const struct store *store, int err)
{
	const char *path = store ? store__path(store) : "the store";

	switch (err) {
	case -EUCLEAN:
	case -ETIME:
		log_error("%s is damaged: what it says cannot be", path);
		break;
	case -EFBIG:
		log_error("too much at once: more than %u distinct stacks by thread, or %u "
		          "buckets; ask for a shorter time",
		          STORE_VALUE_MAX, STORE_BUCKET_MAX);
		break;
	default:
		log_error("cannot read %s: %s", path, strerror(-err));
	}
	return exit_of(err);
}

enum exit_code sources_range(const struct sources *sources, uint64_t *first_ns, uint64_t *last_ns)
{
	*first_ns = UINT64_MAX;
	*last_ns = 0;
	for (size_t i = 0; i < sources->cnt; i++) {
		uint64_t first, last;
		int got = store__range(sources->stores[i], &first, &last);

		if (got < 0)
			return say_failed(sources->stores[i], got);
		if (!got)
			continue;
		*first_ns = first < *first_ns ? first : *first_ns;
		*last_ns = last > *last_ns ? last : *last_ns;
	}
	if (*last_ns)
		return EXIT_OK;
	log_error("%s is empty: nothing has been stored yet",
	          sources->cnt == 1 ? store__path(sources->stores[0]) : "every one of the files");
	return EXIT_NOTHING;
}

static const char *local_time(uint64_t ns, char *text)
{
	time_t sec = (time_t)(ns / NSEC_PER_SEC);
	struct tm tm;

	if (!localtime_r(&sec, &tm) || !strftime(text, TIME_LEN, "%Y-%m-%d %H:%M:%S", &tm))
		*text = '\0';
	return text;
}

static enum exit_code say_nothing(const struct sources *sources, uint64_t from_ns, uint64_t to_ns)
{
	char from[TIME_LEN], to[TIME_LEN], first[TIME_LEN], last[TIME_LEN];
	uint64_t first_ns, last_ns;
	enum exit_code code = sources_range(sources, &first_ns, &last_ns);

	if (code)
		return code;
	local_time(first_ns, first);
	local_time(last_ns, last);
	if (to_ns == UINT64_MAX)
		log_error("nothing is stored since %s; there is something from %s to %s",
		          local_time(from_ns, from), first, last);
	else
		log_error("nothing is stored between %s and %s; there is something from %s to %s",
		          local_time(from_ns, from), local_time(to_ns, to), first, last);
	return EXIT_NOTHING;
}

enum exit_code sources_draw(const struct sources *sources, uint64_t from_ns, uint64_t to_ns,
                            const struct select *select, struct drawn *drawn)
{
	*drawn = (struct drawn){ .query = store_query__new(from_ns, to_ns) };
	if (!drawn->query)
		return say_failed(NULL, -ENOMEM);
	for (size_t i = 0; i < sources->cnt; i++) {
		int err = store_query__add(drawn->query, sources->stores[i]);

		if (err)
			return say_failed(sources->stores[i], err);
	}
	store_query__info(drawn->query, &drawn->info);
	if (!drawn->info.bucket_cnt)
		return say_nothing(sources, from_ns, to_ns);
	drawn->profile = store_query__profile(drawn->query);
	if (!drawn->profile)
		return say_failed(sources->cnt == 1 ? sources->stores[0] : NULL, -errno);
	if (!select)
		return EXIT_OK;
	drawn->selected = select__apply(select, drawn->profile);
	if (!drawn->selected)
		return say_failed(NULL, -errno);
	drawn->profile = drawn->selected;
	return EXIT_OK;
}

void drawn_free(struct drawn *drawn)
{
	profile__free(drawn->selected);
	store_query__free(drawn->query);
	*drawn = (struct drawn){ 0 };
}
