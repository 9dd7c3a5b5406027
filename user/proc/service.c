// SPDX-License-Identifier: Apache-2.0
#include "proc/service.h"

#include <errno.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc/process.h"
#include "util/file.h"

enum rule_kind {
	RULE_ENV,
	RULE_CONTAINER,
	RULE_POD,
	RULE_UNIT,
	RULE_SCRIPT,
	RULE_COMM,
	RULE_CMDLINE,
	RULE_TEXT,
};

static const struct {
	const char *word; /* one that ends with : or = takes an argument */
	enum rule_kind kind;
} words[] = {
	{ "env:", RULE_ENV },         { "container", RULE_CONTAINER },
	{ "pod", RULE_POD },          { "unit", RULE_UNIT },
	{ "script", RULE_SCRIPT },    { "comm", RULE_COMM },
	{ "cmdline:", RULE_CMDLINE }, { "=", RULE_TEXT },
};

struct rule {
	enum rule_kind kind;
	char *text; /* the argument */
	regex_t regex;
};

struct service_rules {
	struct rule rules[SERVICE_RULES_MAX];
	size_t cnt;
};

struct service_rules *service_rules__new(void)
{
	return calloc(1, sizeof(struct service_rules));
}

void service_rules__free(struct service_rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->cnt; i++) {
		if (rules->rules[i].kind == RULE_CMDLINE)
			regfree(&rules->rules[i].regex);
		free(rules->rules[i].text);
	}
	free(rules);
}

/* The kind of @rule and its argument. false: it is none. */
static bool rule_kind(const char *rule, enum rule_kind *kind, const char **argument)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i].word);
		bool takes = strchr(":=", words[i].word[len - 1]);

		if (strncmp(rule, words[i].word, len) != 0 || (rule[len] != '\0') != takes)
			continue;
		*kind = words[i].kind;
		*argument = rule + len;
		return true;
	}
	return false;
}

int service_rules__add(struct service_rules *rules, const char *text, char *why, size_t size)
{
	struct rule *rule = &rules->rules[rules->cnt];
	const char *argument;
	int ret;

	if (rules->cnt == SERVICE_RULES_MAX) {
		snprintf(why, size, "more than %d service rules", SERVICE_RULES_MAX);
		return -EINVAL;
	}
	if (!rule_kind(text, &rule->kind, &argument)) {
		snprintf(why, size,
		         "\"%s\" is no service rule; there are env:NAME, container, pod, unit, "
		         "script, comm, cmdline:REGEX and =TEXT",
		         text);
		return -EINVAL;
	}
	if (rule->kind == RULE_CMDLINE) {
		char reason[128];

		ret = regcomp(&rule->regex, argument, REG_EXTENDED);
		if (ret) {
			regerror(ret, &rule->regex, reason, sizeof(reason));
			snprintf(why, size, "\"%s\" is no regular expression: %s", argument,
			         reason);
			return -EINVAL;
		}
	}
	rule->text = strdup(argument);
	if (!rule->text) {
		if (rule->kind == RULE_CMDLINE)
			regfree(&rule->regex);
		return -ENOMEM;
	}
	rules->cnt++;
	return 0;
}

/* The variable @name of @len bytes of NAME=VALUE with NULs between. */
static const char *find_variable(const char *env, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	for (const char *at = env, *end = env + len; at < end;) {
		size_t entry_len = strnlen(at, (size_t)(end - at));

		if (entry_len > name_len && !memcmp(at, name, name_len) && at[name_len] == '=')
			return at + name_len + 1;
		at += entry_len + 1;
	}
	return NULL;
}

static void name_by_env(pid_t pid, const char *name, struct buf *out)
{
	struct buf env = { 0 };
	const char *value;
	char path[40];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	err = file_read(path, SERVICE_ENV_MAX, &env);
	value = !err || err == -EFBIG ? find_variable(buf_str(&env), env.len, name) : NULL;
	if (value)
		buf_puts(out, value);
	buf_free(&env);
}

static void name_by_unit(const char *unit, struct buf *out)
{
	static const char service[] = ".service";
	size_t len = strlen(unit), tail = sizeof(service) - 1;

	/* A login session's scope, and what holds all of a user's units, name no service. */
	if (len > tail && !strcmp(unit + len - tail, service) && strncmp(unit, "user@", 5) != 0)
		buf_add(out, unit, len - tail);
}

/* Python's options that take an argument of their own: Python/initconfig.c, getopt.c */
static bool takes_next(const char *option)
{
	size_t len = strlen(option);

	return strchr("WX", option[len - 1]) || !strcmp(option, "--check-hash-based-pycs");
}

const char *service_script(const char *args, size_t len, size_t *script_len)
{
	const char *end = args + len;
	bool module = false;

	for (const char *at = args + strnlen(args, len) + 1; at < end;) {
		size_t arg_len = strnlen(at, (size_t)(end - at));
		const char *next = at + arg_len + 1;
		const char *slash = memrchr(at, '/', arg_len);

		if (module || at[0] != '-') {
			*script_len =
				slash && !module ? (size_t)(at + arg_len - slash - 1) : arg_len;
			return slash && !module ? slash + 1 : at;
		}
		/* -m, alone or behind others: -Bm; -c and - have no script */
		if (at[1] == '\0' || (at[1] != '-' && memchr(at, 'c', arg_len)))
			break;
		if (at[1] != '-' && at[1] != 'W' && at[1] != 'X' && at[arg_len - 1] == 'm')
			module = true;
		else if (takes_next(at) && next < end)
			next += strnlen(next, (size_t)(end - next)) + 1;
		at = next;
	}
	return NULL;
}

/* The arguments as they are, at most PROCESS_CMDLINE_MAX bytes. */
static void read_args(pid_t pid, struct buf *args)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (file_read(path, PROCESS_CMDLINE_MAX, args) == -EFBIG)
		buf_putc(args, '\0');
}

static void name_by_script(pid_t pid, struct buf *out)
{
	struct buf args = { 0 };
	size_t len = 0;
	const char *script;

	read_args(pid, &args);
	script = service_script(buf_str(&args), args.len, &len);
	if (script)
		buf_add(out, script, len);
	buf_free(&args);
}

static void name_by_cmdline(pid_t pid, const regex_t *regex, struct buf *out)
{
	struct buf args = { 0 }, line = { 0 };
	regmatch_t match[2];

	read_args(pid, &args);
	if (!process_cmdline_join(buf_str(&args), args.len, false, &line) &&
	    !regexec(regex, buf_str(&line), 2, match, 0)) {
		const regmatch_t *chosen = match[1].rm_so >= 0 ? &match[1] : &match[0];

		buf_add(out, buf_str(&line) + chosen->rm_so,
		        (size_t)(chosen->rm_eo - chosen->rm_so));
	}
	buf_free(&args);
	buf_free(&line);
}

static void name_by_rule(const struct rule *rule, const struct service_facts *facts,
                         struct buf *out)
{
	switch (rule->kind) {
	case RULE_ENV:
		name_by_env(facts->pid, rule->text, out);
		break;
	case RULE_CONTAINER:
		buf_puts(out, facts->container);
		break;
	case RULE_POD:
		buf_puts(out, facts->pod);
		break;
	case RULE_UNIT:
		name_by_unit(facts->unit, out);
		break;
	case RULE_SCRIPT:
		name_by_script(facts->pid, out);
		break;
	case RULE_COMM:
		process_comm(facts->pid, facts->pid, out);
		break;
	case RULE_CMDLINE:
		name_by_cmdline(facts->pid, &rule->regex, out);
		break;
	case RULE_TEXT:
		buf_puts(out, rule->text);
		break;
	}
}

int service_rules__name(const struct service_rules *rules, const struct service_facts *facts,
                        struct buf *out)
{
	size_t start = out->len;

	for (size_t i = 0; i < rules->cnt && out->len == start; i++)
		name_by_rule(&rules->rules[i], facts, out);
	if (out->len - start > SERVICE_NAME_MAX) {
		out->len = start + SERVICE_NAME_MAX;
		/* not inside a character */
		while (out->len > start && ((unsigned char)out->data[out->len] & 0xc0) == 0x80)
			out->len--;
		out->data[out->len] = '\0';
	}
	return out->err;
}
