# weir: kernel-level egress guard. `make deps` installs what is needed (Debian), `make` builds
# weir, weir-guard and weir-fleet in build/, `make test` tests them, `make demo` shows it (both as root).

B       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)

DEPS_BUILD = build-essential pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev \
             libyaml-dev libjson-c-dev libssl-dev libseccomp-dev libmosquitto-dev libcmocka-dev clang-format libclang-rt-dev
DEPS_LAB   = iproute2 python3 openssh-server openssh-client nginx-light vsftpd lftp rsync curl \
             openssl ncat socat mandoc kmod systemd nftables mosquitto strace
DEPS_DEB   = debhelper dpkg-dev lintian mmdebstrap po-debconf git zsh fish bash-completion# and its tests
DEPS_FAULT = qemu-system-x86 busybox-static cpio e2fsprogs xz-utils# tests/fault/power, tests/vm
DEPS_BENCH = iptables ipset conntrack xdp-tools gnuplot-nox# what weir is measured beside, and pictures of tests/bench/scale

# The package's own, so that there is one.
VERSION := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog)
ifeq ($(VERSION),)
$(error no version: packaging/debian/changelog could not be read)
endif

WARN    = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror=implicit
CFLAGS  ?= -O2 -g
PKG     = libbpf yaml-0.1 json-c libcrypto libseccomp
# Who changes what a map holds makes another ABI, and need not think of it; a comment makes none.
ABI_SRC := bpf/abi.h bpf/common.bpf.h bpf/maps.bpf.h
# Worked out where it is first needed: `make deps` runs where there is no compiler yet.
ABI_ID   = $(eval ABI_ID := $(shell for file in $(ABI_SRC); do gcc -fpreprocessed -dD -E -P $$file; done | \
	    sha256sum | cut -c1-7))$(if $(filter-out e3b0c44,$(ABI_ID)),$(ABI_ID),$(error \
	    no ABI: gcc could not read $(ABI_SRC)))
CPPFLAGS_WEIR = -I. -I$(B) -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' -DWEIR_ABI_ID=0x$(ABI_ID)u
CFLAGS_WEIR   = -std=gnu11 $(WARN) $(SANITIZE)
LDLIBS_WEIR   = $(shell pkg-config --libs $(PKG)) -lelf -lz -lm -lpthread
# What is typed has nothing but JSON in it: each library that is loaded takes time from a cut.
LDLIBS_ASKING = $(shell pkg-config --libs json-c)
# Alone weir-fleet has MQTT in it, and nothing of the kernel's side.
LDLIBS_FLEET  = $(shell pkg-config --libs libmosquitto yaml-0.1 json-c libssl libcrypto libseccomp)
SANITIZE ?=

USER_SRC = $(filter-out user/main.c user/main_guard.c user/fleet/main.c,$(sort $(shell find user -name '*.c')))
LIB_OBJ  = $(USER_SRC:%.c=$(B)/%.o)
BPF_OWN  = bpf/sever.bpf.c bpf/session.bpf.c bpf/forgive.bpf.c bpf/carry.bpf.c# objects of their own
BPF_SRC  = $(filter-out $(BPF_OWN),$(sort $(wildcard bpf/*.bpf.c)))
BPF_OBJ  = $(BPF_SRC:%.c=$(B)/%.o)
UNIT_SRC = $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN = $(UNIT_SRC:tests/%.c=$(B)/tests/%)
PROG_SRC = $(sort $(wildcard tests/prog/test_*.c))
PROG_BIN = $(PROG_SRC:tests/%.c=$(B)/tests/%)
FUZZ_BIN = $(patsubst tests/%.c,$(B)/tests/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
PROG_BPF = $(sort $(wildcard tests/prog/*.bpf.c))
SKEL     = $(B)/weir.skel.h $(B)/sever.skel.h $(B)/session.skel.h $(B)/forgive.skel.h $(B)/carry.skel.h
PROG_SKEL = $(PROG_BPF:tests/prog/%.bpf.c=$(B)/tests/prog/%.skel.h)

# __TARGET_ARCH_x86: loads stay in order there (bpf/common.bpf.h)
BPF_CFLAGS = -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -I. -Ibpf \
             $(if $(filter x86_64-%,$(shell gcc -dumpmachine)),-D__TARGET_ARCH_x86) \
             -ffile-prefix-map=$(CURDIR)=. -I/usr/include/$(shell gcc -dumpmachine)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps deps-bench test unit prog demo fmt install install-weir install-fleet clean asan fuzzers fuzz fault vm bench scale costs deb deb-test

all: $(B)/weir $(B)/weir-guard $(B)/weir-fleet

deps:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		$(DEPS_BUILD) $(DEPS_LAB) $(DEPS_FAULT) $(DEPS_DEB)

deps-bench:
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEPS_BENCH)

# ---- kernel side ------------------------------------------------------------------------------

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -c $< -o $@

$(B)/weir.bpf.o: $(BPF_OBJ)
	$(BPFTOOL) gen object $@ $^

$(B)/sever.bpf.o $(B)/session.bpf.o $(B)/forgive.bpf.o $(B)/carry.bpf.o: $(B)/%.bpf.o: $(B)/bpf/%.bpf.o
	$(BPFTOOL) gen object $@ $^

$(B)/%.skel.h: $(B)/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# ---- user side ----------------------------------------------------------------------------------

$(B)/user/%.o: user/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_WEIR) $(CPPFLAGS) $(CFLAGS_WEIR) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/user/main_guard.o $(B)/user/event/record.o: packaging/debian/changelog

$(filter $(B)/user/kernel/%,$(LIB_OBJ)): $(ABI_SRC) | $(SKEL)

$(B)/libweir.a: $(LIB_OBJ)
	rm -f $@
	ar rcs $@ $^

$(B)/weir: $(B)/user/main.o $(B)/libweir.a
	$(CC) $(CFLAGS_WEIR) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS_ASKING) -o $@

$(B)/weir-guard: $(B)/user/main_guard.o $(B)/libweir.a
	$(CC) $(CFLAGS_WEIR) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS_WEIR) -o $@

$(B)/weir-fleet: $(B)/user/fleet/main.o $(B)/libweir.a
	$(CC) $(CFLAGS_WEIR) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS_FLEET) -o $@

# ---- tests ----------------------------------------------------------------------------------------

$(B)/tests/unit/%: tests/unit/%.c $(B)/libweir.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_WEIR) $(CFLAGS_WEIR) $(CFLAGS) -MMD -MP $< $(B)/libweir.a $(LDLIBS_WEIR) \
		-lcmocka -o $@

$(B)/tests/prog/%.bpf.o: tests/prog/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -c $< -o $@

$(B)/tests/prog/%.skel.h: $(B)/tests/prog/%.bpf.o
	$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(B)/tests/prog/%: tests/prog/%.c $(B)/libweir.a $(PROG_SKEL)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_WEIR) -I$(B)/tests/prog $(CFLAGS_WEIR) $(CFLAGS) -MMD -MP $< $(B)/libweir.a \
		$(LDLIBS_WEIR) -lcmocka -o $@

# What these programs cost depends on who compiled them; tests/prog/costs says for whom it speaks.
$(B)/tests/prog/test_costs: CPPFLAGS_WEIR += -DWEIR_CLANG='"$(firstword $(subst ., ,$(shell $(CLANG) -dumpversion)))"'
$(B)/tests/prog/test_costs: $(B)/weir.bpf.o

# Not a test by itself: tests/fleet/test_*.py run it.
$(B)/tests/fleet/%: tests/fleet/%.c $(B)/libweir.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_WEIR) $(CFLAGS_WEIR) $(CFLAGS) -MMD -MP $< $(B)/libweir.a $(LDLIBS_WEIR) \
		-lcmocka -o $@

# What the benches run: loads, agents, and the program that does nothing.
$(B)/tests/bench/%.bpf.o: tests/bench/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -c $< -o $@

$(B)/tests/bench/%: tests/bench/%.c $(B)/libweir.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_WEIR) $(CFLAGS_WEIR) $(CFLAGS) -MMD -MP $< $(B)/libweir.a $(LDLIBS_WEIR) \
		$(LDLIBS_FLEET) -lcmocka -o $@

unit: $(UNIT_BIN)
prog: $(PROG_BIN)

asan:
	$(MAKE) B=build/asan SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined \
		-static-libasan -static-libubsan' CFLAGS='-O1 -g -fno-omit-frame-pointer' \
		build/asan/weir build/asan/weir-guard unit

# libFuzzer is clang's, so the whole library is built with it once more.
$(B)/tests/fuzz/%: tests/fuzz/%.c $(B)/libweir.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_WEIR) $(CFLAGS_WEIR) $(CFLAGS) -fsanitize=fuzzer -MMD -MP $< $(B)/libweir.a \
		$(LDLIBS_WEIR) -lcmocka -o $@

fuzzers: $(FUZZ_BIN)

FUZZ_SECONDS ?= 600
FUZZ_MAKE = $(MAKE) B=$(B)/fuzz CC=$(CLANG) CFLAGS='-O1 -g -fno-omit-frame-pointer' \
	    SANITIZE='-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined'

fuzz:
	$(FUZZ_MAKE) fuzzers
	B=$(B) tests/fuzz/run $(FUZZ_SECONDS)

# The daemon killed, and a virtual machine without power, in the middle of all that they do.
FAULT_KILLS      ?= 1000
FAULT_POWER_CUTS ?= 100

fault: all
	WEIR=$(abspath $(B)/weir) tests/fault/kill $(FAULT_KILLS)
	WEIR=$(abspath $(B)/weir) tests/fault/power $(FAULT_POWER_CUTS)

# Debian's kernels, 6.1 to the newest; VM_SUITES="bookworm sid" chooses, and VM_LAB="test_cut test_calls"
# (or none) which files of the lab's tests are run inside; VM_SEEN=FILE keeps what has passed for the next time
# (all of it takes an hour and a half a kernel). Then weir's units, under systemd.
vm: all prog
	VM_LAB="$(VM_LAB)" VM_SEEN="$(VM_SEEN)" B=$(abspath $(B)) tests/vm/table $(VM_SUITES)
	B=$(abspath $(B)) tests/vm/units

# What tests/prog/costs expects of each program is what it costs now; COSTS_OF="bookworm trixie sid": on these kernels.
costs: all $(B)/tests/prog/test_costs
	B=$(abspath $(B)) tests/prog/renew-costs $(COSTS_OF)

# Beside what a user would take instead, on the same work: each bench says what it prints.
BENCHES = packet throughput connect budget cut policy memory xdp events fleet
BENCH_LOADS = $(addprefix $(B)/tests/bench/,flow flood fleet_agents crowd dial judged frames empty.bpf.o counter.bpf.o \
	empty_connect.bpf.o arrived.bpf.o xdp_peers.bpf.o)
bench: all $(BENCH_LOADS)
	@for package in $(DEPS_BENCH); do \
		dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || \
		{ echo "$$package is missing: make deps-bench" >&2; exit 1; }; \
	done
	@mkdir -p $(B)/bench
	export WEIR_BENCH_RUN=$$(date +%Y-%m-%dT%H:%M:%S); \
	for bench in $(BENCHES); do B=$(abspath $(B)) WEIR=$(abspath $(B)/weir) tests/bench/$$bench --json $(B)/bench/$$bench.json || exit 1; done

# How it grows, in pictures.
scale: all $(addprefix $(B)/tests/bench/,flow flood empty.bpf.o)
	@mkdir -p $(B)
	B=$(abspath $(B)) WEIR=$(abspath $(B)/weir) tests/bench/scale --json $(B)/scale.json --page $(B)/scale.html

test: all unit prog asan $(B)/tests/fleet/daemon
	$(FUZZ_MAKE) fuzzers
	python3 tests/run

demo:
	@[ "$$(id -u)" = 0 ] || { echo "make demo must run as root" >&2; exit 1; }
	@[ -e /sys/kernel/btf/vmlinux ] || { echo "this kernel has no BTF (/sys/kernel/btf/vmlinux)" >&2; exit 1; }
	@grep -q ' cgroup2 ' /proc/mounts || { echo "no cgroup v2 hierarchy is mounted" >&2; exit 1; }
	@for package in $(DEPS_BUILD) $(DEPS_LAB); do \
		dpkg-query -W -f '$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || \
		{ echo "installing what is missing ($$package, ...)"; exec $(MAKE) deps; }; \
	done
	@$(MAKE) --no-print-directory all
	@python3 tests/lab/demo.py

fmt:
	clang-format -i $$(git ls-files '*.c' '*.h')

# Debian's package: packaging/debian, put where its tools look for it, in a copy of what is tracked.
DEB ?= $(B)/deb

deb:
	rm -rf $(DEB)
	mkdir -p $(DEB)/weir
	git ls-files -z | tar --null -cT - | tar -xC $(DEB)/weir
	cp -r $(DEB)/weir/packaging/debian $(DEB)/weir/debian
	cd $(DEB)/weir && env -u MAKEFLAGS -u MFLAGS -u MAKEOVERRIDES -u B dpkg-buildpackage -us -uc -b
	cd $(DEB) && lintian --fail-on error,warning *.changes

deb-test:
	python3 tests/run deb

UNITDIR     ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
BASHDIR     ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR      ?= $(PREFIX)/share/zsh/site-functions
FISHDIR     ?= $(PREFIX)/share/fish/vendor_completions.d

# The units and their drop-ins name /usr/sbin/weir; elsewhere they name what is installed.
INSTALLED = -e 's|/usr/sbin/weir|$(PREFIX)/sbin/weir|' -e 's|/usr/lib/weir/|$(PREFIX)/lib/weir/|'
AGENT     = packaging/systemd/weir-agent.service

install: install-weir install-fleet

install-weir: all
	install -D -m 0755 $(B)/weir-guard $(DESTDIR)$(PREFIX)/libexec/weir/weir-guard
	install -D -m 0755 $(B)/weir $(DESTDIR)$(PREFIX)/sbin/weir
	for page in user/man/*.[1-8]; do \
		install -D -m 0644 $$page \
			$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$(basename $$page); \
	done
	for policy in policies/*.yaml packaging/host.yaml packaging/systemd/*.conf; do \
		install -D -m 0644 $$policy \
			$(DESTDIR)$(PREFIX)/share/doc/weir/examples/$$(basename $$policy); \
	done
	sed -i $(INSTALLED) $(DESTDIR)$(PREFIX)/share/doc/weir/examples/*.conf
	for unit in $(filter-out $(AGENT),$(wildcard packaging/systemd/*.service)); do \
		install -D -m 0644 $$unit $(DESTDIR)$(UNITDIR)/$$(basename $$unit) && \
		sed -i $(INSTALLED) $(DESTDIR)$(UNITDIR)/$$(basename $$unit); \
	done
	install -D -m 0755 packaging/systemd/without-guard $(DESTDIR)$(PREFIX)/lib/weir/without-guard
	sed -i $(INSTALLED) $(DESTDIR)$(PREFIX)/lib/weir/without-guard
	install -D -m 0644 packaging/systemd/weir.sysusers $(DESTDIR)$(SYSUSERSDIR)/weir.conf
	install -D -m 0644 packaging/systemd/weir.tmpfiles $(DESTDIR)$(TMPFILESDIR)/weir.conf
	install -D -m 0644 packaging/completions/weir.bash $(DESTDIR)$(BASHDIR)/weir
	install -D -m 0644 packaging/completions/weir.zsh $(DESTDIR)$(ZSHDIR)/_weir
	install -D -m 0644 packaging/completions/weir.fish $(DESTDIR)$(FISHDIR)/weir.fish

install-fleet: all
	install -D -m 0755 $(B)/weir-fleet $(DESTDIR)$(PREFIX)/libexec/weir/weir-fleet
	install -D -m 0644 $(AGENT) $(DESTDIR)$(UNITDIR)/$(notdir $(AGENT))
	sed -i $(INSTALLED) $(DESTDIR)$(UNITDIR)/$(notdir $(AGENT))
	install -D -m 0644 packaging/systemd/weir-agent.sysusers $(DESTDIR)$(SYSUSERSDIR)/weir-agent.conf
	for file in mosquitto.conf acl; do \
		install -D -m 0644 packaging/fleet/$$file \
			$(DESTDIR)$(PREFIX)/share/doc/weir-fleet/examples/$$file; \
	done
	install -D -m 0755 packaging/fleet/small-ca \
		$(DESTDIR)$(PREFIX)/share/doc/weir-fleet/examples/small-ca

clean:
	rm -rf build

-include $(shell find $(B) -path $(DEB) -prune -o -name '*.d' -type f -print 2>/dev/null)
