// SPDX-License-Identifier: Apache-2.0
/*
 * What the names look like:
 *	docker-ID.scope, cri-containerd-ID.scope, crio-ID.scope, libpod-ID.scope    systemd makes them
 *	/docker/ID, /kubepods/burstable/podUID/ID, /libpod_parent/libpod-ID         cgroupfs
 *	slice:cri-containerd:ID      containerd that was told the wrong one of the two
 *	kubepods-besteffort-podUID.slice, with _ for - in the UID
 */
#include "proc/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/file.h"

#define ID_LEN 64 /* hexadecimal digits of a container's id, everywhere but in Fargate */

struct span {
	const char *at;
	size_t len;
};

static bool span_is(struct span span, const char *s)
{
	return span.len == strlen(s) && !memcmp(span.at, s, span.len);
}

static bool span_cut_start(struct span *span, const char *prefix)
{
	size_t len = strlen(prefix);

	if (span->len < len || memcmp(span->at, prefix, len))
		return false;
	span->at += len;
	span->len -= len;
	return true;
}

static bool span_cut_end(struct span *span, const char *suffix)
{
	size_t len = strlen(suffix);

	if (span->len < len || memcmp(span->at + span->len - len, suffix, len))
		return false;
	span->len -= len;
	return true;
}

static void span_copy(struct span span, char *out, size_t size)
{
	if (span.len >= size)
		return;
	memcpy(out, span.at, span.len);
	out[span.len] = '\0';
}

static size_t span_hex(struct span span)
{
	size_t len = 0;

	while (len < span.len && memchr("0123456789abcdef", span.at[len], 16))
		len++;
	return len;
}

/* 64 hexadecimal digits; of Fargate a task's 32, a dash and up to 20 decimal ones. */
static bool is_id(struct span span)
{
	size_t hex = span_hex(span);

	if (hex == span.len)
		return hex == ID_LEN;
	return hex == 32 && span.at[32] == '-' && span.len > 33 && span.len <= 53 &&
	       span_hex((struct span){ span.at + 33, span.len - 33 }) == span.len - 33;
}

/* What a component is called in front of an id. */
static const struct {
	const char *prefix;
	enum cgroup_engine engine;
} prefixes[] = {
	{ "docker-", CGROUP_DOCKER },
	{ "cri-containerd-", CGROUP_CONTAINERD },
	{ "cri-containerd:", CGROUP_CONTAINERD },
	{ "nerdctl-", CGROUP_CONTAINERD },
	{ "crio-", CGROUP_CRIO },
	{ "libpod-payload-", CGROUP_PODMAN },
	{ "libpod-", CGROUP_PODMAN },
	{ "", CGROUP_OTHER },
};

static bool parse_id(struct span name, struct span parent, struct cgroup_place *place)
{
	const char *colon = memrchr(name.at, ':', name.len);

	span_cut_end(&name, ".scope");
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct span id = name;
		enum cgroup_engine engine = prefixes[i].engine;

		if (!span_cut_start(&id, prefixes[i].prefix) || !is_id(id))
			continue;
		if (engine == CGROUP_OTHER && span_is(parent, "docker"))
			engine = CGROUP_DOCKER;
		place->engine = engine;
		span_copy(id, place->container, sizeof(place->container));
		return true;
	}
	/* slice:engine:id, see above */
	if (colon && colon > name.at) {
		struct span left = { name.at, (size_t)(colon - name.at) };
		struct span id = { colon + 1, (size_t)(name.at + name.len - colon - 1) };
		bool cri = span_cut_end(&left, ":cri-containerd");

		if (is_id(id)) {
			place->engine = cri                              ? CGROUP_CONTAINERD
			                : span_cut_end(&left, ":docker") ? CGROUP_DOCKER
			                : span_cut_end(&left, ":crio")   ? CGROUP_CRIO
			                : span_cut_end(&left, ":libpod") ? CGROUP_PODMAN
			                                                 : CGROUP_OTHER;
			span_copy(id, place->container, sizeof(place->container));
			return true;
		}
	}
	return false;
}

/* Engines that name containers as people do: the name takes the place of the id. */
static bool parse_name(struct span name, struct span parent, struct cgroup_place *place)
{
	enum cgroup_engine engine = CGROUP_LXC;

	if (span_is(parent, "lxc") || span_is(parent, "lxc.payload"))
		;
	else if (span_cut_start(&name, "lxc.payload."))
		;
	else if (span_cut_start(&name, "systemd-nspawn@") && span_cut_end(&name, ".service"))
		engine = CGROUP_NSPAWN;
	else
		return false;
	if (!name.len)
		return false;
	place->engine = engine;
	span_copy(name, place->container, sizeof(place->container));
	return true;
}

/* podUID below /kubepods, or …-podUID.slice: the UID is 32 digits with or without four dashes. */
static void parse_pod(struct span name, struct cgroup_place *place)
{
	const char *pod = NULL;
	char uid[sizeof(place->pod)];
	size_t len = 0, dashes = 0;
	const char *colon = memchr(name.at, ':', name.len);

	if (colon)
		name.len = (size_t)(colon - name.at);
	if (span_cut_end(&name, ".slice")) {
		for (size_t i = 0; i + 4 < name.len; i++)
			if (!memcmp(name.at + i, "-pod", 4))
				pod = name.at + i + 4;
	} else if (name.len > 3 && !memcmp(name.at, "pod", 3)) {
		pod = name.at + 3;
	}
	if (!pod)
		return;
	for (const char *at = pod; at < name.at + name.len; at++) {
		char c = *at == '_' ? '-' : *at;

		if (len == sizeof(uid) - 1 || (c != '-' && !memchr("0123456789abcdef", c, 16)))
			return;
		dashes += c == '-';
		uid[len++] = c;
	}
	if (len - dashes != 32 || (dashes && dashes != 4))
		return;
	memcpy(place->pod, uid, len);
	place->pod[len] = '\0';
}

static void parse_unit(struct span name, struct cgroup_place *place)
{
	struct span stem = name;

	if (span_cut_end(&stem, ".service") || span_cut_end(&stem, ".scope"))
		span_copy(name, place->unit, sizeof(place->unit));
}

/* conmon watches a container from outside: its scope is the engine's, not the container's. */
static bool is_monitor(struct span name)
{
	return span_cut_start(&name, "crio-conmon-") || span_cut_start(&name, "libpod-conmon-");
}

void cgroup_parse(const char *path, size_t len, struct cgroup_place *place)
{
	struct span rest = { path, len }, parent = { "", 0 };

	*place = (struct cgroup_place){ 0 };
	span_cut_end(&rest, " (deleted)"); /* by the kernel, of a group that is gone */
	while (rest.len) {
		const char *slash = memchr(rest.at, '/', rest.len);
		struct span name = { rest.at, slash ? (size_t)(slash - rest.at) : rest.len };
		size_t step = name.len + (slash ? 1 : 0);

		rest.at += step;
		rest.len -= step;
		if (!name.len || name.len > CGROUP_NAME_MAX || is_monitor(name))
			continue;
		parse_pod(name, place);
		if (!parse_id(name, parent, place) && !parse_name(name, parent, place))
			parse_unit(name, place);
		parent = name;
	}
}

/* How much a line of hierarchy @controllers tells when no line has a container. */
static unsigned int line_rank(struct span controllers, struct span path)
{
	if (path.len <= 1)
		return 0;
	if (!controllers.len)
		return 3;
	return span_is(controllers, "name=systemd") ? 2 : 1;
}

int cgroup_choose(const char *text, struct buf *out)
{
	struct span best = { "/", 1 };
	unsigned int best_rank = 0;

	for (const char *end; *text; text = *end ? end + 1 : end) {
		const char *one, *two;
		struct span controllers, path;
		struct cgroup_place place;
		unsigned int rank;

		end = strchrnul(text, '\n');
		one = memchr(text, ':', (size_t)(end - text));
		two = one ? memchr(one + 1, ':', (size_t)(end - one - 1)) : NULL;
		if (!two)
			continue;
		controllers = (struct span){ one + 1, (size_t)(two - one - 1) };
		path = (struct span){ two + 1, (size_t)(end - two - 1) };
		cgroup_parse(path.at, path.len, &place);
		rank = line_rank(controllers, path) + (place.container[0] ? 4 : 0);
		if (rank < best_rank || (rank == best_rank && path.len <= best.len))
			continue;
		best_rank = rank;
		best = path;
	}
	span_cut_end(&best, " (deleted)");
	buf_add(out, best.at, best.len);
	return out->err;
}

int cgroup_read(pid_t pid, struct buf *out)
{
	struct buf text = { 0 };
	char path[40];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	err = file_read(path, CGROUP_BYTES_MAX, &text);
	if (!err || err == -EFBIG)
		err = cgroup_choose(buf_str(&text), out);
	buf_free(&text);
	return err == -ENOENT ? -ESRCH : err;
}

const char *cgroup_engine_name(enum cgroup_engine engine)
{
	static const char *const names[] = {
		[CGROUP_NO_CONTAINER] = "", [CGROUP_OTHER] = "other",
		[CGROUP_DOCKER] = "docker", [CGROUP_CONTAINERD] = "containerd",
		[CGROUP_CRIO] = "cri-o",    [CGROUP_PODMAN] = "podman",
		[CGROUP_LXC] = "lxc",       [CGROUP_NSPAWN] = "systemd-nspawn",
	};

	return names[engine];
}
