// SPDX-License-Identifier: Apache-2.0
#include "kern/types.h"

#include <string.h>

#include <bpf/btf.h>

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
