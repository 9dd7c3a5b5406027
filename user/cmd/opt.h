/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opt.h - options as tables. A command lists its options in an array of rows that point into its own
 * config struct; parsing, refusals and the help text come from the rows.
 *
 *	static const struct opt_row rows[] = {
 *		OPT(UINT, record_config, rate_hz, 'r', "rate", "HZ", "ticks a second", .min = 1, .max = 9),
 *		OPT_BARE(HELP, 'h', "help", "print this"),
 *	};
 *
 * A config member of another type than the kind stores does not compile. Accepted: --rate 99,
 * --rate=99, -r 99, -r99, and clusters (-st, -str99). Parsing ends at "--". A row that is marked
 * `in_file` is a key of the command's configuration file as well: see conf.h.
 */
#ifndef PV_CMD_OPT_H
#define PV_CMD_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define OPT_PID_MAX     4096 /* pids on one command line */
#define OPT_SECONDS_MAX 1000000000

/* Words that are no options; zero-initialised is empty. Free with opt_words_free(). */
struct opt_words {
	const char **words; /* point into argv */
	size_t cnt;
};

/* A growing list of pids; zero-initialised is empty. Free with opt_pids_free(). */
struct opt_pids {
	pid_t *pids;
	size_t cnt;
};

enum opt_kind {
	OPT_FLAG,    /* no argument: bool becomes true */
	OPT_UINT,    /* uint32_t from min to max */
	OPT_SECONDS, /* more than 0, fractions too, or "unlimited": uint64_t in ns; unlimited: 0 */
	OPT_STRING,  /* const char *, points into argv */
	OPT_SIZE,    /* uint64_t, bytes: a whole number and K, M, G or T (of 1024) */
	OPT_SPAN,    /* uint64_t, ns: a whole number and s, m, h or d */
	OPT_PERCENT, /* uint32_t, millionths: more than 0%, up to 100% */
	OPT_PIDS,    /* struct opt_pids: 1,2,3; may be given again */
	OPT_HELP,    /* print the help */
	OPT_LATER,   /* known from elsewhere and not there yet: refused with `help` as the reason */
	OPT_IGNORED, /* known from elsewhere and without meaning here: accepted, not listed */
};

typedef bool opt_type_FLAG;
typedef uint32_t opt_type_UINT;
typedef uint64_t opt_type_SECONDS;
typedef const char *opt_type_STRING;
typedef uint64_t opt_type_SIZE;
typedef uint64_t opt_type_SPAN;
typedef uint32_t opt_type_PERCENT;
typedef struct opt_pids opt_type_PIDS;

#define OPT_MEMBER_TYPE(config, field) __typeof__(((struct config *)0)->field)
#define OPT_MEMBER(kind_, config, field)                                                     \
	(offsetof(struct config, field) +                                                    \
	 0 * sizeof(struct {                                                                 \
		 _Static_assert(__builtin_types_compatible_p(OPT_MEMBER_TYPE(config, field), \
		                                             opt_type_##kind_),              \
		                "the config member has another type");                       \
		 int unused;                                                                 \
	 }))
/* A row: kind, config struct and its member, -s, --long, metavar (NULL: none), help, further fields. */
#define OPT(kind_, config, field, short_, long_, metavar_, help_, ...)                        \
	{                                                                                     \
		.kind = OPT_##kind_, .member = OPT_MEMBER(kind_, config, field),              \
		.short_name = short_, .long_name = long_, .metavar = metavar_, .help = help_, \
		##__VA_ARGS__                                                                 \
	}
/* A row that stores nothing: HELP, LATER, IGNORED. */
#define OPT_BARE(kind_, short_, long_, help_)                                                \
	{                                                                                    \
		.kind = OPT_##kind_, .short_name = short_, .long_name = long_, .help = help_ \
	}

struct opt_row {
	enum opt_kind kind;
	size_t member; /* offset in the config struct */
	char short_name;
	const char *long_name;
	const char *metavar;
	const char *help;    /* lines are broken at \n */
	uint32_t min, max;   /* of OPT_UINT */
	const char *section; /* a heading above this row */
	const char
		*initial; /* as it would be written; for opt_defaults() and the help. NULL: none */
	bool in_file;
};

struct opt_spec {
	const char *command; /* "record" */
	const char *usage;   /* the lines behind "usage: ", each a full command line */
	const char *about;   /* what it does, whole lines */
	const struct opt_row *rows;
	size_t row_cnt;
	const char *notes;  /* below the options; NULL: none */
	bool takes_program; /* "-- program args..." */
	/* Where words that are no options go; NULL: there are none. */
	struct opt_words *words;
};

enum opt_outcome {
	OPT_GO,   /* the config is filled in */
	OPT_DONE, /* help was printed to stdout */
	OPT_BAD,  /* a message was printed to stderr */
};

/*
 * Parse argv[1...]; what is not named stays as it is in @config. *@program: the arguments after
 * "--" (ends with NULL), NULL when there is no "--".
 */
enum opt_outcome opt_parse(const struct opt_spec *spec, char **argv, void *config, char ***program);
/* Set every member whose row has an `initial`. */
void opt_defaults(const struct opt_spec *spec, void *config);
/*
 * Set the row @name, one that is in_file, to @value; a flag takes yes or no. @where: "agent.conf:12", for
 * the message.
 */
enum opt_outcome opt_set(const struct opt_spec *spec, const char *where, const char *name,
                         const char *value, void *config);
void opt_help(const struct opt_spec *spec, FILE *stream);
void opt_pids_free(struct opt_pids *pids);
void opt_words_free(struct opt_words *words);

/* Changes needed to make @b of @a: insert, delete, replace a letter, swap two neighbours. */
unsigned int opt_distance(const char *a, const char *b);
/* The name of @names (ends with NULL) that @word was probably meant to be; NULL: none is near. */
const char *opt_nearest(const char *word, const char *const *names);

#endif
