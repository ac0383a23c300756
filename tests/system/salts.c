/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * salts: salts that others can get at, by a file's mode or access control list, by an open
 * descriptor or mapping, are found by `pshare audit` and `pshare doctor --hardening`, wherever the
 * file is; and who asks for such a file is refused.
 */
#include "harness/harness.h"

#include <endian.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/audit.h"
#include "lib/peer.h"
#include "lib/plant.h"

#define PSHARE test_built("src/cli/pshare")
#define OTHER 4321u /* of plant.c too */

static struct t_daemon d;
static char out[65536], path[256];

static void start(void)
{
	t_need_root();
	t_daemon_fresh(&d);
}

static void make_salt(const char *name)
{
	int fd;

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	REQUIRE_SYS(fd);
	REQUIRE_EQ(write(fd, "salt-of-the-salts-test\n", 23), 23);
	close(fd);
}

/* As setfacl -m u:OTHER:r does. */
static void let_other_read(void)
{
	static const struct {
		uint16_t tag, bits;
		uint32_t id;
	} entries[] = {{ACL_USER_OBJ, 6, ~0u},
		       {ACL_USER, 4, OTHER},
		       {ACL_GROUP_OBJ, 0, ~0u},
		       {ACL_MASK, 4, ~0u},
		       {ACL_OTHER, 0, ~0u}};
	uint32_t version = htole32(POSIX_ACL_XATTR_VERSION);
	unsigned char list[64];
	size_t length = sizeof(version);

	memcpy(list, &version, length);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		struct posix_acl_xattr_entry e = {htole16(entries[i].tag), htole16(entries[i].bits),
						  htole32(entries[i].id)};

		memcpy(list + length, &e, sizeof(e));
		length += sizeof(e);
	}
	if (setxattr(path, "system.posix_acl_access", list, length, 0) < 0)
		SKIP("no access control lists here: %m");
}

static void must_find(pid_t pid, const char *part)
{
	t_audit_must_find(&d, "salts", pid, part);
}

static void must_not_find(pid_t pid, const char *part)
{
	json_t *whole = t_audit(&d);
	const char *text = t_audit_found(whole, "salts", "violation", pid, part);

	if (text)
		FAIL("violation: %s", text);
	json_decref(whole);
}

static void hardening(void)
{
	(void)TEST_RUN(out, sizeof(out), PSHARE, "doctor", "--hardening", "--runtime-dir", d.dir);
}

/* ---- which files ---------------------------------------------------------------------------- */

/* `pshare run --salt-file FILE -- offer`, in the test's folder. */
static struct plant run_vm(const char *name, const char *file)
{
	struct plant p =
		plant_words(test_dir(), (const char *[]){PSHARE, "run", "--runtime-dir", d.dir,
							 "--name", name, "--salt-file", file, "--",
							 test_built("tests/system/offer"), NULL});

	REQUIRE_WITHIN(10000, t_api_number(&d, "/v1/vms/a", "pid") == p.pid);
	return p;
}

TEST_SECONDS("the file that pshare run read a salt from is looked at, wherever it is", 60)
{
	struct plant vm;
	char finding[300];

	start();
	make_salt("elsewhere");
	vm = run_vm("a", "elsewhere");
	must_not_find(0, path);
	hardening();
	snprintf(finding, sizeof(finding), "%s, mode 0600", path);
	CHECK_IN(finding, out);
	REQUIRE_SYS(chmod(path, 0604));
	must_find(vm.pid, path);
	hardening();
	CHECK_IN("missing  salt file", out);
	uproot(&vm);
	t_daemon_free(&d);
}

TEST_SECONDS("a salt of a VM that was found is looked for on command lines", 60)
{
	struct plant vm, p;

	start();
	make_salt("elsewhere");
	vm = run_vm("a", "elsewhere");
	p = plant(NULL, "word", "--salt=salt-of-the-salts-test");
	must_find(p.pid, "command line");
	uproot(&p);
	uproot(&vm);
	t_daemon_free(&d);
}

/* A copy of /etc, of this process and its children alone. */
static void own_etc(void)
{
	char copy[256];

	REQUIRE_SYS(unshare(CLONE_NEWNS));
	REQUIRE_SYS(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	snprintf(copy, sizeof(copy), "%s/etc", test_dir());
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cp", "-a", "/etc", copy), 0);
	REQUIRE_SYS(mount(copy, "/etc", NULL, MS_BIND, NULL));
}

TEST_SECONDS("salts in folders below /etc/pshare and of pshare proxmox are looked at", 60)
{
	t_need_root();
	own_etc();
	start();
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "sh", "-c",
			    "umask 077 && mkdir -p /etc/pshare/tenants/one /etc/pve/priv/pshare && "
			    "echo a-salt-of-one >/etc/pshare/tenants/one/web.salt && "
			    "echo a-salt-of-pve >/etc/pve/priv/pshare/100.salt && "
			    "chmod 644 /etc/pshare/tenants/one/web.salt "
			    "/etc/pve/priv/pshare/100.salt"),
		   0);
	must_find(0, "/etc/pshare/tenants/one/web.salt");
	must_find(0, "/etc/pve/priv/pshare/100.salt");
	hardening();
	CHECK_IN("/etc/pshare/tenants/one/web.salt: every user", out);
	CHECK_IN("/etc/pve/priv/pshare/100.salt: every user", out);
	t_daemon_free(&d);
}

/* A VM whose environment names that file. */
static struct plant plant_with(const char *file)
{
	struct plant p;

	REQUIRE_SYS(setenv("PSHARE_SALT_FILE", file, 1));
	p = plant("qemu-system-salts", "word", "nothing");
	unsetenv("PSHARE_SALT_FILE");
	return p;
}

TEST_SECONDS("a pipe or a device that a user names as his salt's file is not opened", 60)
{
	struct plant p;
	json_t *whole;

	start();
	snprintf(path, sizeof(path), "%s/pipe", test_dir());
	REQUIRE_SYS(mkfifo(path, 0600));
	p = plant_with(path);
	whole = t_audit(&d); /* or it never ends */
	CHECK(t_audit_found(whole, "salts", "note", p.pid, "it is no plain file") != NULL);
	json_decref(whole);
	uproot(&p);
	p = plant_with("/dev/zero");
	whole = t_audit(&d);
	CHECK(t_audit_found(whole, "salts", "note", p.pid, "it is no plain file") != NULL);
	json_decref(whole);
	uproot(&p);
	t_daemon_free(&d);
}

/* ---- by an access control list -------------------------------------------------------------- */

TEST_SECONDS("a salt that a user may read by an access control list is found, and refused", 60)
{
	struct plant vm;

	start();
	make_salt("listed");
	vm = run_vm("a", "listed");
	let_other_read();
	must_find(vm.pid, "user 4321 may read or write it, by its access control list");
	hardening();
	CHECK_IN("missing  salt file", out);
	CHECK_IN("setfacl -b it", out);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "run", "--runtime-dir", d.dir, "--salt-file",
			  path, "--", "true"),
		 1);
	CHECK_IN("user 4321 may read", out);
	CHECK_IN("'setfacl -b ", out);
	CHECK_EQ(TEST_RUN(out, sizeof(out), PSHARE, "set", "--runtime-dir", d.dir, "--vm", "a",
			  "sched.mem.pshare.salt", "--salt-file", path),
		 1);
	CHECK_IN("user 4321 may read", out);
	uproot(&vm);
	t_daemon_free(&d);
}

/* ---- who has it open ------------------------------------------------------------------------ */

TEST_SECONDS("who has a salt's file open, and is nobody who may read it, is found", 120)
{
	struct plant vm, p;

	start();
	make_salt("opened");
	vm = run_vm("a", "opened");
	p = plant(NULL, "store", path);
	must_not_find(p.pid, NULL); /* root's */
	uproot(&p);
	p = plant(NULL, "other", path);
	must_find(p.pid, "which that user may not read");
	REQUIRE_SYS(chown(path, 0, OTHER));
	must_find(p.pid, "which that user may not read");
	REQUIRE_SYS(chmod(path, 0640));
	must_not_find(p.pid, NULL); /* by his group */
	uproot(&p);
	uproot(&vm);
	t_daemon_free(&d);
}

/* The path of the descriptor of its salt in a VM. */
static void find_memfd(pid_t pid, char found[64])
{
	char link[256];

	for (int fd = 3; fd < 256; fd++) {
		ssize_t length;

		snprintf(found, 64, "/proc/%d/fd/%d", pid, fd);
		length = readlink(found, link, sizeof(link) - 1);
		link[length > 0 ? length : 0] = '\0';
		if (!strncmp(link, "/memfd:pshare-salt", 18))
			return;
	}
	FAIL("process %d has no salt", pid);
}

TEST_SECONDS("a stranger that has the memfd of a salt, open or mapped, is found", 120)
{
	char memfd[64];
	struct plant vm, p;

	start();
	make_salt("salt");
	vm = run_vm("a", "salt");
	must_not_find(vm.pid, NULL);
	find_memfd(vm.pid, memfd);
	p = plant(NULL, "store", memfd);
	must_find(p.pid, "holds the descriptor of a salt and is no VM");
	uproot(&p);
	p = plant(NULL, "page", memfd);
	must_find(p.pid, "holds the descriptor of a salt and is no VM");
	uproot(&p);
	p = plant(NULL, "apart", memfd);
	must_find(p.pid, "holds the descriptor of a salt and is no VM");
	uproot(&p);
	must_not_find(vm.pid, NULL);
	uproot(&vm);
	t_daemon_free(&d);
}

/* How many processes of that name have a salt's memfd, as an audit says. */
static size_t holders(const char *comm)
{
	json_t *whole = t_audit(&d), *finding;
	char begin[64];
	size_t i, n = 0;

	snprintf(begin, sizeof(begin), "%s (process ", comm);
	json_array_foreach(json_object_get(whole, "findings"), i, finding)
	{
		const char *text = json_string_value(json_object_get(finding, "found"));

		n += strstr(text, begin) && strstr(text, "descriptor of a salt");
	}
	json_decref(whole);
	return n;
}

TEST_SECONDS("a child that has a salt for milliseconds, as agents make them, is no stranger", 120)
{
	char memfd[64];
	struct plant vm, p;

	start();
	make_salt("salt");
	vm = run_vm("a", "salt");
	find_memfd(vm.pid, memfd);
	p = plant("stranger", "brief", memfd);
	CHECK_EQ(holders("stranger"), 1); /* itself, and none of its children */
	uproot(&p);
	p = plant("qemu-system-b", "brief", memfd);
	CHECK_EQ(holders("qemu-system-b"), 0);
	uproot(&p);
	uproot(&vm);
	t_daemon_free(&d);
}
