/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb.h - the protobuf wire format, written: varints and length-delimited fields. Zero values are
 * left out, as proto3 does. Appends to a buf, whose `err` says whether memory ran out.
 */
#ifndef PV_OUT_PB_H
#define PV_OUT_PB_H

#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

void pb_varint(struct buf *out, uint64_t value);
void pb_uint(struct buf *out, uint32_t field, uint64_t value);
/* int64: negative numbers are ten bytes of two's complement. */
void pb_int(struct buf *out, uint32_t field, int64_t value);
/* A string, bytes, a packed field or a message made elsewhere; written even when empty. */
void pb_bytes(struct buf *out, uint32_t field, const void *data, size_t len);

#endif
