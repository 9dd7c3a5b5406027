// SPDX-License-Identifier: Apache-2.0
#include "cmd/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"
#include "util/log.h"

#define WHERE_MAX 256

/* @text without the spaces at its ends; cuts it there. */
static char *trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

static size_t row_of(const struct opt_spec *spec, const char *name)
{
	size_t i = 0;

	while (i < spec->row_cnt &&
	       (!spec->rows[i].in_file || strcmp(spec->rows[i].long_name, name) != 0))
		i++;
	return i;
}

/* @seen: the line that set each row, 0 none. */
static enum opt_outcome read_line(const struct opt_spec *spec, const char *where, char *line,
                                  unsigned int number, unsigned int *seen, void *config)
{
	char *value = strchr(line, '='), *key;
	size_t row;

	if (!value) {
		log_error("%s: no '=' in '%s'; a line is: key = value", where, line);
		return OPT_BAD;
	}
	*value++ = '\0';
	key = trim(line);
	value = trim(value);
	row = row_of(spec, key);
	if (row < spec->row_cnt && seen[row]) {
		log_error("%s: %s was set in line %u already", where, key, seen[row]);
		return OPT_BAD;
	}
	if (row < spec->row_cnt)
		seen[row] = number;
	return opt_set(spec, where, key, value, config);
}

enum opt_outcome conf_read(const struct opt_spec *spec, const char *path, struct buf *text,
                           void *config, int *err)
{
	unsigned int *seen = calloc(spec->row_cnt, sizeof(*seen));
	enum opt_outcome outcome = OPT_GO;
	unsigned int number = 0;
	char where[WHERE_MAX];
	char *next, *line;

	buf_clear(text);
	*err = seen ? file_read(path, CONF_BYTES_MAX, text) : -ENOMEM;
	if (!*err && strlen(buf_str(text)) != text->len)
		*err = -EILSEQ;
	for (next = *err ? NULL : text->data; next;) {
		line = strsep(&next, "\n");
		number++;
		line = trim(line);
		if (!*line || *line == '#' || *line == ';')
			continue;
		snprintf(where, sizeof(where), "%s:%u", path, number);
		if (read_line(spec, where, line, number, seen, config) != OPT_GO)
			outcome = OPT_BAD;
	}
	free(seen);
	return *err ? OPT_BAD : outcome;
}

void conf_example(const struct opt_spec *spec, FILE *stream)
{
	fprintf(stream,
	        "# pitviper %s: every key with its default. The same names with -- in front are\n"
	        "# options of the command line, which override this file.\n",
	        spec->command);
	for (size_t i = 0; i < spec->row_cnt; i++) {
		const struct opt_row *row = &spec->rows[i];

		if (!row->in_file)
			continue;
		if (row->section)
			fprintf(stream, "\n# -- %s --\n", row->section);
		fputs("\n# ", stream);
		for (const char *at = row->help; *at; at++)
			fputs(*at == '\n' ? "\n# " : (char[]){ *at, '\0' }, stream);
		fprintf(stream, "\n#%s =%s%s\n", row->long_name, row->initial ? " " : "",
		        row->kind == OPT_FLAG ? " no"
		        : row->initial        ? row->initial
		                              : "");
	}
}
