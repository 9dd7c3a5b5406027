// SPDX-License-Identifier: Apache-2.0
#include "py/threads.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "proc/mem.h"
#include "py/code.h"

/* A dictionary with more entries than this is not searched. */
#define DICT_ENTRIES_MAX (1u << 17)
/* Reads that one name may take: sys.modules costs one for each module before threading. */
#define READS_MAX   40000
#define TRIES       3
#define CHUNK       128 /* entries read at once */
#define KEY_LEN_MAX 16

/* tp_flags, 2.7 to 3.15 Include/object.h */
#define TPFLAGS_INLINE_VALUES    (1ull << 2)  /* 3.13 on */
#define TPFLAGS_MANAGED_DICT     (1ull << 4)  /* 3.11 on */
#define TPFLAGS_INT_SUBCLASS     (1ull << 23) /* 2.7 */
#define TPFLAGS_LONG_SUBCLASS    (1ull << 24)
#define TPFLAGS_STRING_SUBCLASS  (1ull << 27) /* 2.7 */
#define TPFLAGS_UNICODE_SUBCLASS (1ull << 28)
#define TPFLAGS_DICT_SUBCLASS    (1ull << 29)

/* Behind the object head (16 bytes; free-threaded 32): constant from 2.7 to 3.15. */
#define MODULE_md_dict     0
#define DICT_ma_keys       16 /* ma_values follows */
#define DICT_ma_mask       16 /* 2.7: ma_table follows */
#define TYPE_tp_name       8
#define TYPE_tp_basicsize  16
#define TYPE_tp_flags      152
#define TYPE_tp_dictoffset 272

/* PyDictKeysObject.dk_kind, 3.11 on: Include/internal/pycore_dict.h */
#define DICT_KEYS_GENERAL 0
#define DICT_KEYS_SPLIT   2

/* Where an instance keeps its attributes: Include/internal/pycore_object.h of each. */
enum instance_kind {
	INSTANCE_DICTOFFSET, /* up to 3.10: a dict at tp_dictoffset */
	INSTANCE_VALUES,     /* 3.11: values at -32, or else a dict at -24 */
	INSTANCE_TAGGED,     /* 3.12: at -24 a dict, or values when odd */
	INSTANCE_INLINE,     /* 3.13 on: a dict at -24 (-8), or else values behind the object */
};

/* One minor version. */
struct threads_row {
	uint16_t version;
	uint16_t modules;        /* PyInterpreterState.modules, 3.12 imports.modules */
	uint16_t modules_debug;  /* 3.13 on: where _Py_DebugOffsets holds it */
	uint16_t ht_cached_keys; /* PyHeapTypeObject, GIL build */
	uint8_t values;          /* PyDictValues.values */
	uint8_t instance;        /* enum instance_kind */
};

/*
 * Include/pystate.h of v2.7.18, v3.6.15, v3.7.16; Include/internal/pycore_{pystate,interp,dict,
 * runtime}.h and Include/cpython/object.h of v3.8.18, v3.9.18, v3.10.13, v3.11.7, v3.12.1, v3.13.0;
 * 3.14 and 3.15 against 3.14.10 and 3.15.2.
 */
static const struct threads_row rows[] = {
	{ 0x0207, 16, 0, 0, 0, INSTANCE_DICTOFFSET },
	{ 0x0306, 16, 0, 0, 0, INSTANCE_DICTOFFSET },
	{ 0x0307, 40, 0, 0, 0, INSTANCE_DICTOFFSET },
	{ 0x0308, 56, 0, 0, 0, INSTANCE_DICTOFFSET },
	{ 0x0309, 856, 0, 0, 0, INSTANCE_DICTOFFSET },
	{ 0x030a, 856, 0, 0, 0, INSTANCE_DICTOFFSET },
	{ 0x030b, 888, 0, 872, 0, INSTANCE_VALUES },
	{ 0x030c, 944, 0, 880, 0, INSTANCE_TAGGED },
	{ 0x030d, 0, 88, 880, 8, INSTANCE_INLINE },
	{ 0x030e, 0, 96, 880, 8, INSTANCE_INLINE },
	{ 0x030f, 0, 96, 888, 8, INSTANCE_INLINE },
};

struct walk {
	pid_t pid;
	const struct pv_layout *layout;
	const struct threads_row *row;
	uint16_t head; /* sizeof(PyObject) */
	uint32_t read_cnt;
};

/* A table of keys. Entries are {hash, key, value}, or {key, value} where all keys are str. */
struct keys {
	uint64_t entries;
	uint32_t cnt;
	uint8_t words; /* in an entry: 3 or 2 */
	uint8_t kind;
};

/* What an entry's key must be. */
struct wanted {
	const char *name; /* ASCII; NULL: the int @number */
	uint64_t number;
};

static int walk_read(struct walk *walk, uint64_t addr, void *out, size_t len)
{
	if (++walk->read_cnt > READS_MAX)
		return -ENOENT;
	return mem_read(walk->pid, addr, out, len);
}

static int read_u64(struct walk *walk, uint64_t addr, uint64_t *out)
{
	return walk_read(walk, addr, out, sizeof(*out));
}

static bool is_python2(const struct walk *walk)
{
	return walk->row->version < 0x0300;
}

static uint64_t str_flag(const struct walk *walk)
{
	return is_python2(walk) ? TPFLAGS_STRING_SUBCLASS : TPFLAGS_UNICODE_SUBCLASS;
}

static uint64_t int_flag(const struct walk *walk)
{
	return is_python2(walk) ? TPFLAGS_INT_SUBCLASS : TPFLAGS_LONG_SUBCLASS;
}

/* The type of the object at @addr and its flags. */
static int object_type(struct walk *walk, uint64_t addr, uint64_t *type, uint64_t *flags)
{
	int err;

	if (!addr || addr & 7)
		return -EAGAIN;
	err = read_u64(walk, addr + walk->layout->code.ob_type, type);
	if (err)
		return err;
	return *type & 7 ? -EAGAIN : read_u64(walk, *type + walk->head + TYPE_tp_flags, flags);
}

/* 0 if the object at @addr is of the built-in type that @flag stands for, or of a subclass. */
static int object_expect(struct walk *walk, uint64_t addr, uint64_t flag)
{
	uint64_t type, flags;
	int err = object_type(walk, addr, &type, &flags);

	return err ? err : flags & flag ? 0 : -EAGAIN;
}

static int module_expect(struct walk *walk, uint64_t addr)
{
	char name[sizeof("module")];
	uint64_t type, flags, at;
	int err = object_type(walk, addr, &type, &flags);

	if (!err)
		err = read_u64(walk, type + walk->head + TYPE_tp_name, &at);
	if (!err)
		err = walk_read(walk, at, name, sizeof(name));
	return err ? err : memcmp(name, "module", sizeof(name)) ? -EAGAIN : 0;
}

/* 2.7: every entry of the hash table, in the dict itself (Include/dictobject.h). */
static int keys_open_table(struct walk *walk, uint64_t dict, struct keys *keys)
{
	uint64_t table[2]; /* ma_mask, ma_table */
	int err = walk_read(walk, dict + walk->head + DICT_ma_mask, table, sizeof(table));

	if (err)
		return err;
	if (table[0] & (table[0] + 1) || table[1] & 7)
		return -EAGAIN;
	if (table[0] >= 2 * DICT_ENTRIES_MAX)
		return -ENOENT;
	keys->entries = table[1];
	keys->cnt = (uint32_t)table[0] + 1;
	keys->words = 3;
	keys->kind = DICT_KEYS_GENERAL;
	return 0;
}

/* Up to 3.10: struct _dictkeysobject of Objects/dict-common.h. */
static int keys_open_old(struct walk *walk, uint64_t addr, struct keys *keys)
{
	uint64_t head[5]; /* dk_refcnt, dk_size, dk_lookup, dk_usable, dk_nentries */
	uint64_t size;
	int err = walk_read(walk, addr, head, sizeof(head));

	if (err)
		return err;
	size = head[1];
	if (!size || size & (size - 1) || size > 2 * DICT_ENTRIES_MAX || head[4] > size)
		return -EAGAIN;
	keys->entries = addr + sizeof(head) + size * (size <= 0xff ? 1 : size <= 0xffff ? 2 : 4);
	keys->cnt = (uint32_t)head[4];
	keys->words = 3;
	/* Whether it is shared is up to who points to it. */
	keys->kind = DICT_KEYS_GENERAL;
	return 0;
}

/* 3.11 on: Include/internal/pycore_dict.h. */
static int keys_open_new(struct walk *walk, uint64_t addr, struct keys *keys)
{
	struct {
		uint64_t dk_refcnt;
		uint8_t dk_log2_size;
		uint8_t dk_log2_index_bytes;
		uint8_t dk_kind;
		uint8_t dk_mutex;
		uint32_t dk_version;
		uint64_t dk_usable;
		uint64_t dk_nentries;
	} head;
	int err = walk_read(walk, addr, &head, sizeof(head));

	if (err)
		return err;
	if (head.dk_kind > DICT_KEYS_SPLIT || head.dk_log2_size > 32 ||
	    head.dk_log2_index_bytes > 34 || head.dk_nentries > 1ull << head.dk_log2_size)
		return -EAGAIN;
	if (head.dk_nentries > DICT_ENTRIES_MAX)
		return -ENOENT;
	keys->entries = addr + sizeof(head) + (1ull << head.dk_log2_index_bytes);
	keys->cnt = (uint32_t)head.dk_nentries;
	keys->words = head.dk_kind == DICT_KEYS_GENERAL ? 3 : 2;
	keys->kind = head.dk_kind;
	return 0;
}

static int keys_open(struct walk *walk, uint64_t addr, struct keys *keys)
{
	if (!addr || addr & 7)
		return -EAGAIN;
	return walk->row->version < 0x030b ? keys_open_old(walk, addr, keys)
	                                   : keys_open_new(walk, addr, keys);
}

/* The same for the str of 2.7, which is bytes. */
static bool bytes_is(struct walk *walk, uint64_t addr, const char *name)
{
	const struct pv_layout_str *l = &walk->layout->str;
	size_t len = strlen(name);
	char data[KEY_LEN_MAX];
	uint64_t size;

	return len <= sizeof(data) && !read_u64(walk, addr + l->bytes_size, &size) && size == len &&
	       !walk_read(walk, addr + l->bytes_data, data, len) && !memcmp(data, name, len);
}

/* Is the str object at @addr the ASCII string @name? */
static bool str_is(struct walk *walk, uint64_t addr, const char *name)
{
	const struct pv_layout_str *l = &walk->layout->str;
	size_t len = strlen(name);
	uint8_t object[128];
	uint64_t length;
	uint32_t state;

	/* A shorter str at the very end of its mapping is not readable, and not the one. */
	if (len > KEY_LEN_MAX || l->ascii_data + len > sizeof(object) ||
	    l->length > l->ascii_data - sizeof(length) ||
	    l->state > l->ascii_data - sizeof(state) ||
	    walk_read(walk, addr, object, l->ascii_data + len))
		return false;
	memcpy(&length, object + l->length, sizeof(length));
	memcpy(&state, object + l->state, sizeof(state));
	return length == len && state >> (l->ascii_bit & 31) & 1 &&
	       state >> (l->compact_bit & 31) & 1 && !memcmp(object + l->ascii_data, name, len);
}

/* Does the entry of @words at @entry have the wanted key? */
static bool entry_is(struct walk *walk, const uint64_t *entry, unsigned int words,
                     const struct wanted *wanted)
{
	uint64_t key = entry[words - 2];

	if (!key || key & 7)
		return false;
	if (wanted->name)
		return (is_python2(walk) ? bytes_is(walk, key, wanted->name)
		                         : str_is(walk, key, wanted->name)) &&
		       !object_expect(walk, key, str_flag(walk));
	/* An int below 2^61 - 1 is its own hash (Python/pyhash.c), in 2.7 any positive one. */
	return words == 3 && entry[0] == wanted->number &&
	       !object_expect(walk, key, int_flag(walk));
}

/* The index of the wanted key, and the value beside it (0 in shared keys). -ENOENT: not there. */
static int keys_find(struct walk *walk, const struct keys *keys, const struct wanted *wanted,
                     uint32_t *index, uint64_t *value)
{
	uint64_t chunk[CHUNK * 3];
	uint32_t words = keys->words;

	for (uint32_t at = 0; at < keys->cnt; at += CHUNK) {
		uint32_t cnt = keys->cnt - at < CHUNK ? keys->cnt - at : CHUNK;
		int err = walk_read(walk, keys->entries + (uint64_t)at * words * 8, chunk,
		                    (size_t)cnt * words * 8);

		if (err)
			return err;
		for (uint32_t i = 0; i < cnt && walk->read_cnt <= READS_MAX; i++) {
			if (!entry_is(walk, chunk + i * words, words, wanted))
				continue;
			*index = at + i;
			*value = chunk[i * words + words - 1];
			return 0;
		}
	}
	return -ENOENT;
}

/* Attribute @index of PyDictValues at @values. */
static int values_get(struct walk *walk, uint64_t values, uint32_t index, uint64_t *value)
{
	uint8_t head[8]; /* 3.13 on: capacity, size, embedded, valid */
	int err;

	if (values & 7)
		return -EAGAIN;
	if (walk->row->values) {
		err = walk_read(walk, values, head, sizeof(head));
		if (err)
			return err;
		if (index >= head[0])
			return -EAGAIN;
	}
	err = read_u64(walk, values + walk->row->values + 8ull * index, value);
	return err ? err : *value ? 0 : -ENOENT;
}

static int dict_find(struct walk *walk, uint64_t dict, const struct wanted *wanted, uint64_t *value)
{
	uint64_t tables[2] = { 0 }; /* ma_keys, ma_values */
	struct keys keys;
	uint32_t index;
	int err = object_expect(walk, dict, TPFLAGS_DICT_SUBCLASS);

	if (!err && is_python2(walk)) {
		err = keys_open_table(walk, dict, &keys);
	} else if (!err) {
		err = walk_read(walk, dict + walk->head + DICT_ma_keys, tables, sizeof(tables));
		if (!err)
			err = keys_open(walk, tables[0], &keys);
	}
	if (!err)
		err = keys_find(walk, &keys, wanted, &index, value);
	if (err)
		return err;
	if (tables[1])
		return values_get(walk, tables[1], index, value);
	return *value ? 0 : -ENOENT;
}

/* Where the attributes of the instance at @addr are: a dict, or else values; both 0: nowhere. */
static int instance_open(struct walk *walk, uint64_t addr, uint64_t type, uint64_t flags,
                         uint64_t *dict, uint64_t *values)
{
	uint8_t kind = walk->row->instance;
	uint64_t offset, pair[2];
	int err = 0;

	*dict = *values = 0;
	if (kind == INSTANCE_DICTOFFSET || !(flags & TPFLAGS_MANAGED_DICT)) {
		err = read_u64(walk, type + walk->head + TYPE_tp_dictoffset, &offset);
		/* Negative: counted from the end, for types of variable size only. */
		if (err || offset > INT32_MAX || !offset)
			return err;
		return read_u64(walk, addr + offset, dict);
	}
	if (kind == INSTANCE_VALUES) {
		err = walk_read(walk, addr - 32, pair, sizeof(pair));
		*values = err ? 0 : pair[0];
		*dict = err || pair[0] ? 0 : pair[1];
		return err;
	}
	if (kind == INSTANCE_TAGGED) {
		err = read_u64(walk, addr - 24, &offset);
		if (!err)
			*(offset & 1 ? values : dict) = offset + (offset & 1);
		return err;
	}
	err = read_u64(walk, addr - (walk->head == 16 ? 24 : 8), dict);
	if (err || *dict || !(flags & TPFLAGS_INLINE_VALUES))
		return err;
	err = read_u64(walk, type + walk->head + TYPE_tp_basicsize, &offset);
	if (!err && offset > 4096)
		return -EAGAIN;
	*values = err ? 0 : addr + offset;
	return err;
}

static int attribute_find(struct walk *walk, uint64_t addr, const char *name, uint64_t *value)
{
	const struct wanted wanted = { .name = name };
	uint64_t type, flags, dict, values, shared, unused;
	struct keys keys;
	uint32_t index;
	int err = object_type(walk, addr, &type, &flags);

	if (!err)
		err = instance_open(walk, addr, type, flags, &dict, &values);
	if (err)
		return err;
	if (!values)
		return dict ? dict_find(walk, dict, &wanted, value) : -ENOENT;
	err = read_u64(walk, type + walk->row->ht_cached_keys + walk->head - 16, &shared);
	if (!err)
		err = keys_open(walk, shared, &keys);
	if (!err && keys.kind != DICT_KEYS_SPLIT)
		err = -EAGAIN;
	if (!err)
		err = keys_find(walk, &keys, &wanted, &index, &unused);
	return err ? err : values_get(walk, values, index, value);
}

/* PyInterpreterState's sys.modules. */
static int modules_find(struct walk *walk, uint64_t runtime_addr, uint64_t interp,
                        uint64_t *modules)
{
	uint64_t offset = walk->row->modules;
	int err;

	if (walk->row->modules_debug) {
		/* 3.14.5 moved it: the target's own word counts. */
		err = read_u64(walk, runtime_addr + walk->row->modules_debug, &offset);
		if (err)
			return err;
		if (!offset || offset & 7 || offset > 1 << 20)
			return -ENOENT;
	}
	return read_u64(walk, interp + offset, modules);
}

/* threading.Thread.name; 2.7 mangles what its __init__ calls self.__name. */
static int attribute_name(struct walk *walk, uint64_t thread, uint64_t *name)
{
	return attribute_find(walk, thread, is_python2(walk) ? "_Thread__name" : "_name", name);
}

static int name_find(struct walk *walk, const struct py_runtime *runtime, uint64_t interp,
                     uint64_t ident, struct buf *out)
{
	const struct wanted threading = { .name = "threading" }, active = { .name = "_active" };
	const struct wanted number = { .number = ident };
	uint64_t at, thread, name, again;
	bool cut;
	int err;

	err = modules_find(walk, runtime->runtime_addr, interp, &at);
	if (!err)
		err = at ? dict_find(walk, at, &threading, &at) : -ENOENT;
	if (!err)
		err = module_expect(walk, at);
	if (!err)
		err = read_u64(walk, at + walk->head + MODULE_md_dict, &at);
	if (!err)
		err = dict_find(walk, at, &active, &at);
	if (!err)
		err = dict_find(walk, at, &number, &thread);
	if (!err)
		err = attribute_name(walk, thread, &name);
	if (!err)
		err = object_expect(walk, name, str_flag(walk));
	if (!err)
		err = py_string_from_process(walk->pid, walk->layout, name, &cut, out);
	if (!err)
		err = attribute_name(walk, thread, &again);
	return !err && again != name ? -EAGAIN : err;
}

int py_thread_name(pid_t pid, const struct py_runtime *runtime, __u64 interp, __u64 ident,
                   struct buf *out)
{
	struct walk walk = {
		.pid = pid,
		.layout = &runtime->layout,
		.head = runtime->layout.flags & PV_LAYOUT_FREE_THREADED ? 32 : 16,
	};
	size_t len = out->len;
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].version == runtime->layout.version)
			walk.row = &rows[i];
	}
	if (!walk.row || !interp || (walk.row->modules_debug && !runtime->runtime_addr))
		return -ENOENT;
	for (int i = 0; i < TRIES; i++) {
		err = name_find(&walk, runtime, interp, ident, out);
		if (!err)
			return 0;
		if (out->data) {
			out->len = len;
			out->data[len] = '\0';
		}
		if (err != -EAGAIN && err != -EFAULT)
			break;
	}
	return err;
}
