/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.h - another process's memory, read with process_vm_readv: no attach, no stop, no write.
 */
#ifndef PV_PROC_MEM_H
#define PV_PROC_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Read exactly @len bytes at @addr. 0, -EFAULT (also for a part), -ESRCH, -EPERM. */
int mem_read(pid_t pid, uint64_t addr, void *out, size_t len);

#endif
