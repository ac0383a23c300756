/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VMM whose system calls are looked at. While it is in a call that the agent catches, its main
 * thread is called "in-agent", so that whoever traces it knows for whom a call is made.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE 4096u
#define SIZE (16u << 20)
#define IN_AGENT(call)                          \
	do {                                    \
		prctl(PR_SET_NAME, "in-agent"); \
		(void)(call);                   \
		prctl(PR_SET_NAME, "filtered"); \
	} while (0)

static unsigned char *memory;

static void fill(unsigned int salt)
{
	for (unsigned int page = 0; page < SIZE / PAGE; page++)
		memset(memory + (size_t)page * PAGE, (int)((page / 2 + salt) % 100), PAGE);
}

/* Waits for a byte, which is given when what it waits for is so; returns it. */
static char step(void)
{
	char byte = 'q';

	puts("ready");
	fflush(stdout);
	if (read(STDIN_FILENO, &byte, 1) != 1)
		return 'q';
	return byte;
}

int main(void)
{
	prctl(PR_SET_NAME, "filtered");
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 2;
	fill(1);
	IN_AGENT(madvise(memory, SIZE, MADV_MERGEABLE));
	step(); /* shared: now writes, by which the settler is wanted */
	for (unsigned int page = 0; page < SIZE / PAGE; page += 3)
		memory[(size_t)page * PAGE] = 7;
	IN_AGENT(madvise(memory + (1u << 20), 1u << 20, MADV_DONTNEED));
	step(); /* again */
	IN_AGENT(mprotect(memory, PAGE, PROT_READ));
	IN_AGENT(mprotect(memory, PAGE, PROT_READ | PROT_WRITE));
	IN_AGENT(madvise(memory, SIZE, MADV_MERGEABLE));
	fill(2);
	step();
	IN_AGENT(munmap(memory, SIZE));
	step();
	return 0;
}
