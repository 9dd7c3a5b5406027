// SPDX-License-Identifier: Apache-2.0
#include "out/pb.h"

#define WIRE_VARINT  0
#define WIRE_FIXED64 1
#define WIRE_BYTES   2
#define WIRE_FIXED32 5

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

void pb_fixed64(struct buf *out, uint32_t field, uint64_t value)
{
	char bytes[8];

	if (!value)
		return;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(value >> 8 * i);
	pb_varint(out, field << 3 | WIRE_FIXED64);
	buf_add(out, bytes, sizeof(bytes));
}

static bool read_varint(struct pb_reader *reader, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
		unsigned char byte = (unsigned char)*reader->at++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

static bool read_fixed(struct pb_reader *reader, size_t len, uint64_t *value)
{
	*value = 0;
	if ((size_t)(reader->end - reader->at) < len)
		return false;
	for (size_t i = 0; i < len; i++)
		*value |= (uint64_t)(unsigned char)*reader->at++ << 8 * i;
	return true;
}

bool pb_next(struct pb_reader *reader, struct pb_value *value)
{
	uint64_t key;

	if (!read_varint(reader, &key))
		return false;
	value->field = (uint32_t)(key >> 3);
	value->data = NULL;
	switch (key & 7) {
	case WIRE_VARINT:
		return read_varint(reader, &value->number);
	case WIRE_FIXED64:
		return read_fixed(reader, 8, &value->number);
	case WIRE_FIXED32:
		return read_fixed(reader, 4, &value->number);
	case WIRE_BYTES:
		if (!read_varint(reader, &value->number) ||
		    value->number > (size_t)(reader->end - reader->at))
			return false;
		value->data = reader->at;
		reader->at += value->number;
		return true;
	default: /* groups, which no protocol of ours has */
		return false;
	}
}
