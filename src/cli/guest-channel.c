/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-channel: a line with a tag goes in, a line with the same tag comes back. What comes from a
 * guest is hostile: it is bounded, an answer to nothing that was asked is passed over, and its text
 * is printed only where it is printable.
 */
#include "cli/guest-channel.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/cleanup.h"
#include "sys/proc.h"
#include "sys/sock.h"
#include "sys/stream.h"

#define MS 1000000ull
#define LINE_MAX_BYTES 2048

int guest_open(struct guest_channel *g, const char *path)
{
	*g = (struct guest_channel){.sock = -1};
	g->sock = sys_unix_connect(path, SYS_SOCK_STREAM);
	return g->sock < 0 ? g->sock : 0;
}

void guest_close(struct guest_channel *g)
{
	close_fd(&g->sock);
}

static int send_all(struct guest_channel *g, const char *text, size_t length, uint64_t end)
{
	size_t done = 0, sent;

	while (done < length) {
		uint64_t now = sys_now();
		int r = sys_stream_send(g->sock, text + done, length - done, -1, &sent);

		if (!r) {
			done += sent;
			continue;
		}
		if (r != -EAGAIN)
			return r;
		if (now >= end)
			return -ETIMEDOUT;
		r = sys_stream_wait(g->sock, true, end - now);
		if (r)
			return r;
	}
	return 0;
}

/* A whole line, taken out of what has come; false: there is none yet. */
static bool take_line(struct guest_channel *g, char line[LINE_MAX_BYTES])
{
	char *newline = memchr(g->text, '\n', g->length);
	size_t n, used;

	if (!newline) {
		if (g->length == sizeof(g->text))
			g->length = 0; /* no line is that long */
		return false;
	}
	used = (size_t)(newline - g->text) + 1;
	n = used - 1 < LINE_MAX_BYTES - 1 ? used - 1 : LINE_MAX_BYTES - 1;
	memcpy(line, g->text, n);
	line[n] = '\0';
	memmove(g->text, g->text + used, g->length - used);
	g->length -= used;
	return true;
}

static int receive(struct guest_channel *g, uint64_t end)
{
	size_t got = 0;
	uint64_t now;
	int r = sys_stream_receive(g->sock, g->text + g->length, sizeof(g->text) - g->length, &got);

	if (r == -EAGAIN) {
		now = sys_now();
		return now >= end ? -ETIMEDOUT : sys_stream_wait(g->sock, false, end - now);
	}
	if (r)
		return r;
	if (!got)
		return -ECONNRESET;
	g->length += got;
	return 0;
}

/* Is the line the answer to what was asked last? 1: done; 0: it is not; -EREMOTEIO. */
static int judge(const struct guest_channel *g, const char *line, char *why)
{
	char tag[16];
	size_t n;

	snprintf(tag, sizeof(tag), "%u ", g->tag);
	n = strlen(tag);
	if (strncmp(line, tag, n) != 0)
		return 0;
	if (!strcmp(line + n, "ok"))
		return 1;
	if (strncmp(line + n, "bad ", 4) != 0)
		return 0;
	snprintf(why, GUEST_WHY, "%.200s", line + n + 4);
	for (char *c = why; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return -EREMOTEIO;
}

int guest_ask(struct guest_channel *g, const char *line, unsigned int ms, char *why)
{
	uint64_t end = sys_now() + ms * MS;
	char text[LINE_MAX_BYTES];
	int n = snprintf(text, sizeof(text), "%u %s\n", ++g->tag, line), r;

	if (n < 0 || n >= (int)sizeof(text))
		return -EMSGSIZE;
	r = send_all(g, text, (size_t)n, end);
	while (!r) {
		while (take_line(g, text)) {
			r = judge(g, text, why);
			if (r)
				return r < 0 ? r : 0;
		}
		r = receive(g, end);
	}
	return r;
}
