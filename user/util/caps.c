// SPDX-License-Identifier: Apache-2.0
#include "util/caps.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

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
