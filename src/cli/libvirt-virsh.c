/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-virsh: libvirt is asked through its own command, executed without a shell.
 *
 * Rejected: libvirt's library. Every pshare would be linked with it, and most hosts' never asks it.
 * virsh speaks to whatever daemon the connection means (libvirtd or virtqemud, started on demand
 * for a session), and what is used of it is stable: dumpxml, define, list, capabilities. Its XML
 * and its UUIDs are for programs; its texts are translated and are only ever repeated.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/agent-path.h"
#include "cli/libvirt.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/path.h"
#include "sys/proc.h"
#include "sys/run.h"
#include "sys/self.h"

#define OUTPUT_MAX (64u << 20)
#define WORDS_MAX 4
#define SYSTEM_URI "qemu:///system"
#define SESSION_URI "qemu:///session"
#define SYSTEM_STATE "/var/lib/pshare-libvirt"

/* The line of virsh's errors that says most: the last. */
static void last_line(char *text)
{
	size_t length = strlen(text);
	char *start;

	while (length && strchr("\n\r ", text[length - 1]))
		text[--length] = '\0';
	start = strrchr(text, '\n');
	if (start)
		memmove(text, start + 1, strlen(start));
	if (!strncmp(text, "error: ", 7))
		memmove(text, text + 7, strlen(text) - 6);
}

int libvirt_virsh(const struct libvirt *libvirt, const char *input, char **output,
		  const char *const words[])
{
	const char *argv[WORDS_MAX + 5] = {"virsh", "--quiet", "--connect", libvirt->uri};
	struct sys_run run = {.input = input, .max = OUTPUT_MAX};
	int i, r;

	for (i = 0; words[i] && i < WORDS_MAX; i++)
		argv[4 + i] = words[i];
	r = sys_run(libvirt->virsh, argv, &run);
	if (r)
		return say_error(CLI_FAILED, "virsh %s: %s", words[0], strerror(-r));
	if (run.status) {
		free(run.output);
		last_line(run.errors);
		return say_error(CLI_FAILED, "virsh %s: %s", words[0],
				 *run.errors ? run.errors : "failed, and did not say why");
	}
	*output = run.output;
	return 0;
}

/* "--domain=X": a name may begin with a hyphen. */
int libvirt_xml(const struct libvirt *libvirt, const char *domain, bool inactive, char **xml)
{
	_cleanup_free_ char *word = NULL;

	if (asprintf(&word, "--domain=%s", domain) < 0)
		return say_error(CLI_FAILED, "out of memory");
	return inactive ?
		       VIRSH(libvirt, NULL, xml, "dumpxml", "--inactive", "--security-info", word) :
		       VIRSH(libvirt, NULL, xml, "dumpxml", word);
}

int libvirt_each_enabled(const struct libvirt *libvirt,
			 int (*each)(const struct domain *domain, void *arg), void *arg)
{
	_cleanup_free_ char *list = NULL;
	char *at = NULL, *uuid;
	int r = VIRSH(libvirt, NULL, &list, "list", "--all", "--uuid");

	for (uuid = r ? NULL : strtok_r(list, " \n", &at); !r && uuid;
	     uuid = strtok_r(NULL, " \n", &at)) {
		_cleanup_free_ char *xml = NULL;
		_cleanup_domain_ struct domain *domain = NULL;

		r = libvirt_xml(libvirt, uuid, true, &xml);
		if (!r && domain_look(xml, &domain))
			r = say_error(CLI_FAILED, "virsh dumpxml: domain %s is not understood",
				      uuid);
		if (!r && domain->enabled)
			r = each(domain, arg);
	}
	return r;
}

/* ---- the daemon that reads qemu.conf --------------------------------------------------------- */

static const char *const pid_files[] = {"/run/virtqemud.pid", "/run/libvirtd.pid"};

/* 0: none runs. */
static uint64_t daemon_pid(const char **name)
{
	static const char *const names[] = {"virtqemud", "libvirtd"};
	uint64_t pid;
	size_t i;

	for (i = 0; i < 2; i++) {
		*name = names[i];
		if (!sys_read_u64(pid_files[i], &pid) && pid && pid < INT32_MAX &&
		    sys_process_lives((pid_t)pid))
			return pid;
	}
	*name = "libvirtd";
	return 0;
}

const char *libvirt_restart_command(void)
{
	const char *name;

	(void)daemon_pid(&name);
	return !strcmp(name, "virtqemud") ? "systemctl restart virtqemud" :
					    "systemctl restart libvirtd";
}

bool libvirt_daemon_is_older(const char *path)
{
	const char *name;
	uint64_t pid = daemon_pid(&name);
	struct sys_file file;
	int64_t started;

	if (!pid || sys_file_look(path, &file) || sys_process_started((pid_t)pid, &started))
		return false;
	return started < file.changed;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int find_uri(struct libvirt *libvirt)
{
	const char *uri = libvirt->args->connect;

	if (!uri)
		uri = sys_self_uid() ? SESSION_URI : SYSTEM_URI;
	libvirt->session = !strcmp(uri, SESSION_URI);
	if (!libvirt->session && strcmp(uri, SYSTEM_URI) != 0)
		return say_error(CLI_USAGE,
				 "'%.40s': only QEMU of this host can be looked after: " SYSTEM_URI
				 " or " SESSION_URI,
				 uri);
	libvirt->uri = uri;
	return 0;
}

static int find_state(struct libvirt *libvirt)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *dir = libvirt->state_dir;
	int n;

	if (!libvirt->session)
		n = snprintf(dir, PATH_MAX, SYSTEM_STATE);
	else if (config && *config == '/')
		n = snprintf(dir, PATH_MAX, "%s/pshare-libvirt", config);
	else if (home && *home == '/')
		n = snprintf(dir, PATH_MAX, "%s/.config/pshare-libvirt", home);
	else
		return say_error(CLI_FAILED, "HOME is not set: there is no place for salts");
	return n < PATH_MAX - 64 ? 0 : say_error(CLI_FAILED, "%.80s...: is too long", dir);
}

/* The system's VMs are managed by the system's daemon, whoever asks. */
static int find_runtime(struct libvirt *libvirt)
{
	const char *env = getenv("PSHARE_RUNTIME_DIR");

	if (!libvirt->session && !libvirt->args->runtime_dir && (!env || !*env)) {
		snprintf(libvirt->runtime.dir, sizeof(libvirt->runtime.dir), "/run/pshare");
		return 0;
	}
	return runtime_find_daemon(&libvirt->runtime, libvirt->args);
}

static int find_owner(struct libvirt *libvirt)
{
	_cleanup_free_ char *xml = NULL;
	int r = VIRSH(libvirt, NULL, &xml, "capabilities");

	if (r)
		return r;
	if (domain_capabilities(xml, &libvirt->caps))
		return say_error(CLI_FAILED, "virsh capabilities: that is not understood");
	libvirt->uid = libvirt->caps.has_owner ? libvirt->caps.uid : sys_self_uid();
	libvirt->gid = libvirt->caps.has_owner ? libvirt->caps.gid : sys_self_gid();
	return 0;
}

int libvirt_open(struct libvirt *libvirt, const struct args *args)
{
	int r;

	*libvirt = (struct libvirt){.args = args};
	r = find_uri(libvirt);
	if (r)
		return r;
	if (sys_find_program("virsh", libvirt->virsh, sizeof(libvirt->virsh)))
		return say_error(CLI_FAILED,
				 "virsh is not found: this host has no libvirt (Debian: "
				 "apt install libvirt-clients)");
	r = agent_find(libvirt->agent);
	if (!r)
		r = find_state(libvirt);
	if (!r)
		r = find_runtime(libvirt);
	return r ? r : find_owner(libvirt);
}
