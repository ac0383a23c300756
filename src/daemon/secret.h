/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* secret: from a salt to what is kept of it, a digest, and what is shown of it, a fingerprint. */
#ifndef PSHARE_DAEMON_SECRET_H
#define PSHARE_DAEMON_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "policy/salt.h"
#include "policy/sketch.h"

struct user;

struct salt_digest {
	uint8_t byte[DOMAIN_ID_SIZE]; /* SHA-256 */
};

/* Loads what libcrypto loads at its first use, before rights are given up. 0 or -errno. */
int secret_init(void);

/* The key that sketches of pages are made with: from a file that nobody but its owner may read, at
 * least 16 bytes; random without one. 0; -ENOENT, -EPERM (others may read it), -EINVAL (too short)
 * or another -errno. */
#define SECRET_KEY_LEAST 16u
int secret_likeness_key(const char *path, uint8_t key[SKETCH_KEY_SIZE]);

/* Digest and fingerprint of a salt. The fingerprint is made slowly on purpose, so a new salt costs
 * a token of the user who named it: -EAGAIN when he has none left at time now. */
int secret_digest(struct user *user, uint64_t now, const void *salt, size_t len,
		  struct salt_digest *digest, uint32_t *fingerprint);

/*
 * Reads a salt from a descriptor that a peer sent: a memfd, sealed against every change, of at
 * most PS_SALT_MAX bytes. 0 and *salt (give it back with secret_free()), *len; or -EINVAL and a
 * static line in *why, or another -errno.
 */
int secret_read(int fd, void **salt, size_t *len, const char **why);
void secret_free(void *salt);

#endif
