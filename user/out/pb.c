// SPDX-License-Identifier: Apache-2.0
#include "out/pb.h"

#define WIRE_VARINT 0
#define WIRE_BYTES  2

void pb_varint(struct buf *out, uint64_t value)
{
	char bytes[10];
	size_t len = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[len++] = (char)(value | 0x80);
	bytes[len++] = (char)value;
	buf_add(out, bytes, len);
}

void pb_uint(struct buf *out, uint32_t field, uint64_t value)
{
	if (!value)
		return;
	pb_varint(out, field << 3 | WIRE_VARINT);
	pb_varint(out, value);
}

void pb_int(struct buf *out, uint32_t field, int64_t value)
{
	pb_uint(out, field, (uint64_t)value);
}

void pb_bytes(struct buf *out, uint32_t field, const void *data, size_t len)
{
	pb_varint(out, field << 3 | WIRE_BYTES);
	pb_varint(out, len);
	buf_add(out, data, len);
}
