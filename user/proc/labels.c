// SPDX-License-Identifier: Apache-2.0
#include "proc/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proc/cgroup.h"
#include "proc/container.h"
#include "util/hmap.h"

struct known {
	struct cgroup_place place;
	struct container_names names;
};

struct labels {
	const struct service_rules *rules;
	struct service_rules *own; /* the default ones */
	char *root;
	struct known *known;
	uint32_t known_cnt;
	struct hmap map; /* of known, by engine and id */
};

static struct service_rules *default_rules(void)
{
	static const char *const words[] = { SERVICE_DEFAULT };
	struct service_rules *rules = service_rules__new();
	char why[128];

	for (size_t i = 0; rules && i < sizeof(words) / sizeof(words[0]); i++) {
		if (service_rules__add(rules, words[i], why, sizeof(why))) {
			service_rules__free(rules);
			errno = ENOMEM;
			return NULL;
		}
	}
	return rules;
}

struct labels *labels__new(const struct service_rules *rules, const char *root)
{
	struct labels *labels = calloc(1, sizeof(*labels));

	if (!labels)
		return NULL;
	labels->root = strdup(root);
	labels->known = calloc(LABELS_CONTAINERS_MAX, sizeof(*labels->known));
	if (!rules)
		labels->own = default_rules();
	labels->rules = rules ? rules : labels->own;
	if (!labels->root || !labels->known || !labels->rules) {
		labels__free(labels);
		errno = ENOMEM;
		return NULL;
	}
	return labels;
}

void labels__free(struct labels *labels)
{
	if (!labels)
		return;
	service_rules__free(labels->own);
	free(labels->root);
	free(labels->known);
	hmap_free(&labels->map);
	free(labels);
}

struct known_key {
	const struct labels *labels;
	const struct cgroup_place *place;
};

static bool known_eq(const void *ctx, uint32_t index)
{
	const struct known_key *key = ctx;
	const struct cgroup_place *place = &key->labels->known[index].place;

	return place->engine == key->place->engine &&
	       !strcmp(place->container, key->place->container);
}

/*
 * The names of @place's container, read when it is met first. That nothing was found is kept too:
 * the engine writes before it starts the container.
 */
static int names_of(struct labels *labels, const struct cgroup_place *place,
                    struct container_names *names)
{
	struct known_key key = { labels, place };
	uint64_t hash = hash_bytes(place->container, strlen(place->container), place->engine);
	uint32_t index = hmap_find(&labels->map, hash, known_eq, &key);
	int err;

	if (index != HMAP_NONE) {
		*names = labels->known[index].names;
		return 0;
	}
	err = container_names_read(labels->root, place, names);
	if (err == -ENOMEM)
		return err;
	if (labels->known_cnt == LABELS_CONTAINERS_MAX) {
		hmap_free(&labels->map);
		labels->map = (struct hmap){ 0 };
		labels->known_cnt = 0;
	}
	labels->known[labels->known_cnt] = (struct known){ *place, *names };
	err = hmap_add(&labels->map, hash, labels->known_cnt);
	labels->known_cnt += !err;
	return err;
}

int labels__read(struct labels *labels, pid_t pid, labels_fn fn, void *ctx)
{
	struct container_names names = { 0 };
	struct buf path = { 0 }, service = { 0 };
	struct cgroup_place place = { 0 };
	int ret = cgroup_read(pid, &path);

	if (!ret)
		cgroup_parse(buf_str(&path), path.len, &place);
	if (!ret && place.container[0])
		ret = names_of(labels, &place, &names);
	if (!ret) {
		const struct service_facts facts = { pid, names.name, names.pod, place.unit };

		ret = service_rules__name(labels->rules, &facts, &service);
	}
	if (!ret) {
		const char *const pairs[][2] = {
			{ LABEL_CGROUP, buf_str(&path) },
			{ LABEL_CONTAINER, place.container },
			{ LABEL_ENGINE, cgroup_engine_name(place.engine) },
			{ LABEL_CONTAINER_NAME, names.name },
			{ LABEL_IMAGE, names.image },
			{ LABEL_POD_UID, place.pod },
			{ LABEL_POD, names.pod },
			{ LABEL_NAMESPACE, names.pod_namespace },
			{ LABEL_UNIT, place.unit },
			{ LABEL_SERVICE, buf_str(&service) },
		};

		for (size_t i = 0; !ret && i < sizeof(pairs) / sizeof(pairs[0]); i++)
			if (*pairs[i][1])
				ret = fn(ctx, pairs[i][0], pairs[i][1], strlen(pairs[i][1]));
	}
	buf_free(&path);
	buf_free(&service);
	return ret;
}
