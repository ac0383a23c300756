/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <string.h>

#define WORDS (T_PAGE / 8)

uint64_t pool_key(uint32_t index)
{
	return t_mix(0x706f6f6cu + index) | 1;
}

uint64_t unique_key(uint64_t *rng)
{
	return t_rand(rng) | 1;
}

/* After how many words it begins again: half of the contents never do, the others compress. */
static uint32_t period(uint64_t key)
{
	static const uint32_t words[] = {WORDS, WORDS, 180, 60};

	return words[key >> 1 & 3];
}

uint64_t content_word(uint64_t key, uint32_t i)
{
	return key * (2 * (i % period(key)) + 1);
}

void content_fill(void *page, uint64_t key)
{
	uint32_t n = period(key);
	uint64_t *w = page;
	uint64_t v = key;

	for (uint32_t i = 0, k = 0; i < WORDS; i++, k++, v += 2 * key) {
		if (k == n) {
			k = 0;
			v = key;
		}
		w[i] = v;
	}
}

bool content_is(const void *page, uint64_t key)
{
	uint32_t n = period(key);
	const uint64_t *w = page;
	uint64_t v = key, diff = 0;

	for (uint32_t i = 0, k = 0; i < WORDS; i++, k++, v += 2 * key) {
		if (k == n) {
			k = 0;
			v = key;
		}
		diff |= w[i] ^ v;
	}
	return !diff;
}

void mpage_expect(const struct mpage *m, void *buf)
{
	content_fill(buf, m->key);
	for (uint32_t i = 0; i < m->npatch; i++)
		memcpy((uint8_t *)buf + m->off[i], &m->val[i], m->len[i]);
}

bool mpage_holds(const struct mpage *m, const void *page)
{
	uint64_t buf[WORDS];

	if (!m->npatch)
		return content_is(page, m->key);
	mpage_expect(m, buf);
	return !memcmp(buf, page, T_PAGE);
}

static const char *key_class(uint64_t key)
{
	if (!key)
		return "zero";
	for (uint32_t i = 0; i < MODEL_POOL; i++)
		if (pool_key(i) == key)
			return "pool";
	return "unique";
}

void mpage_check(const struct mpage *m, const void *page, const char *when, uint32_t number)
{
	uint8_t want[T_PAGE], got[T_PAGE];
	uint32_t first = T_PAGE, bad = 0;
	uint64_t key;

	if (mpage_holds(m, page))
		return;
	memcpy(got, page, T_PAGE);
	mpage_expect(m, want);
	for (uint32_t i = 0; i < T_PAGE; i++) {
		if (want[i] == got[i])
			continue;
		first = first == T_PAGE ? i : first;
		bad++;
	}
	memcpy(&key, got, 8);
	if (!bad)
		t_fail("%s: page %u at %p: wrong when first read, right a moment later", when,
		       number, page);
	t_fail("%s: page %u at %p: %u bytes wrong from %u on; must be key %016lx (%s, %u patches, "
	       "seq %u), shows key %016lx (%s%s)",
	       when, number, page, bad, first, m->key, key_class(m->key), m->npatch, m->seq, key,
	       key_class(key), content_is(got, key) ? ", whole" : ", not whole");
}

int mpage_peek(const struct mpage *m, const void *page, struct mpage *seen)
{
	uint32_t seq = __atomic_load_n(&m->seq, __ATOMIC_ACQUIRE);
	bool right;

	if (seq & 1)
		return -1;
	*seen = *m;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&m->seq, __ATOMIC_ACQUIRE) != seq)
		return -1;
	right = mpage_holds(seen, page);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&m->seq, __ATOMIC_ACQUIRE) == seq ? right : -1;
}

void mpage_begin(struct mpage *m)
{
	__atomic_store_n(&m->seq, m->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void seq_end(struct mpage *m)
{
	__atomic_store_n(&m->seq, m->seq + 1, __ATOMIC_RELEASE);
}

void mpage_end(struct mpage *m, uint64_t key)
{
	m->key = key;
	m->npatch = 0;
	seq_end(m);
}

void mpage_write(struct mpage *m, void *page, uint64_t key)
{
	mpage_begin(m);
	content_fill(page, key);
	mpage_end(m, key);
}

void mpage_patch(struct mpage *m, void *page, uint16_t off, uint8_t len, uint64_t val)
{
	uint32_t n = m->npatch;

	if (n == MODEL_PATCHES) {
		mpage_write(m, page, pool_key((uint32_t)(m->key % MODEL_POOL)));
		return;
	}
	mpage_begin(m);
	if (len == 8)
		*(volatile uint64_t *)((uint8_t *)page + off) = val;
	else
		memcpy((uint8_t *)page + off, &val, len);
	m->off[n] = off;
	m->len[n] = len;
	m->val[n] = val;
	m->npatch = (uint8_t)(n + 1);
	seq_end(m);
}

void mpage_unpatch(struct mpage *m, void *page)
{
	uint8_t buf[T_PAGE];
	uint32_t n = m->npatch;

	if (!n)
		return;
	mpage_begin(m);
	m->npatch = (uint8_t)(n - 1);
	mpage_expect(m, buf);
	memcpy((uint8_t *)page + m->off[n - 1], buf + m->off[n - 1], m->len[n - 1]);
	seq_end(m);
}
