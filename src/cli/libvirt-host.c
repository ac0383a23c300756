/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-host: what stands between a VM of qemu:///system and its agent, once for all VMs.
 *
 *	/dev/userfaultfd	is root's (and the group pshare's). VMs run as another user: an
 *				entry for him in its access control list, and a tmpfiles.d file for
 *				the next boot. Not membership in the group pshare: that may set
 *				everybody's settings.
 *	qemu.conf		libvirt gives each VM a /dev and a device list of its own
 *				(libvirt-conf.c)
 *	AppArmor		one rule each for what the agent opens, in the file that Debian's
 *				profile includes for this purpose
 *
 * All of it is needed by the first VM that is enabled, and undone with the last. Marks in the files
 * are the record (libvirt-block.c); that the entry in the list is ours is recorded in a file of its
 * own, with the user. A VM that runs has what it was started with: nothing here touches it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/libvirt-block.h"
#include "cli/libvirt-conf.h"
#include "cli/libvirt.h"
#include "sys/acl.h"
#include "sys/creds.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/look.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "sys/run.h"

#define CONF_MAX (1u << 20)
#define TMPFILES_DIR "/etc/tmpfiles.d"
#define TMPFILES TMPFILES_DIR "/pshare-libvirt.conf"
#define ACCESS_RW 6u

/* ---- /dev/userfaultfd ------------------------------------------------------------------------ */

static void record_path(const struct libvirt *libvirt, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.*s/userfaultfd-uid", PATH_MAX - 32, libvirt->state_dir);
}

/* The record comes first: an entry without one would stay for ever. */
static int give_device(struct libvirt *libvirt)
{
	static const struct sys_file fresh = {.mode = 0644};
	char path[PATH_MAX], uid[16];
	int n = snprintf(uid, sizeof(uid), "%u\n", libvirt->uid);
	int r = libvirt_state_folder(libvirt);

	if (r)
		return r;
	record_path(libvirt, path);
	r = sys_file_replace(path, uid, (size_t)n, &fresh);
	if (r)
		return say_error(CLI_FAILED, "%s cannot be written: %s", path, strerror(-r));
	r = sys_acl_set_user(LIBVIRT_DEVICE, libvirt->uid, ACCESS_RW);
	if (!r)
		return 0;
	(void)sys_file_remove(path);
	return say_error(CLI_FAILED, LIBVIRT_DEVICE ": its access control list cannot be set: %s",
			 strerror(-r));
}

static int keep_over_boot(struct libvirt *libvirt, const char *user)
{
	char text[256];
	struct sys_file folder;

	if (sys_file_look(TMPFILES_DIR, &folder))
		return 0; /* nobody here would read it */
	snprintf(text, sizeof(text),
		 "# Made and removed by 'pshare libvirt'.\na+ " LIBVIRT_DEVICE
		 " - - - - user:%s:rw\n",
		 user);
	return journal_write(&libvirt->journal, TMPFILES, text, "the same at the next boot");
}

static int enable_device(struct libvirt *libvirt)
{
	struct sys_creds creds;
	struct sys_file file;
	char user[SYS_USER_MAX];
	int result = 0, r;

	if (sys_file_look(LIBVIRT_DEVICE, &file))
		return say_error(CLI_FAILED, LIBVIRT_DEVICE " is not there: this kernel has no "
							    "userfaultfd, or is older than 6.1");
	r = sys_creds_of_user(libvirt->uid, libvirt->gid, &creds);
	if (!r)
		r = sys_try_as(&creds, LIBVIRT_DEVICE, SYS_TRY_OPEN, &result);
	if (r)
		return say_error(CLI_FAILED, "cannot try what user %u may open: %s", libvirt->uid,
				 strerror(-r));
	if (!result)
		return 0;
	r = libvirt->journal.dry ? 0 : give_device(libvirt);
	if (r)
		return r;
	sys_user_name(libvirt->uid, user, sizeof(user));
	journal_change(&libvirt->journal, LIBVIRT_DEVICE, "user %s, as whom VMs run, may open it",
		       user);
	return keep_over_boot(libvirt, user);
}

static int disable_device(struct libvirt *libvirt)
{
	struct sys_file file;
	char path[PATH_MAX];
	uint64_t uid = 0;
	int r;

	record_path(libvirt, path);
	if (sys_read_u64(path, &uid) || uid > UINT32_MAX)
		return 0;
	r = libvirt->journal.dry ? 0 : sys_acl_drop_user(LIBVIRT_DEVICE, (uid_t)uid);
	if (r && r != -ENOENT) /* gone with the last boot */
		return say_error(CLI_FAILED,
				 LIBVIRT_DEVICE ": its access control list cannot be set: %s",
				 strerror(-r));
	journal_change(&libvirt->journal, LIBVIRT_DEVICE,
		       "user %" PRIu64 " may not open it any more", uid);
	r = sys_file_look(TMPFILES, &file) ?
		    0 :
		    journal_write(&libvirt->journal, TMPFILES, NULL, "is removed");
	if (!r && !libvirt->journal.dry)
		(void)sys_file_remove(path);
	return r;
}

/* ---- qemu.conf ------------------------------------------------------------------------------- */

static int say_conf(int r, unsigned int line)
{
	if (r == -EINVAL)
		return say_error(CLI_FAILED,
				 LIBVIRT_QEMU_CONF
				 " is not understood at line %u: mend it, or put \"" LIBVIRT_DEVICE
				 "\" into its cgroup_device_acl by hand",
				 line);
	return say_error(CLI_FAILED, LIBVIRT_QEMU_CONF ": %s", strerror(-r));
}

static int enable_conf(struct libvirt *libvirt)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *edited = NULL;
	unsigned int line = 0;
	int r = sys_read_text(LIBVIRT_QEMU_CONF, CONF_MAX, &text);

	if (!r)
		r = conf_enable(text, &edited, &line);
	if (r == -EALREADY)
		return 0;
	return r ? say_conf(r, line) :
		   journal_write(&libvirt->journal, LIBVIRT_QEMU_CONF, edited,
				 "cgroup_device_acl: VMs get " LIBVIRT_DEVICE
				 " in the /dev and the cgroup that libvirt makes for them");
}

static int disable_conf(struct libvirt *libvirt)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *edited = NULL;
	unsigned int line = 0;
	int r = sys_read_text(LIBVIRT_QEMU_CONF, CONF_MAX, &text);

	if (!r)
		r = conf_disable(text, &edited, &line);
	if (r == -ENOENT)
		return 0;
	return r ? say_conf(r, line) :
		   journal_write(&libvirt->journal, LIBVIRT_QEMU_CONF, edited,
				 "cgroup_device_acl is what it was");
}

/* ---- AppArmor -------------------------------------------------------------------------------- */

/* Everything else means something in a rule, or may come to. */
static bool is_plain(const char *path)
{
	return path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				 "/._+-")] == '\0';
}

int libvirt_apparmor_rules(const struct libvirt *libvirt, char **rules)
{
	if (!is_plain(libvirt->agent) || !is_plain(libvirt->runtime.dir))
		return -EINVAL;
	return asprintf(rules,
			"  %s mr,\n"
			"  %s/agent.sock rw,\n"
			"  %s/@{profile_name}.salt r,\n"
			"  " LIBVIRT_DEVICE " rw,\n"
			"  owner @{PROC}/@{pid}/{cmdline,maps,pagemap,smaps,statm} r,\n"
			"  @{PROC}/sys/vm/max_map_count r,\n",
			libvirt->agent, libvirt->runtime.dir, libvirt->state_dir) < 0 ?
		       -ENOMEM :
		       0;
}

static int say_apparmor(int r)
{
	if (r == -EINVAL)
		return say_error(CLI_FAILED, LIBVIRT_APPARMOR_LOCAL
				 ": the marks of pshare in it are broken: take them out by hand");
	return say_error(CLI_FAILED, LIBVIRT_APPARMOR_LOCAL ": %s", strerror(-r));
}

static int enable_apparmor(struct libvirt *libvirt)
{
	_cleanup_free_ char *rules = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *edited = NULL;
	struct sys_file file;
	int have, r;

	if (sys_file_look(LIBVIRT_APPARMOR, &file))
		return 0; /* not a system with AppArmor */
	r = libvirt_apparmor_rules(libvirt, &rules);
	if (r == -EINVAL)
		return say_error(CLI_FAILED,
				 "%s or %s: such a path cannot be written as a rule of AppArmor",
				 libvirt->agent, libvirt->runtime.dir);
	if (r)
		return say_error(CLI_FAILED, "out of memory");
	have = sys_read_text(LIBVIRT_APPARMOR_LOCAL, CONF_MAX, &text);
	if (have && have != -ENOENT)
		return say_apparmor(have);
	if (text && block_look(text, rules) == BLOCK_SAME)
		return 0;
	r = block_put(text ? text : "", rules, have == -ENOENT, &edited);
	return r ? say_apparmor(r) :
		   journal_write(
			   &libvirt->journal, LIBVIRT_APPARMOR_LOCAL, edited,
			   "VMs may open the agent, its socket, their salt and " LIBVIRT_DEVICE);
}

static int disable_apparmor(struct libvirt *libvirt)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *edited = NULL;
	bool made = false;
	int r = sys_read_text(LIBVIRT_APPARMOR_LOCAL, CONF_MAX, &text);

	if (!r)
		r = block_take(text, &edited, &made);
	if (r == -ENOENT)
		return 0;
	return r ? say_apparmor(r) :
		   journal_write(&libvirt->journal, LIBVIRT_APPARMOR_LOCAL, made ? NULL : edited,
				 "the rules are taken out");
}

/* ---- all of it ------------------------------------------------------------------------------- */

int libvirt_host_enable(struct libvirt *libvirt)
{
	int r = enable_device(libvirt);

	if (!r)
		r = enable_conf(libvirt);
	return r ? r : enable_apparmor(libvirt);
}

int libvirt_host_disable(struct libvirt *libvirt)
{
	int r = disable_apparmor(libvirt);

	if (!r)
		r = disable_conf(libvirt);
	return r ? r : disable_device(libvirt);
}
