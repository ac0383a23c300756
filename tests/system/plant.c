/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plant: does one thing that an audit must find, says "ready", and holds it until its standard
 * input ends. A test copies it to a VMM's name where it is to pass for a VM.
 *
 *	plant file PATH		has a file as its memory, privately
 *	plant shared PATH	the same, MAP_SHARED
 *	plant memory WORD	private memory, all pages equal to those of others with that word
 *	plant merge WORD	the same, offered to KSM
 *	plant store PATH	holds that file open for reading; PATH is one of /proc/PID/fd
 *	plant write PATH	holds it open for writing
 *	plant map PATH		maps the file's first pages and reads them
 *	plant word WORD		has WORD on its command line
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE (2u << 20)
#define PAGE 4096u

static unsigned int touch(volatile const unsigned char *memory, size_t size)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < size; i += PAGE)
		sum += memory[i];
	return sum;
}

static void fill(unsigned char *memory, const char *word)
{
	for (size_t i = 0; i < SIZE; i += strlen(word))
		memcpy(memory + i, word, strlen(word) < SIZE - i ? strlen(word) : SIZE - i);
	for (size_t i = 0; i < SIZE; i += PAGE)
		memcpy(memory + i, &i, sizeof(i));
}

static int plant(const char *what, const char *word)
{
	int how = strcmp(what, "write") == 0 ? O_RDWR : O_RDONLY;
	bool shared = strcmp(what, "shared") == 0;
	unsigned char *memory = NULL;
	int fd = -1;

	if (!strcmp(what, "word"))
		return 0;
	if (!strcmp(what, "memory") || !strcmp(what, "merge")) {
		memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
		if (memory == MAP_FAILED || madvise(memory, SIZE, MADV_NOHUGEPAGE))
			return 2;
		fill(memory, word);
		return !strcmp(what, "merge") && madvise(memory, SIZE, MADV_MERGEABLE) ? 2 : 0;
	}
	fd = open(word, shared ? O_RDWR : how);
	if (fd < 0)
		return 2;
	if (!strcmp(what, "store") || !strcmp(what, "write"))
		return 0;
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (memory == MAP_FAILED)
		return 2;
	close(fd);
	(void)touch(memory, SIZE);
	return 0;
}

int main(int argc, char **argv)
{
	char byte;

	if (argc != 3 || plant(argv[1], argv[2])) {
		perror(argc > 1 ? argv[1] : "plant");
		return 2;
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	return 0;
}
