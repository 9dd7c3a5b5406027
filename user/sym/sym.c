// SPDX-License-Identifier: Apache-2.0
#include "sym/sym.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "py/code.h"
#include "py/linetable.h"
#include "util/hmap.h"
#include "util/pool.h"

#define MARK_UNREADABLE "[unreadable]"
#define NAME_UNKNOWN    "[unknown function]"

#define ALL_PARTS (PY_CODE_NAME | PY_CODE_FILE | PY_CODE_TABLE)

/* The parts of a code object, as ids of the store's pool. */
struct sym_code {
	uint64_t addr;
	uint32_t fp;
	uint32_t name;
	uint32_t file;
	uint32_t table;
	int32_t firstlineno;
	int32_t firsttraceable;
	uint32_t next; /* of those that may be incomplete; SYM_NONE: last */
	uint8_t has;   /* PY_CODE_*: parts that are there, at least in part */
	uint8_t lacks; /* PY_CODE_*: parts that are cut or not there */
	uint8_t tried; /* the process was asked, or is not worth asking */
};

struct sym_store {
	struct pool pool;
	uint64_t bytes;    /* in the pool */
	uint64_t trim_at;  /* as many are too many */
	uint32_t code_cnt; /* of all below */
	struct sym *first;
	struct sym_stats stats;
};

struct sym {
	struct sym_store *store;
	struct sym *prev, *next; /* of the same store */
	struct sym_code *codes;
	uint32_t code_cnt;
	uint32_t code_cap;
	struct hmap code_map;
	uint32_t first;    /* code objects that may be incomplete */
	uint32_t want_cnt; /* how many of them are, and were not tried */
};

struct sym_key {
	const struct sym *sym;
	uint64_t addr;
	uint32_t fp;
};

struct sym_store *sym_store__new(void)
{
	struct sym_store *store = calloc(1, sizeof(*store));

	if (store)
		store->trim_at = SYM_TRIM_MIN;
	return store;
}

void sym_store__free(struct sym_store *store)
{
	if (!store)
		return;
	pool_free(&store->pool);
	free(store);
}

const struct sym_stats *sym_store__stats(const struct sym_store *store)
{
	return &store->stats;
}

uint32_t sym_store__code_cnt(const struct sym_store *store)
{
	return store->code_cnt;
}

uint64_t sym_store__bytes(const struct sym_store *store)
{
	return store->bytes;
}

struct sym *sym__new(struct sym_store *store)
{
	struct sym *sym = calloc(1, sizeof(*sym));

	if (!sym)
		return NULL;
	sym->store = store;
	sym->first = SYM_NONE;
	sym->next = store->first;
	if (sym->next)
		sym->next->prev = sym;
	store->first = sym;
	return sym;
}

/* The id in @pool of what is @id in @from, remembered in @ids; HMAP_NONE: no memory. */
static uint32_t pool_move(const struct pool *from, struct pool *pool, uint32_t *ids, uint32_t id,
                          uint64_t *bytes)
{
	const char *data;
	size_t len;

	if (ids[id] == HMAP_NONE) {
		data = pool_get(from, id, &len);
		ids[id] = pool_intern(pool, data, len);
		*bytes += len;
	}
	return ids[id];
}

/* Which of the fields that hold ids of the pool is @part? */
static uint32_t *code_part(struct sym_code *code, uint32_t part)
{
	return part == PY_CODE_NAME   ? &code->name
	       : part == PY_CODE_FILE ? &code->file
	                              : &code->table;
}

/* Move what @code has into @pool; @set: all of it is there, take over the new ids. */
static bool code_move(const struct pool *from, struct pool *pool, uint32_t *ids,
                      struct sym_code *code, bool set, uint64_t *bytes)
{
	for (uint32_t part = 1; part <= ALL_PARTS; part <<= 1) {
		uint32_t id;

		if (!(code->has & part))
			continue;
		id = pool_move(from, pool, ids, *code_part(code, part), bytes);
		if (id == HMAP_NONE)
			return false;
		if (set)
			*code_part(code, part) = id;
	}
	return true;
}

static bool codes_move(struct sym_store *store, struct pool *pool, uint32_t *ids, bool set,
                       uint64_t *bytes)
{
	for (struct sym *sym = store->first; sym; sym = sym->next)
		for (uint32_t i = 0; i < sym->code_cnt; i++)
			if (!code_move(&store->pool, pool, ids, &sym->codes[i], set, bytes))
				return false;
	return true;
}

/* Let go of the strings that nobody has any more. Without memory for it everything stays. */
static void store_trim(struct sym_store *store)
{
	uint32_t *ids = malloc(((size_t)store->pool.cnt + 1) * sizeof(*ids));
	struct pool pool = { 0 };
	uint64_t bytes = 0;

	if (!ids)
		return;
	memset(ids, 0xff, ((size_t)store->pool.cnt + 1) * sizeof(*ids));
	if (codes_move(store, &pool, ids, false, &bytes)) {
		codes_move(store, &pool, ids, true, &bytes);
		pool_free(&store->pool);
		store->pool = pool;
		store->bytes = bytes;
	} else {
		pool_free(&pool);
	}
	free(ids);
	store->trim_at = store->bytes * 2;
	/* Before anything is refused. */
	if (store->trim_at > SYM_BYTES_MAX / 4 * 3)
		store->trim_at = SYM_BYTES_MAX / 4 * 3;
	if (store->trim_at < store->bytes + SYM_TRIM_MIN)
		store->trim_at = store->bytes + SYM_TRIM_MIN;
}

void sym__free(struct sym *sym)
{
	struct sym_store *store;

	if (!sym)
		return;
	store = sym->store;
	if (sym->next)
		sym->next->prev = sym->prev;
	if (sym->prev)
		sym->prev->next = sym->next;
	else
		store->first = sym->next;
	store->code_cnt -= sym->code_cnt;
	free(sym->codes);
	hmap_free(&sym->code_map);
	free(sym);
	if (store->bytes >= store->trim_at)
		store_trim(store);
}

static bool code_eq(const void *ctx, uint32_t value)
{
	const struct sym_key *key = ctx;
	const struct sym_code *code = &key->sym->codes[value];

	return code->addr == key->addr && code->fp == key->fp;
}

/* Make room for one more code object. Most processes are short and show few. */
static int codes_grow(struct sym *sym)
{
	uint32_t cap = sym->code_cap ? sym->code_cap * 2 : 8;
	struct sym_code *codes;

	if (sym->code_cnt < sym->code_cap)
		return 0;
	codes = realloc(sym->codes, cap * sizeof(*codes));
	if (!codes)
		return -ENOMEM;
	sym->codes = codes;
	sym->code_cap = cap;
	return 0;
}

static bool code_wants(const struct sym_code *code)
{
	return code->lacks && !code->tried;
}

static uint32_t code_add(struct sym *sym, uint64_t addr, uint32_t fp)
{
	uint64_t hash = hash_u64(addr ^ hash_u64(fp));
	struct sym_key key = { sym, addr, fp };
	uint32_t at = hmap_find(&sym->code_map, hash, code_eq, &key);

	if (at != HMAP_NONE)
		return at;
	if (sym->store->code_cnt >= SYM_CODE_MAX) {
		sym->store->stats.refused++;
		return SYM_NONE;
	}
	if (codes_grow(sym) || hmap_add(&sym->code_map, hash, sym->code_cnt))
		return SYM_NONE;
	at = sym->code_cnt++;
	sym->codes[at] = (struct sym_code){
		.addr = addr,
		.fp = fp,
		.next = sym->first,
		.lacks = ALL_PARTS,
	};
	sym->first = at;
	sym->want_cnt++;
	sym->store->code_cnt++;
	sym->store->stats.missing++;
	return at;
}

uint32_t sym__code(struct sym *sym, const struct pv_frame *frame)
{
	if (PV_FRAME_KIND(frame) > PV_FRAME_GENERATOR)
		return SYM_NONE;
	return code_add(sym, frame->addr, PV_FRAME_FP(frame));
}

bool sym__known(const struct sym *sym, uint32_t code)
{
	return code < sym->code_cnt && sym->codes[code].has & PY_CODE_NAME;
}

/* Is @part of the new @from better than what @code has? */
static bool part_is_better(const struct sym_code *code, const struct py_code *from,
                           const struct buf *bytes, uint32_t part)
{
	if (!(code->lacks & part))
		return false;
	return !(from->lacks & part) || (bytes->len && !(code->has & part));
}

static int part_take(struct sym *sym, struct sym_code *code, const struct py_code *from,
                     uint32_t part)
{
	const struct buf *bytes = part == PY_CODE_NAME   ? &from->name
	                          : part == PY_CODE_FILE ? &from->file
	                                                 : &from->table;
	struct sym_store *store = sym->store;
	uint32_t cnt = store->pool.cnt, id;

	if (!part_is_better(code, from, bytes, part))
		return 0;
	if (store->bytes + bytes->len > SYM_BYTES_MAX) {
		store->stats.refused++;
		code->tried = 1;
		return 0;
	}
	id = pool_intern(&store->pool, buf_str(bytes), bytes->len);
	if (id == HMAP_NONE)
		return -ENOMEM;
	if (store->pool.cnt != cnt)
		store->bytes += bytes->len;
	*code_part(code, part) = id;
	code->has |= part;
	if (!(from->lacks & part))
		code->lacks &= ~part;
	return 0;
}

/* Take over what @from knows better than @code; @source: the counter of code objects completed. */
static int code_take(struct sym *sym, struct sym_code *code, const struct py_code *from,
                     uint64_t *source)
{
	bool was_known = code->has & PY_CODE_NAME, wanted = code_wants(code), lacked = code->lacks;
	int err;

	if (!lacked)
		return 0;
	code->firstlineno = from->firstlineno;
	code->firsttraceable = from->firsttraceable;
	err = part_take(sym, code, from, PY_CODE_NAME);
	if (!err)
		err = part_take(sym, code, from, PY_CODE_FILE);
	if (!err)
		err = part_take(sym, code, from, PY_CODE_TABLE);
	if (!was_known && code->has & PY_CODE_NAME) {
		sym->store->stats.missing--;
		sym->store->stats.code_cnt++;
	}
	if (!code->lacks)
		(*source)++;
	if (wanted && !code_wants(code))
		sym->want_cnt--;
	return err;
}

int sym__learn(struct sym *sym, const struct pv_symbol *symbol, size_t size)
{
	struct py_code from = { 0 };
	uint32_t at;
	int err;

	if (size < sizeof(*symbol))
		return -EPROTO;
	at = code_add(sym, symbol->code, symbol->fp);
	if (at == SYM_NONE)
		return sym->store->code_cnt >= SYM_CODE_MAX ? 0 : -ENOMEM;
	/* Every CPU sends it once. */
	if (!sym->codes[at].lacks)
		return 0;
	err = py_code_from_event(symbol, size, &from);
	if (err)
		return err;
	err = code_take(sym, &sym->codes[at], &from, &sym->store->stats.from_ring);
	py_code_free(&from);
	return err;
}

static int code_complete(struct sym *sym, struct sym_code *code, pid_t pid,
                         const struct pv_layout *layout)
{
	struct py_code from = { 0 };
	int err = py_code_from_process(pid, layout, code->addr, code->fp, &from);

	if (!err)
		err = code_take(sym, code, &from, &sym->store->stats.from_memory);
	py_code_free(&from);
	if (err == -ESTALE)
		sym->store->stats.stale++;
	/* No memory is our trouble and may pass; the rest is the answer. */
	if (err != -ENOMEM && code_wants(code)) {
		code->tried = 1;
		sym->want_cnt--;
	}
	return err;
}

int sym__complete(struct sym *sym, pid_t pid, const struct pv_layout *layout)
{
	int err = 0, gone = 0;

	while (sym->first != SYM_NONE) {
		struct sym_code *code = &sym->codes[sym->first];

		if (code_wants(code)) {
			err = code_complete(sym, code, pid, layout);
			if (err == -ENOMEM)
				return err;
			if (err != -EFAULT && err != -ESTALE && err)
				gone = err;
		}
		sym->first = code->next;
	}
	return gone;
}

bool sym__wants(const struct sym *sym)
{
	return sym->want_cnt;
}

static bool part_is(const struct sym *sym, uint32_t id, const char *text)
{
	size_t len;
	const char *data = pool_get(&sym->store->pool, id, &len);

	return len == strlen(text) && !memcmp(data, text, len);
}

/* Is this a frame that CPython itself does not show either? */
static bool frame_is_hidden(const struct sym *sym, const struct sym_code *code, uint16_t version,
                            const struct pv_frame *frame)
{
	if (version < 0x030b)
		return false;
	/* _PyFrame_IsIncomplete, 3.11 to 3.15 Include/internal/pycore_frame.h */
	if (PV_FRAME_KIND(frame) == PV_FRAME_PYTHON &&
	    frame->lasti < 2 * (int64_t)code->firsttraceable)
		return true;
	if (!(code->has & PY_CODE_NAME))
		return false;
	/* 3.12 Python/pylifecycle.c, interpreter_trampoline */
	if (version == 0x030c)
		return part_is(sym, code->name, "<interpreter trampoline>");
	/* _Py_InitCleanup, 3.13 Python/specialize.c */
	return version >= 0x030d && code->has & PY_CODE_FILE &&
	       part_is(sym, code->name, "__init__") && part_is(sym, code->file, "__init__");
}

static int32_t frame_line(const struct sym *sym, const struct sym_code *code, uint16_t version,
                          int32_t lasti)
{
	const char *table = "";
	size_t len = 0;

	if (code->has & PY_CODE_TABLE)
		table = pool_get(&sym->store->pool, code->table, &len);
	if (code->lacks & PY_CODE_TABLE && !py_line_reaches(version, table, len, lasti))
		return 0;
	return py_line(version, table, len, code->firstlineno, lasti);
}

/* The string of @profile that pool string @id is, or @fallback if @part is not there. */
static uint32_t part_string(const struct sym *sym, const struct sym_code *code, uint32_t part,
                            uint32_t id, const char *fallback, struct profile *profile)
{
	size_t len;
	const char *data;

	if (!(code->has & part))
		return profile__string(profile, fallback, strlen(fallback));
	data = pool_get(&sym->store->pool, id, &len);
	return profile__string(profile, data, len);
}

static uint32_t frame_add(struct profile *profile, const struct profile_frame *frame, int *err)
{
	uint32_t id = PROFILE_NONE;

	if (frame->name != PROFILE_NONE && frame->file != PROFILE_NONE)
		id = profile__frame(profile, frame);
	*err = id == PROFILE_NONE ? -ENOMEM : 0;
	return id;
}

uint32_t sym__frame(struct sym *sym, uint32_t code, uint16_t version, const struct pv_frame *frame,
                    struct profile *profile, int *err)
{
	static const struct sym_code nothing = { .lacks = ALL_PARTS };
	const struct sym_code *at = code < sym->code_cnt ? &sym->codes[code] : &nothing;
	struct profile_frame out = { 0 };

	*err = 0;
	if (PV_FRAME_KIND(frame) == PV_FRAME_UNREADABLE) {
		out.name = profile__string(profile, MARK_UNREADABLE, strlen(MARK_UNREADABLE));
		out.file = profile__string(profile, "", 0);
		out.kind = PROFILE_FRAME_MARK;
		return frame_add(profile, &out, err);
	}
	/* Entry frames, and kinds that come after this was written. */
	if (PV_FRAME_KIND(frame) > PV_FRAME_UNREADABLE || frame_is_hidden(sym, at, version, frame))
		return PROFILE_NONE;
	out.name = part_string(sym, at, PY_CODE_NAME, at->name, NAME_UNKNOWN, profile);
	out.file = part_string(sym, at, PY_CODE_FILE, at->file, "", profile);
	out.line = at->has ? frame_line(sym, at, version, frame->lasti) : 0;
	out.first_line = at->firstlineno > 0 ? at->firstlineno : 0;
	out.kind = PROFILE_FRAME_PYTHON;
	return frame_add(profile, &out, err);
}
