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

/* The parts of a code object, as ids of the pool; code objects of forked processes share them. */
struct sym_code {
	uint64_t addr;
	uint32_t fp;
	uint32_t image; /* index into `images` */
	uint32_t name;
	uint32_t file;
	uint32_t table;
	int32_t firstlineno;
	int32_t firsttraceable;
	uint32_t next; /* of those of this image that may be incomplete; SYM_NONE: last */
	uint8_t has;   /* PY_CODE_*: parts that are there, at least in part */
	uint8_t lacks; /* PY_CODE_*: parts that are cut or not there */
	uint8_t tried; /* the process was asked, or is not worth asking */
};

struct sym_image {
	uint32_t image;
	uint32_t first;    /* code objects that may be incomplete */
	uint32_t want_cnt; /* how many of them are, and were not tried */
};

struct sym {
	struct sym_code *codes;
	uint32_t code_cnt;
	uint32_t code_cap;
	struct sym_image *images;
	uint32_t image_cnt;
	uint32_t image_cap;
	struct hmap code_map;
	struct hmap image_map;
	struct pool pool;
	uint64_t bytes; /* in the pool */
	struct sym_stats stats;
};

struct sym_key {
	const struct sym *sym;
	uint64_t addr;
	uint32_t fp;
	uint32_t image; /* struct sym_code: the index; struct sym_image: the number */
};

struct sym *sym__new(void)
{
	return calloc(1, sizeof(struct sym));
}

void sym__free(struct sym *sym)
{
	if (!sym)
		return;
	free(sym->codes);
	free(sym->images);
	hmap_free(&sym->code_map);
	hmap_free(&sym->image_map);
	pool_free(&sym->pool);
	free(sym);
}

static bool image_eq(const void *ctx, uint32_t value)
{
	const struct sym_key *key = ctx;

	return key->sym->images[value].image == key->image;
}

static bool code_eq(const void *ctx, uint32_t value)
{
	const struct sym_key *key = ctx;
	const struct sym_code *code = &key->sym->codes[value];

	return code->addr == key->addr && code->fp == key->fp && code->image == key->image;
}

/* Make room for one more item of @size bytes. */
static int grow(void **items, uint32_t *cap, uint32_t cnt, size_t size)
{
	uint32_t more = *cap ? *cap * 2 : 64;
	void *grown;

	if (cnt < *cap)
		return 0;
	grown = realloc(*items, more * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*cap = more;
	return 0;
}

static uint32_t image_find(const struct sym *sym, uint32_t image)
{
	struct sym_key key = { .sym = sym, .image = image };

	return hmap_find(&sym->image_map, hash_u64(image), image_eq, &key);
}

static uint32_t image_add(struct sym *sym, uint32_t image)
{
	uint32_t at = image_find(sym, image);

	if (at != HMAP_NONE)
		return at;
	if (grow((void **)&sym->images, &sym->image_cap, sym->image_cnt, sizeof(*sym->images)) ||
	    hmap_add(&sym->image_map, hash_u64(image), sym->image_cnt))
		return SYM_NONE;
	sym->images[sym->image_cnt] = (struct sym_image){ .image = image, .first = SYM_NONE };
	return sym->image_cnt++;
}

static bool code_wants(const struct sym_code *code)
{
	return code->lacks && !code->tried;
}

static uint32_t code_add(struct sym *sym, uint32_t image, uint64_t addr, uint32_t fp)
{
	uint64_t hash = hash_u64(addr ^ hash_u64((uint64_t)image << 32 | fp));
	struct sym_key key = { sym, addr, fp, image_add(sym, image) };
	uint32_t at;

	if (key.image == SYM_NONE)
		return SYM_NONE;
	at = hmap_find(&sym->code_map, hash, code_eq, &key);
	if (at != HMAP_NONE)
		return at;
	if (sym->code_cnt == SYM_CODE_MAX) {
		sym->stats.refused++;
		return SYM_NONE;
	}
	if (grow((void **)&sym->codes, &sym->code_cap, sym->code_cnt, sizeof(*sym->codes)) ||
	    hmap_add(&sym->code_map, hash, sym->code_cnt))
		return SYM_NONE;
	at = sym->code_cnt++;
	sym->codes[at] = (struct sym_code){
		.addr = addr,
		.fp = fp,
		.image = key.image,
		.next = sym->images[key.image].first,
		.lacks = ALL_PARTS,
	};
	sym->images[key.image].first = at;
	sym->images[key.image].want_cnt++;
	sym->stats.missing++;
	return at;
}

uint32_t sym__code(struct sym *sym, uint32_t image, const struct pv_frame *frame)
{
	if (PV_FRAME_KIND(frame) > PV_FRAME_GENERATOR)
		return SYM_NONE;
	return code_add(sym, image, frame->addr, PV_FRAME_FP(frame));
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
	uint32_t *at = part == PY_CODE_NAME   ? &code->name
	               : part == PY_CODE_FILE ? &code->file
	                                      : &code->table;
	uint32_t cnt = sym->pool.cnt, id;

	if (!part_is_better(code, from, bytes, part))
		return 0;
	if (sym->bytes + bytes->len > SYM_BYTES_MAX) {
		sym->stats.refused++;
		code->tried = 1;
		return 0;
	}
	id = pool_intern(&sym->pool, buf_str(bytes), bytes->len);
	if (id == HMAP_NONE)
		return -ENOMEM;
	if (sym->pool.cnt != cnt)
		sym->bytes += bytes->len;
	*at = id;
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
		sym->stats.missing--;
		sym->stats.code_cnt++;
	}
	if (!code->lacks)
		(*source)++;
	if (wanted && !code_wants(code))
		sym->images[code->image].want_cnt--;
	return err;
}

int sym__learn(struct sym *sym, uint32_t image, const struct pv_symbol *symbol, size_t size)
{
	struct py_code from = { 0 };
	uint32_t at;
	int err;

	if (size < sizeof(*symbol))
		return -EPROTO;
	at = code_add(sym, image, symbol->code, symbol->fp);
	if (at == SYM_NONE)
		return sym->code_cnt == SYM_CODE_MAX ? 0 : -ENOMEM;
	/* Every CPU sends it once. */
	if (!sym->codes[at].lacks)
		return 0;
	err = py_code_from_event(symbol, size, &from);
	if (err)
		return err;
	err = code_take(sym, &sym->codes[at], &from, &sym->stats.from_ring);
	py_code_free(&from);
	return err;
}

static int code_complete(struct sym *sym, struct sym_code *code, pid_t pid,
                         const struct pv_layout *layout)
{
	struct py_code from = { 0 };
	int err = py_code_from_process(pid, layout, code->addr, code->fp, &from);

	if (!err)
		err = code_take(sym, code, &from, &sym->stats.from_memory);
	py_code_free(&from);
	if (err == -ESTALE)
		sym->stats.stale++;
	/* No memory is our trouble and may pass; the rest is the answer. */
	if (err != -ENOMEM && code_wants(code)) {
		code->tried = 1;
		sym->images[code->image].want_cnt--;
	}
	return err;
}

int sym__complete(struct sym *sym, uint32_t image, pid_t pid, const struct pv_layout *layout)
{
	uint32_t index = image_find(sym, image);
	int err = 0, gone = 0;

	if (index == HMAP_NONE)
		return 0;
	while (sym->images[index].first != SYM_NONE) {
		struct sym_code *code = &sym->codes[sym->images[index].first];

		if (code_wants(code)) {
			err = code_complete(sym, code, pid, layout);
			if (err == -ENOMEM)
				return err;
			if (err != -EFAULT && err != -ESTALE && err)
				gone = err;
		}
		sym->images[index].first = code->next;
	}
	return gone;
}

bool sym__wants(const struct sym *sym, uint32_t image)
{
	uint32_t index = image_find(sym, image);

	return index != HMAP_NONE && sym->images[index].want_cnt;
}

static bool part_is(const struct sym *sym, uint32_t id, const char *text)
{
	size_t len;
	const char *data = pool_get(&sym->pool, id, &len);

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
		table = pool_get(&sym->pool, code->table, &len);
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
	data = pool_get(&sym->pool, id, &len);
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

const struct sym_stats *sym__stats(const struct sym *sym)
{
	return &sym->stats;
}
