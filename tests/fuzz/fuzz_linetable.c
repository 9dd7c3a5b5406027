// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a line table of any version: clang -fsanitize=fuzzer,address,undefined. */
#include <stdint.h>
#include <string.h>

#include "py/linetable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t versions[] = { 0x0207, 0x0306, 0x0309, 0x030a, 0x030b, 0x030f };
	int32_t first, lasti;

	if (size < 9)
		return 0;
	memcpy(&first, data + 1, sizeof(first));
	memcpy(&lasti, data + 5, sizeof(lasti));
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (py_line(versions[i], data + 9, size - 9, first, lasti) < 0)
			__builtin_trap();
		py_line_reaches(versions[i], data + 9, size - 9, lasti);
	}
	return 0;
}
