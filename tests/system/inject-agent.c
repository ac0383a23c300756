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
 */
#include "harness/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fakevmm.h"
#include "lib/walk.h"

#define LIVES 8
#define LAST 24
#define DAEMON_STEP 8
#define PAGES 600u
#define SHARE_SECONDS 3.0
#define SALT "salt of the injected"

static const char *const ERRNOS[] = {"ENOMEM", "EIO", "EINTR", "EAGAIN", "EINVAL", "EMFILE"};

static struct t_daemon d;

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

static enum walk_end agent_life(uint32_t n, const struct walk *walk)
{
	char name[32], number[64], error[64], path[256];
	const char *env[] = {number, error, "FAKEVMM_TOLERANT=1", NULL};
	struct fakevmm v;
	int fd;

	snprintf(name, sizeof(name), "n-%u", n);
	snprintf(number, sizeof(number), "%s=%u", walk->what, n);
	snprintf(error, sizeof(error), "PSHARE_INJECT_ERRNO=%s", walk_error(walk, n));
	walk_log(n, path, sizeof(path));
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE_SYS(fd);
	fv_start(&v, &d,
		 (struct t_vm_opts){.name = name, .salt = SALT, .env = env, .stderr_fd = fd});
	live(&v);
	return walk_said(n, "inject:") ? WALK_FIRED : WALK_MISSED;
}

/* ---- the daemon ------------------------------------------------------------------------------ */

/* Its log is what the life says. False: it ended while it started, and said why. */
static bool start_injected(struct t_daemon *own, uint32_t n, const struct walk *walk)
{
	char number[16], target[192], log[256];
	int status = 0;

	t_daemon_init(own);
	walk_log(n, log, sizeof(log));
	snprintf(target, sizeof(target), "%s/log", own->dir);
	REQUIRE_SYS(symlink(target, log));
	snprintf(number, sizeof(number), "%u", n);
	setenv(walk->what, number, 1);
	setenv("PSHARE_INJECT_ERRNO", walk_error(walk, n), 1);
	if (t_daemon_try(own, NULL, NULL, NULL, &status)) {
		unsetenv(walk->what);
		t_daemon_full_speed(own);
		return true;
	}
	unsetenv(walk->what);
	if (WIFEXITED(status) && WEXITSTATUS(status) && walk_said(n, "pshared: "))
		return false;
	walk_show(walk, n);
	FAIL("the daemon did not start: status 0x%x, or it did not say why", status);
}

/* It may have ended, or end now, when something that it needs has failed, and says what. */
static void end_injected(struct t_daemon *own, uint32_t n)
{
	int status = 0;

	if (t_wait(own->pid, 0, &status) != 0) {
		kill(own->pid, SIGTERM);
		REQUIRE(!t_wait(own->pid, 20, &status));
	}
	if (!WIFEXITED(status) || (WEXITSTATUS(status) &&
				   (WEXITSTATUS(status) != 1 || !walk_said(n, "pshared: error: "))))
		FAIL("the daemon ended with status 0x%x", status);
}

static enum walk_end daemon_life(uint32_t n, const struct walk *walk)
{
	struct fakevmm v, w;
	struct t_daemon own;
	bool up = start_injected(&own, n, walk), fired;

	fv_start(&v, &own, (struct t_vm_opts){.name = "one", .salt = SALT});
	fv_start(&w, &own, (struct t_vm_opts){.name = "two", .salt = SALT});
	fv_map(&w, PAGES, FV_MAP_NOHUGE);
	fv_pool(&w, 0, 0, PAGES, 0);
	live(&v);
	fv_check(&w, 0);
	fv_end(&w);
	fired = walk_said(n, "inject:");
	if (up)
		end_injected(&own, n);
	own.pid = 0;
	t_rmdir(own.dir);
	return fired ? WALK_FIRED : WALK_MISSED;
}

/* ---- the walk -------------------------------------------------------------------------------- */

static void walk(struct walk w)
{
	w.errors = ERRNOS;
	w.lives = LIVES;
	w.last = LAST;
	CHECK_GT(walk_all(&w), 0);
}

static uint32_t step(void)
{
	return getenv("INJECT_ALL") ? 1 : DAEMON_STEP;
}

/* A daemon that is well, and a VM beside whom the injected ones live. */
static void beside(struct walk w)
{
	struct fakevmm twin;

	t_daemon_fresh(&d);
	t_setting_put(&d, "Mem.ShareQuarantineMs", "300");
	fv_start(&twin, &d, (struct t_vm_opts){.name = "twin", .salt = SALT});
	fv_map(&twin, PAGES, FV_MAP_NOHUGE);
	fv_pool(&twin, 0, 0, PAGES, 0);
	walk(w);
	fv_check(&twin, 0);
	fv_end(&twin);
	REQUIRE_WITHIN(20000, pm_memfd_bytes(d.pid, NULL) == 0);
	t_daemon_free(&d);
}

#define WALK(variable, a_life, every, errnos) \
	((struct walk){.what = variable, .life = a_life, .step = every, .nerrors = errnos})

TEST_SECONDS("the agent lives through the failure of any one system call", 1500)
{
	beside(WALK("PSHARE_INJECT_SYS", agent_life, 1, 6));
}

TEST_SECONDS("the daemon lives through the failure of any one system call, or says why not", 1500)
{
	t_need_root();
	walk(WALK("PSHARE_INJECT_SYS", daemon_life, step(), 6));
}

TEST_SECONDS("the daemon lives through the failure of any one allocation, or says why not", 1500)
{
	t_need_root();
	walk(WALK("PSHARE_INJECT_ALLOC", daemon_life, step(), 1));
}
