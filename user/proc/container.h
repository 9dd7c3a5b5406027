/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - what a container's engine has written down about it: names for an id. Read from the
 * engine's own files as the host has them, where the reader may; the engine is not asked. Any thread.
 */
#ifndef PV_PROC_CONTAINER_H
#define PV_PROC_CONTAINER_H

#include "proc/cgroup.h"

#define CONTAINER_FILE_MAX (1u << 20) /* a larger file is not read */
#define CONTAINER_TEXT_MAX 255        /* bytes of a name; a longer one is no name */

/* "" is not known. */
struct container_names {
	char name[CONTAINER_TEXT_MAX + 1];  /* of the container, in Kubernetes within the pod */
	char image[CONTAINER_TEXT_MAX + 1]; /* as asked for: "registry.example/web:1.2" */
	char pod[CONTAINER_TEXT_MAX + 1];
	char pod_namespace[CONTAINER_TEXT_MAX + 1];
};

/*
 * The names of @place's container. @root is put before the paths: "" but for tests. 0; -ENOENT: no
 * engine has written of it, or this process may not read it (-EACCES); -EPROTO: not understood.
 */
int container_names_read(const char *root, const struct cgroup_place *place,
                         struct container_names *names);

#endif
