// SPDX-License-Identifier: Apache-2.0
#include "py/discover.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISCOVER_SCAN_MAX (256u << 20) /* bytes searched for the cookie in a file without symbols */
#define DEBUG_OFFSETS_MAX 1024         /* 888 in 3.15 */
#define VERSION_TESTED    0x030f       /* the newest; later ones may work */

enum discover_symbol {
	SYM_PyRuntime,
	SYM_PyThreadState_Current,
	SYM_GetThisThreadState,
	SYM_InterpreterState_Head,
	SYM_Py_Version,
	SYM_Py_GetVersion,
	SYM_PyCode_Type,
	SYM_PyFrame_Type,
	SYM_PyUnicode_Type,
	SYM_NegativeRefcount,
	SYM_ForgetReference,
	SYM_pthread_specific,
	SYM_sizeof_pthread,
	SYM_l_tls_offset,
	SYM_l_tls_modid,
	SYM_libc_start_main,
	SYM_gnu_get_libc_version,
	SYM_r_debug,
	SYM_CNT,
};

/* Everything that any version needs, so that the table of a library is read once. */
static const char *const discover_names[SYM_CNT] = {
	[SYM_PyRuntime] = "_PyRuntime",
	[SYM_PyThreadState_Current] = "_PyThreadState_Current", /* up to 3.6 */
	[SYM_GetThisThreadState] = "PyGILState_GetThisThreadState",
	[SYM_InterpreterState_Head] = "PyInterpreterState_Head",
	[SYM_Py_Version] = "Py_Version", /* 3.11 on */
	[SYM_Py_GetVersion] = "Py_GetVersion",
	[SYM_PyCode_Type] = "PyCode_Type",
	[SYM_PyFrame_Type] = "PyFrame_Type",
	[SYM_PyUnicode_Type] = "PyUnicode_Type",
	[SYM_NegativeRefcount] = "_Py_NegativeRefcount", /* Py_REF_DEBUG only */
	[SYM_ForgetReference] = "_Py_ForgetReference",   /* Py_TRACE_REFS only, up to 3.12 */
	/* nptl_db's description of glibc's own structures: u32 {bits, elements, offset}. */
	[SYM_pthread_specific] = "_thread_db_pthread_specific",
	[SYM_sizeof_pthread] = "_thread_db_sizeof_pthread", /* u32 */
	[SYM_l_tls_offset] = "_thread_db_link_map_l_tls_offset",
	[SYM_l_tls_modid] = "_thread_db_link_map_l_tls_modid",
	[SYM_libc_start_main] = "__libc_start_main",
	[SYM_gnu_get_libc_version] = "gnu_get_libc_version",
	[SYM_r_debug] = "_r_debug",
};

struct discover {
	struct elf *elf;
	struct elf_symbol symbols[SYM_CNT];
	struct py_binary *python;
};

static const struct elf_symbol *discover_found(const struct discover *disc,
                                               enum discover_symbol which)
{
	return disc->symbols[which].found ? &disc->symbols[which] : NULL;
}

/* _r_debug and friends are the dynamic linker's; a Python binary has few of these. */
static void discover_symbols(struct discover *disc)
{
	for (int i = 0; i < SYM_CNT; i++)
		disc->symbols[i].name = discover_names[i];
	elf__symbols(disc->elf, false, disc->symbols, SYM_CNT);
	if (!disc->symbols[SYM_PyRuntime].found && !disc->symbols[SYM_PyThreadState_Current].found)
		elf__symbols(disc->elf, true, disc->symbols, SYM_CNT);
}

/* "3.11.7", "3.15.0b4" at @vaddr, ended by a NUL: PY_VERSION. A "+" behind it is taken off. */
static bool discover_version_at(const struct elf *elf, uint64_t vaddr, char *version, size_t len)
{
	char text[16] = "";
	unsigned int major, minor, patch;
	int end = 0;
	char *tail;

	if (elf__read(elf, vaddr, text, sizeof(text) - 1) || !isdigit((unsigned char)text[0]) ||
	    strlen(text) == sizeof(text) - 1)
		return false;
	if (sscanf(text, "%1u.%2u.%2u%n", &major, &minor, &patch, &end) != 3 || !end)
		return false;
	tail = text + end;
	tail += strspn(tail, "abrc0123456789");
	if (strcmp(tail, "+") && *tail)
		return false;
	*tail = '\0';
	snprintf(version, len, "%s", text);
	return major == 2 || major == 3;
}

/*
 * Up to 3.10 no symbol holds the version. Py_GetVersion() formats PY_VERSION, so one of the four
 * byte groups of its code is the distance to that string or its address, and what they point to
 * is a version string for no other reason (Python/getversion.c).
 */
static bool discover_version_string(struct discover *disc, char *version, size_t len)
{
	const struct elf_symbol *func = discover_found(disc, SYM_Py_GetVersion);
	uint8_t code[192];
	size_t code_len;

	if (!func || elf__machine(disc->elf) != EM_X86_64)
		return false;
	code_len = func->size && func->size < sizeof(code) ? (size_t)func->size : sizeof(code);
	if (elf__read(disc->elf, func->value, code, code_len))
		return false;
	for (size_t i = 0; i + 4 <= code_len; i++) {
		int32_t rel;
		uint32_t abs;

		memcpy(&rel, code + i, sizeof(rel));
		memcpy(&abs, code + i, sizeof(abs));
		if (discover_version_at(disc->elf, func->value + i + 4 + (uint64_t)(int64_t)rel,
		                        version, len) ||
		    discover_version_at(disc->elf, abs, version, len))
			return true;
	}
	return false;
}

/* PY_VERSION_HEX as PY_VERSION spells it (Include/patchlevel.h). */
static void discover_version_name(uint32_t hex, char *version, size_t len)
{
	static const char *const levels[16] = { [0xa] = "a", [0xb] = "b", [0xc] = "rc" };
	unsigned int level = hex >> 4 & 0xf;
	int used = snprintf(version, len, "%u.%u.%u", hex >> 24, hex >> 16 & 0xff, hex >> 8 & 0xff);

	if (levels[level] && used > 0 && (size_t)used < len)
		snprintf(version + used, len - (size_t)used, "%s%u", levels[level], hex & 0xf);
}

/* The hexadecimal form of a version string, with the release level when it has one. */
static uint32_t discover_version_parse(const char *version)
{
	unsigned int major = 0, minor = 0, patch = 0;
	char level = 'f';

	sscanf(version, "%1u.%2u.%2u%c", &major, &minor, &patch, &level);
	return major << 24 | minor << 16 | patch << 8 |
	       (level == 'a'   ? 0xa0u
	        : level == 'b' ? 0xb0u
	        : level == 'f' ? 0xf0u
	                       : 0xc0u);
}

/*
 * Builds with other structures than the table has. From 3.13 on they describe themselves, tracing
 * does not change objects, and release builds have its function, too.
 */
static const char *discover_odd_build(const struct discover *disc)
{
	uint32_t version = disc->python->version_hex >> 16;

	if (version >= 0x030d)
		return NULL;
	if (discover_found(disc, SYM_ForgetReference))
		return "a build with Py_TRACE_REFS";
	/* Debian's python3.9-dbg and python3.11-dbg have the release builds' layout. */
	if (disc->python->debug && version != 0x0309 && version != 0x030b)
		return "a debug build (Py_DEBUG)";
	return NULL;
}

static const char *discover_table_source(uint32_t version_hex)
{
	switch (version_hex >> 16) {
	case 0x0207:
		return "table 2.7";
	case 0x0306:
		return "table 3.6";
	case 0x0307:
		return (version_hex >> 8 & 0xff) < 4 ? "table 3.7.0" : "table 3.7.4";
	case 0x0308:
		return "table 3.8";
	case 0x0309:
		return "table 3.9";
	case 0x030a:
		return "table 3.10";
	case 0x030b:
		return "table 3.11";
	case 0x030c:
		return "table 3.12";
	default:
		return NULL;
	}
}

#define refuse(python, ...) snprintf((python)->reason, sizeof((python)->reason), __VA_ARGS__)

/* PyTypeObject.tp_basicsize: behind ob_refcnt, ob_type, ob_size, tp_name. */
#define TYPE_BASICSIZE 32

/* Does the static type object say that its instances have @expected bytes? */
static bool discover_check_type(const struct discover *disc, enum discover_symbol which,
                                uint16_t expected)
{
	const struct elf_symbol *type = discover_found(disc, which);
	int64_t size;

	if (!type)
		return true;
	if (!elf__read(disc->elf, type->value + TYPE_BASICSIZE, &size, sizeof(size)) &&
	    size == expected)
		return true;
	refuse(disc->python, "Python %s: %s of another size than any known build has",
	       disc->python->version, type->name);
	return false;
}

/* What the table says must be what the binary says, as far as it says anything. */
static void discover_check_table(const struct discover *disc, uint64_t runtime_sz)
{
	struct py_binary *python = disc->python;
	const struct py_runtime_offsets *offsets = &python->offsets;

	if ((python->version_hex >> 4 & 0xf) < 0xc)
		refuse(python, "Python %s is a pre-release: its memory layout is not known",
		       python->version);
	else if (!python->_PyRuntime != !offsets->runtime_size_max)
		refuse(python, "Python %s %s _PyRuntime", python->version,
		       python->_PyRuntime ? "with a" : "without");
	else if (runtime_sz &&
	         (runtime_sz < offsets->runtime_size_min || runtime_sz > offsets->runtime_size_max))
		refuse(python, "Python %s: _PyRuntime has %llu bytes, which no known build has",
		       python->version, (unsigned long long)runtime_sz);
	else if (discover_check_type(disc, SYM_PyCode_Type, offsets->code_size) &&
	         discover_check_type(disc, SYM_PyFrame_Type, offsets->frame_size))
		discover_check_type(disc, SYM_PyUnicode_Type, offsets->unicode_size);
}

static int discover_row(struct discover *disc, uint32_t version_hex, struct pv_layout *layout,
                        struct py_runtime_offsets *offsets)
{
	int err = py_layout_from_table(version_hex, layout, offsets);

	if (!err && elf__machine(disc->elf) == EM_AARCH64)
		py_offsets_to_aarch64(offsets);
	return err;
}

/* A build that does not tell its version: does the size of _PyRuntime fit just one? */
static uint32_t discover_version_by_size(struct discover *disc, uint64_t runtime_sz)
{
	static const uint32_t hexes[] = { 0x030700f0, 0x030704f0, 0x030800f0, 0x030900f0,
		                          0x030a00f0 };
	struct py_runtime_offsets offsets;
	struct pv_layout layout;
	uint32_t found = 0;

	for (size_t i = 0; i < sizeof(hexes) / sizeof(hexes[0]); i++) {
		if (discover_row(disc, hexes[i], &layout, &offsets) ||
		    runtime_sz < offsets.runtime_size_min || runtime_sz > offsets.runtime_size_max)
			continue;
		if (found)
			return 0;
		found = hexes[i];
	}
	return found;
}

static void discover_old(struct discover *disc, uint64_t runtime_sz)
{
	struct py_binary *python = disc->python;

	if (discover_version_string(disc, python->version, sizeof(python->version))) {
		python->version_hex = discover_version_parse(python->version);
	} else if (runtime_sz && discover_version_by_size(disc, runtime_sz)) {
		python->version_hex = discover_version_by_size(disc, runtime_sz);
		snprintf(python->version, sizeof(python->version), "%u.%u",
		         python->version_hex >> 24, python->version_hex >> 16 & 0xff);
	} else {
		refuse(python, "a Python whose version cannot be told from its file");
	}
}

/*
 * 3.6: static int autoTLSkey of Python/pystate.c. A stripped binary has it in the code of
 * PyGILState_GetThisThreadState(): cmpq $0,autoInterpreterState(%rip); je; mov autoTLSkey(%rip),%edi.
 * Without it a thread that runs without the GIL has no state that could be found.
 */
static void discover_key(struct discover *disc)
{
	const struct elf_symbol *func = discover_found(disc, SYM_GetThisThreadState);
	struct elf_symbol symbol = { .name = "autoTLSkey" };
	int32_t rel, value;
	uint8_t code[16];
	uint64_t at = 0;

	if (elf__symbols(disc->elf, true, &symbol, 1) && symbol.type == STT_OBJECT) {
		at = symbol.value;
	} else if (func && elf__machine(disc->elf) == EM_X86_64 &&
	           !elf__read(disc->elf, func->value, code, sizeof(code)) &&
	           !memcmp(code, "\x48\x83\x3d", 3) && !code[7] && code[8] == 0x74 &&
	           !memcmp(code + 10, "\x8b\x3d", 2)) {
		memcpy(&rel, code + 12, sizeof(rel));
		at = func->value + sizeof(code) + (uint64_t)(int64_t)rel;
	}
	/* As it is before the runtime starts. */
	if (at && !elf__read(disc->elf, at, &value, sizeof(value)) && value == -1)
		disc->python->autoTLSkey = at;
}

/*
 * 2.7: static PyInterpreterState *interp_head of Python/pystate.c, or what PyInterpreterState_Head()
 * returns: mov interp_head(%rip),%rax; ret.
 */
static void discover_interp_head(struct discover *disc)
{
	const struct elf_symbol *func = discover_found(disc, SYM_InterpreterState_Head);
	struct elf_symbol symbol = { .name = "interp_head" };
	uint64_t at = 0, value;
	uint8_t code[8];
	int32_t rel;

	if (elf__symbols(disc->elf, true, &symbol, 1) && symbol.type == STT_OBJECT) {
		at = symbol.value;
	} else if (func && elf__machine(disc->elf) == EM_X86_64 &&
	           !elf__read(disc->elf, func->value, code, sizeof(code)) &&
	           !memcmp(code, "\x48\x8b\x05", 3) && code[7] == 0xc3) {
		memcpy(&rel, code + 3, sizeof(rel));
		at = func->value + 7 + (uint64_t)(int64_t)rel;
	}
	if (at && !elf__read(disc->elf, at, &value, sizeof(value)) && !value)
		disc->python->interp_head = at;
}

static void discover_table(struct discover *disc, uint64_t runtime_sz)
{
	const struct elf_symbol *version = discover_found(disc, SYM_Py_Version);
	struct py_binary *python = disc->python;
	uint64_t hex;

	if (version && !elf__read(disc->elf, version->value, &hex, sizeof(hex)) && hex >> 32 == 0) {
		python->version_hex = (uint32_t)hex;
		discover_version_name(python->version_hex, python->version,
		                      sizeof(python->version));
	} else {
		discover_old(disc, runtime_sz);
	}
	if (python->reason[0])
		return;
	python->source = discover_table_source(python->version_hex);
	if (!python->source ||
	    discover_row(disc, python->version_hex, &python->layout, &python->offsets)) {
		refuse(python, "Python %s is not supported", python->version);
		python->source = "";
		return;
	}
	discover_check_table(disc, runtime_sz);
	if (python->layout.version == 0x0306 && !python->reason[0])
		discover_key(disc);
	if (python->layout.version == 0x0207 && !python->reason[0])
		discover_interp_head(disc);
}

/* 3.13 on: the runtime describes itself. False: it does not. */
static bool discover_debug_offsets(struct discover *disc)
{
	struct py_binary *python = disc->python;
	char data[DEBUG_OFFSETS_MAX];
	char why[128] = "";
	uint64_t version;
	size_t len = sizeof(data);
	bool newer;
	int err;

	/* _PyRuntime is far longer; a forged file may end early. */
	while (len >= 24 && elf__read(disc->elf, python->_PyRuntime, data, len))
		len -= 8;
	if (len < 24)
		return false;
	err = py_layout_from_debug_offsets(data, len, &python->layout, &python->offsets, why,
	                                   sizeof(why));
	if (err == -ENOENT)
		return false;
	memcpy(&version, data + 8, sizeof(version));
	if (version >> 32 == 0) {
		python->version_hex = (uint32_t)version;
		discover_version_name(python->version_hex, python->version,
		                      sizeof(python->version));
	}
	newer = python->version_hex >> 16 > VERSION_TESTED;
	if (err)
		refuse(python, "%s", why);
	else if ((python->version_hex >> 4 & 0xf) == 0xa && !newer)
		refuse(python, "Python %s is an alpha: its memory layout was not settled",
		       python->version);
	python->source = newer ? "debug offsets (untested version)" : "debug offsets";
	return true;
}

static void discover_tls(struct discover *disc)
{
	static const char *const tstate[] = { "PyThreadState_GetUnchecked",
		                              "_PyThreadState_UncheckedGet", NULL };
	static const char *const gilstate[] = { "PyGILState_GetThisThreadState", NULL };
	struct py_binary *python = disc->python;

	if (python->version_hex < 0x030c0000)
		return;
	if (py_tls_recipe(disc->elf, "_Py_tss_tstate", tstate, &python->tls_tstate))
		refuse(python, "Python %s: no way to its thread-local _Py_tss_tstate was found",
		       python->version);
	else if (!python->offsets.autotsskey && python->version_hex >= 0x030f0000 &&
	         py_tls_recipe(disc->elf, "_Py_tss_gilstate", gilstate, &python->tls_gilstate))
		refuse(python, "Python %s: no way to its thread-local _Py_tss_gilstate was found",
		       python->version);
}

/* Search the writable segments for the cookie that starts _PyRuntime from 3.13 on. */
static bool discover_scan(struct discover *disc, uint64_t *vaddr)
{
	const struct elf_segment *loads;
	uint64_t left = DISCOVER_SCAN_MAX;
	size_t cnt;

	loads = elf__loads(disc->elf, &cnt);
	for (size_t i = 0; i < cnt; i++) {
		uint64_t start = (loads[i].vaddr + 7) & ~7ull;
		uint64_t end = loads[i].vaddr + loads[i].filesz;

		if (!(loads[i].flags & PF_W))
			continue;
		for (uint64_t at = start; at + 8 <= end && left >= 8;) {
			char chunk[4096];
			size_t len = end - at < sizeof(chunk) ? (end - at) & ~7ull : sizeof(chunk);

			if (elf__read(disc->elf, at, chunk, len))
				break;
			for (size_t off = 0; off < len; off += 8) {
				if (memcmp(chunk + off, "xdebugpy", 8))
					continue;
				*vaddr = at + off;
				return true;
			}
			at += len;
			left -= len < left ? len : left;
		}
	}
	return false;
}

/* Where _PyRuntime is and how long; false: this file has none. */
static bool discover_runtime(struct discover *disc, uint64_t *vaddr, uint64_t *size)
{
	const struct elf_symbol *symbol = discover_found(disc, SYM_PyRuntime);
	struct elf_section section;

	if (symbol) {
		*vaddr = symbol->value;
		*size = symbol->size;
		return true;
	}
	if (!elf__section(disc->elf, ".PyRuntime", &section) && section.addr) {
		*vaddr = section.addr;
		*size = section.size;
		return true;
	}
	*size = 0;
	return !elf__has_sections(disc->elf) && discover_scan(disc, vaddr);
}

static int discover_python(struct discover *disc)
{
	const struct elf_symbol *type = discover_found(disc, SYM_PyCode_Type);
	const struct elf_symbol *current = discover_found(disc, SYM_PyThreadState_Current);
	uint64_t vaddr = 0, size = 0;
	const char *odd;

	if (!discover_runtime(disc, &vaddr, &size) && !current)
		return 0;
	disc->python = calloc(1, sizeof(*disc->python));
	if (!disc->python)
		return -ENOMEM;
	disc->python->source = "";
	disc->python->program = elf__is_program(disc->elf);
	disc->python->_PyRuntime = vaddr;
	disc->python->_PyThreadState_Current = current ? current->value : 0;
	disc->python->PyCode_Type = type ? type->value : 0;
	disc->python->debug = discover_found(disc, SYM_NegativeRefcount);
	if (!elf__is_64(disc->elf)) {
		refuse(disc->python, "a 32-bit Python is not supported");
		return 0;
	}
	if (!vaddr || !discover_debug_offsets(disc))
		discover_table(disc, size);
	odd = discover_odd_build(disc);
	if (odd)
		refuse(disc->python, "Python %s is %s, which is not supported",
		       disc->python->version, odd);
	if (!disc->python->reason[0])
		discover_tls(disc);
	return 0;
}

/* The offset in one of nptl_db's descriptions, or 0. */
static uint16_t discover_nptl_offset(const struct discover *disc, enum discover_symbol which)
{
	const struct elf_symbol *symbol = discover_found(disc, which);
	uint32_t desc[3];

	if (!symbol || elf__read(disc->elf, symbol->value, desc, sizeof(desc)) || desc[2] % 4 ||
	    desc[2] > 0x4000)
		return 0;
	return (uint16_t)desc[2];
}

/*
 * Bytes from struct pthread to the thread pointer: aarch64 has the structure right below it
 * (TLS_DTV_AT_TP). False: not known.
 */
static bool discover_self(const struct discover *disc, uint16_t *self)
{
	const struct elf_symbol *size_of = discover_found(disc, SYM_sizeof_pthread);
	uint32_t size;

	*self = 0;
	if (elf__machine(disc->elf) != EM_AARCH64)
		return true;
	if (!size_of || elf__read(disc->elf, size_of->value, &size, sizeof(size)) || size % 16 ||
	    size > 0x4000)
		return false;
	*self = (uint16_t)size;
	return true;
}

/* glibc nptl/descr.h: specific_1stblock[32] of 16 bytes each lies right before specific[32]. */
static void discover_libc(const struct discover *disc, struct py_libc *libc)
{
	bool start = discover_found(disc, SYM_libc_start_main);
	uint16_t specific = discover_nptl_offset(disc, SYM_pthread_specific), self;

	/* Of aarch64 only a glibc that says so itself is known. */
	if (!discover_self(disc, &self) ||
	    (specific <= 512 && elf__machine(disc->elf) == EM_AARCH64))
		return;
	if (specific > 512) {
		libc->tsd = (struct pv_tsd){ .kind = PV_TSD_GLIBC,
			                     .self = self,
			                     .first = (uint16_t)(specific - 512),
			                     .second = specific };
		libc->dtv_stride = 16;
	} else if (start && discover_found(disc, SYM_gnu_get_libc_version)) {
		/* glibc 2.31 to 2.43 on x86-64 agree; before 2.34 libpthread tells. */
		libc->tsd =
			(struct pv_tsd){ .kind = PV_TSD_GLIBC, .first = 0x310, .second = 0x510 };
		libc->dtv_stride = 16;
	} else if (start) {
		/* musl: pthread_impl.h, struct pthread.tsd on x86-64 */
		libc->tsd = (struct pv_tsd){ .kind = PV_TSD_MUSL, .first = 0x80 };
		libc->dtv_stride = 8;
	}
	libc->l_tls_offset = discover_nptl_offset(disc, SYM_l_tls_offset);
	libc->l_tls_modid = discover_nptl_offset(disc, SYM_l_tls_modid);
}

static void discover_code_segment(const struct discover *disc, struct elf_segment *code)
{
	const struct elf_segment *loads;
	size_t cnt;

	loads = elf__loads(disc->elf, &cnt);
	for (size_t i = 0; i < cnt; i++) {
		if (!(loads[i].flags & PF_X))
			continue;
		*code = loads[i];
		return;
	}
}

/* What the kernel side needs to find the file's place among what the dynamic linker has loaded. */
static void discover_dynamic(const struct discover *disc, struct py_file *file)
{
	/* glibc relocates some entries in place, DT_NEEDED is none of them (elf/get-dynamic-info.h). */
	if (elf__dynamic(disc->elf, DT_NEEDED, &file->dynamic, NULL) ||
	    elf__read(disc->elf, file->dynamic, file->dynamic_head, sizeof(file->dynamic_head)) ||
	    file->dynamic_head[0] != DT_NEEDED)
		file->dynamic = 0;
	if (elf__dynamic(disc->elf, DT_DEBUG, NULL, &file->debug_slot))
		file->debug_slot = 0;
}

int py_file_inspect(int fd, struct py_file *file)
{
	struct discover disc = { 0 };
	int err;

	*file = (struct py_file){ 0 };
	disc.elf = elf__new(fd);
	if (!disc.elf)
		return errno == ENOMEM ? -ENOMEM : 0;
	discover_symbols(&disc);
	err = discover_python(&disc);
	if (!err) {
		file->python = disc.python;
		file->needs_python = elf__needs(disc.elf, "libpython");
		/* libc.so.6, libc.musl-x86_64.so.1 */
		file->needs_libc = elf__needs(disc.elf, "libc.");
		if (!disc.python && disc.symbols[SYM_PyCode_Type].found)
			file->PyCode_Type_copy = disc.symbols[SYM_PyCode_Type].value;
		if (discover_found(&disc, SYM_r_debug))
			file->_r_debug = disc.symbols[SYM_r_debug].value;
		discover_libc(&disc, &file->libc);
		discover_code_segment(&disc, &file->code);
		discover_dynamic(&disc, file);
	}
	elf__free(disc.elf);
	return err;
}

void py_file_free(struct py_file *file)
{
	free(file->python);
	*file = (struct py_file){ 0 };
}
