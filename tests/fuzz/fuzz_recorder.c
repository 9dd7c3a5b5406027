// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as samples and symbols, which hold what a process had in its memory, of two processes that
 * end in between; the profile that comes of it in every format there is.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/recorder.h"
#include "out/formats.h"
#include "out/out.h"

#define NOBODY    0x3fffffff /* above any pid_max */
#define IMAGE_CNT 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The kernel side knows nobody. */
int kern__set_second(struct kern *kern, const struct pv_proc *proc)
{
	(void)kern, (void)proc;
	return 0;
}

int kern__get_proc(struct kern *kern, uint32_t tgid, struct pv_proc *proc)
{
	(void)kern, (void)tgid, (void)proc;
	return -ENOENT;
}

int kern__set_proc(struct kern *kern, const struct pv_proc *proc)
{
	(void)kern, (void)proc;
	return 0;
}

int kern__set_exe(struct kern *kern, const struct pv_exe_id *id, const struct pv_exe *exe)
{
	(void)kern, (void)id, (void)exe;
	return 0;
}

int kern__del_proc(struct kern *kern, const struct pv_proc_id *id)
{
	(void)kern, (void)id;
	return 0;
}

int kern__set_layout(struct kern *kern, uint32_t index, const struct pv_layout *layout)
{
	(void)kern, (void)index, (void)layout;
	return 0;
}

static uint32_t image(struct images *images, uint32_t number)
{
	static const uint16_t versions[] = { 0x0207, 0x0309, 0x030b, 0x030f };
	const struct pv_proc_id id = { .tgid = NOBODY,
		                       .exec_id = 1,
		                       .start_ns = number % IMAGE_CNT };
	uint32_t index = images__get(images, &id, NOBODY);
	struct image *made = images__at(images, index);

	if (!made->cmdline) {
		made->cmdline = strdup("python3 \033[31m<&>\"'.py");
		made->version = versions[number / IMAGE_CNT % 4];
	}
	return index;
}

/* One record, zeros behind what there is of its head; what is behind it. */
static const uint8_t *take(struct recorder *recorder, struct images *images, const uint8_t *at,
                           const uint8_t *end, uint64_t time_ns)
{
	static const size_t heads[4] = { sizeof(struct pv_sample), sizeof(struct pv_symbol) };
	size_t len = (size_t)(end - at) - 4, head = heads[at[0] % 4], size;
	uint32_t index = image(images, at[1]);
	uint16_t wanted;
	void *record;

	memcpy(&wanted, at + 2, sizeof(wanted));
	len = len < wanted ? len : wanted;
	size = len > head ? len : head;
	/* Aligned, and followed by nothing. */
	record = calloc(1, size ? size : 1);
	if (!record)
		abort();
	memcpy(record, at + 4, len);
	if (at[0] % 4 == 0) {
		recorder__sample(recorder, images, index, record, size, time_ns);
	} else if (at[0] % 4 == 1) {
		recorder__symbol(recorder, images, index, record, size);
	} else if (at[0] % 4 == 2) {
		recorder__lost(recorder, images, index, wanted);
	} else {
		images__gone(images, index);
		recorder__flush(recorder, images, UINT64_MAX);
	}
	free(record);
	return at + 4 + len;
}

static void write_all(struct profile *profile)
{
	const struct out_view view = { .full_filenames = true };

	for (const struct out_format *const *format = out_formats; *format; format++) {
		char *text = NULL;
		size_t len;
		FILE *stream = open_memstream(&text, &len);

		if (!stream || (*format)->write(profile, &view, stream))
			__builtin_trap();
		fclose(stream);
		free(text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct profile_meta meta = { .title = "fuzz",
		                           .command = "",
		                           .version = "",
		                           .host = "",
		                           .pythons = "",
		                           .rate_hz = 99 };
	struct images *images = images__new(NULL);
	struct recorder *recorder = recorder__new(true, NULL);
	struct profile *profile;
	uint64_t time_ns = 0;

	if (!images || !recorder)
		abort();
	for (const uint8_t *at = data, *end = data + size; end - at > 4;)
		at = take(recorder, images, at, end, time_ns++);
	profile = recorder__finish(recorder, images, 0);
	if (!profile)
		__builtin_trap();
	profile__set_meta(profile, &meta);
	write_all(profile);
	profile__free(profile);
	recorder__free(recorder, images);
	images__free(images);
	return 0;
}
