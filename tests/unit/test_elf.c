// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "elf/elf.h"
#include "py/discover.h"
#include "py/tls.h"

/* Something to look up in this very program; its own section, so that its address is known. */
extern const char elf_probe[24];
const char elf_probe[24] __attribute__((section(".pv_probe"), used)) = "look what is written";
_Thread_local int elf_probe_tls = 3;

static struct elf *open_self(int *fd)
{
	*fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(*fd >= 0);
	return elf__new(*fd);
}

static void test_self(void **state)
{
	struct elf_symbol symbols[] = { { .name = "elf_probe" },
		                        { .name = "no_such_symbol" },
		                        { .name = "elf_probe_tls" } };
	struct elf_section section;
	uint8_t id[ELF_BUILD_ID_MAX];
	char text[sizeof(elf_probe)];
	struct elf *elf;
	size_t cnt;
	int fd;

	(void)state;
	elf = open_self(&fd);
	assert_non_null(elf);
	assert_true(elf__is_64(elf));
	assert_true(elf__is_program(elf));
	assert_true(elf__has_sections(elf));
	assert_non_null(elf__tls(elf));
	assert_non_null(elf__loads(elf, &cnt));
	assert_true(cnt >= 2);
	assert_int_equal(elf__symbols(elf, true, symbols, 3), 2);
	assert_true(symbols[0].found);
	assert_int_equal(symbols[0].size, sizeof(elf_probe));
	assert_int_equal(symbols[0].type, STT_OBJECT);
	assert_false(symbols[1].found);
	assert_int_equal(symbols[2].type, STT_TLS);
	assert_int_equal(elf__section(elf, ".pv_probe", &section), 0);
	assert_int_equal(section.addr, symbols[0].value);
	assert_int_equal(elf__section(elf, ".none", &section), -ENOENT);
	assert_int_equal(elf__read(elf, symbols[0].value, text, sizeof(text)), 0);
	assert_memory_equal(text, elf_probe, sizeof(text));
	assert_true(elf__needs(elf, "libcmocka"));
	assert_false(elf__needs(elf, "libpython"));
	cnt = elf__build_id(elf, id, sizeof(id));
	assert_true(cnt == 0 || cnt == 20 || cnt == 16);
	elf__free(elf);
	close(fd);
}

static void test_read_bounds(void **state)
{
	const struct elf_segment *loads, *last;
	struct elf *elf;
	char byte[16];
	size_t cnt;
	int fd;

	(void)state;
	elf = open_self(&fd);
	assert_non_null(elf);
	loads = elf__loads(elf, &cnt);
	last = &loads[cnt - 1];
	assert_int_equal(elf__read(elf, last->vaddr + last->memsz - 1, byte, 1), 0);
	assert_int_equal(elf__read(elf, last->vaddr + last->memsz - 1, byte, 2), -EFAULT);
	assert_int_equal(elf__read(elf, last->vaddr + last->memsz + 4096, byte, 1), -EFAULT);
	assert_int_equal(elf__read(elf, UINT64_MAX, byte, 16), -EFAULT);
	assert_int_equal(elf__read(elf, last->vaddr, byte, SIZE_MAX), -EFAULT);
	elf__free(elf);
	close(fd);
}

/* Everything that the views offer, on a file that may be anything. */
static void exercise(int fd)
{
	struct elf_symbol symbols[] = { { .name = "elf_probe" }, { .name = "_PyRuntime" } };
	struct elf_section section;
	struct py_file file;
	uint8_t id[8];
	uint64_t vaddr;
	struct elf *elf = elf__new(fd);

	if (elf) {
		elf__symbols(elf, false, symbols, 2);
		elf__symbols(elf, true, symbols, 2);
		elf__section(elf, ".PyRuntime", &section);
		elf__needs(elf, "libpython");
		elf__is_program(elf);
		elf__build_id(elf, id, sizeof(id));
		elf__has_relocation(elf, 0x1000, 7);
		elf__find_relocation(elf, 16, 0, &vaddr);
		elf__free(elf);
	}
	assert_int_equal(py_file_inspect(fd, &file), 0);
	py_file_free(&file);
}

/* This program, or rather enough of it: headers, dynamic section, symbols. */
static unsigned char *read_self(size_t *len)
{
	unsigned char *data;
	struct stat st;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	*len = (size_t)st.st_size;
	close(fd);
	return data;
}

static int file_of(const void *data, size_t len)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	return fd;
}

static void test_truncated(void **state)
{
	size_t len;
	unsigned char *data = read_self(&len);
	int fd = file_of(data, len);

	(void)state;
	for (size_t cut = len; cut > 0; cut -= cut / 23 + 1) {
		assert_int_equal(ftruncate(fd, (off_t)cut), 0);
		exercise(fd);
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_null(elf__new(fd));
	assert_int_equal(errno, ENOEXEC);
	close(fd);
	free(data);
}

/* The C library, which exports what a program does not. */
static unsigned char *read_libc(size_t *len)
{
	unsigned char *data;
	struct stat st;
	Dl_info info;
	int fd;

	assert_int_not_equal(dladdr((void *)gnu_get_libc_version, &info), 0);
	fd = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	*len = (size_t)st.st_size;
	close(fd);
	return data;
}

/* Damage what the dynamic segment says, one number at a time. */
static void forge_dynamic(int fd, const unsigned char *data, size_t len)
{
	static const uint64_t bad[] = { 0, 1, 1ull << 31, UINT64_MAX / 3, UINT64_MAX };
	const Elf64_Ehdr *header = (const void *)data;
	const Elf64_Phdr *phdr = (const void *)(data + header->e_phoff);

	while (phdr->p_type != PT_DYNAMIC)
		phdr++;
	for (size_t at = phdr->p_offset; at < phdr->p_offset + phdr->p_filesz && at + 8 <= len;
	     at += 8) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			assert_int_equal(pwrite(fd, &bad[i], 8, (off_t)at), 8);
			exercise(fd);
		}
		assert_int_equal(pwrite(fd, data + at, 8, (off_t)at), 8);
	}
}

/* Without section headers the dynamic segment says the same. */
static void test_no_sections(void **state)
{
	static const char *const names[] = { "gnu_get_libc_version", "__libc_start_main", "environ",
		                             "_thread_db_pthread_specific" };
	uint64_t relocation = 0, bare_relocation = 1;
	uint32_t type;
	size_t len;
	unsigned char *data = read_libc(&len);
	Elf64_Ehdr *header = (void *)data;
	int full_fd = file_of(data, len), fd;
	struct elf *full = elf__new(full_fd), *elf;

	(void)state;
	header->e_shoff = 0;
	header->e_shnum = 0;
	header->e_shstrndx = 0;
	fd = file_of(data, len);
	elf = elf__new(fd);
	assert_non_null(elf);
	assert_non_null(full);
	assert_false(elf__has_sections(elf));
	assert_int_equal(elf__is_program(elf), elf__is_program(full));
	assert_true(elf__needs(elf, "ld-linux"));
	assert_false(elf__needs(elf, "libpython"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct elf_symbol a = { .name = names[i] }, b = a;

		assert_int_equal(elf__symbols(full, false, &a, 1), 1);
		assert_int_equal(elf__symbols(elf, false, &b, 1), 1);
		assert_memory_equal(&a, &b, sizeof(a));
	}
	type = header->e_machine == EM_X86_64 ? R_X86_64_TPOFF64 : R_AARCH64_TLS_TPREL;
	assert_int_equal(elf__find_relocation(full, type, 0, &relocation), 0);
	assert_int_equal(elf__find_relocation(elf, type, 0, &bare_relocation), 0);
	assert_int_equal(relocation, bare_relocation);
	elf__free(elf);
	elf__free(full);
	forge_dynamic(fd, data, len);
	close(fd);
	close(full_fd);
	free(data);
}

/* Shrinks while it is open: reads fail, nothing dies. */
static void test_shrinks(void **state)
{
	const struct elf_segment *loads;
	size_t len, cnt;
	unsigned char *data = read_self(&len);
	int fd = file_of(data, len);
	struct elf *elf = elf__new(fd);
	struct elf_symbol symbol = { .name = "elf_probe" };
	char byte;

	(void)state;
	assert_non_null(elf);
	loads = elf__loads(elf, &cnt);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(elf__read(elf, loads[cnt - 1].vaddr, &byte, 1), -EIO);
	assert_int_equal(elf__symbols(elf, true, &symbol, 1), 0);
	assert_false(elf__needs(elf, "libcmocka"));
	elf__free(elf);
	close(fd);
	free(data);
}

/* Absurd numbers in the headers, one u64 at a time. */
static void test_forged_headers(void **state)
{
	static const uint64_t bad[] = { 0, 1, 0xffff, 1ull << 31, 1ull << 62, UINT64_MAX };
	size_t len;
	unsigned char *data = read_self(&len);
	const Elf64_Ehdr *header = (const void *)data;
	size_t phdrs_end = header->e_phoff + header->e_phnum * sizeof(Elf64_Phdr);
	size_t shdrs = header->e_shoff;

	(void)state;
	for (size_t at = 16; at + 8 <= len; at += 8) {
		unsigned char saved[8];

		/* The ELF and program headers, then the section headers. */
		if (at >= phdrs_end && at < shdrs)
			at = (shdrs + 7) & ~7ull;
		if (at + 8 > len)
			break;
		memcpy(saved, data + at, 8);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			int fd;

			memcpy(data + at, &bad[i], 8);
			fd = file_of(data, len);
			exercise(fd);
			close(fd);
		}
		memcpy(data + at, saved, 8);
	}
	free(data);
}

/* A sparse file costs its owner nothing: tables and counts that fit it must not cost us memory. */
static void test_sparse(void **state)
{
	size_t len;
	unsigned char *data = read_self(&len);
	Elf64_Ehdr *header = (void *)data;
	Elf64_Shdr *sections = (void *)(data + header->e_shoff);
	struct rusage usage;
	int fd;

	(void)state;
	assert_true(header->e_shoff % 8 == 0);
	for (size_t i = 1; i < header->e_shnum; i++) {
		uint64_t saved = sections[i].sh_size;

		sections[i].sh_size = 1u << 30;
		fd = file_of(data, len);
		assert_int_equal(ftruncate(fd, 1ll << 40), 0);
		exercise(fd);
		close(fd);
		sections[i].sh_size = saved;
	}
	/* The number of sections as a 64-bit number. */
	header->e_shnum = 0;
	sections[0].sh_size = 1u << 24;
	fd = file_of(data, len);
	assert_int_equal(ftruncate(fd, 1ll << 40), 0);
	assert_null(elf__new(fd));
	close(fd);
	free(data);
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	assert_true(usage.ru_maxrss < 512 << 10);
}

static int decode(const char *hex, struct py_tls_recipe *recipe, bool *with_offset)
{
	unsigned char code[64];
	unsigned char *exact;
	size_t len = 0;
	int used, err;
	unsigned int byte;

	for (; sscanf(hex, "%2x %n", &byte, &used) == 1; hex += used)
		code[len++] = (unsigned char)byte;
	exact = malloc(len);
	memcpy(exact, code, len);
	err = py_tls_decode_x86_64(exact, len, 0x1000, recipe, with_offset);
	/* One byte less is not the function any more. */
	assert_int_equal(py_tls_decode_x86_64(exact, len - 1, 0x1000, &(struct py_tls_recipe){ 0 },
	                                      &(bool){ false }),
	                 -ENOENT);
	free(exact);
	return err;
}

static int decode_aarch64(const uint32_t *insns, size_t cnt, struct py_tls_recipe *recipe)
{
	uint8_t *exact = malloc(cnt * sizeof(*insns));
	int err;

	memcpy(exact, insns, cnt * sizeof(*insns));
	err = py_tls_decode_aarch64(exact, cnt * sizeof(*insns), 0x2f21c0, recipe);
	free(exact);
	return err;
}

/* Less than the function, and the function with an instruction that is none, are refused. */
static void expect_aarch64(const uint32_t *insns, size_t cnt, enum py_tls_form form, uint64_t slot,
                           int64_t off)
{
	struct py_tls_recipe recipe;
	uint32_t broken[16];

	assert_int_equal(decode_aarch64(insns, cnt, &recipe), 0);
	assert_int_equal(recipe.form, form);
	assert_int_equal(recipe.slot, slot);
	assert_int_equal(recipe.off, off);
	for (size_t i = 0; i < cnt; i++) {
		assert_int_equal(decode_aarch64(insns, i, &recipe), -ENOENT);
		memcpy(broken, insns, cnt * sizeof(*insns));
		broken[i] = 0;
		assert_int_equal(decode_aarch64(broken, cnt, &recipe), -ENOENT);
		assert_int_equal(recipe.form, PY_TLS_NONE);
	}
}

static void test_tls_decode_aarch64(void **state)
{
	/* 3.14, Debian: bti c; mrs x0, tpidr_el0; nop; add x0, x0, #0x18; ldr x0, [x0]; ret */
	const uint32_t program[] = {
		0xd503245f, 0xd53bd040, 0xd503201f, 0x91006000, 0xf9400000, 0xd65f03c0,
	};
	/* mrs x0, tpidr_el0; add x0, x0, #1, lsl #12; ldr x0, [x0, #8]; ret */
	const uint32_t far[] = { 0xd53bd040, 0x91400400, 0xf9400400, 0xd65f03c0 };
	/* gcc -ftls-model=initial-exec: adrp, ldr x0, [x0, #4032]; mrs x1; ldr x0, [x1, x0]; ret */
	const uint32_t initial[] = {
		0xf00000e0, 0xf947e000, 0xd53bd041, 0xf8606820, 0xd65f03c0,
	};
	struct py_tls_recipe recipe;

	(void)state;
	expect_aarch64(program, 6, PY_TLS_STATIC, 0, 0x18);
	expect_aarch64(far, 4, PY_TLS_STATIC, 0, 0x1008);
	expect_aarch64(initial, 5, PY_TLS_STATIC_SLOT, 0x2f2000 + 0x1f000 + 4032, 0);
	/* The variable's address, and what no thread has of its own. */
	assert_int_equal(decode_aarch64((const uint32_t[]){ 0xd53bd040, 0x91006000, 0xd65f03c0 }, 3,
	                                &recipe),
	                 -ENOENT);
	assert_int_equal(decode_aarch64((const uint32_t[]){ 0xf00000e0, 0xf947e000, 0xd65f03c0 }, 3,
	                                &recipe),
	                 -ENOENT);
}

/* libpython3.13 of Debian sid and what gcc -O0 and clang make of the same. */
static void test_tls_decode_descriptor(void **state)
{
	/* paciasp; mrs x1; stp; mov x29, sp; adrp x0, 6e1000; ldr x2, [x0, #200]; add x0, x0, #200;
	 * blr x2; ldr x0, [x1, x0]; ldp; autiasp; ret */
	const uint32_t debian[] = {
		0xd503233f, 0xd53bd041, 0xa9bf7bfd, 0x910003fd, 0xf0001f60, 0xf9406402,
		0x91032000, 0xd63f0040, 0xf8606820, 0xa8c17bfd, 0xd50323bf, 0xd65f03c0,
	};
	/* stp; mov; adrp; ldr x1, [x0, #32]; add; blr x1; mrs x1; add x0, x1, x0; ldr x0, [x0]; … */
	const uint32_t gcc[] = {
		0xa9bf7bfd, 0x910003fd, 0x90000100, 0xf9401001, 0x91008000, 0xd63f0020,
		0xd53bd041, 0x8b000020, 0xf9400000, 0xa8c17bfd, 0xd65f03c0,
	};
	/* stp; mov; adrp; ldr x1, [x0]; add; blr x1; mrs x8; ldr x0, [x8, x0]; ldp; ret */
	const uint32_t clang[] = {
		0xa9bf7bfd, 0x910003fd, 0x90000000, 0xf9400001, 0x91000000,
		0xd63f0020, 0xd53bd048, 0xf8606900, 0xa8c17bfd, 0xd65f03c0,
	};
	uint32_t other[12];
	struct py_tls_recipe recipe;

	(void)state;
	expect_aarch64(debian, 12, PY_TLS_DESCRIPTOR, 0x6e10c8, 0);
	expect_aarch64(gcc, 11, PY_TLS_DESCRIPTOR, 0x2f2000 + 0x20000 + 32, 0);
	expect_aarch64(clang, 10, PY_TLS_DESCRIPTOR, 0x2f2000, 0);
	/* A function is called that is not the descriptor's, or with another argument. */
	memcpy(other, debian, sizeof(other));
	other[5] += 1 << 10;
	assert_int_equal(decode_aarch64(other, 12, &recipe), -ENOENT);
	memcpy(other, debian, sizeof(other));
	other[7] += 1 << 5;
	assert_int_equal(decode_aarch64(other, 12, &recipe), -ENOENT);
	/* What it returns is added to something else than the thread pointer. */
	memcpy(other, debian, sizeof(other));
	other[1] += 1;
	assert_int_equal(decode_aarch64(other, 12, &recipe), -ENOENT);
}

static void test_tls_decode(void **state)
{
	struct py_tls_recipe recipe;
	bool with_offset;

	(void)state;
	/* static, GCC: mov %fs:-0x18,%rax; ret */
	assert_int_equal(decode("64 48 8b 04 25 e8 ff ff ff c3", &recipe, &with_offset), 0);
	assert_int_equal(recipe.form, PY_TLS_STATIC);
	assert_int_equal(recipe.off, -0x18);
	/* the same behind endbr64 and a frame pointer */
	assert_int_equal(decode("f3 0f 1e fa 55 48 89 e5 64 48 8b 04 25 e8 ff ff ff 5d c3", &recipe,
	                        &with_offset),
	                 0);
	/* mov %fs:0,%rax; mov -0x20(%rax),%rax; ret */
	assert_int_equal(decode("64 48 8b 04 25 00 00 00 00 48 8b 40 e0 c3", &recipe, &with_offset),
	                 0);
	assert_int_equal(recipe.off, -0x20);
	/* initial exec: mov 0x100(%rip),%rax; mov %fs:(%rax),%rax; ret */
	assert_int_equal(decode("48 8b 05 00 01 00 00 64 48 8b 00 c3", &recipe, &with_offset), 0);
	assert_int_equal(recipe.form, PY_TLS_STATIC_SLOT);
	assert_int_equal(recipe.slot, 0x1107);
	/* general dynamic, 3.12.1 as GCC 12 makes it */
	assert_int_equal(decode("48 83 ec 08 66 48 8d 3d f4 c9 26 00 66 66 48 e8 dc 10 e3 ff "
	                        "48 8b 00 48 83 c4 08 c3",
	                        &recipe, &with_offset),
	                 0);
	assert_int_equal(recipe.form, PY_TLS_MODULE);
	assert_true(with_offset);
	assert_int_equal(recipe.slot, 0x1000 + 12 + 0x26c9f4);
	/* local dynamic: push %rax; lea; call; mov 8(%rax),%rax; pop %rcx; ret */
	assert_int_equal(decode("50 48 8d 3d 00 10 00 00 e8 00 00 00 00 48 8b 40 08 59 c3", &recipe,
	                        &with_offset),
	                 0);
	assert_false(with_offset);
	assert_int_equal(recipe.off, 8);
	assert_int_equal(recipe.slot, 0x1000 + 8 + 0x1000);
	/* 3.15.2, GCC 16: the frame is gone before the load */
	assert_int_equal(decode("f3 0f 1e fa 55 48 89 e5 48 8d 3d d1 a6 4a 00 e8 cc 9d cf ff 5d "
	                        "48 8b 80 08 00 00 00 c3",
	                        &recipe, &with_offset),
	                 0);
	assert_int_equal(recipe.slot, 0x1000 + 15 + 0x4aa6d1);
	assert_int_equal(recipe.off, 8);
}

static void test_tls_decode_refuses(void **state)
{
	struct py_tls_recipe recipe = { 0 };
	bool with_offset;

	(void)state;
	/* another register, another base, something behind, a store, nothing at all */
	assert_int_equal(decode("64 48 8b 0c 25 e8 ff ff ff c3", &recipe, &with_offset), -ENOENT);
	assert_int_equal(decode("65 48 8b 04 25 e8 ff ff ff c3", &recipe, &with_offset), -ENOENT);
	assert_int_equal(decode("64 48 8b 04 25 e8 ff ff ff 48 8b 40 08 c3", &recipe, &with_offset),
	                 -ENOENT);
	assert_int_equal(decode("48 8b 05 00 01 00 00 48 8b 00 c3", &recipe, &with_offset),
	                 -ENOENT);
	assert_int_equal(decode("31 c0 c3", &recipe, &with_offset), -ENOENT);
	assert_int_equal(recipe.form, PY_TLS_NONE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_read_bounds),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_no_sections),
		cmocka_unit_test(test_shrinks),
		cmocka_unit_test(test_forged_headers),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_tls_decode),
		cmocka_unit_test(test_tls_decode_aarch64),
		cmocka_unit_test(test_tls_decode_descriptor),
		cmocka_unit_test(test_tls_decode_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
