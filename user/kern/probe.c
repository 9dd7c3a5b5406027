// SPDX-License-Identifier: Apache-2.0
#include "kern/probe.h"

#include <errno.h>

#include "kern/kern.h"

int kern_probe(const char *types, char *what, size_t what_len)
{
	const struct kern_opts opts = { .rate_hz = 99, .types = types };
	struct kern *kern = kern__open(&opts, what, what_len);
	int err;

	if (!kern)
		return -errno;
	err = kern__start_ticks(kern, what, what_len);
	kern__free(kern);
	return err;
}
