/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `pshare top` on a terminal and as CSV, with a real daemon and a VM behind it. */
#include "harness/harness.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lib/api.h"

#define PSHARE test_built("src/cli/pshare")
#define SEE_MS 20000

static struct t_daemon d;
static char seen[1 << 20];
static size_t nseen;
static char text[1 << 20];

static void start(void)
{
	t_daemon_init(&d);
	t_daemon_start(&d, NULL, NULL, NULL);
	setenv("PSHARE_RUNTIME_DIR", d.dir, 1);
}

static pid_t top_on(int *terminal, const char *term)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	pid_t pid = forkpty(terminal, NULL, NULL, &size);

	REQUIRE_SYS(pid);
	nseen = 0;
	if (pid == 0) {
		setenv("TERM", term, 1);
		execl(PSHARE, "pshare", "top", "--delay", "1", NULL);
		_exit(127);
	}
	return pid;
}

/* Reads on until the terminal was sent that, or nothing more comes. What was seen stays in seen. */
static bool see(int terminal, const char *what)
{
	int64_t start = test_now_ns();

	while (!test_late(start, SEE_MS)) {
		struct pollfd fd = {.fd = terminal, .events = POLLIN};
		ssize_t n;

		if (poll(&fd, 1, 100) > 0) {
			n = read(terminal, seen + nseen, sizeof(seen) - 1 - nseen);
			if (n <= 0)
				return false;
			nseen += (size_t)n;
		}
		seen[nseen] = '\0';
		if (strstr(seen, what))
			return true;
	}
	return false;
}

/* What came before is forgotten. */
static bool see_now(int terminal, const char *what)
{
	nseen = 0;
	return see(terminal, what);
}

static void press(int terminal, const char *keys)
{
	REQUIRE_EQ(write(terminal, keys, strlen(keys)), (ssize_t)strlen(keys));
}

/* It ends at q with status 0, and the terminal is as it was. */
static void quits(int terminal, pid_t pid, const char *key)
{
	struct termios after;
	int status;

	press(terminal, key);
	CHECK(see(terminal, "\033[?1049l")); /* the screen that was there before */
	CHECK_OK(t_wait(pid, 20, &status));
	CHECK_EQ(status, 0);
	REQUIRE_SYS(tcgetattr(terminal, &after));
	CHECK_EQ(after.c_lflag & (ICANON | ECHO | ISIG), ICANON | ECHO | ISIG);
	close(terminal);
}

TEST_SECONDS("top draws a terminal, follows its size, lives through a daemon's death, ends at q",
	     120)
{
	struct winsize wide = {.ws_row = 60, .ws_col = 200};
	int terminal;
	pid_t pid;

	start();
	pid = top_on(&terminal, "xterm");
	CHECK(see(terminal, "PMEM"));
	CHECK(see(terminal, "no VM is here"));
	press(terminal, "h");
	CHECK(see_now(terminal, "choose fields"));
	press(terminal, "f"); /* any key goes back */
	CHECK(see_now(terminal, "PSHARE"));
	REQUIRE_SYS(ioctl(terminal, TIOCSWINSZ, &wide));
	CHECK(see_now(terminal, "q end"));
	t_daemon_kill(&d, SIGKILL);
	CHECK(see_now(terminal, "no daemon answers"));
	t_daemon_start(&d, NULL, NULL, NULL);
	CHECK(see_now(terminal, "up 0:0"));
	quits(terminal, pid, "q");
	t_daemon_free(&d);
}

TEST_SECONDS("colour is where the terminal has it, and nowhere if NO_COLOR is set; Ctrl-C ends",
	     120)
{
	int terminal;
	pid_t pid;

	start();
	pid = top_on(&terminal, "xterm");
	CHECK(see(terminal, "q end"));
	CHECK_IN("\033[32m", seen); /* the state is high: green */
	quits(terminal, pid, "\003");
	setenv("NO_COLOR", "1", 1);
	pid = top_on(&terminal, "xterm");
	CHECK(see(terminal, "q end"));
	for (char colour = '0'; colour < '8'; colour++)
		CHECK(!strstr(seen, (char[]){'\033', '[', '3', colour, 'm', 0}));
	quits(terminal, pid, "q");
	unsetenv("NO_COLOR");
	t_daemon_free(&d);
}

TEST("where there is no screen top says so in one line")
{
	static const char *const terms[] = {"dumb", "nothing-of-the-kind"};

	start();
	CHECK_EQ(TEST_RUN(text, sizeof(text), PSHARE, "top"), 1);
	CHECK_STR(text, "pshare: top: this is no terminal; use 'pshare top -b'\n");
	for (size_t i = 0; i < 2; i++) {
		int terminal, status;
		pid_t pid = top_on(&terminal, terms[i]);

		CHECK(see(terminal, "pshare top -b"));
		CHECK_OK(t_wait(pid, 20, &status));
		CHECK_EQ(WEXITSTATUS(status), 1);
		close(terminal);
	}
	CHECK_EQ(TEST_RUN(text, sizeof(text), PSHARE, "top", "-n", "1"), 2);
	CHECK_EQ(TEST_RUN(text, sizeof(text), PSHARE, "top", "-b", "-d", "0.5"), 2);
	CHECK_IN("from 1 to 86400", text);
	t_daemon_free(&d);
}

static unsigned int cells_of(const char *line)
{
	unsigned int n = 1;

	for (; *line != '\n'; line++)
		n += *line == ',';
	return n;
}

TEST("batch mode is CSV, a line each time, and ends when it is told to or its reader has gone")
{
	char command[256];
	const char *line;

	start();
	CHECK_EQ(TEST_RUN(text, sizeof(text), PSHARE, "top", "-b", "-d", "1", "-n", "2"), 0);
	CHECK_EQ(strncmp(text, "\"(PDH-CSV 4.0) (UTC)(0)\",\"\\\\", 28), 0);
	CHECK_IN("\\Memory\\PShare Shared MBytes\"", text);
	line = strchr(text, '\n') + 1;
	CHECK_EQ(cells_of(line), cells_of(text));
	line = strchr(line, '\n') + 1;
	CHECK_EQ(cells_of(line), cells_of(text));
	CHECK_STR(strchr(line, '\n'), "\n");
	CHECK_EQ(TEST_RUN(text, sizeof(text), PSHARE, "top", "-b", "-n", "1", "--json"), 0);
	CHECK_EQ(strncmp(text, "{\"status\":{\"version\":", 21), 0);
	CHECK_IN("},\"vms\":[]}\n", text);
	CHECK_EQ(TEST_RUN(text, sizeof(text), PSHARE, "top", "--json"), 2);
	snprintf(command, sizeof(command), "timeout 30 %s top -b -d 1 | head -n 2 | wc -l", PSHARE);
	CHECK_EQ(TEST_RUN(text, sizeof(text), "sh", "-c", command), 0);
	CHECK_IN("2\n", text);
	t_daemon_free(&d);
}
