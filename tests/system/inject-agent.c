/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inject-agent: the Nth system call, or the Nth allocation, fails, for every N (src/sys/inject.h).
 *
 * A small life of a VM is lived again and again, each time with another N: it is mapped, shared,
 * written, discarded, forked, moved, ended. Whatever failed in the agent: the VM lives, no byte is
 * wrong, it ends well, and a second VM of its domain is as right as before. Whatever failed in the
 * daemon: it goes on, or ends with one line and a status; the VM does not notice.
 *
 * The agent allocates nothing: its memory is mapped, by system calls. Of the daemon's calls, all of
 * which inject-daemon.c walks through, every DAEMON_STEP th is taken here; $INJECT_ALL takes them
 * all. $INJECT_FROM: the first N.
 *
 * Not here: all calls from the Nth on. A page that can neither be put back nor mapped is nowhere;
 * the agent then goes on trying, as it must, and the VM waits.
 *
 * Some lives at a time, each in a process of its own: most of a life is waiting. The walk ends when
 * LAST lives in a row were too short for their N.
 */
#include "harness/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fakevmm.h"

#define LANES 8
#define LAST 24
#define DAEMON_STEP 8
#define PAGES 600u
#define SHARE_SECONDS 3.0
#define SALT "salt of the injected"

enum { FIRED = 40, NOT_FIRED }; /* how a life ends; any other exit status is a failure */

static const char *const ERRNOS[] = {"ENOMEM", "EIO", "EINTR", "EAGAIN", "EINVAL", "EMFILE"};

struct plan {
	const char *what; /* PSHARE_INJECT_SYS or PSHARE_INJECT_ALLOC */
	const char *error;
	uint32_t step;
};

static struct t_daemon d;

static bool in_text(const char *path, const char *word)
{
	static char text[1 << 16];

	return t_slurp(path, text, sizeof(text)) > 0 && strstr(text, word);
}

/* What the failed life said. */
static void show_life(uint32_t n, const struct plan *plan)
{
	static char text[900];
	char path[256];

	snprintf(path, sizeof(path), "%s/%u.err", test_dir(), n);
	if (t_slurp(path, text, sizeof(text)) > 0)
		t_note("%s=%u said:\n%s", plan->what, n, text);
}

/* What may be refused by a call that was made to fail: then the pages are written anew. */
static void try_discard(struct fakevmm *v, uint32_t page, uint32_t n)
{
	if (fv_try(v, (struct fv_cmd){FV_DISCARD, 0, page, n, 0, 0}).error)
		fv_pool(v, 0, page, n, 7);
}

static void live(struct fakevmm *v)
{
	struct fv_answer moved;

	fv_map(v, PAGES, FV_MAP_NOHUGE);
	fv_pool(v, 0, 0, PAGES, 0);
	fv_wait_shared(v, 0, PAGES / 2, SHARE_SECONDS);
	fv_do(v, FV_PATCH, 0, 0, PAGES / 3, 24, 99);
	try_discard(v, PAGES / 3, PAGES / 6);
	fv_check(v, 0);
	fv_do(v, FV_FORK, 0, 0, 0, 0, 0);
	moved = fv_try(v, (struct fv_cmd){.op = FV_MOVE});
	if (!moved.error)
		v->base[0] = moved.value;
	fv_check(v, 0);
	fv_pool(v, 0, 0, PAGES, 3);
	t_sleep(0.2);
	fv_check(v, 0);
	fv_end(v);
}

/* ---- the agent ------------------------------------------------------------------------------- */

static int agent_life(uint32_t n, const struct plan *plan)
{
	char name[32], number[64], error[64], path[256];
	const char *env[] = {number, error, "FAKEVMM_TOLERANT=1", NULL};
	struct fakevmm v;
	int fd, result;

	snprintf(name, sizeof(name), "n-%u", n);
	snprintf(number, sizeof(number), "%s=%u", plan->what, n);
	snprintf(error, sizeof(error), "PSHARE_INJECT_ERRNO=%s", plan->error);
	snprintf(path, sizeof(path), "%s/%u.err", test_dir(), n);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE_SYS(fd);
	fv_start(&v, &d,
		 (struct t_vm_opts){.name = name, .salt = SALT, .env = env, .stderr_fd = fd});
	live(&v);
	result = in_text(path, "inject:") ? FIRED : NOT_FIRED;
	unlink(path);
	return result;
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static int daemon_life(uint32_t n, const struct plan *plan)
{
	struct t_daemon own;
	char number[192], log[192];
	struct fakevmm v, w;
	int status = 0, result;
	bool up;

	t_daemon_init(&own);
	snprintf(log, sizeof(log), "%s/%u.err", test_dir(), n);
	snprintf(number, sizeof(number), "%s/log", own.dir);
	REQUIRE_SYS(symlink(number, log));
	snprintf(number, sizeof(number), "%u", n);
	setenv(plan->what, number, 1);
	setenv("PSHARE_INJECT_ERRNO", plan->error, 1);
	up = t_daemon_try(&own, NULL, NULL, NULL, &status);
	unsetenv(plan->what);
	if (!up && (!WIFEXITED(status) || !WEXITSTATUS(status) || !in_text(log, "pshared: ")))
		FAIL("the daemon did not start: status 0x%x, or it did not say why", status);
	if (up)
		t_daemon_full_speed(&own);
	fv_start(&v, &own, (struct t_vm_opts){.name = "one", .salt = SALT});
	fv_start(&w, &own, (struct t_vm_opts){.name = "two", .salt = SALT});
	fv_map(&w, PAGES, FV_MAP_NOHUGE);
	fv_pool(&w, 0, 0, PAGES, 0);
	live(&v);
	fv_check(&w, 0);
	fv_end(&w);
	result = in_text(log, "inject:") ? FIRED : NOT_FIRED;
	if (up) {
		bool gone = t_wait(own.pid, 0, &status) == 0;

		if (!gone) {
			kill(own.pid, SIGTERM);
			REQUIRE(!t_wait(own.pid, 20, &status));
		}
		/* it may end when something that it needs has failed, and says what */
		if (!WIFEXITED(status) ||
		    (WEXITSTATUS(status) &&
		     (WEXITSTATUS(status) != 1 || !in_text(log, "pshared: error: "))))
			FAIL("the daemon ended with status 0x%x", status);
	}
	own.pid = 0;
	t_rmdir(own.dir);
	unlink(log);
	return result;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static uint32_t step(void)
{
	return getenv("INJECT_ALL") ? 1 : DAEMON_STEP;
}

static void walk(int (*life)(uint32_t n, const struct plan *plan), struct plan plan,
		 uint32_t errnos)
{
	pid_t lane[LANES] = {0};
	const char *from = getenv("INJECT_FROM");
	uint32_t of[LANES] = {0}, n = from ? (uint32_t)atoi(from) : 1 + plan.step / 2, fired = 0,
		 quiet = 0, most = 0, running = 0;

	while (quiet < LAST || running) {
		for (int i = 0; i < LANES && quiet < LAST; i++) {
			if (lane[i])
				continue;
			plan.error = ERRNOS[n / plan.step % errnos];
			of[i] = n;
			n += plan.step;
			lane[i] = fork();
			REQUIRE_SYS(lane[i]);
			if (!lane[i])
				_exit(life(of[i], &plan));
			running++;
		}
		for (int i = 0; i < LANES; i++) {
			int status;

			if (!lane[i] || waitpid(lane[i], &status, WNOHANG) != lane[i])
				continue;
			lane[i] = 0;
			running--;
			if (!WIFEXITED(status) ||
			    (WEXITSTATUS(status) != FIRED && WEXITSTATUS(status) != NOT_FIRED)) {
				show_life(of[i], &plan);
				FAIL("%s=%u, %s: see above (status 0x%x)", plan.what, of[i],
				     ERRNOS[of[i] / plan.step % errnos], status);
			}
			fired += WEXITSTATUS(status) == FIRED;
			if (WEXITSTATUS(status) == FIRED && of[i] > most)
				most = of[i];
			quiet = (n - most) / plan.step - 1;
		}
		t_sleep(0.005);
	}
	t_note("%u lives with a failure, the last at %u", fired, most);
	CHECK_GT(fired, 0);
}

/* A daemon that is well, and a VM beside whom the injected ones live. */
static void beside(struct plan plan, uint32_t errnos)
{
	struct fakevmm twin;

	t_daemon_fresh(&d);
	t_setting_put(&d, "Mem.ShareQuarantineMs", "300");
	fv_start(&twin, &d, (struct t_vm_opts){.name = "twin", .salt = SALT});
	fv_map(&twin, PAGES, FV_MAP_NOHUGE);
	fv_pool(&twin, 0, 0, PAGES, 0);
	walk(agent_life, plan, errnos);
	fv_check(&twin, 0);
	fv_end(&twin);
	REQUIRE_WITHIN(20000, pm_memfd_bytes(d.pid, NULL) == 0);
	t_daemon_free(&d);
}

TEST_SECONDS("the agent lives through the failure of any one system call", 1500)
{
	beside((struct plan){.what = "PSHARE_INJECT_SYS", .step = 1}, 6);
}

TEST_SECONDS("the daemon lives through the failure of any one system call, or says why not", 1500)
{
	t_need_root();
	walk(daemon_life, (struct plan){.what = "PSHARE_INJECT_SYS", .step = step()}, 6);
}

TEST_SECONDS("the daemon lives through the failure of any one allocation, or says why not", 1500)
{
	t_need_root();
	walk(daemon_life, (struct plan){.what = "PSHARE_INJECT_ALLOC", .step = step()}, 1);
}
