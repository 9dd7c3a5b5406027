// SPDX-License-Identifier: Apache-2.0
#include "py/tls.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define TLS_CODE_MAX 64 /* bytes of an accessor that are looked at; all seen have less than 32 */

/* A reader of instructions that never passes the end. */
struct tls_code {
	const uint8_t *at;
	const uint8_t *end;
	uint64_t vaddr; /* of at */
};

static bool tls_take(struct tls_code *code, const void *bytes, size_t len)
{
	if ((size_t)(code->end - code->at) < len || memcmp(code->at, bytes, len))
		return false;
	code->at += len;
	code->vaddr += len;
	return true;
}

static bool tls_take_i32(struct tls_code *code, int32_t *value)
{
	if (code->end - code->at < 4)
		return false;
	memcpy(value, code->at, 4);
	code->at += 4;
	code->vaddr += 4;
	return true;
}

static bool tls_take_i8(struct tls_code *code, int32_t *value)
{
	if (code->at == code->end)
		return false;
	*value = (int8_t)*code->at++;
	code->vaddr++;
	return true;
}

/* endbr64; push %rbp; mov %rsp,%rbp; sub $i8,%rsp; push %rax: in any order, a few. */
static void tls_prologue(struct tls_code *code)
{
	int32_t ignored;

	for (int i = 0; i < 5; i++) {
		if (tls_take(code, "\xf3\x0f\x1e\xfa", 4) || tls_take(code, "\x55", 1) ||
		    tls_take(code, "\x48\x89\xe5", 3) || tls_take(code, "\x50", 1))
			continue;
		if (!tls_take(code, "\x48\x83\xec", 3) || !tls_take_i8(code, &ignored))
			break;
	}
}

/* add $i8,%rsp; pop %rbp; pop %rcx; pop %rdx; leave: a few. */
static void tls_unwind(struct tls_code *code)
{
	int32_t ignored;

	for (int i = 0; i < 4; i++) {
		if (tls_take(code, "\x5d", 1) || tls_take(code, "\x59", 1) ||
		    tls_take(code, "\x5a", 1) || tls_take(code, "\xc9", 1))
			continue;
		if (!tls_take(code, "\x48\x83\xc4", 3) || !tls_take_i8(code, &ignored))
			break;
	}
}

static bool tls_epilogue(struct tls_code *code)
{
	tls_unwind(code);
	return tls_take(code, "\xc3", 1);
}

/* mov disp(%rax),%rax */
static bool tls_load_rax(struct tls_code *code, int32_t *disp)
{
	if (tls_take(code, "\x48\x8b\x00", 3)) {
		*disp = 0;
		return true;
	}
	if (tls_take(code, "\x48\x8b\x40", 3))
		return tls_take_i8(code, disp);
	return tls_take(code, "\x48\x8b\x80", 3) && tls_take_i32(code, disp);
}

/* mov %fs:i32,%rax [; mov disp(%rax),%rax when i32 is 0] */
static bool tls_local_exec(struct tls_code *code, struct py_tls_recipe *recipe)
{
	int32_t off;

	if (!tls_take(code, "\x64\x48\x8b\x04\x25", 5) || !tls_take_i32(code, &off))
		return false;
	if (!off && !tls_load_rax(code, &off))
		return false;
	*recipe = (struct py_tls_recipe){ .form = PY_TLS_STATIC, .off = off };
	return tls_epilogue(code);
}

/* mov G(%rip),%rax; mov %fs:(%rax),%rax */
static bool tls_initial_exec(struct tls_code *code, struct py_tls_recipe *recipe)
{
	int32_t rel;

	if (!tls_take(code, "\x48\x8b\x05", 3) || !tls_take_i32(code, &rel))
		return false;
	*recipe = (struct py_tls_recipe){ .form = PY_TLS_STATIC_SLOT,
		                          .slot = code->vaddr + (uint64_t)(int64_t)rel };
	return tls_take(code, "\x64\x48\x8b\x00", 4) && tls_epilogue(code);
}

/*
 * [data16] lea G(%rip),%rdi; call __tls_get_addr; mov disp(%rax),%rax. The ABI fixes the prefixes:
 * general dynamic has the data16, local dynamic has not.
 */
static bool tls_dynamic(struct tls_code *code, struct py_tls_recipe *recipe, bool *with_offset)
{
	int32_t rel, disp, target;

	*with_offset = tls_take(code, "\x66", 1);
	if (!tls_take(code, "\x48\x8d\x3d", 3) || !tls_take_i32(code, &rel))
		return false;
	recipe->slot = code->vaddr + (uint64_t)(int64_t)rel;
	if (!tls_take(code, "\x66\x66\x48\xe8", 4) && !tls_take(code, "\x66\x48\xff\x15", 4) &&
	    !tls_take(code, "\xff\x15", 2) && !tls_take(code, "\x67\xe8", 2) &&
	    !tls_take(code, "\xe8", 1))
		return false;
	if (!tls_take_i32(code, &target))
		return false;
	tls_unwind(code); /* the compiler may move it before the load */
	if (!tls_load_rax(code, &disp))
		return false;
	recipe->form = PY_TLS_MODULE;
	recipe->off = disp;
	return tls_epilogue(code);
}

int py_tls_decode_x86_64(const uint8_t *bytes, size_t len, uint64_t vaddr,
                         struct py_tls_recipe *recipe, bool *with_offset)
{
	struct tls_code code = { .at = bytes, .end = bytes + len, .vaddr = vaddr };
	struct tls_code start;

	tls_prologue(&code);
	*with_offset = false;
	start = code;
	if (tls_local_exec(&code, recipe))
		return 0;
	code = start;
	if (tls_initial_exec(&code, recipe))
		return 0;
	code = start;
	if (tls_dynamic(&code, recipe, with_offset))
		return 0;
	*recipe = (struct py_tls_recipe){ 0 };
	return -ENOENT;
}

/* A slot must be what the dynamic linker fills in for this purpose, or the decoding was wrong. */
static int tls_check_slot(struct elf *elf, struct py_tls_recipe *recipe, bool with_offset)
{
	bool aarch64 = elf__machine(elf) == EM_AARCH64;
	uint64_t off;

	if (recipe->form == PY_TLS_STATIC)
		return aarch64 && !elf__is_program(elf) ? -ENOENT : 0;
	if (recipe->form == PY_TLS_STATIC_SLOT)
		return elf__has_relocation(elf, recipe->slot,
		                           aarch64 ? R_AARCH64_TLS_TPREL : R_X86_64_TPOFF64)
		               ? 0
		               : -ENOENT;
	if (recipe->form == PY_TLS_DESCRIPTOR)
		return elf__has_relocation(elf, recipe->slot, R_AARCH64_TLSDESC) ? 0 : -ENOENT;
	if (!elf__has_relocation(elf, recipe->slot, R_X86_64_DTPMOD64))
		return -ENOENT;
	if (!with_offset)
		return 0;
	/* For a local symbol the linker has written the offset itself. */
	if (elf__has_relocation(elf, recipe->slot + 8, R_X86_64_DTPOFF64) ||
	    elf__read(elf, recipe->slot + 8, &off, sizeof(off)))
		return -ENOENT;
	recipe->off += (int64_t)off;
	return 0;
}

static int tls_from_accessor(struct elf *elf, const char *name, struct py_tls_recipe *recipe)
{
	struct elf_symbol symbol = { .name = name };
	uint8_t code[TLS_CODE_MAX] = { 0 };
	size_t len = sizeof(code);
	bool with_offset = false;
	int err = -ENOENT;

	if (!elf__symbols(elf, false, &symbol, 1) || symbol.type != STT_FUNC)
		return -ENOENT;
	if (symbol.size && symbol.size < len)
		len = (size_t)symbol.size;
	if (elf__read(elf, symbol.value, code, len))
		return -ENOENT;
	if (elf__machine(elf) == EM_AARCH64)
		err = py_tls_decode_aarch64(code, len, symbol.value, recipe);
	else if (elf__machine(elf) == EM_X86_64)
		err = py_tls_decode_x86_64(code, len, symbol.value, recipe, &with_offset);
	return err ? err : tls_check_slot(elf, recipe, with_offset);
}

/* The symbol's value is its offset in the TLS image of the file. */
static int tls_from_symbol(struct elf *elf, const char *variable, struct py_tls_recipe *recipe)
{
	const struct elf_segment *tls = elf__tls(elf);
	struct elf_symbol symbol = { .name = variable };
	uint64_t align;

	if (!tls || !elf__symbols(elf, true, &symbol, 1) || symbol.type != STT_TLS ||
	    symbol.value > tls->memsz || tls->memsz > 1u << 30)
		return -ENOENT;
	align = tls->align ? tls->align : 1;
	if (align > 1u << 20 || align & (align - 1))
		return -ENOENT;
	/* Variant 1 of the TLS ABI: the program's block lies above the thread pointer and two words. */
	if (elf__machine(elf) == EM_AARCH64 && elf__is_program(elf)) {
		*recipe = (struct py_tls_recipe){
			.form = PY_TLS_STATIC,
			.off = (int64_t)((16 + align - 1) & ~(align - 1)) + (int64_t)symbol.value,
		};
		return 0;
	}
	if (elf__machine(elf) == EM_AARCH64) {
		*recipe = (struct py_tls_recipe){ .form = PY_TLS_DESCRIPTOR };
		return elf__find_relocation(elf, R_AARCH64_TLSDESC, (int64_t)symbol.value,
		                            &recipe->slot);
	}
	if (elf__machine(elf) != EM_X86_64)
		return -ENOENT;
	if (elf__is_program(elf)) {
		*recipe = (struct py_tls_recipe){
			.form = PY_TLS_STATIC,
			.off = (int64_t)symbol.value -
			       (int64_t)((tls->memsz + align - 1) & ~(align - 1)),
		};
		return 0;
	}
	*recipe = (struct py_tls_recipe){ .form = PY_TLS_MODULE, .off = (int64_t)symbol.value };
	return elf__find_relocation(elf, R_X86_64_DTPMOD64, 0, &recipe->slot);
}

int py_tls_recipe(struct elf *elf, const char *variable, const char *const *accessors,
                  struct py_tls_recipe *recipe)
{
	if (!tls_from_symbol(elf, variable, recipe))
		return 0;
	for (; *accessors; accessors++)
		if (!tls_from_accessor(elf, *accessors, recipe))
			return 0;
	*recipe = (struct py_tls_recipe){ 0 };
	return -ENOENT;
}
