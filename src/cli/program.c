/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * program: the dynamic loader reads LD_PRELOAD, and a program has one if it has a PT_INTERP
 * header. A static-pie has PT_DYNAMIC and no PT_INTERP, so PT_DYNAMIC would be the wrong sign.
 * Headers are copied out before they are read: a file may be cut anywhere, and aligned nowhere.
 */
#include "cli/program.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#error "which e_machine is this?"
#endif

enum program_kind program_kind(const unsigned char *head, size_t length)
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	unsigned int i;

	if (length >= 2 && head[0] == '#' && head[1] == '!')
		return PROGRAM_SCRIPT;
	if (length < sizeof(ehdr) || memcmp(head, ELFMAG, SELFMAG) != 0)
		return PROGRAM_UNKNOWN;
	memcpy(&ehdr, head, sizeof(ehdr));
	if (ehdr.e_ident[EI_CLASS] != ELFCLASS64 || ehdr.e_machine != OWN_MACHINE)
		return PROGRAM_FOREIGN;
	if (ehdr.e_phentsize != sizeof(phdr) || ehdr.e_phoff > length ||
	    ehdr.e_phnum * sizeof(phdr) > length - ehdr.e_phoff)
		return PROGRAM_UNKNOWN;
	for (i = 0; i < ehdr.e_phnum; i++) {
		memcpy(&phdr, head + ehdr.e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_INTERP)
			return PROGRAM_DYNAMIC;
	}
	return PROGRAM_STATIC;
}

int program_interpreter(const unsigned char *head, size_t length, char *path, size_t size)
{
	static const char blank[] = " \t\r\n";
	size_t start = 2;
	size_t n = 0;

	if (length < 2 || head[0] != '#' || head[1] != '!')
		return -EINVAL;
	while (start < length && (head[start] == ' ' || head[start] == '\t'))
		start++;
	while (start + n < length && head[start + n] && !strchr(blank, head[start + n]))
		n++;
	if (!n || n >= size || start + n == length)
		return -EINVAL;
	memcpy(path, head + start, n);
	path[n] = '\0';
	return 0;
}
