// SPDX-License-Identifier: Apache-2.0
#include "util/caps.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/buf.h"

bool caps_have(int cap)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return false;
	return ((uint64_t)data[1].effective << 32 | data[0].effective) >> cap & 1;
}

bool caps_have_or_admin(int cap)
{
	return caps_have(cap) || caps_have(CAP_SYS_ADMIN);
}

bool caps_missing(bool all, struct buf *names)
{
	static const struct {
		const char *name;
		int cap;
		bool in_admin; /* CAP_SYS_ADMIN includes it */
		bool is_needed;
	} rows[] = {
		{ "CAP_BPF", CAP_BPF, true, true },
		{ "CAP_PERFMON", CAP_PERFMON, true, true },
		{ "CAP_SYS_PTRACE", CAP_SYS_PTRACE, false, true },
		{ "CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH, false, false },
		{ "CAP_SYSLOG", CAP_SYSLOG, true, false },
	};
	bool is_needed = false;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if ((!all && !rows[i].is_needed) || caps_have(rows[i].cap) ||
		    (rows[i].in_admin && caps_have(CAP_SYS_ADMIN)))
			continue;
		is_needed |= rows[i].is_needed;
		buf_printf(names, "%s%s", names->len ? ", " : "", rows[i].name);
	}
	return is_needed;
}
