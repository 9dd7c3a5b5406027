// SPDX-License-Identifier: Apache-2.0
#include "py/linetable.h"

/* Entry header of a location table: 1 cccc lll (3.11 Objects/locations.md). */
#define ENTRY_START   0x80
#define CODE_ONE_LINE 10 /* to 12: line delta is code - 10 */
#define CODE_NO_COLS  13
#define CODE_LONG     14
#define CODE_NONE     15

/* ldelta of a 3.10 entry without a line (3.10 Objects/lnotab_notes.txt). */
#define NO_LINE (-128)

#define VERSION(major, minor) ((major) << 8 | (minor))

/* Deltas add up in 64 bits, which no table can overflow; the sum may still be no line number. */
static int32_t line_number(int64_t line)
{
	return line > 0 && line <= INT32_MAX ? (int32_t)line : 0;
}

/*
 * Up to 3.9: (address delta, line delta) pairs; a line is valid up to the next one's address. Line
 * deltas are unsigned in 2.7, signed from 3.6 on (3.6 Objects/lnotab_notes.txt).
 */
static int32_t lnotab_line(uint16_t version, const uint8_t *table, size_t len, int64_t line,
                           int32_t lasti)
{
	int64_t addr = 0;

	for (size_t at = 0; at + 1 < len; at += 2) {
		addr += table[at];
		if (addr > lasti)
			break;
		line += version < VERSION(3, 6) ? table[at + 1] : (int8_t)table[at + 1];
	}
	return line_number(line);
}

/* 3.10: (address delta, line delta) pairs, each a range of addresses and its line. */
static int32_t linetable_line(const uint8_t *table, size_t len, int64_t line, int64_t addr)
{
	int64_t end = 0;

	for (size_t at = 0; at + 1 < len; at += 2) {
		int8_t delta = (int8_t)table[at + 1];

		if (delta != NO_LINE)
			line += delta;
		end += table[at];
		if (addr < end)
			return delta != NO_LINE ? line_number(line) : 0;
	}
	return 0;
}

/* A zig-zag number in 6-bit groups, lowest first, that starts at @at. -1: cut or too long. */
static int svarint_read(const uint8_t *table, size_t len, size_t at, int64_t *value)
{
	uint64_t raw = 0;

	for (unsigned int shift = 0; at < len && shift <= 30; at++, shift += 6) {
		if (table[at] & ENTRY_START)
			return -1;
		raw |= (uint64_t)(table[at] & 0x3f) << shift;
		if (table[at] & 0x40)
			continue;
		*value = raw & 1 ? -(int64_t)(raw >> 1) : (int64_t)(raw >> 1);
		return 0;
	}
	return -1;
}

/* 3.11 on: entries of a header byte and what its code says, none of which has the top bit. */
static int32_t location_line(const uint8_t *table, size_t len, int64_t line, int64_t unit)
{
	int64_t end = 0;
	size_t at = 0;

	while (at < len) {
		unsigned int code = table[at] >> 3 & 15;
		int64_t delta = 0;

		if (!(table[at] & ENTRY_START))
			return 0;
		end += (table[at] & 7) + 1;
		if (code == CODE_NO_COLS || code == CODE_LONG) {
			if (svarint_read(table, len, at + 1, &delta))
				return 0;
		} else if (code >= CODE_ONE_LINE && code != CODE_NONE) {
			delta = code - CODE_ONE_LINE;
		}
		line += delta;
		if (unit < end)
			return code != CODE_NONE ? line_number(line) : 0;
		for (at++; at < len && !(table[at] & ENTRY_START);)
			at++;
	}
	return 0;
}

int32_t py_line(uint16_t version, const void *table, size_t len, int32_t firstlineno, int32_t lasti)
{
	if (lasti < 0)
		return line_number(firstlineno);
	if (version < VERSION(3, 10))
		return lnotab_line(version, table, len, firstlineno, lasti);
	if (version == VERSION(3, 10))
		return linetable_line(table, len, firstlineno, (int64_t)lasti * 2);
	return location_line(table, len, firstlineno, lasti / 2);
}

bool py_line_reaches(uint16_t version, const void *table, size_t len, int32_t lasti)
{
	const uint8_t *pairs = table;
	int64_t addr = 0;

	if (version >= VERSION(3, 10) || lasti < 0)
		return true;
	for (size_t at = 0; at + 1 < len; at += 2)
		addr += pairs[at];
	return lasti < addr;
}
