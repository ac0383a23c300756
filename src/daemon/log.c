/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/plain.h"

#define LOG_LINE_MAX 1024
#define LOG_GATE_BURST 10u
#define LOG_GATE_REFILL_NS 5000000000ull

static const struct {
	const char *name;
	int priority; /* of syslog */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", 3},
	[LOG_LEVEL_WARN] = {"warn", 4},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_DEBUG] = {"debug", 7},
};

static enum log_level threshold = LOG_LEVEL_INFO;

int log_level_parse(const char *text, enum log_level *level)
{
	for (unsigned int i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(text, levels[i].name) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char line[LOG_LINE_MAX];
	va_list args;

	if (level > threshold)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	plain_text(line);
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", levels[level].priority, line);
	else
		fprintf(stderr, "pshared: %s: %s\n", levels[level].name, line);
	errno = saved_errno;
}

bool log_gate_pass(struct log_gate *gate, uint64_t now)
{
	if (gate->refill == 0 || now - gate->refill > LOG_GATE_REFILL_NS) {
		gate->left = gate->refill == 0 ? LOG_GATE_BURST : gate->left ? gate->left : 1;
		gate->refill = now;
	}
	if (!gate->left)
		return false;
	gate->left--;
	return true;
}
