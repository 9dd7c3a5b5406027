// SPDX-License-Identifier: Apache-2.0
/* Any bytes as what /proc tells of a process, and as a message of protobuf. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "out/pb.h"
#include "proc/cgroup.h"
#include "proc/process.h"
#include "proc/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_place(const char *text, size_t len)
{
	struct cgroup_place place;

	cgroup_parse(text, len, &place);
	if (strlen(place.container) > CGROUP_NAME_MAX || strlen(place.unit) > CGROUP_NAME_MAX ||
	    strlen(place.pod) >= sizeof(place.pod))
		__builtin_trap();
	cgroup_engine_name(place.engine);
}

static void check_message(const char *data, size_t len)
{
	struct pb_reader reader = { data, data + len };
	struct pb_value value;

	while (pb_next(&reader, &value)) {
		if (value.data && (value.data < data || value.number > len ||
		                   value.data + value.number > data + len))
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct buf out = { 0 };
	const char *script;
	size_t script_len;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_place(text, size);
	cgroup_choose(text, &out);
	if (out.len)
		check_place(out.data, out.len);
	buf_free(&out);
	process_cmdline_join(text, size, size & 1, &out);
	buf_free(&out);
	script = service_script(text, size, &script_len);
	if (script && (script < text || script + script_len > text + size))
		__builtin_trap();
	free(text);
	/* Followed by nothing. */
	text = malloc(size ? size : 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	check_message(text, size);
	free(text);
	return 0;
}
