// SPDX-License-Identifier: Apache-2.0
#include "elf/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct elf {
	int fd;
	uint64_t file_sz;
	Elf *handle;
	GElf_Ehdr header;
	struct elf_segment loads[ELF_SEGMENT_MAX];
	size_t load_cnt;
	struct elf_segment tls;
	bool has_tls;
	bool has_interp;
	size_t strings;                /* the section that elf_string() looked at last */
	bool strings_ok;               /* and whether it can be used */
	struct elf_segment dynamic_at; /* PT_DYNAMIC */
	/* Of a file without section headers: its dynamic segment and the strings that belong to it. */
	Elf_Data *dynamic;
	Elf_Data *dynamic_strings;
};

static struct elf_segment elf_segment_of(const GElf_Phdr *phdr)
{
	return (struct elf_segment){
		.vaddr = phdr->p_vaddr,
		.memsz = phdr->p_memsz,
		.offset = phdr->p_offset,
		.filesz = phdr->p_filesz,
		.align = phdr->p_align,
		.flags = phdr->p_flags,
	};
}

/* No wrap-around and nothing of the file part behind the end of the file. */
static bool elf_segment_fits(const struct elf *elf, const GElf_Phdr *phdr)
{
	return phdr->p_vaddr + phdr->p_memsz >= phdr->p_vaddr && phdr->p_filesz <= phdr->p_memsz &&
	       phdr->p_offset <= elf->file_sz && phdr->p_filesz <= elf->file_sz - phdr->p_offset;
}

static int elf_read_segments(struct elf *elf)
{
	size_t cnt;

	if (elf_getphdrnum(elf->handle, &cnt) || cnt > INT_MAX)
		return -ENOEXEC;
	for (size_t i = 0; i < cnt; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf->handle, (int)i, &phdr))
			return -ENOEXEC;
		if (phdr.p_type == PT_INTERP)
			elf->has_interp = true;
		if (phdr.p_type != PT_LOAD && phdr.p_type != PT_TLS && phdr.p_type != PT_DYNAMIC)
			continue;
		if (!elf_segment_fits(elf, &phdr))
			return -ENOEXEC;
		if (phdr.p_type == PT_DYNAMIC) {
			elf->dynamic_at = elf_segment_of(&phdr);
		} else if (phdr.p_type == PT_TLS) {
			elf->tls = elf_segment_of(&phdr);
			elf->has_tls = true;
		} else if (elf->load_cnt < ELF_SEGMENT_MAX) {
			elf->loads[elf->load_cnt++] = elf_segment_of(&phdr);
		} else {
			return -ENOEXEC;
		}
	}
	return 0;
}

/*
 * libelf allocates by what the file says. Counts that do not fit the header's own 16 bits lie
 * elsewhere and are bounded by nothing but the size of the (perhaps sparse) file: refused.
 */
static bool elf_header_is_bearable(int fd)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} header = { 0 };
	ssize_t got = pread(fd, &header, sizeof(header), 0);

	if (got < (ssize_t)sizeof(header.e32) || memcmp(header.ident, ELFMAG, SELFMAG))
		return false;
	if (header.ident[EI_CLASS] == ELFCLASS32)
		return header.e32.e_phnum != PN_XNUM && (header.e32.e_shnum || !header.e32.e_shoff);
	return got == (ssize_t)sizeof(header.e64) && header.e64.e_phnum != PN_XNUM &&
	       (header.e64.e_shnum || !header.e64.e_shoff);
}

/* @len bytes at @vaddr of the file as a table of @type; NULL: not there, or not of bearable size. */
static Elf_Data *elf_chunk(struct elf *elf, uint64_t vaddr, uint64_t len, Elf_Type type)
{
	for (size_t i = 0; i < elf->load_cnt; i++) {
		const struct elf_segment *load = &elf->loads[i];
		uint64_t at = vaddr - load->vaddr;

		if (vaddr >= load->vaddr && at <= load->filesz && len <= load->filesz - at && len &&
		    len <= ELF_TABLE_MAX)
			return elf_getdata_rawchunk(elf->handle, (int64_t)(load->offset + at), len,
			                            type);
	}
	return NULL;
}

/* The value of @tag in PT_DYNAMIC; 0: not there. */
static uint64_t elf_dynamic_value(struct elf *elf, int64_t tag)
{
	GElf_Dyn dyn;

	for (int i = 0; gelf_getdyn(elf->dynamic, i, &dyn) && dyn.d_tag != DT_NULL; i++)
		if (dyn.d_tag == tag)
			return dyn.d_un.d_val;
	return 0;
}

/* What sections are missing for: the linker of the program needs none either. */
static void elf_open_dynamic(struct elf *elf)
{
	Elf_Data *strings;

	if (elf__has_sections(elf) || !elf->dynamic_at.filesz)
		return;
	elf->dynamic = elf_chunk(elf, elf->dynamic_at.vaddr, elf->dynamic_at.filesz, ELF_T_DYN);
	if (!elf->dynamic)
		return;
	strings = elf_chunk(elf, elf_dynamic_value(elf, DT_STRTAB),
	                    elf_dynamic_value(elf, DT_STRSZ), ELF_T_BYTE);
	if (strings && !((const char *)strings->d_buf)[strings->d_size - 1])
		elf->dynamic_strings = strings;
}

struct elf *elf__new(int fd)
{
	const unsigned char host =
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	struct elf *elf = NULL;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return NULL;
	if (!elf_header_is_bearable(fd)) {
		errno = ENOEXEC;
		return NULL;
	}
	elf_version(EV_CURRENT);
	elf = calloc(1, sizeof(*elf));
	if (!elf)
		return NULL;
	elf->fd = fd;
	elf->file_sz = (uint64_t)st.st_size;
	/* Not mapped: a file that shrinks under a mapping kills its reader. */
	elf->handle = elf_begin(fd, ELF_C_READ, NULL);
	err = -ENOEXEC;
	if (elf->handle && elf_kind(elf->handle) == ELF_K_ELF &&
	    gelf_getehdr(elf->handle, &elf->header) && elf->header.e_ident[EI_DATA] == host &&
	    (elf->header.e_type == ET_EXEC || elf->header.e_type == ET_DYN))
		err = elf_read_segments(elf);
	if (!err)
		elf_open_dynamic(elf);
	if (err) {
		elf__free(elf);
		errno = -err;
		return NULL;
	}
	return elf;
}

void elf__free(struct elf *elf)
{
	if (!elf)
		return;
	elf_end(elf->handle);
	free(elf);
}

bool elf__is_64(const struct elf *elf)
{
	return elf->header.e_ident[EI_CLASS] == ELFCLASS64;
}

uint16_t elf__machine(const struct elf *elf)
{
	return elf->header.e_machine;
}

const struct elf_segment *elf__loads(const struct elf *elf, size_t *cnt)
{
	*cnt = elf->load_cnt;
	return elf->loads;
}

const struct elf_segment *elf__tls(const struct elf *elf)
{
	return elf->has_tls ? &elf->tls : NULL;
}

bool elf__has_sections(struct elf *elf)
{
	size_t cnt;

	return !elf_getshdrnum(elf->handle, &cnt) && cnt > 1;
}

/* Links of one hash chain that are followed: linkers make so many buckets that a handful is usual. */
#define ELF_CHAIN_MAX 16384

/*
 * The dynamic symbol table does not say how long it is: of the older hash table the number of chain
 * links is that (DT_HASH), of the newer one the last link of the last chain.
 */
static uint64_t elf_dynamic_symbol_cnt(struct elf *elf)
{
	uint64_t hash = elf_dynamic_value(elf, DT_HASH), chains;
	uint32_t head[4]; /* nbuckets, symoffset, bloom_size, bloom_shift; or nbucket, nchain */
	uint32_t last = 0, link, left = ELF_CHAIN_MAX;
	Elf_Data *buckets;

	if (hash)
		return elf__read(elf, hash, head, 8) ? 0 : head[1];
	hash = elf_dynamic_value(elf, DT_GNU_HASH);
	if (!hash || elf__read(elf, hash, head, sizeof(head)))
		return 0;
	hash += sizeof(head) + head[2] * (elf__is_64(elf) ? 8ull : 4ull);
	buckets = elf_chunk(elf, hash, head[0] * 4ull, ELF_T_WORD);
	for (size_t i = 0; buckets && i < head[0]; i++) {
		uint32_t first = ((const uint32_t *)buckets->d_buf)[i];

		last = first > last ? first : last;
	}
	if (last < head[1])
		return head[1];
	chains = hash + head[0] * 4ull;
	do {
		if (elf__read(elf, chains + (last - head[1]) * 4ull, &link, sizeof(link)))
			return 0;
		if (!--left)
			return 0;
	} while (++last < ELF_TABLE_MAX / sizeof(Elf32_Sym) && !(link & 1));
	return last;
}

/* A string of section @index, or of the dynamic segment. The section must not be huge, nor
 * compressed: libelf would unpack it.
 */
static const char *elf_string(struct elf *elf, size_t index, size_t at)
{
	GElf_Shdr shdr;
	Elf_Scn *scn;

	if (elf->dynamic) {
		if (!elf->dynamic_strings || at >= elf->dynamic_strings->d_size)
			return NULL;
		return (const char *)elf->dynamic_strings->d_buf + at;
	}
	if (index != elf->strings) {
		scn = elf_getscn(elf->handle, index);
		elf->strings = index;
		elf->strings_ok = scn && gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_STRTAB &&
		                  shdr.sh_size <= ELF_TABLE_MAX &&
		                  !(shdr.sh_flags & SHF_COMPRESSED);
	}
	return elf->strings_ok ? elf_strptr(elf->handle, index, at) : NULL;
}

int elf__section(struct elf *elf, const char *name, struct elf_section *section)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf->handle, &names))
		return -ENOENT;
	while ((scn = elf_nextscn(elf->handle, scn))) {
		GElf_Shdr shdr;
		const char *found;

		if (!gelf_getshdr(scn, &shdr))
			continue;
		found = elf_string(elf, names, shdr.sh_name);
		if (!found || strcmp(found, name))
			continue;
		*section = (struct elf_section){
			.addr = shdr.sh_flags & SHF_ALLOC ? shdr.sh_addr : 0,
			.offset = shdr.sh_offset,
			.size = shdr.sh_size,
		};
		return 0;
	}
	return -ENOENT;
}

/* A table of symbols, relocations or dynamic entries. */
struct elf_table {
	Elf_Scn *scn; /* the section that it is, if it is one */
	Elf_Data *data;
	uint64_t cnt;
	size_t strings; /* for elf_string() */
	size_t next;    /* table of relocations, where the dynamic segment tells of them */
};

/* Of the two tables of relocations, each maybe missing, the next; the second has those of the PLT. */
static bool elf_dynamic_relocations(struct elf *elf, struct elf_table *table)
{
	static const struct {
		int64_t at, len;
	} tags[] = { { DT_RELA, DT_RELASZ }, { DT_JMPREL, DT_PLTRELSZ } };
	size_t size = elf__is_64(elf) ? sizeof(Elf64_Rela) : sizeof(Elf32_Rela);

	while (table->next < sizeof(tags) / sizeof(tags[0])) {
		size_t i = table->next++;
		uint64_t len = elf_dynamic_value(elf, tags[i].len);

		table->cnt = len / size;
		table->data = elf_chunk(elf, elf_dynamic_value(elf, tags[i].at), len, ELF_T_RELA);
		if (table->data)
			return true;
	}
	return false;
}

/* The one table of @type that the dynamic segment tells of. */
static bool elf_dynamic_table(struct elf *elf, uint32_t type, struct elf_table *table)
{
	bool is_64 = elf__is_64(elf);

	if (type == SHT_RELA)
		return elf_dynamic_relocations(elf, table);
	if (table->data)
		return false;
	if (type == SHT_DYNAMIC) {
		table->data = elf->dynamic;
	} else if (type == SHT_DYNSYM) {
		table->cnt = elf_dynamic_symbol_cnt(elf);
		if (table->cnt > ELF_TABLE_MAX)
			return false;
		table->data =
			elf_chunk(elf, elf_dynamic_value(elf, DT_SYMTAB),
		                  table->cnt * (is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym)),
		                  ELF_T_SYM);
	}
	return table->data;
}

/* The next table of @type that is of bearable size; @table begins as zeros. */
static bool elf_next_table(struct elf *elf, uint32_t type, struct elf_table *table)
{
	GElf_Shdr shdr;

	if (elf->dynamic)
		return elf_dynamic_table(elf, type, table);
	while ((table->scn = elf_nextscn(elf->handle, table->scn))) {
		if (!gelf_getshdr(table->scn, &shdr) || shdr.sh_type != type || !shdr.sh_entsize ||
		    shdr.sh_size > ELF_TABLE_MAX || shdr.sh_flags & SHF_COMPRESSED)
			continue;
		table->data = elf_getdata(table->scn, NULL);
		table->cnt = shdr.sh_size / shdr.sh_entsize;
		table->strings = shdr.sh_link;
		if (table->data)
			return true;
	}
	return false;
}

/* Compare with each name wanted; the first characters sort out nearly all. */
static void elf_match_symbol(const char *name, const GElf_Sym *sym, struct elf_symbol *symbols,
                             size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		if (symbols[i].found || strcmp(symbols[i].name, name))
			continue;
		symbols[i].value = sym->st_value;
		symbols[i].size = sym->st_size;
		symbols[i].type = GELF_ST_TYPE(sym->st_info);
		symbols[i].found = true;
	}
}

/* One bit for each possible second character of the names, to pass by most symbols cheaply. */
static uint64_t elf_name_filter(const char *name)
{
	return name[0] ? 1ull << (((unsigned char)name[0] * 7 + (unsigned char)name[1]) & 63) : 1;
}

size_t elf__symbols(struct elf *elf, bool symtab, struct elf_symbol *symbols, size_t cnt)
{
	struct elf_table table = { 0 };
	uint64_t filter = 0;
	size_t found = 0;

	for (size_t i = 0; i < cnt; i++)
		filter |= elf_name_filter(symbols[i].name);
	while (elf_next_table(elf, symtab ? SHT_SYMTAB : SHT_DYNSYM, &table)) {
		for (uint64_t i = 1; i < table.cnt && i < INT_MAX; i++) {
			GElf_Sym sym;
			const char *name;

			if (!gelf_getsym(table.data, (int)i, &sym))
				break;
			if (sym.st_shndx == SHN_UNDEF)
				continue;
			name = elf_string(elf, table.strings, sym.st_name);
			if (name && filter & elf_name_filter(name))
				elf_match_symbol(name, &sym, symbols, cnt);
		}
	}
	for (size_t i = 0; i < cnt; i++)
		found += symbols[i].found;
	return found;
}

int elf__read(const struct elf *elf, uint64_t vaddr, void *out, size_t len)
{
	for (size_t i = 0; i < elf->load_cnt; i++) {
		const struct elf_segment *load = &elf->loads[i];
		uint64_t at = vaddr - load->vaddr;
		size_t in_file = 0;

		if (vaddr < load->vaddr || at > load->memsz || len > load->memsz - at)
			continue;
		if (at < load->filesz)
			in_file = len < load->filesz - at ? len : (size_t)(load->filesz - at);
		for (size_t done = 0; done < in_file;) {
			ssize_t got = pread(elf->fd, (char *)out + done, in_file - done,
			                    (off_t)(load->offset + at + done));

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0)
				return -EIO;
			done += (size_t)got;
		}
		memset((char *)out + in_file, 0, len - in_file);
		return 0;
	}
	return -EFAULT;
}

static bool elf_each_relocation(struct elf *elf, bool (*fn)(void *ctx, const GElf_Rela *rela),
                                void *ctx)
{
	struct elf_table table = { 0 };

	while (elf_next_table(elf, SHT_RELA, &table)) {
		for (uint64_t i = 0; i < table.cnt && i < INT_MAX; i++) {
			GElf_Rela rela;

			if (!gelf_getrela(table.data, (int)i, &rela))
				break;
			if (fn(ctx, &rela))
				return true;
		}
	}
	return false;
}

struct elf_relocation_query {
	uint64_t vaddr;
	int64_t addend;
	uint32_t type;
};

static bool elf_relocation_is(void *ctx, const GElf_Rela *rela)
{
	const struct elf_relocation_query *query = ctx;

	return rela->r_offset == query->vaddr && GELF_R_TYPE(rela->r_info) == query->type;
}

static bool elf_relocation_own(void *ctx, const GElf_Rela *rela)
{
	struct elf_relocation_query *query = ctx;

	if (GELF_R_TYPE(rela->r_info) != query->type || GELF_R_SYM(rela->r_info) ||
	    rela->r_addend != query->addend)
		return false;
	query->vaddr = rela->r_offset;
	return true;
}

bool elf__has_relocation(struct elf *elf, uint64_t vaddr, uint32_t type)
{
	struct elf_relocation_query query = { .vaddr = vaddr, .type = type };

	return elf_each_relocation(elf, elf_relocation_is, &query);
}

int elf__find_relocation(struct elf *elf, uint32_t type, int64_t addend, uint64_t *vaddr)
{
	struct elf_relocation_query query = { .type = type, .addend = addend };

	if (!elf_each_relocation(elf, elf_relocation_own, &query))
		return -ENOENT;
	*vaddr = query.vaddr;
	return 0;
}

/* The first entry of the dynamic section from index *@at on that has @tag; *@at moves behind it. */
static bool elf_dynamic(struct elf *elf, int64_t tag, int *at, GElf_Dyn *dyn,
                        struct elf_table *table)
{
	*table = (struct elf_table){ 0 };
	if (!elf_next_table(elf, SHT_DYNAMIC, table))
		return false;
	while (gelf_getdyn(table->data, (*at)++, dyn)) {
		if (dyn->d_tag == tag)
			return true;
		if (dyn->d_tag == DT_NULL)
			break;
	}
	return false;
}

int elf__dynamic(struct elf *elf, int64_t tag, uint64_t *section, uint64_t *value)
{
	struct elf_table table;
	GElf_Dyn dyn;
	int at = 0;

	if (!elf__is_64(elf) || !elf_dynamic(elf, tag, &at, &dyn, &table))
		return -ENOENT;
	if (section)
		*section = elf->dynamic_at.vaddr;
	/* @at is behind the entry. */
	if (value)
		*value = elf->dynamic_at.vaddr + ((uint64_t)at - 1) * sizeof(Elf64_Dyn) +
		         offsetof(Elf64_Dyn, d_un);
	return 0;
}

bool elf__needs(struct elf *elf, const char *prefix)
{
	struct elf_table table;
	GElf_Dyn dyn;

	for (int at = 0; elf_dynamic(elf, DT_NEEDED, &at, &dyn, &table);) {
		const char *name = elf_string(elf, table.strings, dyn.d_un.d_val);

		if (name && !strncmp(name, prefix, strlen(prefix)))
			return true;
	}
	return false;
}

bool elf__is_program(struct elf *elf)
{
	struct elf_table table;
	GElf_Dyn dyn;
	int at = 0;

	if (elf->header.e_type == ET_EXEC)
		return true;
	if (elf_dynamic(elf, DT_FLAGS_1, &at, &dyn, &table) && dyn.d_un.d_val & DF_1_PIE)
		return true;
	at = 0;
	return elf->has_interp && !elf_dynamic(elf, DT_SONAME, &at, &dyn, &table);
}

/* The build-id note in @data, or 0. */
static size_t elf_note_build_id(Elf_Data *data, uint8_t *out, size_t max)
{
	GElf_Nhdr note;
	size_t name_off, desc_off;
	size_t at = 0;

	while (data && (at = gelf_getnote(data, at, &note, &name_off, &desc_off)) > 0) {
		const char *bytes = data->d_buf;

		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
		    memcmp(bytes + name_off, "GNU", 4) || !note.n_descsz ||
		    note.n_descsz > ELF_BUILD_ID_MAX)
			continue;
		memcpy(out, bytes + desc_off, note.n_descsz < max ? note.n_descsz : max);
		return note.n_descsz;
	}
	return 0;
}

size_t elf__build_id(struct elf *elf, uint8_t *out, size_t max)
{
	size_t cnt;

	if (elf_getphdrnum(elf->handle, &cnt) || cnt > INT_MAX)
		return 0;
	for (size_t i = 0; i < cnt; i++) {
		GElf_Phdr phdr;
		Elf_Data *data;
		size_t len;

		if (!gelf_getphdr(elf->handle, (int)i, &phdr) || phdr.p_type != PT_NOTE ||
		    phdr.p_filesz > ELF_NOTE_MAX || phdr.p_offset > elf->file_sz ||
		    phdr.p_filesz > elf->file_sz - phdr.p_offset)
			continue;
		data = elf_getdata_rawchunk(elf->handle, (int64_t)phdr.p_offset, phdr.p_filesz,
		                            phdr.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
		len = elf_note_build_id(data, out, max);
		if (len)
			return len;
	}
	return 0;
}
