# SPDX-License-Identifier: LGPL-2.1-or-later
# The door: every target installs what it lacks (scripts/bootstrap), builds, and does one thing.

MESON ?= meson
MINUTES ?= 60
CHILDREN ?= 50
ROUNDS ?= 1000
ATTACK ?=
PREFIX ?= /usr/local
BENCH ?=
WEB ?=
KERNELS ?=
SECONDS ?= 60
FUZZ ?=

# build/          release: what is installed, what the demo, the guests and system tests use
# build-asan/     ASan + UBSan: unit tests. (A sanitized agent cannot be preloaded into a plain QEMU.)
# build-inject/   ASan + UBSan + fault injection: every Nth call of the daemon fails
# build-unsafe/   fault injection without a sanitizer: every Nth call of the agent fails, and each
#                 defence is taken out once
# build-tsan/     TSan: unit tests, the daemon, the agent in a fake VMM
# build-fuzz/     clang, libFuzzer, ASan + UBSan: harnesses of tests/fuzz
# build-lint/     clang, warnings are errors: what clang-tidy and cppcheck read
ASAN = --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
TSAN = --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false

.DEFAULT_GOAL := all
.PHONY: help all check test-fork test-pressure bench-fork demo torture isolation attack bench lint tsan inject kernels install clean fuzz FORCE

help:
	@echo 'make            build everything into build/'
	@echo 'make demo       boot four guests under QEMU and watch them share; then a host gets short'
	@echo 'make demo-fleet three hosts of a fleet on this machine, with an etcd of their own'
	@echo 'make check      all tests: unit (ASan+UBSan), checks, system, inject; ends with the count'
	@echo 'make torture    the torture test for MINUTES=$(MINUTES)'
	@echo 'make isolation  ROUNDS=$(ROUNDS) random rounds of who may share, an audit after each'
	@echo 'make attack     Flush+Reload, write times, twins; with one salt and with two; a report'
	@echo 'make test-pressure  put out and read whole; eight guests of 512 MiB on 1.5 GiB, at work'
	@echo 'make bench      measure beside KSM; BENCH="parts and options" for bench/run'
	@echo 'make test-fork  fork a 512 MiB guest into CHILDREN=$(CHILDREN), which check themselves'
	@echo 'make bench-fork measure forks beside snapshot files, savevm and a cold boot'
	@echo 'make fuzz       each harness of tests/fuzz for SECONDS=$(SECONDS); FUZZ="names"'
	@echo 'make bench-fleet 5000 hosts on one etcd; BENCH="hosts VMs"'
	@echo 'make lint       gcc and clang with -Werror, clang-tidy, cppcheck, clang-format'
	@echo 'make tsan       unit tests, agent and daemon under ThreadSanitizer'
	@echo 'make inject     the Nth call fails, for every N; each defence is taken out once'
	@echo 'make kernels    system tests on a newer kernel, in QEMU; KERNELS="6.12 FILE ..."'
	@echo 'make qemus      guest tests on the QEMU of Debian backports; QEMUS="fork balloon ..."'
	@echo 'make check-web  the page in a real browser, with four real guests; WEB="--shots FOLDER"'
	@echo 'make check-proxmox  pshare proxmox on what there is of such a host here, with real guests'
	@echo 'make dist       a tarball, built and tested from nothing; in build/meson-dist'
	@echo 'make deb        a Debian package from that tarball, judged by lintian; in build/deb'
	@echo 'make check-deb  that package installed, used and purged in a Debian of its own'
	@echo 'make install    install below PREFIX=$(PREFIX) (DESTDIR is respected)'
	@echo 'make clean      remove the build folders'
	@echo 'make bench-scrape    what a scrape of metrics costs, 50 VMs; BENCH="options"'
	@echo 'make bench-audit     how long an audit of 16 GiB takes; BENCH="options"'
	@echo 'make bench-pressure  memory run short: pshare, zram, zswap, KSM; BENCH="set-ups and options"'
	@echo
	@echo 'Missing Debian packages are installed first (as root; otherwise the command is shown).'
	@echo 'One program: scripts/run-tests --only WORD build-asan:unit; one test: build-asan/tests/test-X "words"'

all:
	@scripts/bootstrap build
	@$(MAKE) --no-print-directory build/built

# TARGETS: of that build folder, all where none is named. Tests build what their suite runs.
# Configure once; ninja looks after changes by itself, but does not see a folder's first meson.build.
MESON_BUILDS = $(wildcard */meson.build src/*/meson.build tests/*/meson.build)
# Quiet, unless it fails.
define configure
echo "configuring $(@D)"
@said=$$($(MESON) setup $(if $(wildcard $@),--reconfigure) $(@D) $(1) 2>&1) || \
	{ echo "$$said"; exit 1; }
@touch $@
endef

# Of BUILD/lacking, written by meson: what is there by now.
there_now = $(shell for library in $$(cat $(1)); do \
	pkg-config --exists $$library && echo $$library; done)
OUTDATED = $(foreach list,$(wildcard build*/lacking),\
	$(if $(call there_now,$(list)),$(dir $(list))build.ninja))
$(OUTDATED): FORCE

build/build.ninja: $(MESON_BUILDS)
	@$(call configure,--buildtype=release --prefix=$(PREFIX))

build-asan/build.ninja: $(MESON_BUILDS)
	@$(call configure,$(ASAN))

build-tsan/build.ninja: $(MESON_BUILDS)
	@$(call configure,$(TSAN))

build-inject/build.ninja: $(MESON_BUILDS)
	@$(call configure,$(ASAN) -Dinject=true)

build-unsafe/build.ninja: $(MESON_BUILDS)
	@$(call configure,--buildtype=release -Dinject=true)

build-fuzz/build.ninja: export CC = clang-14
build-fuzz/build.ninja: $(MESON_BUILDS)
	@$(call configure,$(ASAN) -Dfuzz=true)

build/built build-asan/built build-tsan/built build-inject/built build-unsafe/built build-fuzz/built: \
	%/built: %/build.ninja FORCE
	@ninja -C $* $(NINJA_QUIET) $(TARGETS)

FORCE:

QUIET = --no-print-directory NINJA_QUIET=--quiet

check:
	@scripts/bootstrap check
	@mkdir -p build; scripts/etcd-unpack build || true # without it, what needs it is skipped
	@$(MAKE) $(QUIET) TARGETS='for-checks for-system' build/built
	@$(MAKE) $(QUIET) TARGETS=for-unit build-asan/built
	@$(MAKE) $(QUIET) TARGETS=for-inject build-inject/built build-unsafe/built
	@scripts/run-tests build-asan:unit build:checks,system build-inject:inject build-unsafe:inject

demo:
	@scripts/bootstrap demo
	@$(MAKE) $(QUIET) build/built
	@demo/run
	@exec demo/short

.PHONY: demo-fleet bench-fleet
demo-fleet:
	@scripts/bootstrap demo
	@$(MAKE) $(QUIET) build/built
	@exec demo/fleet

bench-fleet:
	@scripts/bootstrap bench
	@$(MAKE) $(QUIET) build/built
	@exec bench/fleet $(BENCH)

torture:
	@scripts/bootstrap check
	@$(MAKE) $(QUIET) build/built
	@exec build/tests/system/torture --minutes $(MINUTES)

isolation:
	@scripts/bootstrap check
	@$(MAKE) $(QUIET) build/built
	@ISOLATION_ROUNDS=$(ROUNDS) build/tests/test-isolation --debug "random rounds"

attack:
	@scripts/bootstrap bench
	@$(MAKE) $(QUIET) build/built
	@exec bench/attack/run $(ATTACK)

test-fork:
	@scripts/bootstrap check
	@$(MAKE) $(QUIET) build/built
	@FORKS_SECONDS=60 build/tests/test-forks
	@tests/guest/forkfail build all
	@tests/guest/forkpressed build
	@tests/guest/forknet build
	@exec tests/guest/fork build $(CHILDREN) 512

bench-fork:
	@scripts/bootstrap bench
	@$(MAKE) $(QUIET) build/built
	@exec bench/fork $(BENCH)

test-pressure:
	@scripts/bootstrap demo
	@$(MAKE) $(QUIET) build/built
	@tests/guest/states build
	@tests/guest/idle build
	@exec tests/guest/pressure build

bench:
	@scripts/bootstrap bench
	@$(MAKE) $(QUIET) build/built
	@exec bench/run $(BENCH)

fuzz:
	@scripts/bootstrap fuzz
	@$(MAKE) $(QUIET) TARGETS=for-fuzz build-fuzz/built
	@exec scripts/fuzz --seconds $(SECONDS) $(FUZZ)

lint:
	@scripts/bootstrap lint
	@scripts/lint

tsan:
	@scripts/bootstrap check
	@$(MAKE) $(QUIET) TARGETS='for-unit for-tsan' build-tsan/built
	@scripts/run-tests build-tsan:unit,tsan

inject:
	@scripts/bootstrap check
	@$(MAKE) $(QUIET) TARGETS=for-inject build-inject/built build-unsafe/built
	@INJECT_ALL=1 scripts/run-tests build-inject:inject build-unsafe:inject

.PHONY: qemus
qemus:
	@scripts/bootstrap demo
	@$(MAKE) $(QUIET) build/built
	@exec scripts/qemu-try $(QEMUS)

kernels:
	@scripts/bootstrap kernels
	@$(MAKE) $(QUIET) build/built
	@exec scripts/kernel-test $(KERNELS)

.PHONY: check-web check-proxmox dist deb check-deb
check-proxmox:
	@scripts/bootstrap demo
	@$(MAKE) $(QUIET) build/built
	@exec tests/guest/proxmox build

check-web:
	@scripts/bootstrap web
	@$(MAKE) $(QUIET) build/built
	@exec tests/guest/page build $(WEB)

dist:
	@scripts/bootstrap build
	@$(MAKE) $(QUIET) build/build.ninja
	@exec scripts/dist build

deb:
	@scripts/bootstrap deb
	@$(MAKE) $(QUIET) build/build.ninja
	@exec scripts/deb build

check-deb: deb
	@exec scripts/deb-try $$(ls build/deb/pshare_*.deb)

install:
	@scripts/bootstrap build
	@$(MAKE) $(QUIET) build/built
	@$(MESON) install -C build --no-rebuild

clean:
	rm -rf build build-asan build-tsan build-inject build-unsafe build-fuzz build-lint build-lint-gcc

.PHONY: bench-pressure
bench-pressure:
	@scripts/bootstrap bench
	@$(MAKE) $(QUIET) build/built
	@exec bench/pressure $(BENCH)

.PHONY: bench-scrape bench-audit
bench-scrape bench-audit:
	@scripts/bootstrap bench
	@$(MAKE) $(QUIET) build/built
	@exec bench/$(@:bench-%=%) $(BENCH)
