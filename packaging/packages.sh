# SPDX-License-Identifier: Apache-2.0
#
# shellcheck shell=sh disable=SC2034 # the lists are for those who source this
#
# What Debian 12 and 13 must have installed; sourced by packaging/demo and packaging/test.

# To build and to run the demo.
build_packages="gcc libc6-dev make clang bpftool libbpf-dev libelf-dev zlib1g-dev libjson-c-dev
	libcurl4-openssl-dev libmicrohttpd-dev libseccomp-dev libsqlite3-dev python3"

# To test, beyond that: unit tests, lint, the readers that check each format (Chromium, Node.js,
# Go's pprof), what the live tests take their interpreters from, the machines that boot kernels, the
# fuzzers, and what reads the packages, the manual and the completions.
test_packages="libcmocka-dev clang-format shellcheck git ca-certificates python3-pytest python3-venv
	chromium nodejs npm golang-go procps util-linux musl-tools openssl qemu-system-x86 qemu-system-arm cpio
	gcc-aarch64-linux-gnu libclang-rt-dev lintian man-db zsh fish"

# install PACKAGE...: those that are missing. apt is not touched when there are none.
install_packages() {
	missing=
	for package in "$@"; do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=none
		[ "$status" = installed ] || provided "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "These packages are missing, and installing them takes root:$missing" >&2
		exit 1
	fi
	echo "Installing:$missing" >&2
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # a list
	if ! apt-get -y -qq install --no-install-recommends $missing >/dev/null 2>&1; then
		apt-get -qq update >&2
		apt-get -y -qq install --no-install-recommends $missing >&2
	fi
}

# The same programs from another source than Debian's package do as well.
provided() {
	case $1 in
	nodejs) command -v node ;;
	npm) command -v npm ;;
	golang-go) command -v go ;;
	python3-pytest) python3 -m pytest --version ;;
	python3-venv) python3 -m ensurepip --version && python3 -m venv --help ;;
	*) false ;;
	esac >/dev/null 2>&1
}
