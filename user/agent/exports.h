/* SPDX-License-Identifier: Apache-2.0 */
/* exports.h - the agent's exporter and its rules for services, by its configuration. One thread. */
#ifndef PV_AGENT_EXPORTS_H
#define PV_AGENT_EXPORTS_H

#include <stddef.h>

#include "agent/config.h"
#include "export/exporter.h"
#include "proc/service.h"

/*
 * The exporter that @config asks for, not started; NULL and *err 0 if it asks for none; NULL and *err
 * negative, and @what in words: -EINVAL the configuration is wrong.
 */
struct exporter *exports_new(const struct agent_config *config, int *err, char *what, size_t size);
/* Is it right, as far as can be told without doing anything? 0 or -EINVAL and @what. */
int exports_check(const struct agent_config *config, char *what, size_t size);
/* The rules of @words. NULL and errno, and @what: EINVAL one is none. */
struct service_rules *exports_services(const char *words, char *what, size_t size);

#endif
