/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hostile-fork: lies about a fork, by the parent's agent, by a child's, by a stranger's. */
#include "hostile.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAM 1024u /* pages of a peer's RAM */
#define FINAL (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static void joined(struct peer *p, const char *name, const char *salt)
{
	peer_join(p, &d, name, salt);
	REQUIRE_OK(peer_region(p, PS_MSG_REGION_ADD, 0, RAM, 0));
}

static void put(const char *name, const char *what)
{
	char path[128], body[64], answer[4096];

	snprintf(path, sizeof(path), "/v1/vms/%s/fork", name);
	snprintf(body, sizeof(body), "{\"value\": \"%s\"}", what);
	REQUIRE_EQ(t_http(&d, "PUT", path, body, answer, sizeof(answer)), 200);
}

static bool is(const char *name, const char *state)
{
	char path[128], answer[4096] = "", wanted[64];

	snprintf(path, sizeof(path), "/v1/vms/%s/fork", name);
	snprintf(wanted, sizeof(wanted), "\"state\":\"%s\"", state);
	return t_http(&d, "GET", path, NULL, answer, sizeof(answer)) == 200 &&
	       strstr(answer, wanted);
}

/* A memfd of so many bytes. */
static int memfd(const void *bytes, size_t len, size_t size, int seals)
{
	int fd = memfd_create("lie", MFD_ALLOW_SEALING);

	REQUIRE_SYS(fd);
	REQUIRE_SYS(ftruncate(fd, (off_t)size));
	REQUIRE_EQ(pwrite(fd, bytes, len, 0), (ssize_t)len);
	if (seals)
		REQUIRE_SYS(fcntl(fd, F_ADD_SEALS, seals));
	return fd;
}

static uint32_t table[RAM];
static uint8_t pages[2 * T_PAGE];

/* What an honest agent of RAM pages would say: zeros but for two copies. */
static void frozen_make(struct peer *p, union peer_msg *m)
{
	memset(m, 0, sizeof(*m));
	for (uint32_t i = 0; i < RAM; i++)
		table[i] = PS_IMAGE_ZERO;
	table[3] = PS_IMAGE_COPY | 0;
	table[4] = PS_IMAGE_COPY | 1;
	memset(pages, 0x51, T_PAGE);
	memset(pages + T_PAGE, 0x52, T_PAGE);
	m->frozen.id = p->fork.id;
	m->frozen.rams = 1;
	m->frozen.npages[0] = RAM;
	m->frozen.copies = 2;
}

static void say_frozen(struct peer *p, union peer_msg *m, int table_fd, int pages_fd)
{
	int fds[] = {table_fd, pages_fd};

	REQUIRE_OK(peer_say(p, PS_MSG_FROZEN, m, fds, 2));
	close(table_fd);
	close(pages_fd);
}

static int whole_table(void)
{
	return memfd(table, sizeof(table), sizeof(table), FINAL);
}

static int whole_pages(void)
{
	return memfd(pages, sizeof(pages), sizeof(pages), FINAL);
}

static void asked(struct peer *p, const char *name)
{
	joined(p, name, SALT);
	put(name, "freeze");
	REQUIRE_EQ(peer_hear(p, PS_MSG_FORK, PEER_MS), PS_MSG_FORK);
	CHECK_EQ(p->fork.op, PS_FORK_FREEZE);
}

/* The parent of an image that is ready. */
static void ready(struct peer *p, const char *name)
{
	union peer_msg m;

	asked(p, name);
	frozen_make(p, &m);
	say_frozen(p, &m, whole_table(), whole_pages());
	REQUIRE_EQ(peer_hear(p, PS_MSG_FORK, PEER_MS), PS_MSG_FORK);
	CHECK_EQ(p->fork.op, PS_FORK_THAW);
	REQUIRE_WITHIN(5000, is(name, "ready"));
}

static void child_make(union peer_msg *m, uint64_t image)
{
	memset(m, 0, sizeof(*m));
	m->child.id = image;
	m->child.npages = RAM;
}

TEST_SECONDS("who speaks of a fork that is none is cut off", 120)
{
	struct peer p;
	union peer_msg m;

	start();
	memset(&m, 0, sizeof(m));
	peer_connect(&p, &d);
	peer_say(&p, PS_MSG_FROZEN, &m, NULL, 0);
	must_cut(&p, "FROZEN before HELLO");
	joined(&p, "liar", SALT);
	peer_say(&p, PS_MSG_FROZEN, &m, NULL, 0);
	must_cut(&p, "FROZEN without what it needs");
	joined(&p, "liar", SALT);
	child_make(&m, 1);
	peer_say(&p, PS_MSG_BORN, &m, NULL, 0);
	must_cut(&p, "BORN, and given nothing");
	joined(&p, "liar", SALT);
	child_make(&m, 1);
	m.child.ram = PS_FORK_RAMS_MAX;
	peer_say(&p, PS_MSG_CHILD, &m, NULL, 0);
	must_cut(&p, "a RAM file that there is not");
	joined(&p, "liar", SALT);
	child_make(&m, 1);
	m.child.page = RAM - 1;
	peer_say(&p, PS_MSG_CHILD, &m, NULL, 0);
	must_cut(&p, "memory that was not announced");
	others_fine();
}

TEST_SECONDS("an image that its parent's agent lies about is cut off, or fails, and names no frame",
	     120)
{
	struct peer p;
	union peer_msg m;

	start();
	asked(&p, "liar");
	frozen_make(&p, &m);
	say_frozen(&p, &m, memfd(table, sizeof(table), sizeof(table), 0), whole_pages());
	must_cut(&p, "a table that can change");
	asked(&p, "liar");
	frozen_make(&p, &m);
	say_frozen(&p, &m, memfd(table, 64, 64, FINAL), whole_pages());
	must_cut(&p, "a table that is too short");
	asked(&p, "liar");
	frozen_make(&p, &m);
	m.frozen.npages[0] = RAM + 1;
	say_frozen(&p, &m, whole_table(), whole_pages());
	must_cut(&p, "more than it announced");
	asked(&p, "liar");
	frozen_make(&p, &m);
	m.frozen.rams = PS_FORK_RAMS_MAX + 1;
	say_frozen(&p, &m, whole_table(), whole_pages());
	must_cut(&p, "too many RAM files");
	asked(&p, "liar");
	frozen_make(&p, &m);
	m.frozen.rams = 2;
	m.frozen.first[1] = RAM / 2;
	m.frozen.npages[0] = m.frozen.npages[1] = RAM / 2 + 1;
	say_frozen(&p, &m, memfd(table, sizeof(table), 2 * sizeof(table), FINAL), whole_pages());
	must_cut(&p, "a page in two RAM files");
	for (uint32_t frame = 0; frame < 3; frame++) {
		asked(&p, "liar");
		frozen_make(&p, &m);
		table[7] = frame ? frame * PS_BLOCK_PAGES : 0; /* of the honest, perhaps */
		say_frozen(&p, &m, whole_table(), whole_pages());
		REQUIRE_WITHIN(5000, is("liar", "failed"));
		peer_close(&p);
		REQUIRE_WITHIN(5000, t_api_number(&d, "/v1/status", "vms") == 2);
	}
	asked(&p, "liar");
	frozen_make(&p, &m);
	table[3] = PS_IMAGE_COPY | 2;
	say_frozen(&p, &m, whole_table(), whole_pages());
	REQUIRE_WITHIN(5000, is("liar", "failed"));
	peer_close(&p);
	others_fine();
}

/* The most that the daemon has ever had resident, KiB. */
static unsigned long most_resident(void)
{
	char path[64], text[4096];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d.pid);
	REQUIRE(t_slurp(path, text, sizeof(text)) > 0);
	at = strstr(text, "VmHWM:");
	REQUIRE(at != NULL);
	return strtoul(at + 6, NULL, 10);
}

TEST_SECONDS("the table of memory that a VM claims and has not takes none of the daemon's", 120)
{
	const uint32_t claim = 1u << 24;
	char answer[4096];
	union peer_msg m;
	unsigned long had;
	struct peer p;

	start();
	peer_join(&p, &d, "claims", SALT);
	REQUIRE_OK(peer_region(&p, PS_MSG_REGION_ADD, 0, claim, 0));
	put("claims", "freeze");
	REQUIRE_EQ(peer_hear(&p, PS_MSG_FORK, PEER_MS), PS_MSG_FORK);
	had = most_resident();
	frozen_make(&p, &m);
	m.frozen.npages[0] = claim;
	say_frozen(&p, &m, memfd(table, sizeof(table), claim * sizeof(*table), FINAL),
		   whole_pages());
	REQUIRE_WITHIN(5000, is("claims", "failed"));
	REQUIRE_EQ(t_http(&d, "GET", "/v1/vms/claims/fork", NULL, answer, sizeof(answer)), 200);
	CHECK_IN("has no room", answer);
	CHECK_LE(most_resident(), had + 16384);
	peer_close(&p);
	others_fine();
}

static void child_is_refused(const char *salt, uint64_t image, uint32_t npages, int error)
{
	struct peer p;
	union peer_msg m;

	peer_join(&p, &d, "child", salt);
	REQUIRE_OK(peer_region(&p, PS_MSG_REGION_ADD, 0, npages, 0));
	child_make(&m, image);
	m.child.npages = npages;
	REQUIRE_OK(peer_say(&p, PS_MSG_CHILD, &m, NULL, 0));
	REQUIRE_EQ(peer_hear(&p, PS_MSG_IMAGE, 15000), PS_MSG_IMAGE);
	CHECK_EQ(p.image.error, error);
	CHECK_EQ(p.image_fd, -1);
	peer_close(&p);
}

/* In a process of its own: its references end with it. */
static void bear_child(void)
{
	struct peer parent, child;
	union peer_msg m;
	uint64_t image;
	uint32_t got[RAM];

	ready(&parent, "parent");
	image = parent.fork.id;
	child_is_refused("salt of a stranger", image, RAM, EXDEV);
	child_is_refused(SALT, image, RAM - PS_BLOCK_PAGES, EMSGSIZE);
	child_is_refused(SALT, image + 1000, RAM, ENOENT);
	joined(&child, "child", SALT);
	child_make(&m, image);
	REQUIRE_OK(peer_say(&child, PS_MSG_CHILD, &m, NULL, 0));
	REQUIRE_EQ(peer_hear(&child, PS_MSG_IMAGE, PEER_MS), PS_MSG_IMAGE);
	REQUIRE_EQ(child.image.error, 0);
	CHECK_EQ(child.image.generation, child.domain.generation);
	REQUIRE_EQ(pread(child.image_fd, got, sizeof(got), 0), (ssize_t)sizeof(got));
	CHECK_EQ(got[0], PS_IMAGE_ZERO);
	CHECK_LT(got[3], PS_FRAMES_MAX);
	CHECK_EQ(got[4], got[3] + 1); /* laid out as the parent's memory is */
	REQUIRE_EQ(pread(child.store_fd, pages, T_PAGE, (off_t)got[4] * T_PAGE), (ssize_t)T_PAGE);
	CHECK_EQ(pages[17], 0x52);
	close(child.image_fd);
	REQUIRE_OK(peer_say(&child, PS_MSG_BORN, &m, NULL, 0));
	peer_close(&parent);
	REQUIRE_WITHIN(5000, t_api_number(&d, "/v1/vms/child", "SHRD") == 2.0 * T_PAGE);
	peer_close(&child);
}

TEST_SECONDS("a child is given its parent's image; a stranger, or one of another size, nothing",
	     120)
{
	start();
	attack(bear_child);
	others_fine();
}

/* ---- copies into another domain ------------------------------------------------------------ */

/* A process, of that number if it is not 0. */
static pid_t process(pid_t number)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = number ? (uint64_t)(uintptr_t)&number : 0,
		.set_tid_size = number ? 1 : 0,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* A process that asks for that image when the pipe ends, from another domain, and ends with what it
 * was answered. */
static pid_t stranger(pid_t number, uint64_t image, const int go[2])
{
	pid_t pid = process(number);
	struct peer p;
	union peer_msg m;

	if (pid)
		return t_sys(pid);
	close(go[1]);
	(void)!read(go[0], &(char){0}, 1);
	joined(&p, "stranger", "salt of a stranger");
	child_make(&m, image);
	if (peer_say(&p, PS_MSG_CHILD, &m, NULL, 0) < 0 ||
	    peer_hear(&p, PS_MSG_IMAGE, 15000) != PS_MSG_IMAGE)
		_exit(255);
	_exit((int)p.image.error);
}

static int answered(pid_t pid)
{
	int status = 0;

	REQUIRE_EQ(t_wait(pid, 20, &status), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_SECONDS("the word that a process may have a copy is not for the next one of that number", 60)
{
	char path[] = "/v1/vms/parent/fork", body[64], text[4096];
	struct peer parent;
	int go[2];
	pid_t pid;

	t_need_root();
	start();
	ready(&parent, "parent");
	REQUIRE_SYS(pipe(go));
	pid = stranger(0, parent.fork.id, go);
	snprintf(body, sizeof(body), "copy %d", (int)pid);
	put("parent", body);
	REQUIRE_SYS(kill(pid, SIGKILL));
	CHECK_EQ(answered(pid), -1);
	REQUIRE_EQ(stranger(pid, parent.fork.id, go), pid);
	close(go[1]);
	CHECK_EQ(answered(pid), EXDEV);
	snprintf(body, sizeof(body), "{\"value\": \"copy %d\"}", (int)pid);
	CHECK_NE(t_http(&d, "PUT", path, body, text, sizeof(text)), 200); /* it has ended */
	CHECK_IN("there is no process", text);
	REQUIRE_SYS(pipe(go));
	pid = stranger(0, parent.fork.id, go);
	snprintf(body, sizeof(body), "copy %d", (int)pid);
	put("parent", body);
	close(go[1]);
	CHECK_EQ(answered(pid), 0);
	peer_close(&parent);
	others_fine();
}
