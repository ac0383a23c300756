/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sys/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "sys/cleanup.h"
#include "sys/inject.h"

#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[?25h"

/* One process has one terminal. */
static struct termios before;
static bool changed;
static int signals = -1;

bool term_is_terminal(int fd)
{
	return isatty(fd) == 1;
}

void term_size(unsigned int *rows, unsigned int *columns)
{
	struct winsize size = {0};

	*rows = 24;
	*columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		return;
	*rows = size.ws_row;
	*columns = size.ws_col;
}

static int take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals < 0 ? -errno : 0;
}

int term_begin(void)
{
	struct termios raw;
	int r;

	SYS_INJECT();
	r = take_signals();
	if (r)
		return r;
	/* keys are welcome, not needed: standard input may be elsewhere */
	if (tcgetattr(STDIN_FILENO, &before) == 0) {
		raw = before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	}
	fputs(HIDE_CURSOR, stdout);
	fflush(stdout);
	return 0;
}

void term_restore(void)
{
	if (changed)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	changed = false;
	close_fd(&signals);
	fputs(SHOW_CURSOR, stdout);
	fflush(stdout);
}

static enum term_event read_signal(void)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return TERM_TIMEOUT;
	return info.ssi_signo == SIGWINCH ? TERM_RESIZED : TERM_END;
}

enum term_event term_wait(int ms, char *key)
{
	struct pollfd fds[] = {
		{.fd = signals, .events = POLLIN},
		{.fd = changed ? STDIN_FILENO : -1, .events = POLLIN},
	};

	if (poll(fds, sizeof(fds) / sizeof(fds[0]), ms) <= 0)
		return TERM_TIMEOUT;
	if (fds[0].revents)
		return read_signal();
	return read(STDIN_FILENO, key, 1) == 1 ? TERM_KEY : TERM_END;
}
