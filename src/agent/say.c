/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/say.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "agent/agent.h"
#include "sys/self.h"
#include "sys/thread.h"

#define SAID_MAX 32
#define LINE_BYTES 256

static size_t append(char *line, size_t at, const char *text)
{
	while (*text && at < LINE_BYTES - 2)
		line[at++] = *text++;
	return at;
}

static bool said_before(const char *what)
{
	static _Atomic uint32_t said[SAID_MAX];
	uint32_t hash = 2166136261u;

	for (const char *c = what; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	hash |= 1u;
	for (int i = 0; i < SAID_MAX; i++) {
		uint32_t none = 0;

		if (said[i] == hash)
			return true;
		if (!said[i] && atomic_compare_exchange_strong(&said[i], &none, hash))
			return false;
	}
	return true;
}

static void write_line(const char *what, int error)
{
	char line[LINE_BYTES];
	size_t n = append(line, 0, "pshare-agent: ");

	n = append(line, n, what);
	if (error) {
		n = append(line, n, ": ");
		n = append(line, n, strerrorname_np(error) ? strerrorname_np(error) : "error");
	}
	line[n++] = '\n';
	sys_stderr(line, n);
}

void agent_say(const char *what, int error)
{
	if (!said_before(what))
		write_line(what, error);
}

void agent_give_up(struct agent *a, const char *what, int error)
{
	a->gave_up = true;
	agent_say(what, error);
}

void agent_stop(const char *why)
{
	write_line(why, 0);
	write_line("this VM is stopped, so that it reads no wrong byte", 0);
	sys_abort();
}
