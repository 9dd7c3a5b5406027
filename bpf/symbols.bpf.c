// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include "vmlinux.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/emit.bpf.h"
#include "bpf/symbols.bpf.h"
#include "bpf/usermem.bpf.h"

#define SEEN_SETS (1 << 11) /* sets of two: 64 KiB a CPU */

struct seen_entry {
	__u64 code;
	__u64 tag; /* fingerprint and process in one */
};

struct seen_set {
	struct seen_entry way[2]; /* the newer one first */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SEEN_SETS);
	__type(key, __u32);
	__type(value, struct seen_set);
} seen SEC(".maps");

/* Name and file (each up to 1 KiB) and table (4 KiB) lie back to back: the offset of each part is
 * the sum of the lengths before it, masked so that the verifier sees the bound.
 */
#define STR_MASK     1023
#define TABLE_MASK   4095
#define PAYLOAD_ROOM (3 * (STR_MASK + 1) + TABLE_MASK + 1)

/*
 * Code objects that one CPU sends in a second. Each is sent once, unless more of them are at work than
 * `seen` holds: then this is what keeps them from filling the ring again and again.
 */
#define SEND_PER_S_MAX 16384
#define NSEC_PER_SEC   1000000000ull

struct symbol_scratch {
	__u64 second; /* since boot: sent_cnt belongs to it */
	__u64 sent_cnt;
	__u8 head[PV_CODE_READ_MAX];
	__u8 str[80]; /* the largest PyCompactUnicodeObject header is 72 bytes */
	/* struct pv_symbol and its payload */
	__u8 out[sizeof(struct pv_symbol) + PAYLOAD_ROOM] __attribute__((aligned(8)));
};

#define RECORD(s) ((struct pv_symbol *)(s)->out)

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct symbol_scratch);
} symbol_scratch SEC(".maps");

static __always_inline __u64 mix(__u64 x)
{
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

static __always_inline struct seen_set *seen_set(__u64 code)
{
	/* Code objects are 16-byte aligned at least. */
	__u32 index = mix(code >> 4) & (SEEN_SETS - 1);

	return bpf_map_lookup_elem(&seen, &index);
}

static __always_inline __u64 seen_tag(const struct pv_walk *walk, __u32 fp)
{
	return mix(walk->proc_tag + fp);
}

static __always_inline bool seen_has(const struct seen_set *set, __u64 code, __u64 tag)
{
	return (set->way[0].code == code && set->way[0].tag == tag) ||
	       (set->way[1].code == code && set->way[1].tag == tag);
}

__hidden bool symbols_note(struct pv_walk *walk, __u64 code, __u32 fp)
{
	struct seen_set *set = seen_set(code);
	__u32 at = walk->new_cnt;

	if (!set)
		return false;
	if (seen_has(set, code, seen_tag(walk, fp)))
		return true;
	/* A recursion of a new function would fill the list with it. */
	if (at && at <= PV_NEW_CODE_MAX && walk->new_codes[at - 1].code == code)
		return false;
	if (at >= PV_NEW_CODE_MAX) {
		count(PV_CNT_SYMBOL_DEFERRED);
		walk->symbols_lack = 1;
		return false;
	}
	walk->new_codes[at].code = code;
	walk->new_codes[at].fp = fp;
	walk->new_cnt = at + 1;
	return false;
}

#define HEAD_U64(s, off) ((off) <= PV_CODE_READ_MAX - 8 ? *(__u64 *)((s)->head + (off)) : 0)
#define HEAD_S32(s, off) ((off) <= PV_CODE_READ_MAX - 4 ? *(__s32 *)((s)->head + (off)) : 0)

struct part {
	__u64 addr;
	__u64 len; /* bytes */
	__u8 kind; /* bytes a code point; 0: bytes */
};

/* Where the characters of the str object at @addr are. False: not readable. */
static __always_inline bool str_find(struct symbol_scratch *s, const struct pv_layout_str *l,
                                     __u64 addr, struct part *part)
{
	__u32 length_off = l->length, state_off = l->state, data_off = l->compact_data;
	__u32 state;

	if (l->kind_shift == PV_NO_SHIFT) {
		part->kind = 0;
		part->addr = addr + l->bytes_data;
		return !user_read(&part->len, 8, (void *)(addr + l->bytes_size));
	}
	/* Checked and used as one value: a reload from the map would be unchecked. */
	asm volatile("" : "+r"(length_off), "+r"(state_off), "+r"(data_off));
	if (length_off > sizeof(s->str) - 8 || state_off > sizeof(s->str) - 4 ||
	    data_off > sizeof(s->str) - 8 || user_read(s->str, sizeof(s->str), (void *)addr))
		return false;
	state = *(__u32 *)(s->str + state_off);
	part->kind = state >> (l->kind_shift & 31) & 7;
	part->len = *(__u64 *)(s->str + length_off) * part->kind;
	if (!(state >> (l->compact_bit & 31) & 1))
		part->addr = *(__u64 *)(s->str + data_off);
	else if (state >> (l->ascii_bit & 31) & 1)
		part->addr = addr + l->ascii_data;
	else
		part->addr = addr + data_off;
	return part->kind == 1 || part->kind == 2 || part->kind == 4;
}

/* Copy a part behind what is there. Returns the bytes copied; sets @flags if cut or unreadable. */
static __always_inline __u32 part_copy(struct symbol_scratch *s, const struct part *part, __u32 at,
                                       __u32 mask, __u32 cut_flag)
{
	__u64 len = part->len;

	if (len > mask) {
		/* Whole code points only. */
		len = mask & ~3u;
		RECORD(s)->flags |= cut_flag;
	}
	len &= mask;
	if (at > 2 * (STR_MASK + 1))
		return 0;
	if (len && user_read(s->out + sizeof(struct pv_symbol) + at, len, (void *)part->addr)) {
		RECORD(s)->flags |= PV_SYMBOL_UNREADABLE;
		return 0;
	}
	return len;
}

static __always_inline void symbol_fill(struct symbol_scratch *s, const struct pv_layout *layout)
{
	const struct pv_layout_code *l = &layout->code;
	struct part part = {};
	__u32 at = 0, len;

	RECORD(s)->firstlineno = HEAD_S32(s, l->co_firstlineno);
	RECORD(s)->firsttraceable =
		l->co_firsttraceable == PV_NO_FIELD ? 0 : HEAD_S32(s, l->co_firsttraceable);
	if (str_find(s, &layout->str, HEAD_U64(s, l->co_name), &part)) {
		len = part_copy(s, &part, 0, STR_MASK, PV_SYMBOL_NAME_CUT);
		RECORD(s)->name_kind = part.kind;
		RECORD(s)->name_len = len;
		at = len & STR_MASK;
	} else {
		RECORD(s)->flags |= PV_SYMBOL_UNREADABLE;
	}
	if (str_find(s, &layout->str, HEAD_U64(s, l->co_filename), &part)) {
		len = part_copy(s, &part, at, STR_MASK, PV_SYMBOL_FILE_CUT);
		RECORD(s)->file_kind = part.kind;
		RECORD(s)->file_len = len;
		at += len & STR_MASK;
	} else {
		RECORD(s)->flags |= PV_SYMBOL_UNREADABLE;
	}
	part.addr = HEAD_U64(s, l->co_linetable) + layout->str.bytes_data;
	if (user_read(&part.len, 8,
	              (void *)(HEAD_U64(s, l->co_linetable) + layout->str.bytes_size))) {
		RECORD(s)->flags |= PV_SYMBOL_UNREADABLE;
		return;
	}
	RECORD(s)->table_len = part_copy(s, &part, at, TABLE_MASK, PV_SYMBOL_TABLE_CUT);
}

/* May this CPU send one more now? */
static __always_inline bool send_may(struct symbol_scratch *s)
{
	__u64 second = bpf_ktime_get_ns() / NSEC_PER_SEC;

	if (s->second != second) {
		s->second = second;
		s->sent_cnt = 0;
	}
	return s->sent_cnt++ < SEND_PER_S_MAX;
}

__hidden void symbols_send(struct pv_walk *walk, const struct pv_layout *layout,
                           const struct pv_proc *proc, __u32 index)
{
	struct symbol_scratch *s;
	struct seen_set *set;
	__u64 code, tag, size;
	__u32 zero = 0, fp, len;

	if (index >= PV_NEW_CODE_MAX)
		return;
	code = walk->new_codes[index].code;
	fp = walk->new_codes[index].fp;
	tag = seen_tag(walk, fp);
	s = bpf_map_lookup_elem(&symbol_scratch, &zero);
	set = seen_set(code);
	if (!s || !set || seen_has(set, code, tag))
		return;
	if (!send_may(s)) {
		count(PV_CNT_SYMBOL_DEFERRED);
		walk->symbols_lack = 1;
		return;
	}
	len = layout->code.read_len;
	if (len > PV_CODE_READ_MAX || user_read(s->head, len, (void *)code)) {
		count(PV_CNT_SYMBOL_UNREADABLE);
		walk->symbols_lack = 1;
		return;
	}
	emit_header(&RECORD(s)->hdr, PV_EVENT_SYMBOL, task_current(), &proc->id);
	RECORD(s)->layout = proc->layout;
	RECORD(s)->code = code;
	RECORD(s)->fp = fp;
	RECORD(s)->flags = 0;
	RECORD(s)->name_len = 0;
	RECORD(s)->file_len = 0;
	RECORD(s)->table_len = 0;
	symbol_fill(s, layout);
	size = RECORD(s)->name_len + RECORD(s)->file_len + RECORD(s)->table_len;
	if (size > PAYLOAD_ROOM)
		return;
	if (emit_from_tick(s->out, sizeof(struct pv_symbol) + size, false)) {
		count(PV_CNT_SYMBOL_RING_FULL);
		return;
	}
	/* Whatever flag: a part is missing. */
	if (RECORD(s)->flags)
		walk->symbols_lack = 1;
	count(RECORD(s)->flags & PV_SYMBOL_UNREADABLE ? PV_CNT_SYMBOL_UNREADABLE
	                                              : PV_CNT_SYMBOL_SENT);
	set->way[1] = set->way[0];
	set->way[0].code = code;
	set->way[0].tag = tag;
}
