/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * victim: a guest that encrypts for whoever asks, with the tables of a file that others hold too.
 *
 *	victim FILE SOCKET CPU	SOCKET: an inherited descriptor, the attacker's questions come there
 *	victim --file FILE	makes the file
 *
 * On standard input, one command a line; each is answered by a line "ok ...":
 *	where		addresses of the tables' last page and of the probes
 *	key HEX		the key from now on
 *	serve		encrypts what comes by SOCKET, until a message of no block comes
 *	copy N		the first N probes become copies of the last round's table
 *	own N		the first N probes are written with what they hold, where they are there
 *	serve N		as serve, but each block is encrypted with another copy of that table: each
 *			of the N (a power of two) is touched once. The first block, and what comes
 *			after N, with the table of the file
 *	fill SEED BITS	probe i gets the content that SEED gives it if bit i of BITS (hex digits,
 *			lowest first) is set, else one of its own. SEED 0: zeros
 *	rewrite		the tables' pages are written with what they hold
 */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

static void make_file(const char *path)
{
	static struct aes_tables tables;
	FILE *file = fopen(path, "we");

	aes_make_tables(&tables);
	if (!file || fwrite(&tables, sizeof(tables), 1, file) != 1 || fclose(file)) {
		perror(path);
		exit(1);
	}
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

/* Far from those before: else the agent takes it for somebody who reads all memory, and brings in
 * what comes next. Prime to any number of copies that is a power of two. */
#define STRIDE 1563u /* as in run */

static const uint32_t *copy_of(const struct guest *guest, uint32_t i)
{
	return (const uint32_t *)(const void *)(guest->probes + (size_t)i * GUEST_PAGE);
}

static void serve(const struct guest *guest, const struct aes_key *key, int sock, uint32_t copies)
{
	uint8_t in[AES_BLOCK], out[AES_BLOCK];
	uint32_t i = 0;

	while (recv(sock, in, sizeof(in), 0) == (ssize_t)sizeof(in)) {
		const uint32_t *last = guest->tables->last;

		if (i && i <= copies)
			last = copy_of(guest, (i - 1) * STRIDE % copies);
		i++;
		aes_encrypt(guest->tables, last, key, in, out);
		if (send(sock, out, sizeof(out), MSG_NOSIGNAL) < 0)
			break;
	}
}

static void fill(struct guest *guest, uint64_t seed, const char *bits)
{
	uint64_t own = guest_mix(seed ^ (uint64_t)getpid() << 32);

	for (uint32_t i = 0; i < GUEST_PROBES && bits[i / 4]; i++) {
		char digit[2] = {bits[i / 4], 0};
		bool same = strtoul(digit, NULL, 16) >> i % 4 & 1;

		guest_fill(guest, same ? seed : own, i);
	}
}

static void read_key(struct aes_key *key, const char *hex)
{
	uint8_t bytes[AES_BLOCK] = {0};

	for (unsigned int i = 0; i < AES_BLOCK; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &bytes[i]) != 1)
			return;
	aes_expand(key, bytes);
}

int main(int argc, char **argv)
{
	static char line[GUEST_PROBES / 4 + 64];
	struct aes_key key = {0};
	struct guest guest;

	if (argc == 3 && strcmp(argv[1], "--file") == 0) {
		make_file(argv[2]);
		return 0;
	}
	if (argc != 4) {
		fprintf(stderr, "usage: %s FILE SOCKET CPU\n", argv[0]);
		return 2;
	}
	guest_init(&guest, argv[1]);
	stay_on(atoi(argv[3]));
	while (fgets(line, sizeof(line), stdin)) {
		char *rest;

		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "key ", 4))
			read_key(&key, line + 4);
		else if (!strncmp(line, "serve", 5))
			serve(&guest, &key, atoi(argv[2]), guest_probes_of(line + 5));
		else if (!strncmp(line, "own ", 4))
			guest_own(guest.probes, guest_probes_of(line + 4));
		else if (!strncmp(line, "copy ", 5))
			guest_copy(&guest, guest_probes_of(line + 5));
		else if (!strcmp(line, "rewrite"))
			guest_rewrite(guest.tables, AES_FILE_BYTES);
		else if (!strncmp(line, "fill ", 5)) {
			uint64_t seed = strtoull(line + 5, &rest, 10);

			fill(&guest, seed, rest + (*rest == ' '));
		}
		printf("ok %p %p\n", (void *)guest.tables->last, (void *)guest.probes);
		fflush(stdout);
	}
	return 0;
}
