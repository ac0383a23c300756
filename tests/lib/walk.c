/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "walk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"

struct state {
	const struct walk *walk;
	pid_t pid[WALK_LIVES_MAX];
	uint32_t n[WALK_LIVES_MAX]; /* of that life */
	uint32_t next, running;
	uint32_t fired, most; /* how many, and the greatest N of them */
};

const char *walk_error(const struct walk *walk, uint32_t n)
{
	return walk->errors[n / walk->step % walk->nerrors];
}

void walk_log(uint32_t n, char *path, size_t size)
{
	snprintf(path, size, "%s/%u.err", test_dir(), n);
}

bool walk_said(uint32_t n, const char *text)
{
	static char said[1 << 16];
	char path[256];

	walk_log(n, path, sizeof(path));
	return t_slurp(path, said, sizeof(said)) > 0 && strstr(said, text);
}

void walk_show(const struct walk *walk, uint32_t n)
{
	char path[256], said[900];

	walk_log(n, path, sizeof(path));
	if (t_slurp(path, said, sizeof(said)) > 0)
		t_note("%s=%u said:\n%s", walk->what, n, said);
}

static void start(struct state *s, uint32_t i)
{
	s->n[i] = s->next;
	s->next += s->walk->step;
	s->pid[i] = t_sys(fork());
	if (!s->pid[i])
		_exit(s->walk->life(s->n[i], s->walk));
	s->running++;
}

static void ended(struct state *s, uint32_t i, int status)
{
	const struct walk *walk = s->walk;
	int end = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	char path[256];

	s->pid[i] = 0;
	s->running--;
	if (end != WALK_FIRED && end != WALK_MISSED) {
		walk_show(walk, s->n[i]);
		t_fail("%s=%u, %s: see above (status 0x%x)", walk->what, s->n[i],
		       walk_error(walk, s->n[i]), (unsigned int)status);
	}
	walk_log(s->n[i], path, sizeof(path));
	unlink(path);
	s->fired += end == WALK_FIRED;
	if (end == WALK_FIRED && s->n[i] > s->most)
		s->most = s->n[i];
}

/* Waits for a life to end. */
static void wait_one(struct state *s)
{
	int status;
	pid_t pid = t_sys(waitpid(-1, &status, 0));

	for (uint32_t i = 0; i < s->walk->lives; i++)
		if (s->pid[i] == pid)
			ended(s, i, status);
}

static bool is_over(const struct state *s)
{
	return (s->next - s->most) / s->walk->step > s->walk->last;
}

uint32_t walk_all(const struct walk *walk)
{
	const char *from = getenv("INJECT_FROM");
	uint32_t first = from ? (uint32_t)atoi(from) : 1 + walk->step / 2;
	struct state s = {
		.walk = walk,
		.next = first,
		.most = first > walk->step ? first - walk->step : 0,
	};

	(void)test_dir(); /* or each of the first lives makes its own, and the last one stays */
	t_check(walk->lives <= WALK_LIVES_MAX, "%u lives at a time", walk->lives);
	while (!is_over(&s) || s.running) {
		for (uint32_t i = 0; i < walk->lives && !is_over(&s); i++)
			if (!s.pid[i])
				start(&s, i);
		if (s.running)
			wait_one(&s);
	}
	t_note("%u lives with a failure, the last at %u", s.fired, s.most);
	return s.fired;
}
