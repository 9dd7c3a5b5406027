/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - what a process's cgroup tells of it: the container, the pod and the systemd unit.
 *
 * Container engines and systemd put the ids into the names of the groups; nobody else is asked. Any
 * thread.
 */
#ifndef PV_PROC_CGROUP_H
#define PV_PROC_CGROUP_H

#include <stddef.h>
#include <sys/types.h>

#include "util/buf.h"

#define CGROUP_BYTES_MAX 65536 /* of /proc/PID/cgroup; the kernel allows paths of 4096 */
#define CGROUP_NAME_MAX  255   /* of one component: NAME_MAX */

enum cgroup_engine {
	CGROUP_NO_CONTAINER,
	CGROUP_OTHER, /* a container, but the name does not say whose */
	CGROUP_DOCKER,
	CGROUP_CONTAINERD,
	CGROUP_CRIO,
	CGROUP_PODMAN,
	CGROUP_LXC,
	CGROUP_NSPAWN,
};

struct cgroup_place {
	enum cgroup_engine engine;
	char container[CGROUP_NAME_MAX + 1]; /* id, of LXC and nspawn the name; "": none */
	char pod[40];                        /* uid of the Kubernetes pod; "": none */
	/* The innermost systemd service or scope that is not a container's; "": none. */
	char unit[CGROUP_NAME_MAX + 1];
};

/*
 * What @path (of @len bytes) tells. Of containers within containers it is the innermost. Components
 * that are too long to be one are passed over.
 */
void cgroup_parse(const char *path, size_t len, struct cgroup_place *place);
/*
 * Append the path that tells most out of the @text of a /proc/PID/cgroup file: a line with a
 * container; else the unified hierarchy's, else systemd's own, else the longest. 0 or -ENOMEM.
 */
int cgroup_choose(const char *text, struct buf *out);
/* The same of a process. 0, -ESRCH or another negative errno. */
int cgroup_read(pid_t pid, struct buf *out);
/* "docker", "containerd", …; "" for no container. */
const char *cgroup_engine_name(enum cgroup_engine engine);

#endif
