// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a symbol record: clang -fsanitize=fuzzer,address,undefined. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "py/code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pv_symbol *symbol = malloc(size ? size : 1);
	struct py_code code = { 0 };

	if (!symbol)
		return 0;
	/* Aligned, and followed by nothing. */
	memcpy(symbol, data, size);
	if (!py_code_from_event(symbol, size, &code)) {
		/* One code point becomes at most three bytes a byte of it. */
		if (code.name.len > 3u * UINT16_MAX || code.file.len > 3u * UINT16_MAX ||
		    code.table.len > size)
			__builtin_trap();
	}
	py_code_free(&code);
	free(symbol);
	return 0;
}
