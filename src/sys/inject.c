// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Fault injection; inject.h says what it is for. Two counters, two numbers at which to fail, all
 * atomic: threads that count at the same time each get a number of their own, and exactly one gets
 * the chosen one. The environment is read before main(), so that it cannot change under a thread.
 *
 * Allocations are caught by the linker (--wrap=malloc and so on): only calls from our own objects
 * arrive here, so libraries behave as ever and N means the same on every machine. Memory that a
 * library allocates for us is not covered; its failure would be the library's to handle.
 *
 * This file is empty unless the build has -Dinject=true.
 */
#include "sys/inject.h"

#ifdef PSHARE_INJECT

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERRNO_END 134 /* Linux's errnos are below */

enum kind { KIND_SYS, KIND_ALLOC, KIND_END };

static struct {
	atomic_uint_fast64_t count;
	atomic_uint_fast64_t fail_at; /* 0: never */
} point[KIND_END];

static atomic_int sys_error = EIO;
static atomic_bool forever, fired;

/* One write, no stdio: whoever fails here may hold any lock. */
static void tell(enum kind kind, uint64_t count, const char *name, int error)
{
	char line[160];
	int len;

	if (atomic_exchange(&fired, true))
		return;
	len = snprintf(line, sizeof(line), "inject: %s %llu (%s) fails: %s\n",
		       kind == KIND_SYS ? "sys" : "alloc", (unsigned long long)count, name,
		       strerrorname_np(error));
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return; /* nobody listens */
}

static int count_one(enum kind kind, const char *name, int error)
{
	uint64_t count = atomic_fetch_add(&point[kind].count, 1) + 1;
	uint64_t fail_at = atomic_load(&point[kind].fail_at);

	if (!fail_at || count < fail_at || (count > fail_at && !atomic_load(&forever)))
		return 0;
	tell(kind, count, name, error);
	return -error;
}

int ps_inject_sys(const char *name)
{
	return count_one(KIND_SYS, name, atomic_load(&sys_error));
}

void ps_inject_set(uint64_t sys, uint64_t alloc, int error)
{
	atomic_store(&point[KIND_SYS].fail_at, 0);
	atomic_store(&point[KIND_ALLOC].fail_at, 0);
	atomic_store(&point[KIND_SYS].count, 0);
	atomic_store(&point[KIND_ALLOC].count, 0);
	atomic_store(&fired, false);
	if (error > 0)
		atomic_store(&sys_error, error);
	atomic_store(&point[KIND_SYS].fail_at, sys);
	atomic_store(&point[KIND_ALLOC].fail_at, alloc);
}

bool ps_inject_fired(void)
{
	return atomic_load(&fired);
}

/* An errno by name or by number; 0 for neither. */
static int errno_parse(const char *text)
{
	for (int e = 1; e < ERRNO_END; e++) {
		const char *name = strerrorname_np(e);

		if ((name && strcmp(name, text) == 0) || atoi(text) == e)
			return e;
	}
	return 0;
}

static uint64_t env_number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void inject_init(void)
{
	const char *error = getenv("PSHARE_INJECT_ERRNO");

	atomic_store(&forever, env_number("PSHARE_INJECT_FOREVER") != 0);
	ps_inject_set(env_number("PSHARE_INJECT_SYS"), env_number("PSHARE_INJECT_ALLOC"),
		      error ? errno_parse(error) : EIO);
}

/* ---- allocation: what --wrap puts in the place of libc's functions --------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t max);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);

static bool alloc_fails(const char *name)
{
	if (!count_one(KIND_ALLOC, name, ENOMEM))
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return alloc_fails("malloc") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return alloc_fails("calloc") ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return alloc_fails("realloc") ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return alloc_fails("aligned_alloc") ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
	return alloc_fails("strdup") ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t max)
{
	return alloc_fails("strndup") ? NULL : __real_strndup(text, max);
}

#endif
