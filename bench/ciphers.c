/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ciphers: what sealing and opening a page of 4 KiB costs here, by libsodium and by libcrypto.
 *
 *	ciphers [PAGES [ROUNDS]]	a line each: name, ns of CPU a page sealed, opened (medians)
 *
 * All take turns, ROUNDS times, over PAGES pages that do not fit a CPU's caches.
 */
#include <openssl/evp.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE 4096u
#define TAG 16u
#define ROUNDS_MAX 101u

static unsigned char key[32], nonce[24], tags[TAG];
static crypto_aead_aes256gcm_state aes __attribute__((aligned(16)));
static EVP_CIPHER_CTX *evp[2];

/* Each seals (or opens) one page; false: it failed. */
static bool sodium_aes(const unsigned char *in, unsigned char *out, bool seal)
{
	if (seal)
		return !crypto_aead_aes256gcm_encrypt_detached_afternm(out, tags, NULL, in, PAGE,
								       NULL, 0, NULL, nonce, &aes);
	return !crypto_aead_aes256gcm_decrypt_detached_afternm(out, NULL, in, PAGE, tags, NULL, 0,
							       nonce, &aes);
}

static bool sodium_xchacha(const unsigned char *in, unsigned char *out, bool seal)
{
	if (seal)
		return !crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
			out, tags, NULL, in, PAGE, NULL, 0, NULL, nonce, key);
	return !crypto_aead_xchacha20poly1305_ietf_decrypt_detached(out, NULL, in, PAGE, tags, NULL,
								    0, nonce, key);
}

static bool by_evp(EVP_CIPHER_CTX *c, const unsigned char *in, unsigned char *out, bool seal)
{
	int n;

	if (EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, seal) != 1)
		return false;
	if (!seal && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tags) != 1)
		return false;
	if (EVP_CipherUpdate(c, out, &n, in, PAGE) != 1 || EVP_CipherFinal_ex(c, out + n, &n) != 1)
		return false;
	return !seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, tags) == 1;
}

static bool crypto_aes(const unsigned char *in, unsigned char *out, bool seal)
{
	return by_evp(evp[0], in, out, seal);
}

static bool crypto_chacha(const unsigned char *in, unsigned char *out, bool seal)
{
	return by_evp(evp[1], in, out, seal);
}

static struct contender {
	const char *name;
	bool (*page)(const unsigned char *in, unsigned char *out, bool seal);
	double ns[2][ROUNDS_MAX];
} contenders[] = {
	{.name = "libsodium aes256-gcm", .page = sodium_aes},
	{.name = "libsodium xchacha20-poly1305", .page = sodium_xchacha},
	{.name = "libcrypto aes256-gcm", .page = crypto_aes},
	{.name = "libcrypto chacha20-poly1305", .page = crypto_chacha},
};
#define CONTENDERS (sizeof(contenders) / sizeof(contenders[0]))

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Eight times each, over the cost of reading the clock. */
#define TIMES 8

static bool measure(struct contender *c, const unsigned char *memory, unsigned int pages,
		    unsigned int round)
{
	static unsigned char sealed[PAGE], opened[PAGE];
	double ns[2] = {0};

	for (unsigned int i = 0; i < pages; i++) {
		const unsigned char *page = memory + (size_t)i * PAGE;
		double start = cpu_ns(), middle;

		for (int k = 0; k < TIMES; k++)
			if (!c->page(page, sealed, true))
				return false;
		middle = cpu_ns();
		for (int k = 0; k < TIMES; k++)
			if (!c->page(sealed, opened, false))
				return false;
		ns[1] += cpu_ns() - middle;
		ns[0] += middle - start;
		if (memcmp(page, opened, PAGE))
			return false;
	}
	c->ns[0][round] = ns[0] / TIMES / pages;
	c->ns[1][round] = ns[1] / TIMES / pages;
	return true;
}

static bool prepare(void)
{
	int chacha_iv = 12;

	if (sodium_init() < 0 || !crypto_aead_aes256gcm_is_available())
		return false;
	randombytes_buf(key, sizeof(key));
	crypto_aead_aes256gcm_beforenm(&aes, key);
	evp[0] = EVP_CIPHER_CTX_new();
	evp[1] = EVP_CIPHER_CTX_new();
	return evp[0] && evp[1] &&
	       EVP_CipherInit_ex(evp[0], EVP_aes_256_gcm(), NULL, key, nonce, 1) == 1 &&
	       EVP_CipherInit_ex(evp[1], EVP_chacha20_poly1305(), NULL, key, nonce, 1) == 1 &&
	       EVP_CIPHER_CTX_ctrl(evp[1], EVP_CTRL_AEAD_SET_IVLEN, chacha_iv, NULL) == 1;
}

int main(int argc, char **argv)
{
	unsigned int pages = argc > 1 ? (unsigned int)atoi(argv[1]) : 4096;
	unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 11;
	unsigned char *memory = pages ? malloc((size_t)pages * PAGE) : NULL;

	if (!memory || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: ciphers [PAGES [ROUNDS]], at most %u rounds\n", ROUNDS_MAX);
		return 2;
	}
	if (!prepare()) {
		fprintf(stderr, "ciphers: this CPU has no AES, or a library does not work\n");
		return 77;
	}
	memset(memory, 1, (size_t)pages * PAGE);
	for (unsigned int round = 0; round < rounds; round++)
		for (size_t i = 0; i < CONTENDERS; i++)
			if (!measure(&contenders[i], memory, pages, round))
				return 1;
	for (size_t i = 0; i < CONTENDERS; i++) {
		struct contender *c = &contenders[i];

		for (int k = 0; k < 2; k++)
			qsort(c->ns[k], rounds, sizeof(double), by_value);
		printf("%-30s seal_ns=%.0f open_ns=%.0f\n", c->name, c->ns[0][rounds / 2],
		       c->ns[1][rounds / 2]);
	}
	return 0;
}
