// SPDX-License-Identifier: Apache-2.0
#include "cmd/opt.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/log.h"

#define NAME_MAX_LEN 32 /* names longer than this are near to nothing */
#define NAMES_MAX    64
#define HELP_COLUMN  28
#define HELP_LINE    42 /* of it, before " (default: )" */
#define SHOWN_MAX    320

struct parse {
	const struct opt_spec *spec;
	char **argv; /* the next word */
	void *config;
	char shown[SHOWN_MAX]; /* the option as it was written, for messages */
};

static unsigned int min_uint(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int opt_distance(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	unsigned int rows[3][NAME_MAX_LEN + 1];

	if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
		return UINT_MAX;
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const unsigned int *above2 = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = above[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = min_uint(row[j], min_uint(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min_uint(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *opt_nearest(const char *word, const char *const *names)
{
	size_t len = strlen(word);
	unsigned int best_distance = UINT_MAX;
	const char *best = NULL;

	for (; *names; names++) {
		unsigned int distance = opt_distance(word, *names);

		if (len > 1 && !strncmp(word, *names, len))
			distance = 0; /* the beginning of it */
		if (distance < best_distance) {
			best_distance = distance;
			best = *names;
		}
	}
	/* A third of the letters wrong, but never all of a short word. */
	return best_distance <= min_uint(3, 1 + (unsigned int)len / 4) && best_distance < len
	               ? best
	               : NULL;
}

void opt_pids_free(struct opt_pids *pids)
{
	free(pids->pids);
	*pids = (struct opt_pids){ 0 };
}

void opt_words_free(struct opt_words *words)
{
	free(words->words);
	*words = (struct opt_words){ 0 };
}

static enum opt_outcome bad(const struct parse *parse)
{
	log_print(LOG_ERROR, "'pitviper %s --help' lists the options", parse->spec->command);
	return OPT_BAD;
}

/* A decimal number without sign or space from @text up to @end. False: none, or beyond @max. */
static bool parse_number(const char *text, const char *end, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	*out = value;
	return true;
}

static bool parse_pids(const char *text, struct opt_pids *out)
{
	do {
		const char *end = text + strcspn(text, ",");
		uint64_t pid;
		pid_t *grown;

		if (!parse_number(text, end, INT_MAX, &pid) || !pid || out->cnt >= OPT_PID_MAX)
			return false;
		grown = realloc(out->pids, (out->cnt + 1) * sizeof(*grown));
		if (!grown)
			return false;
		out->pids = grown;
		out->pids[out->cnt++] = (pid_t)pid;
		text = end;
	} while (*text++ == ',');
	return true;
}

static bool parse_seconds(const char *text, uint64_t *out_ns)
{
	const char *dot = strchr(text, '.');
	const char *end = text + strlen(text);
	uint64_t seconds = 0, ns = 0, unit = NSEC_PER_SEC;

	if (!strcmp(text, "unlimited")) {
		*out_ns = 0;
		return true;
	}
	if (!dot)
		dot = end;
	else if (dot == text && dot + 1 == end)
		return false;
	if (dot > text && !parse_number(text, dot, OPT_SECONDS_MAX, &seconds))
		return false;
	if (!dot[0] && dot == text)
		return false;
	for (const char *digit = dot + 1; digit < end; digit++) {
		if (!isdigit((unsigned char)*digit))
			return false;
		unit /= 10;
		ns += (uint64_t)(*digit - '0') * unit;
	}
	*out_ns = seconds * NSEC_PER_SEC + ns;
	return *out_ns > 0;
}

/* A whole number and one of the letters of @units, whose worth is @worth[]. False: not so, or 0. */
static bool parse_unit(const char *text, const char *units, const uint64_t *worth, uint64_t *out)
{
	size_t len = strlen(text);
	const char *unit = len ? strchr(units, text[len - 1]) : NULL;

	if (!unit || !parse_number(text, text + len - 1, UINT64_MAX / 1000, out) || !*out ||
	    *out > UINT64_MAX / worth[unit - units])
		return false;
	*out *= worth[unit - units];
	return true;
}

static bool parse_size(const char *text, uint64_t *out)
{
	static const uint64_t worth[] = { 1ull << 10, 1ull << 20, 1ull << 30, 1ull << 40 };

	return parse_unit(text, "KMGT", worth, out);
}

static bool parse_span(const char *text, uint64_t *out_ns)
{
	static const uint64_t worth[] = { NSEC_PER_SEC, 60 * NSEC_PER_SEC, 3600 * NSEC_PER_SEC,
		                          86400 * NSEC_PER_SEC };

	return parse_unit(text, "smhd", worth, out_ns);
}

/* "0.5%" */
static bool parse_percent(const char *text, uint32_t *out)
{
	const char *sign = strchr(text, '%');
	uint64_t value = 0, unit = 10000;
	bool dot = false;

	if (!sign || sign[1] || sign == text)
		return false;
	for (; text < sign; text++) {
		if (*text == '.' && !dot) {
			dot = true;
			continue;
		}
		if (!isdigit((unsigned char)*text) || value > 1000000)
			return false;
		if (dot)
			unit /= 10;
		value = dot ? value + (uint64_t)(*text - '0') * unit
		            : value * 10 + (uint64_t)(*text - '0') * unit;
	}
	*out = (uint32_t)value;
	return value > 0 && value <= 1000000;
}

/* The kinds with a unit. */
static enum opt_outcome store_measure(struct parse *parse, const struct opt_row *row,
                                      const char *value)
{
	void *member = (char *)parse->config + row->member;

	if (row->kind == OPT_SIZE) {
		if (parse_size(value, member))
			return OPT_GO;
		log_error("%s: '%s' is not a size (as 64M or 2G)", parse->shown, value);
	} else if (row->kind == OPT_SPAN) {
		if (parse_span(value, member))
			return OPT_GO;
		log_error("%s: '%s' is not a span of time (as 10s, 15m, 12h or 7d)", parse->shown,
		          value);
	} else {
		if (parse_percent(value, member))
			return OPT_GO;
		log_error("%s: '%s' is not a percentage above 0 (as 0.5%%)", parse->shown, value);
	}
	return bad(parse);
}

static enum opt_outcome store(struct parse *parse, const struct opt_row *row, const char *value)
{
	char *member = (char *)parse->config + row->member;
	uint64_t number;

	switch (row->kind) {
	case OPT_FLAG:
		*(bool *)member = true;
		return OPT_GO;
	case OPT_UINT:
		if (!parse_number(value, value + strlen(value), row->max, &number) ||
		    number < row->min) {
			log_error("%s: '%s' is not a whole number from %u to %u", parse->shown,
			          value, row->min, row->max);
			return bad(parse);
		}
		*(uint32_t *)member = (uint32_t)number;
		return OPT_GO;
	case OPT_SECONDS:
		if (parse_seconds(value, (uint64_t *)member))
			return OPT_GO;
		log_error("%s: '%s' is not a number of seconds above 0 (as 10 or 0.5)",
		          parse->shown, value);
		return bad(parse);
	case OPT_STRING:
		if (*value) {
			*(const char **)member = value;
			return OPT_GO;
		}
		log_error("%s: the %s is empty", parse->shown, row->metavar);
		return bad(parse);
	case OPT_SIZE:
	case OPT_SPAN:
	case OPT_PERCENT:
		return store_measure(parse, row, value);
	case OPT_PIDS:
		if (parse_pids(value, (struct opt_pids *)member))
			return OPT_GO;
		log_error("%s: '%s' is not a process id, nor a list of them (as 12 or 12,15)",
		          parse->shown, value);
		return bad(parse);
	case OPT_HELP:
		opt_help(parse->spec, stdout);
		return OPT_DONE;
	case OPT_LATER:
		log_error("%s: not supported yet: %s", parse->shown, row->help);
		return OPT_BAD;
	case OPT_IGNORED:
		return OPT_GO;
	}
	return OPT_BAD;
}

static bool has_value(const struct opt_row *row)
{
	return row->kind != OPT_FLAG && row->kind != OPT_HELP && row->kind != OPT_LATER &&
	       row->kind != OPT_IGNORED;
}

/* @value: what was attached to the option, NULL: nothing. Takes the next word if one is needed. */
static enum opt_outcome take(struct parse *parse, const struct opt_row *row, const char *value)
{
	if (!has_value(row) && value) {
		log_error("%s takes no value", parse->shown);
		return bad(parse);
	}
	if (has_value(row) && !value) {
		value = *parse->argv;
		if (!value || !strcmp(value, "--")) {
			log_error("%s needs a value: %s", parse->shown, row->metavar);
			return bad(parse);
		}
		parse->argv++;
	}
	return store(parse, row, value);
}

static enum opt_outcome unknown_long(struct parse *parse, const char *name)
{
	const char *names[NAMES_MAX + 1] = { 0 };
	const char *near;
	size_t cnt = 0;

	for (size_t i = 0; i < parse->spec->row_cnt && cnt < NAMES_MAX; i++)
		if (parse->spec->rows[i].long_name && parse->spec->rows[i].kind != OPT_IGNORED)
			names[cnt++] = parse->spec->rows[i].long_name;
	near = opt_nearest(name, names);
	if (near)
		log_error("unknown option --%s; did you mean --%s?", name, near);
	else
		log_error("unknown option --%s", name);
	return bad(parse);
}

static enum opt_outcome parse_long(struct parse *parse, const char *word)
{
	size_t len = strcspn(word, "=");
	char name[NAME_MAX_LEN + 1];

	snprintf(name, sizeof(name), "%.*s", (int)(len < NAME_MAX_LEN ? len : NAME_MAX_LEN), word);
	snprintf(parse->shown, sizeof(parse->shown), "--%s", name);
	for (size_t i = 0; i < parse->spec->row_cnt; i++) {
		const struct opt_row *row = &parse->spec->rows[i];

		if (row->long_name && len < NAME_MAX_LEN && !strcmp(row->long_name, name))
			return take(parse, row, word[len] ? word + len + 1 : NULL);
	}
	return unknown_long(parse, name);
}

static enum opt_outcome parse_cluster(struct parse *parse, const char *letters)
{
	for (; *letters; letters++) {
		const struct opt_row *row = NULL;
		const char *value = NULL;
		enum opt_outcome outcome;

		for (size_t i = 0; i < parse->spec->row_cnt && !row; i++)
			if (parse->spec->rows[i].short_name == *letters)
				row = &parse->spec->rows[i];
		snprintf(parse->shown, sizeof(parse->shown), "-%c", *letters);
		if (!row) {
			log_error(isprint((unsigned char)*letters) ? "unknown option -%c"
			                                           : "unknown option -\\x%02x",
			          (unsigned char)*letters);
			return bad(parse);
		}
		if (has_value(row) && letters[1])
			value = letters[1] == '=' ? letters + 2 : letters + 1;
		outcome = take(parse, row, value);
		if (outcome != OPT_GO || value)
			return outcome;
	}
	return OPT_GO;
}

static enum opt_outcome stray(struct parse *parse, const char *word)
{
	struct opt_words *words = parse->spec->words;
	uint64_t pid;
	bool is_pid = parse_number(word, word + strlen(word), INT_MAX, &pid);

	if (words) {
		const char **grown = realloc(words->words, (words->cnt + 1) * sizeof(*grown));

		if (!grown) {
			log_error("out of memory");
			return OPT_BAD;
		}
		words->words = grown;
		words->words[words->cnt++] = word;
		return OPT_GO;
	}
	if (is_pid)
		log_error("unexpected argument '%s'; a process is named with -p: "
		          "pitviper %s -p %s",
		          word, parse->spec->command, word);
	else if (parse->spec->takes_program)
		log_error("unexpected argument '%s'; a program to start goes behind --: "
		          "pitviper %s -- %s",
		          word, parse->spec->command, word);
	else
		log_error("unexpected argument '%s'", word);
	return bad(parse);
}

enum opt_outcome opt_parse(const struct opt_spec *spec, char **argv, void *config, char ***program)
{
	struct parse parse = { .spec = spec, .argv = argv + 1, .config = config };

	*program = NULL;
	while (*parse.argv) {
		const char *word = *parse.argv++;
		enum opt_outcome outcome;

		if (!strcmp(word, "--")) {
			*program = parse.argv;
			break;
		}
		if (word[0] == '-' && word[1] == '-')
			outcome = parse_long(&parse, word + 2);
		else if (word[0] == '-' && word[1])
			outcome = parse_cluster(&parse, word + 1);
		else
			outcome = stray(&parse, word);
		if (outcome != OPT_GO)
			return outcome;
	}
	if (*program && (!spec->takes_program || !**program)) {
		log_error(spec->takes_program ? "no program behind --"
		                              : "'--' has no meaning here");
		return bad(&parse);
	}
	return OPT_GO;
}

void opt_defaults(const struct opt_spec *spec, void *config)
{
	struct parse parse = { .spec = spec, .config = config };

	for (size_t i = 0; i < spec->row_cnt; i++)
		if (spec->rows[i].initial)
			store(&parse, &spec->rows[i], spec->rows[i].initial);
}

/* "yes" or "no". False: neither. */
static bool parse_flag(const char *text, bool *out)
{
	*out = !strcmp(text, "yes");
	return *out || !strcmp(text, "no");
}

enum opt_outcome opt_set(const struct opt_spec *spec, const char *where, const char *name,
                         const char *value, void *config)
{
	struct parse parse = { .spec = spec, .config = config };
	const char *names[NAMES_MAX + 1] = { 0 };
	const char *near;
	size_t cnt = 0;

	snprintf(parse.shown, sizeof(parse.shown), "%s: %s", where, name);
	for (size_t i = 0; i < spec->row_cnt; i++) {
		const struct opt_row *row = &spec->rows[i];

		if (!row->in_file)
			continue;
		if (cnt < NAMES_MAX)
			names[cnt++] = row->long_name;
		if (strcmp(row->long_name, name) != 0)
			continue;
		if (row->kind != OPT_FLAG)
			return store(&parse, row, value);
		if (parse_flag(value, (bool *)((char *)config + row->member)))
			return OPT_GO;
		log_error("%s: '%s' is neither yes nor no", parse.shown, value);
		return OPT_BAD;
	}
	near = opt_nearest(name, names);
	if (near)
		log_error("%s: unknown key '%s'; did you mean '%s'?", where, name, near);
	else
		log_error("%s: unknown key '%s'; 'pitviper %s --help' lists them", where, name,
		          spec->command);
	return OPT_BAD;
}

static void help_row(const struct opt_row *row, FILE *stream)
{
	const char *line = row->help;
	int width = 0, len;

	if (row->section)
		fprintf(stream, "\n%s:\n", row->section);
	if (row->short_name)
		width += fprintf(stream, "  -%c%s", row->short_name, row->long_name ? ", " : "");
	else
		width += fprintf(stream, "      ");
	if (row->long_name)
		width += fprintf(stream, "--%s", row->long_name);
	if (row->metavar)
		width += fprintf(stream, " %s", row->metavar);
	for (;;) {
		len = (int)strcspn(line, "\n");

		if (width > HELP_COLUMN - 2) {
			fputc('\n', stream);
			width = 0;
		}
		fprintf(stream, "%*s%.*s", HELP_COLUMN - width, "", len, line);
		if (!line[len])
			break;
		line += len + 1;
		width = HELP_COLUMN;
	}
	if (row->initial && len + (int)strlen(row->initial) > HELP_LINE)
		fprintf(stream, "\n%*s(default: %s)", HELP_COLUMN, "", row->initial);
	else if (row->initial)
		fprintf(stream, " (default: %s)", row->initial);
	fputc('\n', stream);
}

void opt_help(const struct opt_spec *spec, FILE *stream)
{
	fprintf(stream, "usage: %s\n\n%s", spec->usage, spec->about);
	for (size_t i = 0; i < spec->row_cnt; i++)
		if (spec->rows[i].kind != OPT_LATER && spec->rows[i].kind != OPT_IGNORED)
			help_row(&spec->rows[i], stream);
	if (spec->notes)
		fprintf(stream, "\n%s", spec->notes);
}
