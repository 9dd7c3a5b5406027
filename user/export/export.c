// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <string.h>

const struct export_writer *const export_writers[] = {
	&export_otlp, &export_pyroscope, &export_parca, &export_pprof, NULL,
};

const struct export_writer *export_writer_by_name(const char *name)
{
	for (size_t i = 0; export_writers[i]; i++)
		if (!strcmp(export_writers[i]->name, name))
			return export_writers[i];
	return NULL;
}
