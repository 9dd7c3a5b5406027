// SPDX-License-Identifier: Apache-2.0
/*
 * Docker:      config.v2.json of the container (moby: container.Container)
 * containerd:  the OCI bundle's config.json, annotations of its CRI plugin (pkg/cri/annotations)
 * CRI-O:       the same with its own annotations (pkg/annotations)
 * Podman:      the list of containers of containers/storage
 */
#include "proc/container.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/file.h"

#define JSON_DEPTH_MAX 32

typedef int (*container_parse_fn)(struct json_object *json, const char *id,
                                  struct container_names *names);

/* A member of an object, however deep: each of @path. NULL: not there, or not such an object. */
static struct json_object *member(struct json_object *json, const char *const *path)
{
	for (; *path; path++)
		if (!json_object_is_type(json, json_type_object) ||
		    !json_object_object_get_ex(json, *path, &json))
			return NULL;
	return json;
}

#define MEMBER(json, ...) member(json, (const char *const[]){ __VA_ARGS__, NULL })

/* Take a text if there is one and none yet. */
static void take(char *out, struct json_object *json)
{
	int len;

	if (*out || !json_object_is_type(json, json_type_string))
		return;
	len = json_object_get_string_len(json);
	if (len > 0 && len <= CONTAINER_TEXT_MAX)
		memcpy(out, json_object_get_string(json), (size_t)len + 1);
}

/* What a kubelet has Docker and CRI-O write down. */
static void take_kubernetes(struct json_object *labels, struct container_names *names)
{
	take(names->name, MEMBER(labels, "io.kubernetes.container.name"));
	take(names->pod, MEMBER(labels, "io.kubernetes.pod.name"));
	take(names->pod_namespace, MEMBER(labels, "io.kubernetes.pod.namespace"));
}

static int parse_docker(struct json_object *json, const char *id, struct container_names *names)
{
	(void)id;
	take_kubernetes(MEMBER(json, "Config", "Labels"), names);
	take(names->image, MEMBER(json, "Config", "Image"));
	take(names->name, MEMBER(json, "Name"));
	if (names->name[0] == '/')
		memmove(names->name, names->name + 1, strlen(names->name));
	return 0;
}

static int parse_bundle(struct json_object *json, const char *id, struct container_names *names)
{
	struct json_object *notes = MEMBER(json, "annotations");

	(void)id;
	take_kubernetes(notes, names);
	take(names->name, MEMBER(notes, "io.kubernetes.cri.container-name"));
	take(names->pod, MEMBER(notes, "io.kubernetes.cri.sandbox-name"));
	take(names->pod_namespace, MEMBER(notes, "io.kubernetes.cri.sandbox-namespace"));
	take(names->image, MEMBER(notes, "io.kubernetes.cri.image-name"));
	take(names->image, MEMBER(notes, "io.kubernetes.cri-o.ImageName"));
	return names->name[0] || names->image[0] ? 0 : -ENOENT;
}

static int parse_storage(struct json_object *json, const char *id, struct container_names *names)
{
	size_t cnt =
		json_object_is_type(json, json_type_array) ? json_object_array_length(json) : 0;

	for (size_t i = 0; i < cnt; i++) {
		struct json_object *row = json_object_array_get_idx(json, i), *more;
		struct json_object *own = MEMBER(row, "id");

		if (!json_object_is_type(own, json_type_string) ||
		    strcmp(json_object_get_string(own), id) != 0)
			continue;
		/* a document within a string */
		more = MEMBER(row, "metadata");
		more = json_object_is_type(more, json_type_string)
		               ? json_tokener_parse(json_object_get_string(more))
		               : NULL;
		take(names->image, MEMBER(more, "image-name"));
		take(names->name, MEMBER(more, "name"));
		json_object_put(more);
		more = MEMBER(row, "names");
		if (json_object_is_type(more, json_type_array))
			take(names->name, json_object_array_get_idx(more, 0));
		return 0;
	}
	return -ENOENT;
}

static int parse_file(const char *path, container_parse_fn parse, const char *id,
                      struct container_names *names)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	struct json_object *json = NULL;
	struct buf text = { 0 };
	int err = tokener ? file_read(path, CONTAINER_FILE_MAX, &text) : -ENOMEM;

	if (!err) {
		json = json_tokener_parse_ex(tokener, buf_str(&text), (int)text.len);
		err = json ? parse(json, id, names) : -EPROTO;
	}
	json_object_put(json);
	if (tokener)
		json_tokener_free(tokener);
	buf_free(&text);
	return err;
}

#define ENGINE(engine) (1u << (engine))
#define K8S_OR_ANY     (ENGINE(CGROUP_CONTAINERD) | ENGINE(CGROUP_OTHER))
#define STORAGE        (ENGINE(CGROUP_CRIO) | ENGINE(CGROUP_PODMAN) | ENGINE(CGROUP_OTHER))
#define SHIM           "/run/containerd/io.containerd.runtime.v2.task/"
#define K3S_SHIM       "/run/k3s/containerd/io.containerd.runtime.v2.task/"
#define OVERLAYS       "/storage/overlay-containers/"

/* Where to look: before + id + after, or, without an after, the file itself. */
static const struct {
	unsigned int engines;
	const char *before, *after;
	container_parse_fn parse;
} places[] = {
	{ ENGINE(CGROUP_DOCKER) | ENGINE(CGROUP_OTHER), "/var/lib/docker/containers/",
	  "/config.v2.json", parse_docker },
	{ K8S_OR_ANY, SHIM "k8s.io/", "/config.json", parse_bundle },
	{ K8S_OR_ANY, K3S_SHIM "k8s.io/", "/config.json", parse_bundle },
	{ STORAGE, "/run/containers" OVERLAYS, "/userdata/config.json", parse_bundle },
	{ STORAGE, "/var/lib/containers" OVERLAYS, "/userdata/config.json", parse_bundle },
	{ STORAGE, "/var/lib/containers" OVERLAYS "containers.json", NULL, parse_storage },
};

int container_names_read(const char *root, const struct cgroup_place *place,
                         struct container_names *names)
{
	const char *id = place->container;
	int ret = -ENOENT;

	*names = (struct container_names){ 0 };
	/* An id, not a name of somebody's choice, becomes part of a path. */
	if (!*id || id[strspn(id, "0123456789abcdef-")])
		return -ENOENT;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *after = places[i].after;
		char path[PATH_MAX];
		int len, err;

		if (!(places[i].engines & ENGINE(place->engine)))
			continue;
		len = snprintf(path, sizeof(path), "%s%s%s%s", root, places[i].before,
		               after ? id : "", after ? after : "");
		if (len < 0 || (size_t)len >= sizeof(path))
			return -ENAMETOOLONG;
		err = parse_file(path, places[i].parse, id, names);
		if (!err)
			return 0;
		if (err != -ENOENT && err != -ENOTDIR)
			ret = err;
	}
	return ret;
}
