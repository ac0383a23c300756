/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * swapfile: slots, batches on their way out, reads.
 *
 * Goal: a page that is on disk costs 24 bytes of memory and comes back right, or not at all; the
 * disk is waited for by nobody but the thread that writes and the reader that needs it.
 *
 * Out. swapfile_submit() takes slots, as one run of neighbours where there is one, encrypts the
 * pages into a free batch's buffer under fresh versions, and queues the batch. The writer takes the
 * oldest, writes each run with one call (past the page cache where the file system can: memory that
 * is being given back must not come back as cache; else it asks the disk whether all of it
 * arrived), and marks the batch ended. Only then the caller gives up what he had. A disk that is
 * full, a limit (RLIMIT_FSIZE; its signal is blocked in the writer, as all are), an error, a short
 * write: the pages before it are good, the others' slots are free again.
 *
 * In. The slot's version and tag are read under the lock, the block without it. A page that does
 * not open is -EBADMSG, unless its slot was dropped or written anew meanwhile, which is the
 * caller's business. Faults go before writes: between two runs the writer lets readers through.
 *
 * Authenticated. A block is sealed under (version, slot, page); versions count up for ever, so no
 * nonce comes twice. The tag and the version stay in memory: with them there, no other block can
 * stand in for this one, be it older, or of another slot. Rejected: tags in the file, which save
 * 16 bytes a page but make each read two blocks, or blocks that are not aligned.
 *
 * The descriptor is looked at before each write: a VMM may close what it does not know, and its own
 * disk must not be what is written to.
 *
 * States of a slot: FREE -> FILLING (submitted) -> USED (on disk) -> FREE (dropped); FILLING ->
 * DOOMED (dropped while it is written) -> FREE (when the batch ends).
 */
#include "agent/swapfile.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/cipher.h"
#include "sys/block.h"
#include "sys/cleanup.h"
#include "sys/events.h"
#include "sys/mapping.h"
#include "sys/memfd.h"
#include "sys/self.h"
#include "sys/thread.h"
#include "sys/unsafe.h"

#define STRETCH PS_BLOCK_PAGES /* slots whose space is given back together */
#define STACK_BYTES (128u << 10)
#define PIECE_PAGES 16u /* written with one call; then readers have their turn */
#define LET_THROUGH 8u	/* reads that a piece waits for at most */
#define LOOKED_AT 4096u /* words of the map, for a run of neighbours */
#define RUN_ENOUGH 8u	/* neighbours: for fewer the file grows */
#define ALIGN(bytes) (((bytes) + PS_PAGE_SIZE - 1) & ~(size_t)(PS_PAGE_SIZE - 1))

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_USED, SLOT_DOOMED };

struct slot {
	uint8_t tag[CIPHER_TAG];
	uint64_t version : 56;
	uint64_t state : 8;
};
_Static_assert(sizeof(struct slot) == 24, "what a page on disk is said to take");

struct stretch {
	uint16_t used;
	bool dirty;    /* there are blocks on the disk */
	bool punching; /* they are being given back: not to be used */
};

enum batch_life { BATCH_IDLE, BATCH_FILLING, BATCH_QUEUED, BATCH_WRITING, BATCH_ENDED };

struct batch {
	enum batch_life life;
	uint32_t number;
	uint32_t n, good;
	int error;
	uint32_t slot[SWAPFILE_BATCH];
	char *sealed; /* [n] pages */
};

struct swapfile {
	pthread_mutex_t lock;
	pthread_cond_t work;  /* for the writer */
	pthread_cond_t ended; /* a batch has, or the writer */
	pthread_cond_t read;  /* a read has */
	struct cipher *cipher;
	int fd;
	uint64_t inode;
	int bell;
	bool direct;
	bool stop, stopped;
	uint32_t slots;	  /* that there are tables for */
	uint32_t cap;	  /* that may be taken */
	uint32_t free;	  /* below slots */
	uint32_t cursor;  /* word of the map where the next search begins */
	uint32_t touched; /* slots that were ever taken: below it */
	uint32_t written; /* that ever were on the disk: below it */
	uint32_t edge;	  /* where the file grows: below it, slots are used again */
	bool full;	  /* it did not grow when it last should have */
	uint32_t emptied; /* stretches to be given back, at most */
	bool punching;	  /* one is being given back */
	uint64_t version;
	uint64_t *map;	   /* a bit a slot: taken */
	struct slot *slot; /* [slots] */
	struct stretch *stretch;
	char *buffers;
	struct batch batch[SWAPFILE_BATCHES];
	uint32_t next_batch;
	uint32_t reading; /* threads inside a read */
	uint64_t reads_ended;
	pthread_t writer;
	struct swapfile_figures f;
};

/* ---- slots; all under the lock -------------------------------------------------------------- */

static bool is_taken(const struct swapfile *s, uint32_t slot)
{
	return s->map[slot / 64] >> (slot % 64) & 1;
}

static bool may_take(const struct swapfile *s, uint32_t slot)
{
	return slot < s->cap && !is_taken(s, slot) && !s->stretch[slot / STRETCH].punching;
}

static void take(struct swapfile *s, uint32_t slot)
{
	s->map[slot / 64] |= 1ull << (slot % 64);
	s->slot[slot].state = SLOT_FILLING;
	s->slot[slot].version = ++s->version;
	s->stretch[slot / STRETCH].used++;
	s->stretch[slot / STRETCH].dirty = true;
	s->free--;
	if (slot >= s->touched)
		s->touched = slot + 1;
}

static void give(struct swapfile *s, uint32_t slot)
{
	struct stretch *stretch = &s->stretch[slot / STRETCH];

	s->map[slot / 64] &= ~(1ull << (slot % 64));
	s->slot[slot].state = SLOT_FREE;
	s->free++;
	if (--stretch->used == 0 && stretch->dirty) {
		s->emptied++;
		pthread_cond_signal(&s->work);
	}
}

/* How many slots from `slot` on may be taken, up to n. */
static uint32_t room_at(const struct swapfile *s, uint32_t slot, uint32_t n)
{
	uint32_t k = 0;

	while (k < n && may_take(s, slot + k))
		k++;
	return k;
}

/* The first run of n free slots below the edge, from the cursor on, else the longest that was seen:
 * its length, 0: there is none. */
static uint32_t find_run(struct swapfile *s, uint32_t n, uint32_t *at)
{
	uint32_t words = (s->edge + 63) / 64, best = 0;

	for (uint32_t i = 0; i < words && best < n && (i < LOOKED_AT || !best); i++) {
		uint32_t word = (s->cursor + i) % words;

		for (uint32_t slot = word * 64; ~s->map[word] && slot < word * 64 + 64;) {
			uint32_t k = slot < s->edge ? room_at(s, slot, n) : 0;

			if (k > best) {
				best = k;
				*at = slot;
			}
			if (best == n)
				break;
			slot += k + 1;
		}
	}
	if (best)
		s->cursor = (*at + best) / 64;
	return best;
}

/* Slots for up to n pages that follow each other. What the file has already is used first: the disk
 * has blocks for it. It grows for a longer run, unless the disk is full. */
static uint32_t take_run(struct swapfile *s, uint32_t n, uint32_t *slots)
{
	uint32_t enough = n < RUN_ENOUGH ? n : RUN_ENOUGH, at = 0, k = find_run(s, n, &at), more;

	if (!k || (k < enough && !s->full)) {
		while (s->edge < s->slots && is_taken(s, s->edge))
			s->edge++; /* a run that began below it went on above it */
		more = room_at(s, s->edge, n);
		if (more > k) {
			k = more;
			at = s->edge;
			s->edge += more;
		}
	}
	for (uint32_t i = 0; i < k; i++) {
		take(s, at + i);
		slots[i] = at + i;
	}
	return k;
}

static int take_slots(struct swapfile *s, uint32_t n, uint32_t *slots)
{
	uint32_t got = 0, k;

	while (got < n) {
		k = take_run(s, n - got, slots + got);
		got += k;
		if (k)
			continue;
		while (got)
			give(s, slots[--got]);
		return s->punching ? -EAGAIN : -ENOSPC;
	}
	return 0;
}

/* ---- the writer ----------------------------------------------------------------------------- */

static struct batch *oldest(struct swapfile *s, enum batch_life life)
{
	struct batch *found = NULL;

	for (uint32_t i = 0; i < SWAPFILE_BATCHES; i++)
		if (s->batch[i].life == life &&
		    (!found || (int32_t)(s->batch[i].number - found->number) < 0))
			found = &s->batch[i];
	return found;
}

/* Readers wait for a guest: a few of them go first. */
static void let_readers_through(struct swapfile *s)
{
	uint64_t seen = s->reads_ended;

	while (s->reading && s->reads_ended - seen < LET_THROUGH && !s->stop)
		pthread_cond_wait(&s->read, &s->lock);
}

static int check_descriptor(const struct swapfile *s)
{
	uint64_t inode;
	int err = sys_inode(s->fd, &inode);

	if (err)
		return err;
	return inode == s->inode ? 0 : -EBADF;
}

/* Writes pages from `from` on that lie in neighbouring slots; *good of them are written. Where not
 * even one is, the first alone may be: past the page cache a file takes a part of a page from
 * nobody, so that a limit in the middle of the last one refuses them all. No lock held. */
static void write_piece(struct swapfile *s, const struct batch *b, uint32_t from, uint32_t *good,
			int *error)
{
	uint64_t offset = (uint64_t)b->slot[from] * PS_PAGE_SIZE;
	const char *sealed = b->sealed + (size_t)from * PS_PAGE_SIZE;
	uint32_t n = 1;
	size_t done = 0;

	while (from + n < b->n && n < PIECE_PAGES && b->slot[from + n] == b->slot[from] + n)
		n++;
	*error = check_descriptor(s);
	if (!*error)
		*error = sys_block_write(s->fd, sealed, (size_t)n * PS_PAGE_SIZE, offset, &done);
	if (*error && *error != -EBADF && !done && n > 1)
		*error = sys_block_write(s->fd, sealed, PS_PAGE_SIZE, offset, &done);
	*good = (uint32_t)(done / PS_PAGE_SIZE);
	if (!s->direct && done) {
		int lost = sys_block_settle(s->fd, offset, done);

		if (lost) {
			*good = 0;
			*error = lost;
		}
	}
}

static void end_batch(struct swapfile *s, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		if (i < b->good && b->slot[i] >= s->written) {
			s->written = b->slot[i] + 1;
			s->full = false;
		}
		if (i >= b->good || s->slot[b->slot[i]].state == SLOT_DOOMED)
			give(s, b->slot[i]);
		else
			s->slot[b->slot[i]].state = SLOT_USED;
	}
	if (b->good < b->n) {
		s->full = true;
		s->edge = s->written;
	}
	s->f.writes += b->good;
	s->f.failed += b->n - b->good;
	s->f.batches++;
	s->f.write_error = b->error;
	b->life = BATCH_ENDED;
	pthread_cond_broadcast(&s->ended);
	if (s->bell >= 0)
		sys_eventfd_ring(s->bell);
}

/* Under the lock, but not while the disk works. */
static void write_batch(struct swapfile *s, struct batch *b)
{
	b->life = BATCH_WRITING;
	if (ps_hook(HOOK_SLOW_WRITE)) {
		pthread_mutex_unlock(&s->lock);
		for (int i = 0; i < 8; i++)
			ps_unsafe_slow();
		pthread_mutex_lock(&s->lock);
	}
	while (b->good < b->n && !b->error) {
		uint32_t good = 0;
		int error = 0;

		let_readers_through(s);
		pthread_mutex_unlock(&s->lock);
		write_piece(s, b, b->good, &good, &error);
		pthread_mutex_lock(&s->lock);
		b->good += good;
		b->error = error;
	}
	end_batch(s, b);
}

/* Gives one empty stretch back to the disk. */
static void punch(struct swapfile *s)
{
	for (uint32_t i = 0; i < (s->touched + STRETCH - 1) / STRETCH; i++) {
		struct stretch *stretch = &s->stretch[i];

		if (stretch->used || !stretch->dirty)
			continue;
		stretch->punching = s->punching = true;
		pthread_mutex_unlock(&s->lock);
		if (check_descriptor(s) == 0) /* where it cannot be done, the space is used again */
			(void)sys_punch_hole(s->fd, (uint64_t)i * STRETCH * PS_PAGE_SIZE,
					     (uint64_t)STRETCH * PS_PAGE_SIZE);
		pthread_mutex_lock(&s->lock);
		stretch->dirty = stretch->punching = s->punching = false;
		s->emptied--;
		return;
	}
	s->emptied = 0; /* they are in use again */
}

static void *writer(void *arg)
{
	struct swapfile *s = arg;
	struct batch *b;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		b = oldest(s, BATCH_QUEUED);
		if (b)
			write_batch(s, b);
		else if (s->stop)
			break;
		else if (s->emptied)
			punch(s);
		else
			pthread_cond_wait(&s->work, &s->lock);
	}
	s->stopped = true;
	pthread_cond_broadcast(&s->ended);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- new and free --------------------------------------------------------------------------- */

static size_t map_bytes(const struct swapfile *s)
{
	return ALIGN((s->slots + 63) / 64 * sizeof(*s->map));
}

static size_t stretch_bytes(const struct swapfile *s)
{
	return ALIGN((s->slots + STRETCH - 1) / STRETCH * sizeof(*s->stretch));
}

static void release(struct swapfile *s)
{
	cipher_free(s->cipher);
	map_free(s->map, map_bytes(s));
	map_free(s->slot, ALIGN(s->slots * sizeof(*s->slot)));
	map_free(s->stretch, stretch_bytes(s));
	map_free(s->buffers, (size_t)SWAPFILE_BATCHES * SWAPFILE_BATCH * PS_PAGE_SIZE);
	map_free(s, ALIGN(sizeof(*s)));
}

static int make_tables(struct swapfile *s)
{
	s->map = map_anon(NULL, map_bytes(s));
	s->slot = map_anon(NULL, ALIGN(s->slots * sizeof(*s->slot)));
	s->stretch = map_anon(NULL, stretch_bytes(s));
	s->buffers = map_anon(NULL, (size_t)SWAPFILE_BATCHES * SWAPFILE_BATCH * PS_PAGE_SIZE);
	if (!s->map || !s->slot || !s->stretch || !s->buffers)
		return -ENOMEM;
	for (uint32_t i = 0; i < SWAPFILE_BATCHES; i++)
		s->batch[i].sealed = s->buffers + (size_t)i * SWAPFILE_BATCH * PS_PAGE_SIZE;
	return 0;
}

static uint32_t slots_in(uint64_t bytes)
{
	bytes /= PS_PAGE_SIZE;
	return bytes > PS_PAGES_MAX ? PS_PAGES_MAX : (uint32_t)bytes;
}

static int make(struct swapfile *s, int fd, uint64_t cap, int bell)
{
	bool is_file = false;
	int err = sys_file_size(fd, NULL, NULL, &is_file);

	s->fd = fd;
	s->bell = bell;
	s->slots = s->cap = s->free = slots_in(cap);
	if (!err && (!is_file || !s->slots))
		err = -EINVAL;
	if (!err)
		err = sys_inode(fd, &s->inode);
	if (!err)
		err = make_tables(s);
	if (!err)
		err = cipher_new(&s->cipher);
	if (err)
		return err;
	s->direct = sys_block_direct(fd) == 0;
	return sys_thread_start(&s->writer, writer, s, "pshare-swap", STACK_BYTES);
}

int swapfile_new(struct swapfile **file, int fd, uint64_t cap, int bell)
{
	struct swapfile *s = map_anon(NULL, ALIGN(sizeof(*s)));
	int err;

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->ended, NULL);
	pthread_cond_init(&s->read, NULL);
	err = make(s, fd, cap, bell);
	if (err) {
		release(s);
		return err;
	}
	*file = s;
	return 0;
}

struct swapfile *swapfile_free(struct swapfile *s)
{
	if (!s)
		return NULL;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->work);
	pthread_cond_signal(&s->read);
	while (!s->stopped)
		pthread_cond_wait(&s->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (check_descriptor(s) == 0)
		close_fd(&s->fd);
	release(s);
	return NULL;
}

void swapfile_set_cap(struct swapfile *s, uint64_t cap)
{
	pthread_mutex_lock(&s->lock);
	s->cap = slots_in(cap) < s->slots ? slots_in(cap) : s->slots;
	pthread_mutex_unlock(&s->lock);
}

/* ---- out ------------------------------------------------------------------------------------ */

/* An idle batch with slots of its own: FILLING; NULL and *error. */
static struct batch *begin(struct swapfile *s, uint32_t n, int *error)
{
	struct batch *b = oldest(s, BATCH_IDLE);

	*error = -EAGAIN;
	if (!b)
		return NULL;
	*error = take_slots(s, n, b->slot);
	if (*error)
		return NULL;
	if (!++s->next_batch || s->next_batch > INT32_MAX)
		s->next_batch = 1;
	b->life = BATCH_FILLING;
	b->number = s->next_batch;
	b->n = n;
	b->good = 0;
	b->error = 0;
	return b;
}

long swapfile_submit(struct swapfile *s, uint32_t n, const uint32_t *pages,
		     const void *const *contents, uint32_t *slots)
{
	struct batch *b;
	int error;

	if (!n || n > SWAPFILE_BATCH)
		return -EINVAL;
	pthread_mutex_lock(&s->lock);
	b = begin(s, n, &error);
	pthread_mutex_unlock(&s->lock);
	if (!b)
		return error;
	/* Its slots are FILLING, and nobody knows them: they are this thread's. */
	for (uint32_t i = 0; i < n; i++) {
		struct slot *slot = &s->slot[b->slot[i]];
		struct cipher_name name = {slot->version, b->slot[i], pages[i]};

		cipher_seal(s->cipher, &name, contents[i], b->sealed + (size_t)i * PS_PAGE_SIZE,
			    slot->tag);
		slots[i] = b->slot[i];
	}
	error = (int)b->number;
	pthread_mutex_lock(&s->lock);
	b->life = BATCH_QUEUED;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	return error;
}

static int reap(struct swapfile *s, struct swapfile_done *done)
{
	struct batch *b = oldest(s, BATCH_ENDED);

	if (!b)
		return 0;
	*done = (struct swapfile_done){b->number, b->n, b->good, b->error};
	b->life = BATCH_IDLE;
	return 1;
}

int swapfile_reap(struct swapfile *s, struct swapfile_done *done)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = reap(s, done);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static bool any_under_way(struct swapfile *s)
{
	return oldest(s, BATCH_FILLING) || oldest(s, BATCH_QUEUED) || oldest(s, BATCH_WRITING);
}

int swapfile_wait(struct swapfile *s, struct swapfile_done *done)
{
	int r;

	pthread_mutex_lock(&s->lock);
	while (!(r = reap(s, done)) && any_under_way(s))
		pthread_cond_wait(&s->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- in ------------------------------------------------------------------------------------- */

/* What the slots held when the read began; entries that are not to be read have no version. */
static void look_up(struct swapfile *s, uint32_t slot, uint32_t n, const uint32_t *pages,
		    struct slot *held)
{
	for (uint32_t i = 0; i < n; i++) {
		held[i] = (struct slot){0};
		if (pages[i] != PS_FRAME_NONE && slot + i < s->slots &&
		    s->slot[slot + i].state == SLOT_USED)
			held[i] = s->slot[slot + i];
	}
}

/* -EBADMSG, if the slot is still what it was. */
static int judge(const struct swapfile *s, uint32_t slot, const struct slot *held)
{
	const struct slot *now = &s->slot[slot];

	if (now->state != SLOT_USED || now->version != held->version)
		return -ENOENT;
	return -EBADMSG;
}

static int open_page(struct swapfile *s, uint32_t slot, uint32_t page, const struct slot *held,
		     char *content, int error)
{
	struct cipher_name name = {held->version, slot, page};

	if (!held->version)
		error = -ENOENT;
	else if (!error)
		error = cipher_open(s->cipher, &name, content, held->tag);
	if (error)
		memset(content, 0, PS_PAGE_SIZE);
	return error;
}

/* The blocks of n slots into out: errors[i]. What cannot be had together is asked for alone: a bad
 * block costs no neighbour. */
static void read_blocks(struct swapfile *s, uint32_t slot, uint32_t n, const struct slot *held,
			char *out, int *errors)
{
	int error = check_descriptor(s);
	size_t done = 0, alone;

	if (!error)
		error = sys_block_read(s->fd, out, (size_t)n * PS_PAGE_SIZE,
				       (uint64_t)slot * PS_PAGE_SIZE, &done);
	for (uint32_t i = 0; i < n; i++) {
		errors[i] = (i + 1ull) * PS_PAGE_SIZE <= done ? 0 : error;
		if (errors[i] && errors[i] != -EBADF && n > 1 && held[i].version)
			errors[i] = sys_block_read(s->fd, out + (size_t)i * PS_PAGE_SIZE,
						   PS_PAGE_SIZE,
						   (slot + (uint64_t)i) * PS_PAGE_SIZE, &alone);
	}
}

uint32_t swapfile_read(struct swapfile *s, uint32_t slot, uint32_t n, const uint32_t *pages,
		       void *out, int *results)
{
	struct slot held[SWAPFILE_NEIGHBOURS];
	uint32_t good = 0;

	if (n > SWAPFILE_NEIGHBOURS)
		n = SWAPFILE_NEIGHBOURS;
	pthread_mutex_lock(&s->lock);
	s->reading++;
	look_up(s, slot, n, pages, held);
	pthread_mutex_unlock(&s->lock);
	read_blocks(s, slot, n, held, out, results);
	for (uint32_t i = 0; i < n; i++)
		results[i] = open_page(s, slot + i, pages[i], &held[i],
				       (char *)out + (size_t)i * PS_PAGE_SIZE, results[i]);
	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < n; i++) {
		if (results[i] == -EBADMSG)
			results[i] = judge(s, slot + i, &held[i]);
		good += !results[i];
		s->f.damaged += results[i] == -EBADMSG;
		if (results[i] && results[i] != -ENOENT)
			s->f.read_error = results[i];
	}
	s->f.reads += good;
	s->reading--;
	s->reads_ended++;
	pthread_cond_signal(&s->read);
	pthread_mutex_unlock(&s->lock);
	return good;
}

void swapfile_drop(struct swapfile *s, uint32_t slot)
{
	pthread_mutex_lock(&s->lock);
	if (slot < s->slots && s->slot[slot].state == SLOT_USED)
		give(s, slot);
	else if (slot < s->slots && s->slot[slot].state == SLOT_FILLING)
		s->slot[slot].state = SLOT_DOOMED;
	pthread_mutex_unlock(&s->lock);
}

void swapfile_count(struct swapfile *s, struct swapfile_figures *figures)
{
	pthread_mutex_lock(&s->lock);
	*figures = s->f;
	figures->used = s->slots - s->free;
	figures->cap = s->cap;
	figures->held = ALIGN(sizeof(*s)) + ALIGN(s->touched * sizeof(*s->slot)) +
			ALIGN(s->touched / 8) + ALIGN(s->touched / STRETCH * sizeof(*s->stretch)) +
			(size_t)SWAPFILE_BATCHES * SWAPFILE_BATCH * PS_PAGE_SIZE;
	figures->direct = s->direct;
	figures->cpu_ns = sys_thread_cpu_ns(s->writer);
	pthread_mutex_unlock(&s->lock);
}
