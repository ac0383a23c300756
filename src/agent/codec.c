/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * codec: LZ4 for what may come back soon, zstd at level 1 for what stays.
 *
 * A few working areas stand in one mapping, each behind a lock of its own. Who comes takes the
 * first that is free, so that only as many of them are ever memory as threads were inside at once.
 * The states of both libraries are made in place (their "static" functions): nothing is allocated,
 * and nothing is left to fail but the data.
 *
 * zstd's frames have no magic number, no checksum and no length: the caller knows all three, and a
 * page of 512 bytes has 10 fewer. Levels above 1 and trained dictionaries were measured and gain
 * nothing on guests' pages; LZ4's own "acceleration" costs more slots than it saves time.
 */
#include "agent/codec.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define LZ4_STATIC_LINKING_ONLY
#include <lz4.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "sys/mapping.h"
#include "wire/wire.h"

#define AREAS 4u
#define ZSTD_LEVEL 1
#define PAGE_ALIGNED(bytes) (((bytes) + PS_PAGE_SIZE - 1) & ~(size_t)(PS_PAGE_SIZE - 1))

struct area {
	pthread_mutex_t lock;
	atomic_bool used;
	/* NULL: not made yet. By whoever has the lock. */
	LZ4_stream_t *lz4;
	ZSTD_CCtx *shrink;
	ZSTD_DCtx *expand;
	char *memory;
};

struct codec {
	struct area area[AREAS];
	size_t mapped, lz4_bytes, shrink_bytes, expand_bytes;
};

static size_t area_bytes(const struct codec *c)
{
	return c->lz4_bytes + c->shrink_bytes + c->expand_bytes;
}

int codec_new(struct codec **codec)
{
	struct codec sizes = {
		.lz4_bytes = PAGE_ALIGNED(sizeof(LZ4_stream_t)),
		.shrink_bytes = PAGE_ALIGNED(ZSTD_estimateCCtxSize_usingCParams(
			ZSTD_getCParams(ZSTD_LEVEL, PS_PAGE_SIZE, 0))),
		.expand_bytes = PAGE_ALIGNED(ZSTD_estimateDCtxSize()),
	};
	size_t head = PAGE_ALIGNED(sizeof(struct codec));
	struct codec *c;

	sizes.mapped = head + AREAS * area_bytes(&sizes);
	c = map_anon(NULL, sizes.mapped);
	if (!c)
		return -ENOMEM;
	*c = sizes;
	for (uint32_t i = 0; i < AREAS; i++) {
		pthread_mutex_init(&c->area[i].lock, NULL);
		c->area[i].memory = (char *)c + head + i * area_bytes(c);
	}
	*codec = c;
	return 0;
}

struct codec *codec_free(struct codec *c)
{
	if (!c)
		return NULL;
	for (uint32_t i = 0; i < AREAS; i++)
		pthread_mutex_destroy(&c->area[i].lock);
	map_free(c, c->mapped);
	return NULL;
}

size_t codec_held(struct codec *c)
{
	size_t held = PAGE_ALIGNED(sizeof(*c));

	for (uint32_t i = 0; i < AREAS; i++)
		held += atomic_load(&c->area[i].used) ? area_bytes(c) : 0;
	return held;
}

static struct area *take(struct codec *c)
{
	struct area *area = c->area;

	for (uint32_t i = 0; i < AREAS; i++)
		if (pthread_mutex_trylock(&c->area[i].lock) == 0) {
			area = &c->area[i];
			goto taken;
		}
	pthread_mutex_lock(&area->lock);
taken:
	atomic_store_explicit(&area->used, true, memory_order_relaxed);
	return area;
}

static uint32_t lz4_shrink(struct area *area, const void *content, void *out, uint32_t max)
{
	int n;

	if (!area->lz4)
		area->lz4 = LZ4_initStream(area->memory, sizeof(LZ4_stream_t));
	if (!area->lz4)
		return 0;
	n = LZ4_compress_fast_extState_fastReset(area->lz4, content, out, PS_PAGE_SIZE, (int)max,
						 1);
	return n > 0 ? (uint32_t)n : 0;
}

static uint32_t zstd_shrink(const struct codec *c, struct area *area, const void *content,
			    void *out, uint32_t max)
{
	size_t n;

	if (!area->shrink) {
		ZSTD_CCtx *made = ZSTD_initStaticCCtx(area->memory + c->lz4_bytes, c->shrink_bytes);

		if (!made ||
		    ZSTD_isError(
			    ZSTD_CCtx_setParameter(made, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(made, ZSTD_c_contentSizeFlag, 0)) ||
		    ZSTD_isError(
			    ZSTD_CCtx_setParameter(made, ZSTD_c_format, ZSTD_f_zstd1_magicless)))
			return 0;
		area->shrink = made;
	}
	n = ZSTD_compress2(area->shrink, out, max + CODEC_SPARE, content, PS_PAGE_SIZE);
	return ZSTD_isError(n) || n > max ? 0 : (uint32_t)n;
}

static bool zstd_expand(const struct codec *c, struct area *area, const void *bytes,
			uint32_t length, void *out)
{
	if (!area->expand) {
		ZSTD_DCtx *made = ZSTD_initStaticDCtx(area->memory + c->lz4_bytes + c->shrink_bytes,
						      c->expand_bytes);

		if (!made || ZSTD_isError(ZSTD_DCtx_setParameter(made, ZSTD_d_format,
								 ZSTD_f_zstd1_magicless)))
			return false;
		area->expand = made;
	}
	return ZSTD_decompressDCtx(area->expand, out, PS_PAGE_SIZE, bytes, length) == PS_PAGE_SIZE;
}

uint32_t codec_shrink(struct codec *c, enum codec_kind kind, const void *content, void *out,
		      uint32_t max)
{
	struct area *area = take(c);
	uint32_t n = kind == CODEC_LZ4 ? lz4_shrink(area, content, out, max) :
					 zstd_shrink(c, area, content, out, max);

	pthread_mutex_unlock(&area->lock);
	return n;
}

int codec_expand(struct codec *c, enum codec_kind kind, const void *bytes, uint32_t length,
		 void *out)
{
	struct area *area;
	bool good;

	if (kind == CODEC_LZ4) /* needs no state */
		return LZ4_decompress_safe(bytes, out, (int)length, PS_PAGE_SIZE) == PS_PAGE_SIZE ?
			       0 :
			       -EBADMSG;
	area = take(c);
	good = zstd_expand(c, area, bytes, length, out);
	pthread_mutex_unlock(&area->lock);
	return good ? 0 : -EBADMSG;
}
