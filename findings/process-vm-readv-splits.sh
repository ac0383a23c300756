#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: manpages-dev 6.03 (Debian 6.03-2), process_vm_readv(2), against Linux 6.18.
# Expected: as the page says: a partial transfer ends between two elements of the iovec; an
#	element is never split.
# Does: it is split at the page. One element of four pages whose third is not mapped: the call
#	returns 8192, not an error. With an odd start it ends at the page's edge, in the middle of
#	the element. process_vm_writev() does the same and has then written the first part.
# Documented: otherwise: see "granularity" in the page (checked below); its example of a check by
#	element boundaries follows from it.
# Means: a tool that reads a VM's memory in elements of 2 MiB and takes a short count for "the
#	last elements are missing" loses the pages it did get, or takes the tail of its buffer,
#	old data, for guest memory. Count bytes, go on at the next page.
set -eu
case $(uname -r) in
6.18.*) echo "Linux $(uname -r)" ;;
*) echo "SKIP: stated for Linux 6.18, this is $(uname -r)"; exit 77 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() { # PACKAGE=VERSION ...: unpacked into $work/root, with what they need and is not installed
	mkdir -p "$work/debs/partial" "$work/root"
	apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
		-o Dir::Cache::archives="$work/debs" --no-install-recommends --reinstall \
		--allow-downgrades --download-only install "$@" >"$work/apt.log" 2>&1 ||
		{ cat "$work/apt.log" >&2; exit 2; }
	for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
	export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu"
}
want() { # WHAT SEEN STATED: says what was seen; ends the run where that is not what is stated
	printf '%-52s %s\n' "$1" "$2"
	[ "$2" = "$3" ] || { echo "not as stated, which was: $3" >&2; exit 1; }
}
fetch manpages-dev=6.03-2
zcat "$work/root/usr/share/man/man2/process_vm_readv.2.gz" | tr '\n' ' ' >"$work/page"
want "the page says that elements are not split" \
	"$(grep -c 'granularity.*splits a single' "$work/page")" 1
cat >"$work/run.c" <<'C'
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

int main(void)
{
	static char here[16384];
	char *there = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec local = {here, sizeof(here)}, remote = {there, 16384};
	long whole, odd, written;

	memset(there, 1, 16384);
	munmap(there + 8192, 4096);
	whole = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	remote = (struct iovec){there + 100, 16384 - 100};
	odd = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	remote = (struct iovec){there, 16384};
	memset(here, 2, sizeof(here));
	written = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	printf("one element of 16384 bytes, a hole at 8192: "
	       "read %ld, from byte 100 %ld, written %ld\n", whole, odd, written);
	return !(whole == 8192 && odd == 8092 && written == 8192 && there[8191] == 2);
}
C
gcc -O1 "$work/run.c" -o "$work/run"
"$work/run"
