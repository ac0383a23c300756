/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "procs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "model.h"
#include "sys/cleanup.h"

#define HEAP_KIB "3072"
#define ANSWER_MS 240000 /* emulated, on a host with forty others to run */
#define SUM_DIGITS 16

static const struct {
	const char *interpreter;
	const char *script;
	const char *seed; /* NULL: the guest's name */
} programs[] = {
	{"/usr/bin/python3", "/run/heap.py", "first"},
	{"/usr/bin/python3", "/run/heap.py", "second"},
	{"/usr/bin/python3", "/run/heap.py", NULL},
	{"/usr/bin/perl", "/run/heap.pl", "first"},
	{"/usr/bin/perl", "/run/heap.pl", NULL},
};
#define PROCS (sizeof(programs) / sizeof(programs[0]))

static struct proc {
	pid_t pid;
	int to, from;
	char sum[SUM_DIGITS + 1];
} procs[PROCS];

static int make_pipes(int in[2], int out[2])
{
	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		int r = -errno;

		close(in[0]);
		close(in[1]);
		return r;
	}
	return 0;
}

static int spawn(size_t i, const char *name)
{
	const char *seed = programs[i].seed ? programs[i].seed : name;
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	pid_t pid;
	int r;

	r = make_pipes(in, out);
	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl(programs[i].interpreter, programs[i].interpreter, programs[i].script, seed,
		      HEAP_KIB, (char *)NULL);
		_exit(127);
	}
	r = pid < 0 ? -errno : 0;
	close(in[0]);
	close(out[1]);
	procs[i] = (struct proc){.pid = pid, .to = in[1], .from = out[0]};
	return r;
}

/* Reads a whole answer: SUM_DIGITS digits and a newline. */
static int read_sum(int fd, char sum[static SUM_DIGITS + 1])
{
	char line[SUM_DIGITS + 1];
	size_t have = 0;

	while (have < sizeof(line)) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&ready, 1, ANSWER_MS) <= 0)
			return -ETIMEDOUT;
		n = read(fd, line + have, sizeof(line) - have);
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		have += (size_t)n;
	}
	if (line[SUM_DIGITS] != '\n')
		return -EPROTO;
	memcpy(sum, line, SUM_DIGITS);
	sum[SUM_DIGITS] = '\0';
	return 0;
}

static int ask(struct proc *proc, const char *line, char sum[static SUM_DIGITS + 1])
{
	if (write(proc->to, line, strlen(line)) < 0)
		return -errno;
	return read_sum(proc->from, sum);
}

/* Takes what each answers to line as the truth from now on. */
static int ask_all(const char *line)
{
	for (size_t i = 0; i < PROCS; i++) {
		int r = ask(&procs[i], line, procs[i].sum);

		if (r < 0) {
			fprintf(stderr, "process %zu (%s): %s\n", i, programs[i].script,
				strerror(-r));
			return r;
		}
	}
	return 0;
}

int procs_start(const char *name)
{
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < PROCS; i++) {
		int r = spawn(i, name);

		if (r < 0)
			return r;
	}
	return ask_all("sum\n");
}

int procs_work(uint32_t round)
{
	char line[32];

	snprintf(line, sizeof(line), "work %u\n", round);
	return ask_all(line);
}

int procs_check(uint64_t *sum, int *dead)
{
	int wrong = 0;

	*sum = 0;
	*dead = 0;
	for (size_t i = 0; i < PROCS; i++) {
		char now[SUM_DIGITS + 1] = "";
		int r = ask(&procs[i], "sum\n", now);

		*sum = model_mix(*sum ^ strtoull(now, NULL, 16));
		if (r == 0 && strcmp(now, procs[i].sum) == 0)
			continue;
		fprintf(stderr, "process %zu (%s): said %s, now %s\n", i, programs[i].script,
			procs[i].sum, r < 0 ? strerror(-r) : now);
		*dead += r == -EPIPE;
		wrong++;
	}
	return wrong;
}

size_t procs_count(void)
{
	return PROCS;
}

uint64_t procs_sum(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < PROCS; i++)
		sum = model_mix(sum ^ strtoull(procs[i].sum, NULL, 16));
	return sum;
}
