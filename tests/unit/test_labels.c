// SPDX-License-Identifier: Apache-2.0
/* Container engines' files, rules for the name of a service, and the labels of a living process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/container.h"
#include "proc/labels.h"

#define ID "6f2d0a8e5c1b4a3d9e7f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5"

static char root[] = "/tmp/pitviper-labels-XXXXXX";

/* Write @text to @path below the root, making its folders. */
static void write_file(const char *path, const char *text)
{
	char full[600];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *at = full + strlen(root) + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		mkdir(full, 0700);
		*at = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/pitviper-labels-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static int names_of(enum cgroup_engine engine, struct container_names *names)
{
	struct cgroup_place place = { .engine = engine, .container = ID };

	return container_names_read(root, &place, names);
}

static void test_docker(void **state)
{
	struct container_names names;

	(void)state;
	assert_int_equal(names_of(CGROUP_DOCKER, &names), -ENOENT);
	write_file("/var/lib/docker/containers/" ID "/config.v2.json",
	           "{\"ID\":\"" ID "\",\"Config\":{\"Image\":\"web:1.2\",\"Labels\":{}},"
	           "\"Name\":\"/shop-web-1\"}");
	assert_int_equal(names_of(CGROUP_DOCKER, &names), 0);
	assert_string_equal(names.name, "shop-web-1");
	assert_string_equal(names.image, "web:1.2");
	assert_string_equal(names.pod, "");
	assert_int_equal(names_of(CGROUP_PODMAN, &names), -ENOENT);
	write_file("/var/lib/docker/containers/" ID "/config.v2.json",
	           "{\"Config\":{\"Image\":\"sha256:0\",\"Labels\":{"
	           "\"io.kubernetes.container.name\":\"web\",\"io.kubernetes.pod.name\":\"web-7\","
	           "\"io.kubernetes.pod.namespace\":\"shop\"}},\"Name\":\"/k8s_web_web-7_shop\"}");
	assert_int_equal(names_of(CGROUP_OTHER, &names), 0);
	assert_string_equal(names.name, "web");
	assert_string_equal(names.pod, "web-7");
	assert_string_equal(names.pod_namespace, "shop");
}

static void test_bundles(void **state)
{
	struct container_names names;

	(void)state;
	write_file("/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID "/config.json",
	           "{\"ociVersion\":\"1.1.0\",\"annotations\":{"
	           "\"io.kubernetes.cri.container-name\":\"api\","
	           "\"io.kubernetes.cri.image-name\":\"example.org/api:3\","
	           "\"io.kubernetes.cri.sandbox-name\":\"api-0\","
	           "\"io.kubernetes.cri.sandbox-namespace\":\"prod\"}}");
	assert_int_equal(names_of(CGROUP_CONTAINERD, &names), 0);
	assert_string_equal(names.name, "api");
	assert_string_equal(names.image, "example.org/api:3");
	assert_string_equal(names.pod, "api-0");
	assert_string_equal(names.pod_namespace, "prod");
	write_file("/run/containers/storage/overlay-containers/" ID "/userdata/config.json",
	           "{\"annotations\":{\"io.kubernetes.container.name\":\"job\","
	           "\"io.kubernetes.cri-o.ImageName\":\"example.org/job:1\","
	           "\"io.kubernetes.pod.name\":\"job-x\"}}");
	assert_int_equal(names_of(CGROUP_CRIO, &names), 0);
	assert_string_equal(names.name, "job");
	assert_string_equal(names.image, "example.org/job:1");
	assert_string_equal(names.pod, "job-x");
}

static void test_podman(void **state)
{
	struct container_names names;

	(void)state;
	/* the bundle has no annotations of use: the list tells */
	write_file("/var/lib/containers/storage/overlay-containers/" ID "/userdata/config.json",
	           "{\"annotations\":{\"org.opencontainers.image.stopSignal\":\"15\"}}");
	write_file("/var/lib/containers/storage/overlay-containers/containers.json",
	           "[{\"id\":\"0\",\"names\":[\"no\"]},{\"id\":\"" ID "\",\"names\":[\"web\"],"
	           "\"metadata\":\"{\\\"image-name\\\":\\\"docker.io/library/web:2\\\"}\"}]");
	assert_int_equal(names_of(CGROUP_PODMAN, &names), 0);
	assert_string_equal(names.name, "web");
	assert_string_equal(names.image, "docker.io/library/web:2");
}

static void check_refused(const char *text, int want)
{
	struct container_names names;

	write_file("/var/lib/docker/containers/" ID "/config.v2.json", text);
	assert_int_equal(names_of(CGROUP_DOCKER, &names), want);
	assert_string_equal(names.name, "");
}

static void test_hostile(void **state)
{
	struct cgroup_place place = { .engine = CGROUP_DOCKER, .container = "../../etc" };
	struct container_names names;
	char *text;

	(void)state;
	assert_int_equal(container_names_read(root, &place, &names), -ENOENT);
	check_refused("", -EPROTO);
	check_refused("{\"Name\":\"/x", -EPROTO);
	check_refused("[]", 0);
	check_refused("{\"Name\":7,\"Config\":[1]}", 0);
	check_refused("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", -EPROTO);
	text = malloc(CONTAINER_FILE_MAX + 100);
	assert_non_null(text);
	memset(text, ' ', CONTAINER_FILE_MAX + 99);
	text[CONTAINER_FILE_MAX + 99] = '\0';
	check_refused(text, -EFBIG);
	/* a name that is too long is none */
	snprintf(text, 600, "{\"Name\":\"%0500d\"}", 0);
	check_refused(text, 0);
	free(text);
}

static void check_script(const char *args, size_t len, const char *want)
{
	size_t got_len = 0;
	const char *got = service_script(args, len, &got_len);

	if (!want) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_int_equal(got_len, strlen(want));
	assert_memory_equal(got, want, got_len);
}

#define CHECK_SCRIPT(args, want) check_script(args, sizeof(args), want)

static void test_script(void **state)
{
	(void)state;
	CHECK_SCRIPT("python3\0/srv/app/worker.py\0--queue\0fast", "worker.py");
	CHECK_SCRIPT("python3\0-u\0-X\0dev\0-W\0ignore\0./x.py", "x.py");
	CHECK_SCRIPT("python3\0-Xdev\0x.py", "x.py");
	CHECK_SCRIPT("python3\0-m\0my.module\0/a/b", "my.module");
	CHECK_SCRIPT("python3\0-Bm\0my.module", "my.module");
	CHECK_SCRIPT("python3\0--check-hash-based-pycs\0never\0x.py", "x.py");
	CHECK_SCRIPT("python3\0-c\0print(1)", NULL);
	CHECK_SCRIPT("python3\0-", NULL);
	CHECK_SCRIPT("python3\0-X", NULL);
	CHECK_SCRIPT("python3\0-m", NULL);
	CHECK_SCRIPT("python3", NULL);
	check_script("", 0, NULL);
	check_script("python3", 7, NULL);
	check_script("python3\0-W", 10, NULL);
}

static struct service_rules *rules_of(const char *const *words)
{
	struct service_rules *rules = service_rules__new();
	char why[200];

	assert_non_null(rules);
	for (; *words; words++)
		assert_int_equal(service_rules__add(rules, *words, why, sizeof(why)), 0);
	return rules;
}

static void check_service(const char *const *words, const struct service_facts *facts,
                          const char *want)
{
	struct service_rules *rules = rules_of(words);
	struct buf out = { 0 };

	assert_int_equal(service_rules__name(rules, facts, &out), 0);
	assert_string_equal(buf_str(&out), want);
	buf_free(&out);
	service_rules__free(rules);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A process with a known command line and environment. */
static pid_t start_sleeper(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execle("/bin/sleep", "sleep", "1000", "0", NULL,
		       (const char *const[]){ "A=1", "TEAM_NAME=blue", "TEAM=x", NULL });
		_exit(127);
	}
	close(ready[1]);
	/* closed by the exec */
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	return pid;
}

static void test_service(void **state)
{
	struct service_facts facts = { start_sleeper(), "web", "web-7", "shop@1.service" };
	struct service_facts bare = { facts.pid, "", "", "user@1000.service" };

	(void)state;
	check_service(WORDS("container", "unit"), &facts, "web");
	check_service(WORDS("pod"), &facts, "web-7");
	check_service(WORDS("unit"), &facts, "shop@1");
	check_service(WORDS("unit", "comm"), &bare, "sleep");
	check_service(WORDS("env:TEAM"), &facts, "x");
	check_service(WORDS("env:NOT_THERE", "env:TEAM_NAME"), &facts, "blue");
	check_service(WORDS("cmdline:sl(e+)p 1"), &facts, "ee");
	check_service(WORDS("cmdline:[0-9]+"), &facts, "1000");
	check_service(WORDS("cmdline:nothing", "=fixed name"), &facts, "fixed name");
	check_service(WORDS("script"), &facts, "1000");
	check_service(WORDS("container", "unit"), &bare, "");
	kill(facts.pid, SIGKILL);
	waitpid(facts.pid, NULL, 0);
	check_service(WORDS("env:TEAM", "script", "comm", "cmdline:."), &bare, "");
}

static void test_bad_rules(void **state)
{
	static const char *const bad[] = { "", "units", "unit:", "env:", "env", "cmdline:(", "=" };
	struct service_rules *rules = service_rules__new();
	char why[200];

	(void)state;
	assert_non_null(rules);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = '\0';
		assert_int_equal(service_rules__add(rules, bad[i], why, sizeof(why)), -EINVAL);
		assert_true(why[0] != '\0');
	}
	for (int i = 0; i < SERVICE_RULES_MAX; i++)
		assert_int_equal(service_rules__add(rules, "comm", why, sizeof(why)), 0);
	assert_int_equal(service_rules__add(rules, "comm", why, sizeof(why)), -EINVAL);
	service_rules__free(rules);
}

static void test_long_service(void **state)
{
	char rule[600] = "=";
	struct service_rules *rules;
	struct buf out = { 0 };

	(void)state;
	for (int i = 1; i + 1 < 599; i += 2)
		memcpy(rule + i, "\xc3\xa9", 2);
	rules = rules_of(WORDS(rule));
	assert_int_equal(service_rules__name(rules, &(struct service_facts){ 0 }, &out), 0);
	assert_int_equal(out.len, SERVICE_NAME_MAX - 1); /* whole characters of two bytes */
	buf_free(&out);
	service_rules__free(rules);
}

struct found {
	char service[100], cgroup[4096];
	int cnt;
};

static int collect(void *ctx, const char *name, const char *value, size_t len)
{
	struct found *found = ctx;

	assert_int_equal(strlen(value), len);
	if (!strcmp(name, LABEL_SERVICE))
		snprintf(found->service, sizeof(found->service), "%s", value);
	if (!strcmp(name, LABEL_CGROUP))
		snprintf(found->cgroup, sizeof(found->cgroup), "%s", value);
	found->cnt++;
	return 0;
}

static int stop(void *ctx, const char *name, const char *value, size_t len)
{
	(void)ctx, (void)name, (void)value, (void)len;
	return 7;
}

static void test_living(void **state)
{
	struct service_rules *rules = rules_of(WORDS("comm"));
	struct labels *labels = labels__new(rules, root);
	struct found found = { 0 };
	pid_t pid = start_sleeper();

	(void)state;
	assert_non_null(labels);
	assert_int_equal(labels__read(labels, pid, collect, &found), 0);
	assert_string_equal(found.service, "sleep");
	assert_int_equal(found.cgroup[0], '/');
	assert_int_equal(labels__read(labels, pid, stop, NULL), 7);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(labels__read(labels, pid, collect, &found), -ESRCH);
	labels__free(labels);
	service_rules__free(rules);
	labels = labels__new(NULL, "");
	assert_non_null(labels);
	found = (struct found){ 0 };
	assert_int_equal(labels__read(labels, getpid(), collect, &found), 0);
	assert_true(found.cnt >= 2 && *found.service);
	labels__free(labels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_docker, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_bundles, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_podman, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_hostile, make_root, remove_root),
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_bad_rules),
		cmocka_unit_test(test_long_service),
		cmocka_unit_test_setup_teardown(test_living, make_root, remove_root),
	};

	return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
