/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - the name of the service that a process belongs to, by rules of the user. The first rule
 * that yields a name counts. Rules are made by one thread; then any thread may ask.
 *
 *	env:NAME       the variable NAME of the process's environment, as it was at its exec
 *	container      the container's name
 *	pod            the pod's name
 *	unit           the systemd service, without .service
 *	script         the Python script's or module's name: worker.py, my.module
 *	comm           the kernel's name of the process
 *	cmdline:REGEX  extended regular expression on the command line, arguments joined by single
 *	               spaces: its first group, or all that matched
 *	=TEXT          TEXT
 */
#ifndef PV_PROC_SERVICE_H
#define PV_PROC_SERVICE_H

#include <stddef.h>
#include <sys/types.h>

#include "util/buf.h"

#define SERVICE_RULES_MAX 32
#define SERVICE_NAME_MAX  255        /* bytes; more is cut */
#define SERVICE_ENV_MAX   (1u << 20) /* of an environment that is searched */

/* What is used unless there are rules. */
#define SERVICE_DEFAULT "env:OTEL_SERVICE_NAME", "container", "unit", "script", "comm"

/* What is known of the process already; "" is not known. */
struct service_facts {
	pid_t pid;
	const char *container;
	const char *pod;
	const char *unit;
};

struct service_rules;

struct service_rules *service_rules__new(void); /* NULL and errno */
void service_rules__free(struct service_rules *rules);
/* Add one as the last. 0, or -EINVAL and @why in words (of @size bytes), or -ENOMEM. */
int service_rules__add(struct service_rules *rules, const char *rule, char *why, size_t size);
/* Append the name; nothing if no rule yields one. 0 or -ENOMEM. */
int service_rules__name(const struct service_rules *rules, const struct service_facts *facts,
                        struct buf *out);

/* For tests: the script or module among the arguments of @args (of @len bytes, NULs between). */
const char *service_script(const char *args, size_t len, size_t *script_len);

#endif
