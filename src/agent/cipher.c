/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cipher: AES-256-GCM where the CPU has AES, else XChaCha20-Poly1305; both of libsodium.
 *
 * Why libsodium: bench/ciphers, a page of 4 KiB sealed / opened, CPU us, medians of 7 turns on an
 * AMD EPYC (Debian 12's libraries, with a second core at work):
 *
 *	libsodium aes256-gcm          2.8 / 3.1     libcrypto aes256-gcm          1.8 / 1.8
 *	libsodium xchacha20-poly1305  3.9 / 3.9     libcrypto chacha20-poly1305   2.8 / 2.9
 *
 * libcrypto saves a microsecond of the hundred that a disk takes. It would bring 3.8 MB (of which
 * 0.35 MB are relocated, so memory of each VMM's own) in place of 0.2 MB, allocate at each start,
 * read a configuration file, and leave handlers for the ends of threads and of the process in a
 * program that is not ours. libsodium does none of it; its two ciphers touch only what they are
 * given.
 *
 * The nonce is the version, which counts up for ever, and the slot; so with 96 bits no nonce comes
 * twice, and nothing needs to be random but the key. Slot and page are authenticated beside the
 * content, though in the nonce they are already half: a block is what it is said to be, or nothing.
 *
 * The key, and what is derived from it (the round keys), are in pages of their own: locked where
 * the limit allows, in no core dump, zeros in a child (MADV_WIPEONFORK), and not there in one that
 * is made with the agent's knowledge. They are wiped by cipher_free(); what ends without that (a
 * kill) leaves them to the kernel, which clears pages before it gives them on.
 */
#include "agent/cipher.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "sys/entropy.h"
#include "sys/memfd.h"
#include "wire/wire.h"

struct cipher {
	_Alignas(16) crypto_aead_aes256gcm_state aes;
	unsigned char key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
	bool has_aes;
	bool locked;
};
_Static_assert(crypto_aead_aes256gcm_ABYTES == CIPHER_TAG, "tags of one length");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == CIPHER_TAG, "tags of one length");
_Static_assert(crypto_aead_aes256gcm_NPUBBYTES == 12, "a version and a slot");
_Static_assert(crypto_aead_aes256gcm_KEYBYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	       "one key for either");

int cipher_new(struct cipher **cipher)
{
	struct cipher *c;
	void *secret;
	bool locked;
	int err;

	if (sodium_init() < 0)
		return -ENOSYS;
	err = sys_secret_new(sizeof(*c), &secret, &locked);
	if (err)
		return err;
	c = secret;
	c->locked = locked;
	err = sys_random(c->key, sizeof(c->key));
	if (err) {
		cipher_free(c);
		return err;
	}
	c->has_aes = crypto_aead_aes256gcm_is_available();
	if (c->has_aes)
		crypto_aead_aes256gcm_beforenm(&c->aes, c->key);
	*cipher = c;
	return 0;
}

struct cipher *cipher_free(struct cipher *c)
{
	sys_secret_free(c, sizeof(*c));
	return NULL;
}

const char *cipher_kind(const struct cipher *c)
{
	return c->has_aes ? "aes256-gcm" : "xchacha20-poly1305";
}

/* Long enough for either; of AES-GCM's the first 12 bytes. */
struct nonce {
	unsigned char bytes[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];
};

static struct nonce nonce_of(const struct cipher_name *name)
{
	struct nonce n = {{0}};

	memcpy(n.bytes, &name->version, sizeof(name->version));
	memcpy(n.bytes + sizeof(name->version), &name->slot, sizeof(name->slot));
	return n;
}

void cipher_seal(const struct cipher *c, const struct cipher_name *name, const void *in, void *out,
		 uint8_t tag[CIPHER_TAG])
{
	struct nonce n = nonce_of(name);
	const unsigned char *beside = (const unsigned char *)name;

	if (c->has_aes)
		crypto_aead_aes256gcm_encrypt_detached_afternm(out, tag, NULL, in, PS_PAGE_SIZE,
							       beside, sizeof(*name), NULL, n.bytes,
							       &c->aes);
	else
		crypto_aead_xchacha20poly1305_ietf_encrypt_detached(out, tag, NULL, in,
								    PS_PAGE_SIZE, beside,
								    sizeof(*name), NULL, n.bytes,
								    c->key);
}

int cipher_open(const struct cipher *c, const struct cipher_name *name, void *page,
		const uint8_t tag[CIPHER_TAG])
{
	struct nonce n = nonce_of(name);
	const unsigned char *beside = (const unsigned char *)name;
	int bad;

	if (c->has_aes)
		bad = crypto_aead_aes256gcm_decrypt_detached_afternm(page, NULL, page, PS_PAGE_SIZE,
								     tag, beside, sizeof(*name),
								     n.bytes, &c->aes);
	else
		bad = crypto_aead_xchacha20poly1305_ietf_decrypt_detached(page, NULL, page,
									  PS_PAGE_SIZE, tag, beside,
									  sizeof(*name), n.bytes,
									  c->key);
	if (!bad)
		return 0;
	memset(page, 0, PS_PAGE_SIZE);
	return -EBADMSG;
}
