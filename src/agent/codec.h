/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * codec: a page made smaller, and made a page again. LZ4 and zstd, linked statically; neither ever
 * allocates: each call borrows a working area that was there from the start.
 *
 * Any number of threads may call at the same time; who finds all areas taken waits for one, which
 * is microseconds away.
 */
#ifndef PSHARE_AGENT_CODEC_H
#define PSHARE_AGENT_CODEC_H

#include <stddef.h>
#include <stdint.h>

enum codec_kind { CODEC_LZ4, CODEC_ZSTD };

struct codec;

/* 0 or -ENOMEM. */
int codec_new(struct codec **codec);
/* Nobody else may be inside. Takes NULL; returns NULL. */
struct codec *codec_free(struct codec *codec);
/* Bytes of memory that the working areas take, of those that were ever used. */
size_t codec_held(struct codec *codec);

/* zstd wants room for up to 9 bytes more than it writes in the end (1.5.4, findings/). */
#define CODEC_SPARE 16u

/* The page `content` into out, which has room for max + CODEC_SPARE bytes: the length, max at
 * most, or 0: it does not fit. */
uint32_t codec_shrink(struct codec *codec, enum codec_kind kind, const void *content, void *out,
		      uint32_t max);
/* Back into a page. -EBADMSG: these bytes are not what made one; out holds nothing of use. */
int codec_expand(struct codec *codec, enum codec_kind kind, const void *bytes, uint32_t length,
		 void *out);

#endif
