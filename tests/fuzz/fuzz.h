/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz: code that reads what a hostile peer, file or guest wrote, given whatever a fuzzer makes up.
 *
 * A harness is one file that defines LLVMFuzzerTestOneInput(), and fails by fuzz_check() where
 * something is not so that must be so: not crashing is the least. `make fuzz` links it with
 * libFuzzer and sanitizers; the unit tests link it with replay.c, which gives it the seeds and all
 * inputs that ever were a find (seeds/NAME/).
 */
#ifndef PSHARE_TEST_FUZZ_H
#define PSHARE_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_check(what)                                                                   \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                           \
		}                                                                          \
	} while (0)

/* A folder for sockets, made once: replay.c says where, and removes it. */
static inline const char *fuzz_folder(void)
{
	static char folder[64];
	const char *test = getenv("PSHARE_FUZZ_DIR");

	if (folder[0])
		return folder;
	snprintf(folder, sizeof(folder), "%s/fuzz-XXXXXX", test ? test : P_tmpdir);
	fuzz_check(mkdtemp(folder));
	return folder;
}

/* An input that is taken apart from its front. What is not there any more reads as zeros. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline void fuzz_bytes(struct fuzz_input *in, void *out, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memset(out, 0, n);
	if (have)
		memcpy(out, in->at, have);
	in->at += have;
	in->left -= have;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	uint8_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
	uint64_t value;

	fuzz_bytes(in, &value, sizeof(value));
	return value;
}

#endif
