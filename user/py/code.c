// SPDX-License-Identifier: Apache-2.0
#include "py/code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/fingerprint.h"
#include "proc/mem.h"

#define REPLACEMENT 0xfffd

/* What surrogateescape (PEP 383) makes of the undecodable bytes 0x80 to 0xff. */
#define ESCAPE_FIRST 0xdc80
#define ESCAPE_LAST  0xdcff

/* More than any string object's header is long. */
#define STR_HEAD_MAX 128

void py_code_free(struct py_code *code)
{
	buf_free(&code->name);
	buf_free(&code->file);
	buf_free(&code->table);
	*code = (struct py_code){ 0 };
}

/* Length of the UTF-8 sequence (two bytes at least) that @at starts with; 0: there is none. */
static size_t utf8_sequence(const uint8_t *at, size_t len)
{
	size_t need = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;

	if (at[0] < 0xc2 || at[0] > 0xf4 || len < need)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, beyond Unicode. */
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return need;
}

static void bytes_to_utf8(const uint8_t *data, size_t len, struct buf *out)
{
	for (size_t at = 0; at < len;) {
		size_t n = data[at] < 0x80 ? 1 : utf8_sequence(data + at, len - at);

		if (n)
			buf_add(out, data + at, n);
		else
			buf_put_utf8(out, REPLACEMENT);
		at += n ? n : 1;
	}
}

static uint32_t code_point(const uint8_t *data, size_t index, unsigned int kind)
{
	uint16_t u16;
	uint32_t u32;

	if (kind == 1)
		return data[index];
	if (kind == 2) {
		memcpy(&u16, data + 2 * index, sizeof(u16));
		return u16;
	}
	memcpy(&u32, data + 4 * index, sizeof(u32));
	return u32;
}

static bool is_escape(uint32_t cp)
{
	return cp >= ESCAPE_FIRST && cp <= ESCAPE_LAST;
}

void py_string_to_utf8(const void *data, size_t len, unsigned int kind, struct buf *out)
{
	size_t cnt;

	if (kind == 0) {
		bytes_to_utf8(data, len, out);
		return;
	}
	if (kind != 1 && kind != 2 && kind != 4)
		return;
	cnt = len / kind;
	for (size_t at = 0; at < cnt;) {
		uint32_t cp = code_point(data, at, kind);
		uint8_t bytes[4];
		size_t have = 0, n;

		if (!is_escape(cp)) {
			buf_put_utf8(out, cp);
			at++;
			continue;
		}
		while (have < sizeof(bytes) && at + have < cnt &&
		       is_escape(code_point(data, at + have, kind))) {
			bytes[have] = (uint8_t)code_point(data, at + have, kind);
			have++;
		}
		n = utf8_sequence(bytes, have);
		if (n)
			buf_add(out, bytes, n);
		else
			buf_put_utf8(out, REPLACEMENT);
		at += n ? n : 1;
	}
}

static bool kind_is_valid(unsigned int kind)
{
	return kind == 0 || kind == 1 || kind == 2 || kind == 4;
}

static int code_err(const struct py_code *code)
{
	return code->name.err | code->file.err | code->table.err ? -ENOMEM : 0;
}

/* What @flags of a record say of one part, of which @len bytes came. */
static uint32_t part_lacks(uint32_t flags, uint32_t cut, size_t len, uint32_t part)
{
	return flags & cut || (flags & PV_SYMBOL_UNREADABLE && !len) ? part : 0;
}

int py_code_from_event(const struct pv_symbol *symbol, size_t size, struct py_code *code)
{
	const uint8_t *at = (const uint8_t *)(symbol + 1);

	if (size < sizeof(*symbol) || size - sizeof(*symbol) < (size_t)symbol->name_len +
	                                                               symbol->file_len +
	                                                               symbol->table_len)
		return -EPROTO;
	if ((symbol->name_len && !kind_is_valid(symbol->name_kind)) ||
	    (symbol->file_len && !kind_is_valid(symbol->file_kind)))
		return -EPROTO;
	py_string_to_utf8(at, symbol->name_len, symbol->name_kind, &code->name);
	at += symbol->name_len;
	py_string_to_utf8(at, symbol->file_len, symbol->file_kind, &code->file);
	at += symbol->file_len;
	buf_add(&code->table, at, symbol->table_len);
	code->firstlineno = symbol->firstlineno;
	code->firsttraceable = symbol->firsttraceable;
	code->lacks =
		part_lacks(symbol->flags, PV_SYMBOL_NAME_CUT, symbol->name_len, PY_CODE_NAME) |
		part_lacks(symbol->flags, PV_SYMBOL_FILE_CUT, symbol->file_len, PY_CODE_FILE) |
		part_lacks(symbol->flags, PV_SYMBOL_TABLE_CUT, symbol->table_len, PY_CODE_TABLE);
	if (code_err(code)) {
		py_code_free(code);
		return -ENOMEM;
	}
	return 0;
}

static uint64_t head_u64(const uint8_t *head, size_t off)
{
	uint64_t value = 0;

	if (off <= PV_CODE_READ_MAX - sizeof(value))
		memcpy(&value, head + off, sizeof(value));
	return value;
}

static int32_t head_s32(const uint8_t *head, size_t off)
{
	int32_t value = 0;

	if (off <= PV_CODE_READ_MAX - sizeof(value))
		memcpy(&value, head + off, sizeof(value));
	return value;
}

uint32_t py_code_fingerprint(const struct pv_layout *layout, const void *head, uint64_t str_hash)
{
	uint64_t words[PV_FP_BYTES / 8];
	size_t off = layout->code.fp_off;

	if (off > PV_CODE_READ_MAX - PV_FP_BYTES)
		return 0;
	memcpy(words, (const uint8_t *)head + off, sizeof(words));
	return pv_fingerprint((const __u64 *)words, str_hash);
}

/* Read the head of the code object at @addr; 0 if it is the one that @fp means, else -ESTALE. */
static int head_read(pid_t pid, const struct pv_layout *layout, uint64_t addr, uint32_t fp,
                     uint8_t head[PV_CODE_READ_MAX])
{
	uint64_t str, hash = 0;
	int err;

	memset(head, 0, PV_CODE_READ_MAX);
	if (layout->code.read_len > PV_CODE_READ_MAX)
		return -EFAULT;
	err = mem_read(pid, addr, head, layout->code.read_len);
	if (err)
		return err;
	if (layout->code.fp_str != PV_NO_FIELD) {
		str = head_u64(head, layout->code.fp_str);
		/* As in bpf/: an unreadable hash counts as 0. */
		err = mem_read(pid, str + layout->str.hash, &hash, sizeof(hash));
		if (err == -EFAULT)
			hash = 0;
		else if (err)
			return err;
	}
	return py_code_fingerprint(layout, head, hash) == fp ? 0 : -ESTALE;
}

/* Append @len bytes at @addr to @out. */
static int bytes_read(pid_t pid, uint64_t addr, size_t len, struct buf *out)
{
	int err;

	if (!len)
		return 0;
	if (!buf_reserve(out, len))
		return -ENOMEM;
	err = mem_read(pid, addr, out->data + out->len, len);
	if (err)
		return err;
	out->len += len;
	out->data[out->len] = '\0';
	return 0;
}

/* The size field of the bytes object at @addr, at most @max; more: *cut. */
static int bytes_size(pid_t pid, const struct pv_layout *layout, uint64_t addr, uint64_t max,
                      uint64_t *size, bool *cut)
{
	int err = mem_read(pid, addr + layout->str.bytes_size, size, sizeof(*size));

	if (err)
		return err;
	*cut = *size > max;
	if (*size > INT64_MAX)
		return -EFAULT;
	if (*cut)
		*size = max;
	return 0;
}

/* Where the @len bytes of the str at @addr lie. */
static int str_find(pid_t pid, const struct pv_layout_str *l, uint64_t addr, uint64_t *data,
                    uint64_t *len, unsigned int *kind, bool *cut)
{
	uint8_t head[STR_HEAD_MAX];
	uint32_t state;
	int err;

	/* Not a byte more than the smallest object has: it may end at the end of a mapping. */
	if (l->length + sizeof(*len) > sizeof(head) || l->state + sizeof(state) > sizeof(head) ||
	    l->length > l->state)
		return -EFAULT;
	err = mem_read(pid, addr, head, l->state + sizeof(state));
	if (err)
		return err;
	memcpy(&state, head + l->state, sizeof(state));
	memcpy(len, head + l->length, sizeof(*len));
	*kind = state >> (l->kind_shift & 31) & 7;
	if ((*kind != 1 && *kind != 2 && *kind != 4) || *len > INT64_MAX)
		return -EFAULT;
	*cut = *len > PY_NAME_MAX;
	*len = (*cut ? PY_NAME_MAX : *len) * *kind;
	if (!(state >> (l->compact_bit & 31) & 1))
		return mem_read(pid, addr + l->compact_data, data, sizeof(*data));
	*data = addr + (state >> (l->ascii_bit & 31) & 1 ? l->ascii_data : l->compact_data);
	return 0;
}

int py_string_from_process(pid_t pid, const struct pv_layout *layout, uint64_t addr, bool *cut,
                           struct buf *out)
{
	struct buf raw = { 0 };
	unsigned int kind = 0;
	uint64_t data, len;
	int err;

	if (layout->str.kind_shift == PV_NO_SHIFT) {
		err = bytes_size(pid, layout, addr, PY_NAME_MAX, &len, cut);
		data = addr + layout->str.bytes_data;
	} else {
		err = str_find(pid, &layout->str, addr, &data, &len, &kind, cut);
	}
	if (!err)
		err = bytes_read(pid, data, len, &raw);
	if (!err)
		py_string_to_utf8(raw.data, raw.len, kind, out);
	buf_free(&raw);
	return err ? err : out->err;
}

static int parts_read(pid_t pid, const struct pv_layout *layout, const uint8_t *head,
                      struct py_code *code)
{
	uint64_t table = head_u64(head, layout->code.co_linetable), size;
	bool cut;
	int err;

	err = py_string_from_process(pid, layout, head_u64(head, layout->code.co_name), &cut,
	                             &code->name);
	if (err)
		return err;
	code->lacks |= cut ? PY_CODE_NAME : 0;
	err = py_string_from_process(pid, layout, head_u64(head, layout->code.co_filename), &cut,
	                             &code->file);
	if (err)
		return err;
	code->lacks |= cut ? PY_CODE_FILE : 0;
	err = bytes_size(pid, layout, table, PY_TABLE_MAX, &size, &cut);
	if (err)
		return err;
	code->lacks |= cut ? PY_CODE_TABLE : 0;
	return bytes_read(pid, table + layout->str.bytes_data, size, &code->table);
}

int py_code_from_process(pid_t pid, const struct pv_layout *layout, uint64_t addr, uint32_t fp,
                         struct py_code *code)
{
	uint8_t head[PV_CODE_READ_MAX], after[PV_CODE_READ_MAX];
	int err, again;

	err = head_read(pid, layout, addr, fp, head);
	if (err)
		return err;
	code->firstlineno = head_s32(head, layout->code.co_firstlineno);
	if (layout->code.co_firsttraceable != PV_NO_FIELD)
		code->firsttraceable = head_s32(head, layout->code.co_firsttraceable);
	err = parts_read(pid, layout, head, code);
	if (err == -ENOMEM)
		goto out;
	/* What was read, or failed to be read, counts only if it was this code object all the time. */
	again = head_read(pid, layout, addr, fp, after);
	if (again)
		err = again;
out:
	if (err)
		py_code_free(code);
	return err;
}
