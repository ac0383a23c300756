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
 *	fill SEED BITS	probe i gets the content that SEED gives it if bit i of BITS (hex digits,
 *			lowest first) is set, else one of its own
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

static void serve(const struct guest *guest, const struct aes_key *key, int sock)
{
	uint8_t in[AES_BLOCK], out[AES_BLOCK];

	while (recv(sock, in, sizeof(in), 0) == (ssize_t)sizeof(in)) {
		aes_encrypt(guest->tables, key, in, out);
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
		else if (!strcmp(line, "serve"))
			serve(&guest, &key, atoi(argv[2]));
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
