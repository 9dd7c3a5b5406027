# SPDX-License-Identifier: Apache-2.0
#
#   make                 build .output/pitviper
#   make check           unit and walker tests (no root); tests/run runs everything
#   make test-kernels    boot other kernels under emulation and test there
#   make bench           the benchmark table (root)
#   make V=1             show the commands       make O=dir           build elsewhere
#   make SAN=address,undefined                    build with sanitizers (their own directory)
#   make ARCH=aarch64                             cross-build (.output-aarch64)
#   make STATIC=1                                 every library but libc linked in (.output-static)
#   make install, make dist                       see packaging/Makefile.inc

V ?= 0
SAN ?=
STATIC ?=
HOST_ARCH := $(shell uname -m)
ARCH ?= $(HOST_ARCH)
CROSS := $(filter-out $(HOST_ARCH),$(ARCH))
O ?= .output$(if $(SAN),-san)$(if $(CROSS),-$(ARCH))
# The program; the objects that it is linked of are those of the other one.
PROGRAM := $(O)$(if $(STATIC),-static)/pitviper
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)

ifeq ($(V),1)
Q :=
say = @true
else
Q := @
say = @printf '  %-8s %s\n' $(1) $(2)
endif

# The kernel's name of the architecture, for the BPF programs.
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(ARCH)))
VERSION := 0.1.0

WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith \
	    -Wwrite-strings -Wvla -Wformat=2 -Werror
CPPFLAGS := -D_GNU_SOURCE -DPV_VERSION='"$(VERSION)"' -Iuser -I. -I$(O)
# Where it is built leaves no trace: the same sources make the same program.
PREFIX_MAP := -ffile-prefix-map=$(CURDIR)/= -ffile-prefix-map=$(CURDIR)=.
CFLAGS := -std=gnu11 -O2 -g $(WARNINGS) -fstack-protector-strong $(PREFIX_MAP) \
	  $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2)
LDFLAGS := -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN))
LIBS := -lseccomp -lbpf -lelf -ljson-c -lsqlite3 -lz
LDLIBS := -lmicrohttpd $(LIBS) -lm

# Only libc and what belongs to it stay shared: its version must be the host's, for NSS and locales.
# An archive doesn't name what it needs in turn; libelf may be built with zstd or without.
comma := ,
has_archive = $(findstring /,$(shell $(CC) -print-file-name=lib$(1).a))
ifneq ($(STATIC),)
HTTPD := $(O)/libhttpd.a
LDLIBS := -Wl$(comma)-Bstatic $(HTTPD) $(LIBS) $(if $(call has_archive,zstd),-lzstd) -Wl$(comma)-Bdynamic -lm
LDFLAGS += -static-libgcc
endif

# The other architecture's libraries are Debian's, of the release that this machine runs.
ifneq ($(CROSS),)
ifndef SYSROOT
SYSROOT := $(shell packaging/sysroot $(ARCH))
endif
ifeq ($(SYSROOT),)
$(error packaging/sysroot found no libraries for $(ARCH))
endif
override CC := $(ARCH)-linux-gnu-gcc --sysroot=$(SYSROOT)
AR := $(ARCH)-linux-gnu-ar
endif

USER_SRC := $(wildcard user/*/*.c)
LIB_OBJ := $(USER_SRC:%.c=$(O)/%.o)
CMD_OBJ := $(filter $(O)/user/cmd/%,$(LIB_OBJ))
LIB := $(O)/libpitviper.a
ASSET_SRC := $(wildcard user/out/assets/*)
ASSETS := $(ASSET_SRC:user/out/assets/%=$(O)/assets/%.inc)

# Those that define shared maps first: libbpf's linker (1.1) keeps offset 0 for a map that was met as an
# extern before it was met as a definition.
BPF_FIRST := bpf/maps.bpf.c bpf/tick.bpf.c
BPF_SRC := $(BPF_FIRST) $(filter-out $(BPF_FIRST),$(wildcard bpf/*.bpf.c))
BPF_OBJ := $(BPF_SRC:%.bpf.c=$(O)/%.bpf.o)
SKEL := $(O)/pitviper.skel.h

.PHONY: all check test-kernels bench lint clean format
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAM)

ifneq ($(STATIC),)
# libmicrohttpd's archive wants GnuTLS, of which there is no whole archive, for HTTPS, which is never
# spoken: a copy whose calls of it end in functions that do nothing.
$(HTTPD):
	$(call say,AR,$@)
	@mkdir -p $(@D)
	$(Q)$(AR:%ar=%nm) -u $(shell $(CC) -print-file-name=libmicrohttpd.a) 2>/dev/null | \
		sed -n 's/^ *U \(gnutls_.*\)/\1 no_\1/p' | sort -u > $(O)/no-tls
	$(Q)$(AR:%ar=%objcopy) --redefine-syms=$(O)/no-tls $(shell $(CC) -print-file-name=libmicrohttpd.a) $@
	$(Q)sed 's/.* \(.*\)/long \1(void) { return 0; }/' $(O)/no-tls | \
		$(CC) -c -x c - -o $(O)/no-tls.o
	$(Q)$(AR) rs $@ $(O)/no-tls.o 2>/dev/null

$(PROGRAM): | $(HTTPD)
endif

$(PROGRAM): $(O)/user/main.o $(CMD_OBJ) $(LIB)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

# Everything but cmd/ and main.c: what the tests link too.
$(LIB): $(filter-out $(CMD_OBJ),$(LIB_OBJ))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/%.o: %.c Makefile | $(ASSETS)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

KERN_OBJ := $(filter $(O)/user/kern/%,$(LIB_OBJ))
$(KERN_OBJ): $(SKEL)
# libbpf's generated code is not ours to warn about.
$(KERN_OBJ): CPPFLAGS += -isystem $(O)

# A file of user/out/assets/ as the bytes of a C array.
$(O)/assets/%.inc: user/out/assets/%
	$(call say,ASSET,$<)
	@mkdir -p $(@D)
	$(Q)od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' > $@

# clang -target bpf does not search the multiarch directory that linux/types.h needs.
ifneq ($(CROSS),)
BPF_SYS := -idirafter $(SYSROOT)/usr/include/$(ARCH)-linux-gnu -idirafter $(SYSROOT)/usr/include
else
BPF_SYS := $(shell $(CLANG) -v -E - </dev/null 2>&1 | \
	     sed -n '/<...> search starts here:/,/End of search list./{ s| \(/.*\)|-idirafter \1|p }')
endif
BPF_CFLAGS := -g $(PREFIX_MAP) -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Ivmlinux -I. \
	      $(BPF_SYS) \
	      -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Werror

$(O)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(O)/pitviper.bpf.o: $(BPF_OBJ)
	$(call say,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

# bpftool writes to stdout even when it fails.
$(SKEL): $(O)/pitviper.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name pitviper > $@.tmp && mv $@.tmp $@

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(O)/tests/unit/%)
-include tests/walker/Makefile.inc
-include tests/golden/Makefile.inc
-include tests/linetable/Makefile.inc
-include tests/exports/Makefile.inc
-include tests/fuzz/Makefile.inc
-include tests/bench/Makefile.inc
include packaging/Makefile.inc

# For tests of what is in cmd/: each takes the objects it names, main.o is not among them.
CMD_LIB := $(O)/libcommands.a
$(CMD_LIB): $(CMD_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/tests/unit/%: $(O)/tests/unit/%.o $(CMD_LIB) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@

unit: $(UNIT_BIN)

check: unit $(WALKER_CHECK)
	$(Q)set -e; for test in $(UNIT_BIN) $(WALKER_BIN); do echo "# $$test"; $$test; done

test-kernels: all
	$(Q)$(MAKE) ARCH=aarch64
	$(Q)tests/kernels/run

bench: all
	$(Q)tests/bench/run

lint:
	$(Q)tests/lint/run

format:
	$(Q)clang-format -i $(shell git ls-files '*.c' '*.h')

clean:
	$(Q)rm -rf .output .output-san .output-static .output-aarch64 .output-aarch64-static .output-dist

-include $(shell find $(O) -name '*.d' 2>/dev/null)
