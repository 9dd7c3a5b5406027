// SPDX-License-Identifier: Apache-2.0
#include "out/text.h"

#include <inttypes.h>
#include <stdio.h>

#define REPLACEMENT 0xfffd

struct range {
	uint32_t first;
	uint32_t last;
};

static bool in_ranges(uint32_t cp, const struct range *ranges, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		if (cp >= ranges[i].first && cp <= ranges[i].last)
			return true;
	}
	return false;
}

uint32_t text_next(const char **at, const char *end)
{
	static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)*at;
	size_t left = (size_t)(end - *at);
	uint32_t cp = *s;
	unsigned int more;

	(*at)++;
	if (cp < 0x80)
		return cp;
	if (cp >= 0xc2 && cp < 0xe0)
		more = 1;
	else if (cp >= 0xe0 && cp < 0xf0)
		more = 2;
	else if (cp >= 0xf0 && cp < 0xf5)
		more = 3;
	else
		return REPLACEMENT;
	if (left <= more)
		return REPLACEMENT;
	cp &= 0x3f >> more;
	for (unsigned int i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return REPLACEMENT;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if (cp < smallest[more] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return REPLACEMENT;
	*at += more;
	return cp;
}

/* What can move the cursor, end the line, reorder the text or hide in it. */
static bool is_unseen(uint32_t cp)
{
	static const struct range unseen[] = {
		{ 0x00, 0x1f },     { 0x7f, 0x9f },     { 0x061c, 0x061c }, { 0x180e, 0x180e },
		{ 0x200b, 0x200b }, { 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xfffe, 0xffff }, { 0xe0000, 0xe0fff },
	};

	return in_ranges(cp, unseen, sizeof(unseen) / sizeof(unseen[0]));
}

void text_visible(struct buf *out, const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		uint32_t cp = text_next(&s, end);

		if (cp == '\\')
			buf_puts(out, "\\\\");
		else if (cp == '\n')
			buf_puts(out, "\\n");
		else if (cp == '\r')
			buf_puts(out, "\\r");
		else if (cp == '\t')
			buf_puts(out, "\\t");
		else if (!is_unseen(cp))
			buf_put_utf8(out, cp);
		else if (cp < 0x100)
			buf_printf(out, "\\x%02" PRIx32, cp);
		else if (cp < 0x10000)
			buf_printf(out, "\\u%04" PRIx32, cp);
		else
			buf_printf(out, "\\U%08" PRIx32, cp);
	}
}

void text_xml(struct buf *out, const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		uint32_t cp = text_next(&s, end);

		if (cp == '<')
			buf_puts(out, "&lt;");
		else if (cp == '>')
			buf_puts(out, "&gt;");
		else if (cp == '&')
			buf_puts(out, "&amp;");
		else if (cp == '"')
			buf_puts(out, "&quot;");
		else if (cp == '\'')
			buf_puts(out, "&#39;");
		else if (cp == '\n' || cp == '\t')
			buf_printf(out, "&#%" PRIu32 ";", cp);
		else if (cp < 0x20 || cp == 0xfffe || cp == 0xffff)
			buf_put_utf8(out, REPLACEMENT);
		else
			buf_put_utf8(out, cp);
	}
}

void text_json(struct buf *out, const char *s, size_t len)
{
	const char *end = s + len;

	buf_putc(out, '"');
	while (s < end) {
		uint32_t cp = text_next(&s, end);

		if (cp == '"' || cp == '\\')
			buf_printf(out, "\\%c", (char)cp);
		else if (cp < 0x20 || cp == 0x7f)
			buf_printf(out, "\\u%04" PRIx32, cp);
		else
			buf_put_utf8(out, cp);
	}
	buf_putc(out, '"');
}

void text_number(struct buf *out, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf_putc(out, ',');
		buf_putc(out, digits[i]);
	}
}

unsigned int text_columns(uint32_t cp)
{
	static const struct range wide[] = {
		{ 0x1100, 0x115f },   { 0x2e80, 0xa4cf },   { 0xac00, 0xd7a3 },
		{ 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
		{ 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f }, { 0x1f680, 0x1faff },
		{ 0x20000, 0x3fffd },
	};
	static const struct range combining[] = {
		{ 0x0300, 0x036f }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200c, 0x200d },
		{ 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f },
	};

	if (cp < 0x300)
		return 1;
	if (in_ranges(cp, combining, sizeof(combining) / sizeof(combining[0])))
		return 0;
	return in_ranges(cp, wide, sizeof(wide) / sizeof(wide[0])) ? 2 : 1;
}
