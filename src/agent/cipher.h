/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cipher: one key that lives in memory only, and pages sealed with it.
 *
 * Any number of threads may use a cipher at the same time. Nothing allocates, nothing waits.
 */
#ifndef PSHARE_AGENT_CIPHER_H
#define PSHARE_AGENT_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIPHER_TAG 16u

/* What a sealed page is. Opened under any other name it is damaged. The version is never used
 * twice under one key, whatever the slot: it is what the nonce is made of. */
struct cipher_name {
	uint64_t version;
	uint32_t slot;
	uint32_t page;
};

struct cipher;

/* A fresh key, in memory that is locked where it may be, in no core dump, and that no child
 * inherits. 0; -ENOSYS: the library does not work on this machine; -errno. */
int cipher_new(struct cipher **cipher);
/* Wipes the key. Takes NULL; returns NULL. */
struct cipher *cipher_free(struct cipher *cipher);
/* "aes256-gcm" or "xchacha20-poly1305". */
const char *cipher_kind(const struct cipher *cipher);

/* One page; out may be in. */
void cipher_seal(const struct cipher *cipher, const struct cipher_name *name, const void *in,
		 void *out, uint8_t tag[CIPHER_TAG]);
/* 0, or -EBADMSG: it is not what was sealed under that name, and the page is zeros now. */
int cipher_open(const struct cipher *cipher, const struct cipher_name *name, void *page,
		const uint8_t tag[CIPHER_TAG]);

#endif
