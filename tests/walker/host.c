// SPDX-License-Identifier: Apache-2.0
#include "host.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf_helpers.h>

#include "bpf/symbols.bpf.h"

struct host host;

long bpf_probe_read_user(void *dst, __u32 size, const void *unsafe_ptr)
{
	int err;

	host.read_cnt++;
	err = host.read(host.ctx, (uint64_t)(uintptr_t)unsafe_ptr, dst, size);
	/* v5.5 on, kernel/trace/bpf_trace.c: bpf_probe_read_user_common(). */
	if (err)
		memset(dst, 0, size);
	return err ? -EFAULT : 0;
}

long bpf_loop(__u32 nr_loops, void *callback, void *ctx, __u64 flags)
{
	long (*call)(__u32, void *) = (long (*)(__u32, void *))callback;
	__u32 index;

	(void)flags;
	for (index = 0; index < nr_loops; index++)
		if (call(index, ctx))
			return index + 1;
	return index;
}

/* The table of what was sent belongs to symbols.bpf.c; here the test says what it would answer. */
bool symbols_note(struct pv_walk *walk, __u64 code, __u32 fp)
{
	if (!host.sent && walk->new_cnt < PV_NEW_CODE_MAX) {
		walk->new_codes[walk->new_cnt].code = code;
		walk->new_codes[walk->new_cnt].fp = fp;
		walk->new_cnt++;
	}
	return host.sent;
}

void host_walk(struct pv_walk *walk, const struct pv_layout *layout)
{
	pystack_walk(walk, layout);
	pystack_finish(walk);
}

const struct pv_frame *host_frame(const struct pv_walk *walk, uint32_t index)
{
	const struct pv_sample *sample = &walk->sample;

	if (index >= walk->walked_cnt)
		return NULL;
	if (!sample->skipped_cnt || index < PV_LEAF_FRAMES)
		return &walk->frames[index];
	index -= PV_LEAF_FRAMES;
	if (index < sample->skipped_cnt)
		return NULL;
	index -= sample->skipped_cnt;
	return &walk->frames[PV_LEAF_FRAMES + (sample->root_first + index) % PV_ROOT_FRAMES];
}
