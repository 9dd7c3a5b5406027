// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a mapped ELF file: everything that the search for a Python runtime does with it. Seeds:
 * small shared objects. Build as fuzz_maps.c.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf/elf.h"
#include "py/discover.h"
#include "py/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct py_tls_recipe recipe;
	struct elf_section section;
	struct py_file file;
	uint8_t id[ELF_BUILD_ID_MAX];
	bool with_offset;
	struct elf *elf;
	int fd;

	py_tls_decode_x86_64(data, size, 0x1000, &recipe, &with_offset);
	py_tls_decode_aarch64(data, size, 0x1000, &recipe);
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (!py_file_inspect(fd, &file))
		py_file_free(&file);
	elf = elf__new(fd);
	if (elf) {
		elf__build_id(elf, id, sizeof(id));
		elf__section(elf, ".eh_frame", &section);
	}
	elf__free(elf);
	close(fd);
	return 0;
}
