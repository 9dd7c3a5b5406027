/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb.h - the protobuf wire format. Written: zero values are left out, as proto3 does; appends to a
 * buf, whose `err` says whether memory ran out. Read: any bytes, never beyond their end.
 */
#ifndef PV_OUT_PB_H
#define PV_OUT_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

void pb_varint(struct buf *out, uint64_t value);
void pb_uint(struct buf *out, uint32_t field, uint64_t value);
/* int64: negative numbers are ten bytes of two's complement. */
void pb_int(struct buf *out, uint32_t field, int64_t value);
/* A string, bytes, a packed field or a message made elsewhere; written even when empty. */
void pb_bytes(struct buf *out, uint32_t field, const void *data, size_t len);
void pb_fixed64(struct buf *out, uint32_t field, uint64_t value);

struct pb_reader {
	const char *at;
	const char *end;
};

struct pb_value {
	uint32_t field;
	const char *data; /* of a length-delimited field; NULL: a number */
	uint64_t number;  /* the number, or the length of the data */
};

/* The next field of a message. false: there is none, or it is not well-formed. */
bool pb_next(struct pb_reader *reader, struct pb_value *value);

#endif
