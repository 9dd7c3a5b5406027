// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/cgroup.h"

#define ID    "6f2d0a8e5c1b4a3d9e7f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5"
#define OTHER "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define POD   "2d3da189-6407-48e3-9ab6-78188d75e609"
#define POD_  "2d3da189_6407_48e3_9ab6_78188d75e609"

/* As engines, kubelets and systemd of several versions lay them out. */
static const struct {
	const char *path, *container, *pod, *unit;
	enum cgroup_engine engine;
} rows[] = {
	{ "/", "", "", "", CGROUP_NO_CONTAINER },
	{ "", "", "", "", CGROUP_NO_CONTAINER },
	{ "/init.scope", "", "", "init.scope", CGROUP_NO_CONTAINER },
	{ "/system.slice/nginx.service", "", "", "nginx.service", CGROUP_NO_CONTAINER },
	{ "/system.slice/system-postgresql.slice/postgresql@15-main.service", "", "",
	  "postgresql@15-main.service", CGROUP_NO_CONTAINER },
	{ "/system.slice/app.service/workers", "", "", "app.service", CGROUP_NO_CONTAINER },
	{ "/user.slice/user-1000.slice/session-3.scope", "", "", "session-3.scope",
	  CGROUP_NO_CONTAINER },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/app-a\\x2db-7.scope", "", "",
	  "app-a\\x2db-7.scope", CGROUP_NO_CONTAINER },
	/* Docker: systemd, cgroupfs, rootless, in a container's own cgroup namespace, dying */
	{ "/system.slice/docker-" ID ".scope", ID, "", "", CGROUP_DOCKER },
	{ "/docker/" ID, ID, "", "", CGROUP_DOCKER },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope", ID, "",
	  "user@1000.service", CGROUP_DOCKER },
	{ "/../../system.slice/docker-" ID ".scope/init", ID, "", "", CGROUP_DOCKER },
	{ "/docker/" ID " (deleted)", ID, "", "", CGROUP_DOCKER },
	{ "/docker/buildx/docker/buildkit/" ID, ID, "", "", CGROUP_OTHER },
	/* containers within containers, and a unit in one: the innermost */
	{ "/docker/" OTHER "/docker/" ID, ID, "", "", CGROUP_DOCKER },
	{ "/docker/" ID "/system.slice/cron.service", ID, "", "cron.service", CGROUP_DOCKER },
	/* Kubernetes */
	{ "/kubepods/burstable/pod" POD "/" ID, ID, POD, "", CGROUP_OTHER },
	{ "/kubepods/pod0123456789abcdef0123456789abcdef/" ID, ID,
	  "0123456789abcdef0123456789abcdef", "", CGROUP_OTHER },
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
	  ".slice/cri-containerd-" ID ".scope",
	  ID, POD, "", CGROUP_CONTAINERD },
	{ "/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope/container", ID, POD, "",
	  CGROUP_CRIO },
	{ "/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" ID ".scope", "", POD, "",
	  CGROUP_NO_CONTAINER },
	{ "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_
	  ".slice/docker-" ID ".scope",
	  ID, POD, "", CGROUP_DOCKER },
	{ "/docker/" OTHER "/kubelet.slice/kubelet-kubepods.slice/"
	  "kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" POD_
	  ".slice/cri-containerd-" ID ".scope",
	  ID, POD, "", CGROUP_CONTAINERD },
	{ "/system.slice/containerd.service/kubepods-burstable-pod" POD_
	  ".slice:cri-containerd:" ID,
	  ID, POD, "containerd.service", CGROUP_CONTAINERD },
	{ "/system.slice/kubelet.service", "", "", "kubelet.service", CGROUP_NO_CONTAINER },
	/* Podman: root, rootless, in a pod, cgroupfs, a quadlet's service, its watcher */
	{ "/machine.slice/libpod-" ID ".scope/container", ID, "", "", CGROUP_PODMAN },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope", ID, "",
	  "user@1000.service", CGROUP_PODMAN },
	{ "/machine.slice/machine-libpod_pod_" OTHER ".slice/libpod-" ID ".scope", ID, "", "",
	  CGROUP_PODMAN },
	{ "/libpod_parent/libpod-" ID, ID, "", "", CGROUP_PODMAN },
	{ "/system.slice/web.service/libpod-payload-" ID, ID, "", "web.service", CGROUP_PODMAN },
	{ "/machine.slice/libpod-conmon-" ID ".scope", "", "", "", CGROUP_NO_CONTAINER },
	/* containerd without Kubernetes */
	{ "/default/" ID, ID, "", "", CGROUP_OTHER },
	{ "/system.slice/nerdctl-" ID ".scope", ID, "", "", CGROUP_CONTAINERD },
	/* ECS, Fargate */
	{ "/ecs/0123456789abcdef0123456789abcdef/" ID, ID, "", "", CGROUP_OTHER },
	{ "/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-2574503420",
	  "0123456789abcdef0123456789abcdef-2574503420", "", "", CGROUP_OTHER },
	{ "/ecstasks.slice/ecstasks-0123456789abcdef0123456789abcdef.slice/docker-" ID ".scope", ID,
	  "", "", CGROUP_DOCKER },
	/* engines with names */
	{ "/lxc/web", "web", "", "", CGROUP_LXC },
	{ "/lxc.payload.web/system.slice/cron.service", "web", "", "cron.service", CGROUP_LXC },
	{ "/lxc.payload/web", "web", "", "", CGROUP_LXC },
	{ "/machine.slice/systemd-nspawn@web.service/payload/init.scope", "web", "", "init.scope",
	  CGROUP_NSPAWN },
	/* what only looks like one */
	{ "/system.slice/docker.service", "", "", "docker.service", CGROUP_NO_CONTAINER },
	{ "/system.slice/docker-1234.scope", "", "", "docker-1234.scope", CGROUP_NO_CONTAINER },
	{ "/kubepods/podzz3da189-6407-48e3-9ab6-78188d75e609", "", "", "", CGROUP_NO_CONTAINER },
	{ "/lxc.payload./x", "", "", "", CGROUP_NO_CONTAINER },
	{ "/" ID "0", "", "", "", CGROUP_NO_CONTAINER },
	{ "//:/" ID "/", ID, "", "", CGROUP_OTHER },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cgroup_place place;
		/* of just that size, for the sanitizer to see a read beyond it */
		size_t len = strlen(rows[i].path);
		char *path = malloc(len + !len);

		assert_non_null(path);
		memcpy(path, rows[i].path, len);
		cgroup_parse(path, len, &place);
		free(path);
		print_message("%s\n", rows[i].path);
		assert_string_equal(place.container, rows[i].container);
		assert_string_equal(place.pod, rows[i].pod);
		assert_string_equal(place.unit, rows[i].unit);
		assert_int_equal(place.engine, rows[i].engine);
		assert_int_equal(!*cgroup_engine_name(place.engine), !*rows[i].container);
	}
}

static void check_choice(const char *text, const char *want)
{
	struct buf out = { 0 };

	assert_int_equal(cgroup_choose(text, &out), 0);
	assert_string_equal(buf_str(&out), want);
	buf_free(&out);
}

static void test_choose(void **state)
{
	(void)state;
	check_choice("0::/system.slice/cron.service\n", "/system.slice/cron.service");
	check_choice("0::/a b:c (deleted)\n", "/a b:c");
	/* two hierarchies side by side: the container's line, wherever it is */
	check_choice("12:pids:/docker/" ID "\n1:name=systemd:/docker/" ID
	             "\n0::/system.slice/containerd.service\n",
	             "/docker/" ID);
	check_choice("3:cpu:/kubepods/pod" POD "/" ID "\n1:name=systemd:/\n0::/\n",
	             "/kubepods/pod" POD "/" ID);
	check_choice("4:memory:/user.slice\n1:name=systemd:/system.slice/a.service\n0::/\n",
	             "/system.slice/a.service");
	check_choice("4:memory:/a\n3:cpu:/longer\n0::/\n", "/longer");
	check_choice("", "/");
	check_choice("nonsense\n\n1:x\n", "/");
}

static void test_long_name(void **state)
{
	char path[600];
	struct cgroup_place place;

	(void)state;
	memset(path, 'a', sizeof(path));
	memcpy(path, "/lxc/", 5);
	cgroup_parse(path, sizeof(path), &place);
	assert_string_equal(place.container, "");
}

static void test_own(void **state)
{
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(cgroup_read(getpid(), &out), 0);
	assert_int_equal(buf_str(&out)[0], '/');
	assert_int_equal(cgroup_read(0x7fffffff, &out), -ESRCH);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
