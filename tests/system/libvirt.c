/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt: pshare libvirt with a real libvirtd, as Debian sets it up: VMs run as libvirt-qemu, with
 * a /dev of their own, in a sandbox. Each test has a host of its own (lib/box.h). Guests are
 * emulated.
 */
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"
#include "lib/api.h"
#include "lib/box.h"

#define OUT_MAX (1 << 17)
#define CANNOT_RUN 77
#define MIB (1u << 20)
#define ACL "/dev/userfaultfd"
#define LOCAL "/etc/apparmor.d/local/abstractions/libvirt-qemu"

static char out[OUT_MAX];
static struct t_daemon daemon_in_box = {.dir = "/run/pshare"};

#define PSHARE(...) TEST_RUN(out, sizeof(out), test_built("src/cli/pshare"), __VA_ARGS__)
#define LIBVIRT(...) PSHARE("libvirt", __VA_ARGS__)

static void start_daemon(void)
{
	REQUIRE_SYS(mkdir("/run/pshare", 0755));
	t_daemon_start(&daemon_in_box, NULL, NULL, NULL);
	t_daemon_full_speed(&daemon_in_box);
}

/* os goes into <os>, devices into <devices>. */
static void define(const char *name, const char *os, const char *devices)
{
	char xml[4096];

	snprintf(xml, sizeof(xml),
		 "<domain type='qemu'><name>%s</name><memory unit='MiB'>256</memory>"
		 "<vcpu>1</vcpu><cpu mode='custom' match='exact'><model>qemu64</model>"
		 "<feature policy='disable' name='cx16'/></cpu>"
		 "<os><type arch='x86_64'>hvm</type>%s</os><on_reboot>destroy</on_reboot>"
		 "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>%s</devices></domain>",
		 name, os, devices);
	if (BOX_VIRSH(xml, "define", "/dev/stdin"))
		FAIL("define: %s", box_out);
}

static char *xml_of(const char *name)
{
	REQUIRE_EQ(BOX_VIRSH(NULL, "dumpxml", "--inactive", "--security-info", name), 0);
	return strdup(box_out);
}

static void start(const char *name)
{
	if (BOX_VIRSH(NULL, "start", name))
		FAIL("start: %s", box_out);
}

static pid_t pid_of(const char *name)
{
	char path[128], text[32] = "";

	snprintf(path, sizeof(path), "/run/libvirt/qemu/%s.pid", name);
	(void)t_slurp(path, text, sizeof(text));
	return (pid_t)atoi(text);
}

static void write_file(const char *path, const char *text, unsigned int mode)
{
	FILE *file = fopen(path, "we");

	REQUIRE(file != NULL);
	REQUIRE(fputs(text, file) >= 0);
	REQUIRE_EQ(fclose(file), 0);
	REQUIRE_SYS(chmod(path, mode));
}

/* One line of check or doctor has this state and this text. */
static bool finds(const char *state, const char *text)
{
	const char *line = out;

	while (*line) {
		size_t n = strcspn(line, "\n");
		const char *at = strstr(line, text);

		if (!strncmp(line, state, strlen(state)) && at && at < line + n)
			return true;
		line += n + (line[n] == '\n');
	}
	return false;
}

#define CHECK_FINDS(state, text)                                                    \
	do {                                                                        \
		if (!finds(state, text))                                            \
			NOTE_FAIL("no line '%s ... %s' in:\n%s", state, text, out); \
	} while (0)

/* ---- VMs from their first line to their last ------------------------------------------------- */

static double saved_mib(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/vms/%s", name);
	return t_api_number(&daemon_in_box, path, "SHRDSVD") / MIB;
}

/* What a process of libvirt's is like, or the rest of the test means nothing. */
static void check_confined(const char *name)
{
	char path[64], status[8192];

	snprintf(path, sizeof(path), "/proc/%d/status", pid_of(name));
	REQUIRE_GT(t_slurp(path, status, sizeof(status)), 0);
	snprintf(path, sizeof(path), "Uid:\t%u", getpwnam("libvirt-qemu")->pw_uid);
	CHECK_IN(path, status);
	CHECK_IN("Seccomp:\t2", status);
}

static void share_as_libvirt_does(void)
{
	char *etc, *xml, *again;

	start_daemon();
	box_libvirt_start();
	define("web1", "", "");
	define("web2", "", "");
	xml = xml_of("web1");
	write_file("/opt/tenant.salt", "a secret\n", 0600);
	etc = box_listing("/etc");

	REQUIRE_EQ(LIBVIRT("enable", "web1", "--salt-file", "/opt/tenant.salt"), 0);
	CHECK_IN("then: systemctl restart libvirtd", out);
	REQUIRE_EQ(LIBVIRT("enable", "web2", "--salt-file", "/opt/tenant.salt"), 0);
	CHECK_EQ(LIBVIRT("check"), 1);
	CHECK_FINDS("missing  qemu.conf", "has not read it");
	box_libvirt_end();
	box_libvirt_start();
	CHECK_EQ(LIBVIRT("check"), 0);

	start("web1");
	start("web2");
	check_confined("web1");
	/* firmware is all that runs in them, and it is the same */
	REQUIRE_WITHIN(120000, saved_mib("web1") > 0 && saved_mib("web2") > 0);
	snprintf(out, sizeof(out), "%s fork web1 2>&1", test_built("src/cli/pshare"));
	CHECK_EQ(TEST_RUN(out, sizeof(out), "sh", "-c", strdup(out)), 1);
	CHECK_IN("it is a domain of libvirt", out);
	CHECK_EQ(LIBVIRT("check"), 0);
	CHECK_FINDS("ok       running", "web1 shares, as VM web1");
	snprintf(box_out, sizeof(box_out), "%d", pid_of("web2"));
	CHECK_EQ(PSHARE("doctor", "--pid", box_out), 0);
	CHECK_FINDS("ok       userfaultfd", "user libvirt-qemu may open");
	CHECK_FINDS("ok       daemon", "knows it as VM web2");
	CHECK_EQ(TEST_RUN(out, sizeof(out), "grep", "-rqs", "a secret", "/var/log", "/run"), 1);

	/* the first to go leaves what the other needs */
	REQUIRE_EQ(LIBVIRT("disable", "web1"), 0);
	CHECK_IN("then: virsh -c qemu:///system shutdown web1", out);
	CHECK(!strstr(out, "qemu.conf"));
	CHECK_EQ(LIBVIRT("check", "web2"), 0);
	CHECK_EQ(BOX_VIRSH(NULL, "destroy", "web1"), 0);
	CHECK_EQ(BOX_VIRSH(NULL, "destroy", "web2"), 0);
	REQUIRE_EQ(LIBVIRT("disable", "web2"), 0);
	CHECK_IN("qemu.conf", out);
	again = box_listing("/etc");
	CHECK_STR(again, etc);
	free(again);
	again = xml_of("web1");
	CHECK_STR(again, xml);
	CHECK_EQ(access("/var/lib/pshare-libvirt", F_OK), -1);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "stat", "-c", "%a %U %G", "/dev/userfaultfd"), 0);
	CHECK_STR(out, "600 root root\n");
	CHECK_EQ(LIBVIRT("disable", "web2"), 0);
	CHECK_IN("nothing to change\n", out);
	free(etc);
	free(xml);
	free(again);
	t_daemon_kill(&daemon_in_box, SIGTERM);
}

TEST_SECONDS("VMs of libvirt are enabled, share under their own names, and all is as it was", 240)
{
	t_need_product();
	box_need();
	box_run(share_as_libvirt_does);
}

/* ---- guests ---------------------------------------------------------------------------------- */

#define GUEST "/opt/guest"

static char images[512]; /* made before the box, which has no network */

static void need_images(void)
{
	int status;

	t_build_path("", images, sizeof(images));
	status = TEST_RUN(out, sizeof(out), test_source("scripts/guest-image"), images);
	if (status == CANNOT_RUN)
		SKIP("no guest can be made: %s", out);
	if (status)
		FAIL("guest-image: %s", out);
}

/* libvirt makes kernel and initramfs its own while a VM runs, so they are copies. */
static void bring_images(void)
{
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "sh", "-c",
			    "mkdir " GUEST " && cd \"$0/guest\" && "
			    "cp vmlinuz initramfs.img " GUEST " && touch " GUEST "/root.img && "
			    "mount --bind root.img " GUEST "/root.img && "
			    "mount -o remount,bind,ro " GUEST "/root.img",
			    images),
		   0);
}

static void define_guest(const char *name)
{
	char os[512], devices[1024];

	snprintf(os, sizeof(os),
		 "<kernel>" GUEST "/vmlinuz</kernel><initrd>" GUEST "/initramfs.img</initrd>"
		 "<cmdline>console=ttyS0 quiet panic=-1 no_timer_check guest_name=%s</cmdline>",
		 name);
	snprintf(devices, sizeof(devices),
		 "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>"
		 "<source file='" GUEST "/root.img'><seclabel model='dac' relabel='no'/></source>"
		 "<target dev='vda' bus='virtio'/><readonly/></disk>"
		 "<serial type='file'><source path='/var/log/libvirt/%s.console'/>"
		 "<target port='0'/></serial>"
		 "<serial type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/%s.ask'/>"
		 "<target port='1'/></serial>",
		 name, name);
	define(name, os, devices);
}

/* What its kernel and its QEMU said last, for a failure's report. */
static const char *last_words(const char *name)
{
	char console[128], log[128];

	snprintf(console, sizeof(console), "/var/log/libvirt/%s.console", name);
	snprintf(log, sizeof(log), "/var/log/libvirt/qemu/%s.log", name);
	(void)TEST_RUN(box_out, sizeof(box_out), "tail", "-n", "12", console, log);
	return box_out;
}

static void ask(const char *name, const char *seconds, const char *command)
{
	char path[128];

	snprintf(path, sizeof(path), "/var/lib/libvirt/qemu/%s.ask", name);
	if (TEST_RUN(out, sizeof(out), test_built("tests/guest/guest-ask"), path, seconds, command))
		FAIL("guest %s, %s: %s\n%s", name, command, out, last_words(name));
}

static void share_debian(void)
{
	bring_images();
	start_daemon();
	box_libvirt_start();
	define_guest("web1");
	define_guest("web2");
	write_file("/opt/tenant.salt", "a secret\n", 0600);
	REQUIRE_EQ(LIBVIRT("enable", "web1", "--salt-file", "/opt/tenant.salt"), 0);
	REQUIRE_EQ(LIBVIRT("enable", "web2", "--salt-file", "/opt/tenant.salt"), 0);
	box_libvirt_end();
	box_libvirt_start();
	start("web1");
	start("web2");
	ask("web1", "240", "hello");
	ask("web2", "240", "hello");
	REQUIRE_WITHIN(120000, saved_mib("web1") > 20 && saved_mib("web2") > 20);
	ask("web1", "60", "verify");
	ask("web2", "60", "verify");
	CHECK_EQ(BOX_VIRSH(NULL, "destroy", "web1"), 0);
	ask("web2", "60", "verify");
	CHECK_EQ(BOX_VIRSH(NULL, "destroy", "web2"), 0);
	t_daemon_kill(&daemon_in_box, SIGTERM);
}

TEST_SECONDS("Debian guests of libvirt share, and find all that they had as it was", 560)
{
	t_need_product();
	box_need();
	need_images();
	box_run(share_debian);
}

/* ---- what is missing, and what mends it ------------------------------------------------------ */

static void name_each_condition(void)
{
	box_libvirt_start();
	define("web1", "", "");
	CHECK_EQ(LIBVIRT("check", "web1"), 1);
	CHECK_FINDS("ok       agent", BOX_AGENT);
	CHECK_FINDS("missing  daemon", "none answers in /run/pshare");
	CHECK_FINDS("missing  /dev/userfaultfd",
		    "user libvirt-qemu, as whom VMs run, may not open");
	CHECK_FINDS("missing  qemu.conf", "has no /dev/userfaultfd");
	CHECK_FINDS("missing  domain", "web1 is not enabled");
	CHECK_IN("mend: pshare libvirt enable web1 --connect qemu:///system", out);
	REQUIRE_SYS(chmod("/opt/pshare", 0700));
	CHECK_EQ(LIBVIRT("check"), 1);
	CHECK_FINDS("missing  agent", "Permission denied");
	REQUIRE_SYS(chmod("/opt/pshare", 0755));

	start_daemon();
	start("web1");
	write_file("/opt/salt", "s\n", 0600);
	REQUIRE_EQ(LIBVIRT("enable", "web1", "--salt-file", "/opt/salt"), 0);
	CHECK_EQ(LIBVIRT("check"), 1);
	CHECK_FINDS("missing  running", "runs without the agent");
	CHECK_EQ(BOX_VIRSH(NULL, "destroy", "web1"), 0);

	/* libvirtd has not read its file: the VM's /dev lacks the device, and so it is said */
	start("web1");
	snprintf(box_out, sizeof(box_out), "%d", pid_of("web1"));
	CHECK_EQ(PSHARE("doctor", "--pid", box_out), 1);
	CHECK_FINDS("missing  userfaultfd", "the /dev that the process sees has no userfaultfd");
	CHECK_IN("mend: pshare libvirt enable", out);
	CHECK(!strstr(out, "mem-merge"));
	CHECK_EQ(BOX_VIRSH(NULL, "destroy", "web1"), 0);

	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "sh", "-c", "rm /var/lib/pshare-libvirt/*.salt"), 0);
	CHECK_EQ(LIBVIRT("check", "web1"), 1);
	CHECK_FINDS("missing  salt", "No such file");
	t_daemon_kill(&daemon_in_box, SIGTERM);
}

TEST_SECONDS("check and doctor name each condition that is not met, and what mends it", 240)
{
	t_need_product();
	box_need();
	box_run(name_each_condition);
}

/* ---- other people's edits -------------------------------------------------------------------- */

static void leave_others_alone(void)
{
	char *etc, *xml, *again;

	box_libvirt_start();
	define("web1", "", "");
	write_file("/etc/libvirt/qemu.conf", "cgroup_device_acl = [\n\t\"/dev/null\"\n]", 0600);
	write_file(LOCAL, "# mine", 0644);
	REQUIRE_SYS(chown(LOCAL, 12, 34));
	etc = box_listing("/etc");
	xml = xml_of("web1");
	REQUIRE_EQ(LIBVIRT("enable", "web1", "--dry-run"), 0);
	CHECK_IN("would change domain web1", out);
	CHECK_IN("would change /etc/libvirt/qemu.conf", out);
	again = box_listing("/etc");
	CHECK_STR(again, etc);
	free(again);

	REQUIRE_EQ(LIBVIRT("enable", "web1", "--json"), 0);
	CHECK_IN("\"what\": \"domain web1\"", out);
	REQUIRE_EQ(LIBVIRT("enable", "web1"), 0);
	CHECK_IN("nothing to change\n", out);
	/* while it is enabled, somebody goes on with his work */
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "sh", "-c",
			    "echo '# later' >>/etc/libvirt/qemu.conf; echo '# later' >>" LOCAL),
		   0);
	REQUIRE_EQ(LIBVIRT("disable", "web1"), 0);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cat", "/etc/libvirt/qemu.conf", LOCAL), 0);
	CHECK_STR(out, "cgroup_device_acl = [\n\t\"/dev/null\"\n]# later\n# mine# later\n");
	write_file("/etc/libvirt/qemu.conf", "cgroup_device_acl = [\n\t\"/dev/null\"\n]", 0600);
	write_file(LOCAL, "# mine", 0644);
	again = box_listing("/etc");
	CHECK_STR(again, etc); /* modes and owners too */
	free(again);
	again = xml_of("web1");
	CHECK_STR(again, xml);
	free(etc);
	free(xml);
	free(again);
}

TEST_SECONDS("a dry run changes nothing, twice is once, and others' edits stay", 240)
{
	t_need_product();
	box_need();
	box_run(leave_others_alone);
}

/* ---- a user's own libvirt -------------------------------------------------------------------- */

#define HOME "/run/home"
#define AS_USER                                                                             \
	"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=" HOME, \
		"XDG_RUNTIME_DIR=" HOME "/run", "PATH=/usr/bin:/bin:/usr/sbin"

static int as_user(const char *const args[])
{
	const char *argv[24] = {AS_USER};
	int n = 8;

	while (*args && n < 23)
		argv[n++] = *args++;
	return test_run(out, sizeof(out), argv);
}
#define USER(...) as_user((const char *const[]){__VA_ARGS__, NULL})
#define USER_VIRSH(...) USER("virsh", "-q", "-c", "qemu:///session", __VA_ARGS__)
#define USER_LIBVIRT(...) USER(test_built("src/cli/pshare"), "libvirt", __VA_ARGS__)

static void share_in_a_session(void)
{
	char *pshare = strdup("/opt/pshare/pshare");

	start_daemon();
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "install", test_built("src/cli/pshare"), pshare), 0);
	REQUIRE_SYS(mkdir(HOME, 0755));
	REQUIRE_SYS(mkdir(HOME "/run", 0700));
	REQUIRE_SYS(chown(HOME, 65534, 65534));
	REQUIRE_SYS(chown(HOME "/run", 65534, 65534));
	write_file(HOME "/salt", "mine\n", 0600);
	REQUIRE_SYS(chown(HOME "/salt", 65534, 65534));
	write_file("/opt/d.xml",
		   "<domain type='qemu'><name>own vm</name><memory unit='MiB'>128</memory>"
		   "<os><type arch='x86_64'>hvm</type></os></domain>",
		   0644);
	if (USER_VIRSH("define", "/opt/d.xml"))
		SKIP("a user's libvirt does not start here: %s", out);

	/* without the group, nothing is shared, and check says so */
	CHECK_EQ(USER(pshare, "libvirt", "enable", "own vm", "--salt-file", HOME "/salt",
		      "--runtime-dir", "/run/pshare"),
		 0);
	CHECK_IN("changed domain own vm", out);
	CHECK_EQ(USER(pshare, "libvirt", "check", "--runtime-dir", "/run/pshare"), 1);
	CHECK_FINDS("missing  /dev/userfaultfd", "user nobody");
	CHECK(!strstr(out, "qemu.conf"));
	REQUIRE_SYS(chmod("/dev/userfaultfd", 0666));
	CHECK_EQ(USER_VIRSH("start", "own vm"), 0);
	REQUIRE_WITHIN(30000, t_api_number(&daemon_in_box, "/v1/vms/own_vm", "size") > 0);
	CHECK_EQ(USER_VIRSH("destroy", "own vm"), 0);
	CHECK_EQ(USER(pshare, "libvirt", "disable", "own vm", "--runtime-dir", "/run/pshare"), 0);
	CHECK_EQ(USER_VIRSH("dumpxml", "own vm"), 0);
	CHECK(!strstr(out, "qemu:env"));
	CHECK_EQ(access(HOME "/.config/pshare-libvirt", F_OK), -1);
	t_daemon_kill(&daemon_in_box, SIGTERM);
	free(pshare);
}

TEST_SECONDS("a user's own session works the same, with nothing of the host's changed", 240)
{
	t_need_product();
	box_need();
	box_run(share_in_a_session);
}

/* ---- AppArmor -------------------------------------------------------------------------------- */

/* The kernel may have none; the language and what the rules come to are checked all the same. */
static void compile_profile(void)
{
	const char *profile = "/run/profile";

	box_libvirt_start();
	define("web1", "", "");
	REQUIRE_EQ(LIBVIRT("enable", "web1"), 0);
	write_file(profile,
		   "#include <tunables/global>\n"
		   "profile libvirt-11111111-2222-3333-4444-555555555555 {\n"
		   "#include <abstractions/libvirt-qemu>\n}\n",
		   0644);
	if (TEST_RUN(out, sizeof(out), "apparmor_parser", "-Q", "-K", "-D", "rule-exprs", profile))
		FAIL("%s", out);
	CHECK_IN("/var/lib/pshare-libvirt/libvirt-11111111-2222-3333-4444-555555555555\\.salt",
		 out);
	CHECK_IN("rule: /dev/userfaultfd ", out);
	CHECK_IN("rule: /run/pshare/agent\\.sock ", out);
	CHECK(!strstr(out, "pshare-libvirt/libvirt-["));
	REQUIRE_EQ(LIBVIRT("disable", "web1"), 0);
	if (TEST_RUN(out, sizeof(out), "apparmor_parser", "-Q", "-K", "-D", "rule-exprs", profile))
		FAIL("%s", out);
	CHECK(!strstr(out, "userfaultfd"));
}

TEST_SECONDS("AppArmor's compiler takes the rules, and each VM may read its own salt alone", 240)
{
	t_need_product();
	box_need();
	if (access("/usr/sbin/apparmor_parser", X_OK) < 0 ||
	    access("/etc/apparmor.d/abstractions/libvirt-qemu", R_OK) < 0)
		SKIP("AppArmor's compiler or libvirt's profile is not installed");
	box_run(compile_profile);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void refuse(void)
{
	box_libvirt_start();
	define("web1", "", "");
	define("-c", "", "");
	REQUIRE_EQ(BOX_VIRSH("<domain type='qemu'><name>gone</name><memory>131072</memory><os>"
			     "<type arch='x86_64'>hvm</type></os></domain>",
			     "create", "/dev/stdin"),
		   0);
	CHECK_EQ(LIBVIRT("enable", "none"), 1);
	CHECK_IN("virsh dumpxml: ", out);
	CHECK_EQ(LIBVIRT("enable", "gone"), 1);
	CHECK_IN("domain gone is transient", out);
	write_file("/opt/empty", "\n", 0600);
	CHECK_EQ(LIBVIRT("check", "--connect", "qemu+ssh://x/system"), 2);
	write_file("/etc/libvirt/qemu.conf", "x = [ \"a\" \"b\" ]\n", 0600);
	CHECK_EQ(LIBVIRT("enable", "web1"), 1);
	CHECK_IN("qemu.conf is not understood at line 1", out);
	CHECK_EQ(BOX_VIRSH(NULL, "dumpxml", "--inactive", "web1"), 0);
	CHECK(!strstr(box_out, "qemu:env")); /* the host comes first */
	write_file("/etc/libvirt/qemu.conf", "# mine\n", 0600);
	CHECK_EQ(LIBVIRT("enable", "web1", "--salt-file", "/opt/empty"), 1);
	CHECK_IN("is empty", out);
	CHECK(!strstr(out, "changed"));
	CHECK_EQ(LIBVIRT("enable", "--", "-c"), 0);
	CHECK_IN("changed domain -c", out);
	CHECK_EQ(LIBVIRT("disable", "--", "-c"), 0);
	REQUIRE_EQ(TEST_RUN(out, sizeof(out), "cat", "/etc/libvirt/qemu.conf"), 0);
	CHECK_STR(out, "# mine\n");
}

TEST_SECONDS("what cannot be enabled is refused in one line, before anything of it is changed", 240)
{
	t_need_product();
	box_need();
	box_run(refuse);
}
