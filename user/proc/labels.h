/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels.h - what a process belongs to, as pairs of a name and a value: one look at its cgroup, the
 * container engine's files and the service rules. What is not known has no label. A process is to be
 * asked about while it lives. One thread.
 */
#ifndef PV_PROC_LABELS_H
#define PV_PROC_LABELS_H

#include <stddef.h>
#include <sys/types.h>

#include "proc/service.h"

#define LABEL_CGROUP         "cgroup"
#define LABEL_CONTAINER      "container"      /* its id */
#define LABEL_ENGINE         "engine"         /* "docker" */
#define LABEL_CONTAINER_NAME "container_name" /* in Kubernetes within the pod */
#define LABEL_IMAGE          "image"
#define LABEL_POD_UID        "pod_uid"
#define LABEL_POD            "pod"
#define LABEL_NAMESPACE      "namespace" /* of the pod */
#define LABEL_UNIT           "unit"      /* of systemd */
#define LABEL_SERVICE        "service"

#define LABELS_CONTAINERS_MAX 1024 /* whose names are kept; then all are forgotten and read anew */

typedef int (*labels_fn)(void *ctx, const char *name, const char *value, size_t len);

struct labels;

/* @rules may be NULL: SERVICE_DEFAULT; else it stays the caller's. @root: see container.h. */
struct labels *labels__new(const struct service_rules *rules,
                           const char *root); /* NULL and errno */
void labels__free(struct labels *labels);
/*
 * Call @fn for each label of process @pid until it returns non-zero, which is returned. 0, -ESRCH
 * (gone) or another negative errno.
 */
int labels__read(struct labels *labels, pid_t pid, labels_fn fn, void *ctx);

#endif
