/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines on stderr. Under systemd each carries the priority that the journal reads ("<4>"). */
#ifndef PSHARE_DAEMON_LOG_H
#define PSHARE_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* "error", "warn", "info", "debug" -> level; -EINVAL. */
int log_level_parse(const char *text, enum log_level *level);
void log_set_level(enum log_level level);

/* One line; control characters in it become '?'. errno is kept. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* What peers cause is logged through a gate, so that nobody can fill the log: a burst, then a line
 * every few seconds. True: log it now. now in ns. */
struct log_gate {
	uint64_t refill;
	uint32_t left;
};
bool log_gate_pass(struct log_gate *gate, uint64_t now);

#endif
