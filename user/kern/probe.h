/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - can this kernel, with these privileges, run the programs at all? */
#ifndef PV_KERN_PROBE_H
#define PV_KERN_PROBE_H

#include <stddef.h>

/*
 * @types: as in struct kern_opts. Load and attach everything, start and stop the ticks, throw it away. 0; -EPERM: not allowed;
 * -ENOTSUP: the kernel lacks something; -EINVAL: the file @types; @what (of @what_len bytes) says what and the remedy.
 */
int kern_probe(const char *types, char *what, size_t what_len);

#endif
