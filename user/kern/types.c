// SPDX-License-Identifier: Apache-2.0
#include "kern/types.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#if defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#define OWN_FIELD   "uw"
#else
#define OWN_MACHINE EM_X86_64
#define OWN_FIELD   "fsbase"
#endif

int types_function(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);

	return id > 0 ? id : 0;
}

bool types_has_value(const struct btf *btf, const char *enumeration, const char *value)
{
	int id = btf__find_by_name_kind(btf, enumeration, BTF_KIND_ENUM);
	const struct btf_type *type;
	const struct btf_enum *values;

	if (id <= 0)
		return false;
	type = btf__type_by_id(btf, (__u32)id);
	values = btf_enum(type);
	for (int i = 0; i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(btf, values[i].name_off);

		if (name && !strcmp(name, value))
			return true;
	}
	return false;
}

static bool has_member(const struct btf *btf, const char *structure, const char *member)
{
	int id = btf__find_by_name_kind(btf, structure, BTF_KIND_STRUCT);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;

	for (int i = 0; type && i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(btf, btf_members(type)[i].name_off);

		if (name && !strcmp(name, member))
			return true;
	}
	return false;
}

/* 0 or negative errno. @machine: of an ELF file, EM_NONE for any other. */
static int read_machine(const char *path, unsigned int *machine)
{
	Elf64_Ehdr head = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0;
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = fstat(fd, &st) ? -1 : read(fd, &head, sizeof(head));
	if (got < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	*machine = got == sizeof(head) && !memcmp(head.e_ident, ELFMAG, SELFMAG) ? head.e_machine
	                                                                         : EM_NONE;
	close(fd);
	return err;
}

/* NULL: none in @path, in silence; *err is then 0, -ENOMEM, or that of the file. */
static struct btf *parse(const char *path, unsigned int *machine, int *err)
{
	libbpf_print_fn_t print;
	struct btf *btf;

	*err = read_machine(path, machine);
	if (*err)
		return NULL;
	print = libbpf_set_print(NULL);
	btf = btf__parse(path, NULL);
	if (!btf && errno == ENOMEM)
		*err = -ENOMEM;
	libbpf_set_print(print);
	return btf;
}

int types_check(const char *path, char *what, size_t what_len)
{
	unsigned int machine = EM_NONE;
	struct utsname name = { 0 };
	bool of_kernel, of_machine;
	int err;
	struct btf *btf = parse(path, &machine, &err);

	if (err == -ENOMEM)
		return err;
	uname(&name);
	of_kernel = btf && has_member(btf, "task_struct", "thread");
	of_machine = machine == EM_NONE || machine == OWN_MACHINE;
	of_machine &= btf && has_member(btf, "thread_struct", OWN_FIELD);
	btf__free(btf);
	if (err)
		snprintf(what, what_len, "cannot read the types in %s: %s", path, strerror(-err));
	else if (!btf)
		snprintf(what, what_len,
		         "%s has no types: it is neither unpacked BTF nor an ELF file with a "
		         "section .BTF; pahole --btf_encode_detached=FILE vmlinux makes one of a "
		         "kernel with debug information",
		         path);
	else if (!of_kernel)
		snprintf(what, what_len,
		         "%s has types, but not those of a kernel; take those of Linux %s", path,
		         name.release);
	else if (!of_machine)
		snprintf(what, what_len,
		         "%s has the types of a kernel of another architecture; take those of "
		         "Linux %s for %s",
		         path, name.release, name.machine);
	else
		return 0;
	return -EINVAL;
}
