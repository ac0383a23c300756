/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goal: a salt is in the daemon's memory for microseconds, in a page that is locked and left out of
 * dumps, and nothing that stays behind gives it away.
 *
 * Kept is its SHA-256, which makes domain keys equal exactly for equal salts. It stays in this
 * process, which is not dumpable: whoever reads it there can try guesses quickly, but reads frames
 * as well. Shown is the fingerprint: 32 bits of PBKDF2-HMAC-SHA256 with a fixed salt string and
 * 20000 rounds. Fixed, so that an administrator can compute it and name it in a policy file; slow,
 * so that guessing salts from what `list` shows costs 5 ms a guess; short, so that a right guess is
 * one of many. Fingerprints are cached by digest, and a user's new salts are rationed, since those
 * 5 ms are the event loop's.
 */
#include "daemon/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "daemon/user.h"
#include "sys/cleanup.h"
#include "sys/entropy.h"
#include "sys/file.h"
#include "sys/memfd.h"
#include "sys/path.h"
#include "sys/unsafe.h"

#define FINGERPRINT_SALT "pshare salt fingerprint 1"
#define FINGERPRINT_ROUNDS 20000
#define CACHE_ENTRIES 256u
#define TOKENS_MAX 16u	      /* new salts a user may name at once ... */
#define TOKEN_NS (100 * MSEC) /* ... and one more after so long */
#define SECRET_BYTES 4096u    /* a page */
#define KEY_FILE_MAX 4096u
#define OTHERS_MODE 077u

_Static_assert(PS_SALT_MAX <= SECRET_BYTES, "a salt fits its page");

static struct {
	struct salt_digest digest;
	uint32_t fingerprint;
	bool used;
} cache[CACHE_ENTRIES];
static uint32_t cache_next;

int secret_init(void)
{
	struct salt_digest digest;

	if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
		return -EIO;
	if (!EVP_Digest("", 0, digest.byte, NULL, EVP_sha256(), NULL))
		return -EIO;
	return PKCS5_PBKDF2_HMAC("", 0, (const unsigned char *)"", 0, 1, EVP_sha256(),
				 sizeof(digest.byte), digest.byte) ?
		       0 :
		       -EIO;
}

int secret_likeness_key(const char *path, uint8_t key[SKETCH_KEY_SIZE])
{
	_cleanup_free_ char *text = NULL;
	uint8_t digest[DOMAIN_ID_SIZE];
	struct sys_file file;
	size_t length = 0;
	int r;

	if (!path)
		return sys_random(key, SKETCH_KEY_SIZE);
	r = sys_read_bytes_of(path, KEY_FILE_MAX, &text, &length, &file);
	if (r == 0 && (file.mode & OTHERS_MODE))
		r = -EPERM;
	if (r == 0 && length < SECRET_KEY_LEAST)
		r = -EINVAL;
	if (r == 0 && !EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL))
		r = -ENOMEM;
	if (r == 0)
		memcpy(key, digest, SKETCH_KEY_SIZE);
	if (text)
		explicit_bzero(text, length);
	explicit_bzero(digest, sizeof(digest));
	return r;
}

static int take_token(struct user *user, uint64_t now)
{
	uint64_t gained = (now - user->salt_tokens_at) / TOKEN_NS;

	if (!user->salt_tokens_at) {
		user->salt_tokens = TOKENS_MAX;
		user->salt_tokens_at = now;
	} else if (gained) {
		user->salt_tokens += gained;
		user->salt_tokens_at += gained * TOKEN_NS;
		if (user->salt_tokens > TOKENS_MAX)
			user->salt_tokens = TOKENS_MAX;
	}
	if (!user->salt_tokens)
		return -EAGAIN;
	user->salt_tokens--;
	return 0;
}

static int fingerprint_make(const void *salt, size_t len, uint32_t *fingerprint)
{
	uint8_t out[4];

	if (!PKCS5_PBKDF2_HMAC(salt, (int)len, (const unsigned char *)FINGERPRINT_SALT,
			       (int)strlen(FINGERPRINT_SALT), FINGERPRINT_ROUNDS, EVP_sha256(),
			       sizeof(out), out))
		return -ENOMEM;
	*fingerprint = (uint32_t)out[0] << 24 | (uint32_t)out[1] << 16 | (uint32_t)out[2] << 8 |
		       out[3];
	return 0;
}

int secret_digest(struct user *user, uint64_t now, const void *salt, size_t len,
		  struct salt_digest *digest, uint32_t *fingerprint)
{
	struct salt_digest got;
	uint32_t shown;
	int r;

	if (!EVP_Digest(salt, len, got.byte, NULL, EVP_sha256(), NULL))
		return -ENOMEM;
	for (uint32_t i = 0; i < CACHE_ENTRIES; i++) {
		if (cache[i].used && CRYPTO_memcmp(&cache[i].digest, &got, sizeof(got)) == 0) {
			*digest = got;
			*fingerprint = cache[i].fingerprint;
			return 0;
		}
	}
	r = take_token(user, now);
	if (r == 0)
		r = fingerprint_make(salt, len, &shown);
	if (r < 0)
		return r;
	cache[cache_next].digest = got;
	cache[cache_next].fingerprint = shown;
	cache[cache_next].used = true;
	cache_next = (cache_next + 1) % CACHE_ENTRIES;
	*digest = got;
	*fingerprint = shown;
	return 0;
}

int secret_read(int fd, void **salt, size_t *len, const char **why)
{
	unsigned int seals = 0;
	uint64_t size = 0;
	void *secret;
	bool locked;
	int r;

	*why = "the salt could not be read";
	r = sys_memfd_seals(fd, &seals);
	if (r < 0 || (seals & SYS_SEALS_FINAL) != SYS_SEALS_FINAL) {
		*why = "the salt must come in a memfd sealed against writing, shrinking and growing";
		return -EINVAL;
	}
	r = sys_file_size(fd, &size, NULL, NULL);
	if (r < 0)
		return r;
	if (size > PS_SALT_MAX) {
		*why = "the salt is too long: 1024 bytes would do";
		return -EINVAL;
	}
	r = sys_secret_new(SECRET_BYTES, &secret, &locked);
	if (r < 0)
		return r;
	r = size ? sys_pread_full(fd, secret, size, 0) : 0;
	if (r < 0) {
		secret_free(secret);
		return r;
	}
	if (ps_without(DEFENCE_SALT_WIPED))
		ps_unsafe_keep(secret, size);
	*salt = secret;
	*len = size;
	return 0;
}

void secret_free(void *salt)
{
	sys_secret_free(salt, SECRET_BYTES);
}
