// SPDX-License-Identifier: Apache-2.0
#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/checks.h"
#include "cmd/exit.h"
#include "cmd/opt.h"
#include "cmd/tty.h"
#include "kern/features.h"
#include "kern/types.h"
#include "util/log.h"

struct doctor_config {
	const char *types;
	bool verbose;
};

static const struct opt_row rows[] = {
	OPT(STRING, doctor_config, types, 0, "btf", "FILE",
	    "the types of this kernel (BTF), if it offers none"),
	OPT(FLAG, doctor_config, verbose, 'v', "verbose", NULL,
	    "say of every check what it is for"),
	OPT_BARE(HELP, 'h', "help", "print this"),
};

static const struct opt_spec spec = {
	.command = "doctor",
	.usage = "pitviper doctor [-v] [--btf FILE]",
	.about =
		"Check what the kernel and our privileges allow, and print the command that mends\n"
		"what is missing. Exit status 0: record works; 5: a privilege is missing; 6: the\n"
		"kernel lacks something.\n\n",
	.rows = rows,
	.row_cnt = sizeof(rows) / sizeof(rows[0]),
};

#define NAME_COLUMNS    26
#define FEATURE_COLUMNS 31

static void print_check(const struct check *check, const struct finding *finding, bool verbose,
                        bool colour)
{
	static const char *const words[] = { "ok", "warning", "missing" };
	static const char *const colours[] = { "\033[32m", "\033[33m", "\033[31m" };
	enum verdict verdict = finding->verdict;

	printf("%s%-7s%s  %-*s  %s\n", colour ? colours[verdict] : "", words[verdict],
	       colour ? "\033[0m" : "", NAME_COLUMNS, check->name, finding->what);
	if (verbose || verdict != CHECK_OK)
		printf("%9s%s\n", "", check->why);
	if (verdict != CHECK_OK && *finding->remedy)
		printf("%9s-> %s\n", "", finding->remedy);
}

/* What the kernel has of all that pitviper makes use of, and what is done about the rest. */
static void print_features(const char *types)
{
	struct features features;

	if (features_probe(&features, types))
		return;
	puts("\nThis kernel:");
	for (int i = 0; i < FEATURE_CNT; i++) {
		const struct feature_row *row = &feature_rows[i];

		printf("%-7s  %-*s  %s\n", features.has[i] ? "has" : "lacks", FEATURE_COLUMNS,
		       row->name,
		       features.has[i] ? row->with
		       : row->without  ? row->without
		                       : "nothing does in its place");
	}
}

static int doctor(const struct doctor_config *config)
{
	bool colour = tty_can_colour(STDOUT_FILENO);
	enum exit_code code = EXIT_OK;
	char what[512];

	if (config->types && types_check(config->types, what, sizeof(what))) {
		log_error("%s", what);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < check_cnt; i++) {
		struct finding finding = { .types = config->types };

		checks[i].look(&finding);
		print_check(&checks[i], &finding, config->verbose, colour);
		/* What the kernel can't do weighs more than what we may not do. */
		if (finding.verdict == CHECK_MISSING && code != EXIT_NO_BPF)
			code = finding.is_kernel ? EXIT_NO_BPF : EXIT_NOT_PERMITTED;
	}
	print_features(config->types);
	puts(code ? "\nrecord cannot work here until what is missing is mended."
	          : "\nrecord works here.");
	return code;
}

int cmd_doctor(char **argv)
{
	struct doctor_config config = { 0 };
	char **program;

	switch (opt_parse(&spec, argv, &config, &program)) {
	case OPT_GO:
		return doctor(&config);
	case OPT_DONE:
		return EXIT_OK;
	default:
		return EXIT_USAGE;
	}
}
