// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as /proc/PID/maps. Build: clang -fsanitize=fuzzer,address,undefined with the sources of
 * user/{util,elf,proc,py}.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct maps maps;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (maps_parse(text, &maps))
		return 0;
	for (size_t i = 0; i < maps.cnt; i++)
		if (maps.entries[i].start >= maps.entries[i].end ||
		    strlen(maps.entries[i].perms) != 4 || strlen(maps.entries[i].path) > size)
			abort();
	maps_free(&maps);
	return 0;
}
