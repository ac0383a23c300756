/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/say.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "agent/agent.h"
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

void agent_say(const char *what, int error)
{
	char line[LINE_BYTES];
	size_t n = 0;

	if (said_before(what))
		return;
	n = append(line, n, "pshare-agent: ");
	n = append(line, n, what);
	if (error) {
		n = append(line, n, ": ");
		n = append(line, n, strerrorname_np(error) ? strerrorname_np(error) : "error");
	}
	line[n++] = '\n';
	sys_stderr(line, n);
}

void agent_give_up(struct agent *a, const char *what, int error)
{
	a->gave_up = true;
	agent_say(what, error);
}
