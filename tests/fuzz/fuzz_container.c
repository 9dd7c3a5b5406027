// SPDX-License-Identifier: Apache-2.0
/* Any bytes as the file in which a container engine keeps a container's names. */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID "0123456789abcdef"

/* Where @ stands, the bytes may stand. */
static const struct {
	enum cgroup_engine engine;
	const char *path;
	const char *text;
} files[] = {
	{ CGROUP_DOCKER, "/var/lib/docker/containers/" ID "/config.v2.json",
	  "{\"Config\":{\"Labels\":{\"io.kubernetes.container.name\":@,"
	  "\"io.kubernetes.pod.name\":@},\"Image\":@},\"Name\":@}" },
	{ CGROUP_CONTAINERD,
	  "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json",
	  "{\"annotations\":{\"io.kubernetes.cri.container-name\":@,"
	  "\"io.kubernetes.cri.sandbox-name\":@,\"io.kubernetes.cri.image-name\":@}}" },
	{ CGROUP_PODMAN, "/var/lib/containers/storage/overlay-containers/containers.json",
	  "[{\"id\":\"" ID "\",\"names\":[@],\"metadata\":@}]" },
};

#define FILE_CNT (sizeof(files) / sizeof(files[0]))

static char root[] = "/dev/shm/pitviper-fuzz-XXXXXX";
static int fds[FILE_CNT];

static void remove_root(void)
{
	char command[sizeof(root) + 16];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	if (system(command))
		perror(command);
}

static void make_root(void)
{
	char path[PATH_MAX];

	if (!mkdtemp(root))
		abort();
	atexit(remove_root);
	for (size_t i = 0; i < FILE_CNT; i++) {
		snprintf(path, sizeof(path), "%s%s", root, files[i].path);
		for (char *slash = path + sizeof(root); (slash = strchr(slash + 1, '/'));) {
			*slash = '\0';
			mkdir(path, 0700);
			*slash = '/';
		}
		fds[i] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fds[i] < 0)
			abort();
	}
}

/* The bytes alone, or in the place of one @, "x" in the place of the others. */
static void write_file(size_t which, unsigned int place, const uint8_t *data, size_t size)
{
	int fd = fds[which];
	FILE *stream;

	if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	stream = fdopen(dup(fd), "w");
	if (!stream)
		abort();
	if (!place) {
		fwrite(data, 1, size, stream);
	} else {
		for (const char *at = files[which].text; *at; at++) {
			if (*at != '@')
				fputc(*at, stream);
			else if (--place)
				fputs("\"x\"", stream);
			else
				fwrite(data, 1, size, stream);
		}
	}
	if (fclose(stream))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct container_names names;
	struct cgroup_place place = { .container = ID };
	size_t which;

	if (!fds[0])
		make_root();
	if (!size)
		return 0;
	which = data[0] % FILE_CNT;
	place.engine = files[which].engine;
	write_file(which, data[0] / FILE_CNT % 5, data + 1, size - 1);
	if (!container_names_read(root, &place, &names) &&
	    (strlen(names.name) > CONTAINER_TEXT_MAX || strlen(names.image) > CONTAINER_TEXT_MAX ||
	     strlen(names.pod) > CONTAINER_TEXT_MAX))
		__builtin_trap();
	return 0;
}
