/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/program.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/harness.h"

struct image {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[3];
};

static struct image image_of(uint32_t type)
{
	struct image image = {0};

	memcpy(image.ehdr.e_ident, ELFMAG, SELFMAG);
	image.ehdr.e_ident[EI_CLASS] = ELFCLASS64;
#ifdef __aarch64__
	image.ehdr.e_machine = EM_AARCH64;
#else
	image.ehdr.e_machine = EM_X86_64;
#endif
	image.ehdr.e_phoff = sizeof(Elf64_Ehdr);
	image.ehdr.e_phentsize = sizeof(Elf64_Phdr);
	image.ehdr.e_phnum = 3;
	image.phdr[0].p_type = PT_LOAD;
	image.phdr[1].p_type = PT_DYNAMIC;
	image.phdr[2].p_type = type;
	return image;
}

static enum program_kind kind_of(const struct image *image)
{
	return program_kind((const unsigned char *)image, sizeof(*image));
}

TEST("a program is dynamic if it names an interpreter; a static-pie does not")
{
	struct image dynamic = image_of(PT_INTERP);
	struct image still = image_of(PT_NOTE);

	CHECK_EQ(kind_of(&dynamic), PROGRAM_DYNAMIC);
	CHECK_EQ(kind_of(&still), PROGRAM_STATIC);
}

TEST("another architecture or word size is foreign")
{
	struct image image = image_of(PT_INTERP);

	image.ehdr.e_machine = EM_RISCV;
	CHECK_EQ(kind_of(&image), PROGRAM_FOREIGN);
	image = image_of(PT_INTERP);
	image.ehdr.e_ident[EI_CLASS] = ELFCLASS32;
	CHECK_EQ(kind_of(&image), PROGRAM_FOREIGN);
}

TEST("a file that is cut anywhere, or lies about its headers, is not read past its end")
{
	struct image image = image_of(PT_INTERP);
	size_t length;

	for (length = 0; length < sizeof(image); length++) {
		unsigned char *head = malloc(length + !length); /* a sanitizer sees its end */

		memcpy(head, &image, length);
		CHECK_EQ(program_kind(head, length), PROGRAM_UNKNOWN);
		free(head);
	}
	image.ehdr.e_phoff = UINT64_MAX - 8;
	CHECK_EQ(kind_of(&image), PROGRAM_UNKNOWN);
	image = image_of(PT_INTERP);
	image.ehdr.e_phnum = UINT16_MAX;
	CHECK_EQ(kind_of(&image), PROGRAM_UNKNOWN);
	image = image_of(PT_INTERP);
	image.ehdr.e_phentsize = 1;
	CHECK_EQ(kind_of(&image), PROGRAM_UNKNOWN);
}

static int interpreter_of(const char *text, char *path, size_t size)
{
	return program_interpreter((const unsigned char *)text, strlen(text), path, size);
}

TEST("a script's interpreter is its first word, and a cut line is none")
{
	char path[16];

	CHECK_EQ(program_kind((const unsigned char *)"#!/bin/sh\n", 10), PROGRAM_SCRIPT);
	REQUIRE_OK(interpreter_of("#! /bin/sh -e\n", path, sizeof(path)));
	CHECK_STR(path, "/bin/sh");
	REQUIRE_OK(interpreter_of("#!/bin/sh\r\n", path, sizeof(path)));
	CHECK_STR(path, "/bin/sh");
	CHECK_EQ(interpreter_of("#!", path, sizeof(path)), -EINVAL);
	CHECK_EQ(interpreter_of("#!\n", path, sizeof(path)), -EINVAL);
	CHECK_EQ(interpreter_of("#!/bin/sh", path, sizeof(path)), -EINVAL);
	CHECK_EQ(interpreter_of("#!/a/very/long/path/to/sh\n", path, sizeof(path)), -EINVAL);
	CHECK_EQ(interpreter_of("/bin/sh\n", path, sizeof(path)), -EINVAL);
}

TEST("this test's own program is dynamic")
{
	unsigned char head[4096];
	FILE *file = fopen("/proc/self/exe", "r");
	size_t length;

	REQUIRE(file != NULL);
	length = fread(head, 1, sizeof(head), file);
	fclose(file);
	CHECK_EQ(program_kind(head, length), PROGRAM_DYNAMIC);
}
