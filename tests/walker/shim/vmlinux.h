/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux.h - stands in for vmlinux/vmlinux.h: the walkers read no kernel structure. */
#ifndef PV_SHIM_VMLINUX_H
#define PV_SHIM_VMLINUX_H

#include <stdbool.h>
#include <linux/types.h>

#endif
