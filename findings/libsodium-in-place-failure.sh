#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Package: libsodium-dev 1.0.18 (Debian 1.0.18-1+deb12u1).
# Expected: decrypting in place with the wrong key fails and leaves the buffer as it was, so that
#	the right key can be tried next.
# Does: it depends on the function. crypto_secretbox_open_easy() leaves the buffer alone: the
#	second try works. The AEADs (ChaCha20-Poly1305 of IETF, XChaCha20-Poly1305, AES256-GCM)
#	fill it with zeros: one try with a wrong key, and the only copy of the ciphertext is gone.
# Documented: in-place use is offered, and that no unverified text is given out is said; what
#	becomes of the buffer, which in place is the ciphertext, is not.
# Means: a swap file or a saved VM under two keys (while keys are changed) must not be read into
#	the page and opened there with "the old key, then the new": it reads as zeros. Store which
#	key a block has, or keep the ciphertext apart until it has opened.
set -eu
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
fetch libsodium-dev=1.0.18-1+deb12u1
cat >"$work/run.c" <<'C'
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define AEAD(f, npub, present)                                                                     \
	if (present) {                                                                             \
		unsigned char nonce[npub] = {0};                                                   \
		memset(page, 7, 4096);                                                             \
		f##_encrypt(page, NULL, page, 4096, NULL, 0, NULL, nonce, right);                  \
		int first = f##_decrypt(page, NULL, NULL, page, 4096 + 16, NULL, 0, nonce, wrong); \
		int zeros = sodium_is_zero(page, 4096);                                            \
		int then = f##_decrypt(page, NULL, NULL, page, 4096 + 16, NULL, 0, nonce, right);  \
		bad += told(#f, first, zeros, then) != 1;                                          \
	}

static int told(const char *what, int first, int zeros, int then)
{
	printf("%-40s wrong key %d, buffer %s, then right key %d\n", what, first,
	       zeros ? "zeros" : "kept", then);
	return first == -1 && zeros && then == -1;
}

int main(void)
{
	static unsigned char page[4096 + 16], right[32] = {1}, wrong[32] = {2};
	unsigned char nonce[crypto_secretbox_NONCEBYTES] = {0};
	int bad = sodium_init() < 0;

	printf("libsodium %s\n", sodium_version_string());
	memset(page, 7, 4096);
	crypto_secretbox_easy(page, page, 4096, nonce, right);
	int first = crypto_secretbox_open_easy(page, page, 4096 + 16, nonce, wrong);
	int then = crypto_secretbox_open_easy(page, page, 4096 + 16, nonce, right);

	told("crypto_secretbox", first, 0, then);
	bad += first != -1 || then != 0 || page[0] != 7 || page[4095] != 7;
	AEAD(crypto_aead_chacha20poly1305_ietf, crypto_aead_chacha20poly1305_ietf_NPUBBYTES, 1)
	AEAD(crypto_aead_xchacha20poly1305_ietf, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, 1)
	AEAD(crypto_aead_aes256gcm, crypto_aead_aes256gcm_NPUBBYTES,
	     crypto_aead_aes256gcm_is_available())
	return bad;
}
C
gcc -O1 -I"$work/root/usr/include" "$work/run.c" \
	"$work/root/usr/lib/x86_64-linux-gnu/libsodium.a" -pthread -o "$work/run"
"$work/run"
