// SPDX-License-Identifier: Apache-2.0
#include "export/gzip.h"

#include <errno.h>
#include <limits.h>
#include <zlib.h>

#define GZIP_WINDOW_BITS (MAX_WBITS + 16) /* zlib: a gzip wrapper around the stream */

int gzip_add(struct buf *out, const void *data, size_t len)
{
	z_stream zip = { 0 };
	uLong bound;
	int ret;

	if (len > UINT_MAX / 2)
		return -ENOMEM;
	if (deflateInit2(&zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
	                 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&zip, len);
	if (!buf_reserve(out, bound)) {
		deflateEnd(&zip);
		return -ENOMEM;
	}
	zip.next_in = (Bytef *)data;
	zip.avail_in = (uInt)len;
	zip.next_out = (Bytef *)out->data + out->len;
	zip.avail_out = (uInt)bound;
	ret = deflate(&zip, Z_FINISH); /* in one go: there is room for it all */
	out->len += bound - zip.avail_out;
	out->data[out->len] = '\0';
	deflateEnd(&zip);
	return ret == Z_STREAM_END ? 0 : -ENOMEM;
}
