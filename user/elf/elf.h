/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.h - a bounds-checked view of an ELF file of the host's byte order, 32 or 64 bit.
 *
 * The file may belong to somebody hostile and may shrink while it is open: nothing is mapped, every
 * number is checked against the file before it is used, every loop has a bound. Addresses are those
 * of the file (before any load bias). Strings and arrays belong to the view and live as long as it.
 * One thread at a time per view.
 */
#ifndef PV_ELF_ELF_H
#define PV_ELF_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENT_MAX  64 /* PT_LOAD segments that are kept; a file with more is refused */
#define ELF_TABLE_MAX    (1u << 26) /* bytes of a symbol, string or relocation table that are read */
#define ELF_NOTE_MAX     (1u << 16) /* bytes of a note segment that are read */
#define ELF_BUILD_ID_MAX 64

struct elf_segment {
	uint64_t vaddr;
	uint64_t memsz;
	uint64_t offset;
	uint64_t filesz;
	uint64_t align;
	uint32_t flags; /* PF_* */
};

struct elf_section {
	uint64_t addr; /* 0: not loaded */
	uint64_t offset;
	uint64_t size;
};

struct elf_symbol {
	const char *name; /* in: what to look for */
	uint64_t value;
	uint64_t size;
	uint8_t type; /* STT_* */
	bool found;
};

struct elf;

/* A view of @fd, which stays the caller's and must stay open. NULL and errno (ENOEXEC: no ELF). */
struct elf *elf__new(int fd);
void elf__free(struct elf *elf);

bool elf__is_64(const struct elf *elf);
uint16_t elf__machine(const struct elf *elf); /* EM_* */
/* Something that is run, not a library: ET_EXEC, or ET_DYN marked as PIE or with an interpreter but
 * no soname. */
bool elf__is_program(struct elf *elf);

/* The PT_LOAD segments in the file's order. */
const struct elf_segment *elf__loads(const struct elf *elf, size_t *cnt);
/* The PT_TLS segment or NULL. */
const struct elf_segment *elf__tls(const struct elf *elf);

/* 0 or -ENOENT. */
int elf__section(struct elf *elf, const char *name, struct elf_section *section);
bool elf__has_sections(struct elf *elf);

/*
 * Fill in those of the @cnt symbols (at most 64) that are defined here; the dynamic symbol table is
 * searched in one pass, or .symtab if @symtab. Symbols already found are left alone, so that a
 * second call adds to a first. The number found in all.
 */
size_t elf__symbols(struct elf *elf, bool symtab, struct elf_symbol *symbols, size_t cnt);

/* @len bytes at @vaddr as the file has them; what a segment has beyond the file is zero. 0, -EFAULT
 * (not in one PT_LOAD), -EIO (the file is shorter than it says). */
int elf__read(const struct elf *elf, uint64_t vaddr, void *out, size_t len);

/* Is there a relocation of @type (R_*) at @vaddr in the dynamic relocation tables? */
bool elf__has_relocation(struct elf *elf, uint64_t vaddr, uint32_t type);
/* The place of a relocation of @type without a symbol (the module itself) and with that addend; 0 or
 * -ENOENT. */
int elf__find_relocation(struct elf *elf, uint32_t type, int64_t addend, uint64_t *vaddr);

/* Does a DT_NEEDED entry start with @prefix? */
bool elf__needs(struct elf *elf, const char *prefix);
/* The address of the dynamic section, and of the value of its first entry with @tag (DT_*); both may be
 * NULL. 0 or -ENOENT. */
int elf__dynamic(struct elf *elf, int64_t tag, uint64_t *section, uint64_t *value);
/* The GNU build-id: its length in bytes, copied to @out (at most @max), or 0. */
size_t elf__build_id(struct elf *elf, uint8_t *out, size_t max);

#endif
