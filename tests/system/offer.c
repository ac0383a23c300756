/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The smallest VMM: offers memory as one does, and holds it until its standard input ends. The
 * pages are equal in every process of this program, and of some hundred different contents.
 * Exits with 3 if a byte has changed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE_MIB 16u
#define PAGE 4096u
#define CONTENTS 251u

static void fill(unsigned char page[PAGE], unsigned int n)
{
	memset(page, (int)(n % CONTENTS) + 1, PAGE);
	memcpy(page, &n, 1);
}

/* offer [MIB] */
int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : SIZE_MIB) << 20;
	unsigned char *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char page[PAGE];
	char byte;

	if (memory == MAP_FAILED || madvise(memory, size, MADV_NOHUGEPAGE))
		return 2;
	for (unsigned int i = 0; i < size / PAGE; i++)
		fill(memory + (size_t)i * PAGE, i % CONTENTS);
	(void)madvise(memory, size, MADV_MERGEABLE);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	for (unsigned int i = 0; i < size / PAGE; i++) {
		fill(page, i % CONTENTS);
		if (memcmp(page, memory + (size_t)i * PAGE, PAGE) != 0)
			return 3;
	}
	return 0;
}
