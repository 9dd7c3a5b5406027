// SPDX-License-Identifier: Apache-2.0
#include "proc/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

/* The way for kernels or sandboxes that refuse process_vm_readv but let us open the file. */
static int mem_read_file(pid_t pid, uint64_t addr, char *out, size_t len)
{
	char path[32];
	int err = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -EPERM;
	while (len) {
		ssize_t got = pread(fd, out, len, (off_t)addr);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			/* 0: the address space is gone. EIO, EINVAL: nothing mapped there. */
			err = got == 0 ? -ESRCH : -EFAULT;
			break;
		}
		out += got;
		addr += (uint64_t)got;
		len -= (size_t)got;
	}
	close(fd);
	return err;
}

int mem_read(pid_t pid, uint64_t addr, void *out, size_t len)
{
	char *to = out;

	if (addr + len < addr)
		return -EFAULT;
	while (len) {
		struct iovec local = { .iov_base = to, .iov_len = len };
		struct iovec remote = { .iov_base = (void *)(uintptr_t)addr, .iov_len = len };
		ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EPERM || errno == ENOSYS))
			return mem_read_file(pid, addr, to, len);
		if (got < 0)
			return errno == ESRCH ? -ESRCH : errno == ENOMEM ? -ENOMEM : -EFAULT;
		if (got == 0)
			return -EFAULT;
		/* A short read stops at a page that is not there; the next round says so. */
		to += got;
		addr += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}
