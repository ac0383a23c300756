/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt: what the parts of 'pshare libvirt' share. Functions return 0 or an exit code, said,
 * unless they say otherwise. */
#ifndef PSHARE_CLI_LIBVIRT_H
#define PSHARE_CLI_LIBVIRT_H

#include "cli/cli.h"
#include "cli/libvirt-domain.h"

/* Each change, as it is made: a line, or a member of a JSON array. */
struct journal {
	bool dry; /* nothing is made; the lines say "would" */
	bool json;
	json_t *changes; /* {"what", "how"} */
	json_t *then;	 /* {"command", "why"}: what is left for the administrator */
};

struct libvirt {
	const struct args *args;
	const char *uri;
	bool session;
	char virsh[PATH_MAX];
	char agent[PATH_MAX];
	struct runtime runtime;
	char state_dir[PATH_MAX]; /* copies of salts, and the record of what no file says */
	struct host_caps caps;
	uid_t uid; /* whom VMs run as */
	gid_t gid;
	struct journal journal;
};

/* libvirt-virsh.c */
int libvirt_open(struct libvirt *libvirt, const struct args *args);
/* words: up to four, NULL terminated; input (or NULL) is virsh's standard input. *output is to be
 * freed. */
int libvirt_virsh(const struct libvirt *libvirt, const char *input, char **output,
		  const char *const words[]);
#define VIRSH(libvirt, input, output, ...) \
	libvirt_virsh(libvirt, input, output, (const char *const[]){__VA_ARGS__, NULL})
/* The definition that a domain starts with next (inactive), or that it runs with. */
int libvirt_xml(const struct libvirt *libvirt, const char *domain, bool inactive, char **xml);
/* Calls each() for every domain that is enabled. -ENOMEM, what each() returned, or as above. */
int libvirt_each_enabled(const struct libvirt *libvirt,
			 int (*each)(const struct domain *domain, void *arg), void *arg);
/* "systemctl restart ..." of the daemon that reads qemu.conf. */
const char *libvirt_restart_command(void);
/* Did that daemon start before the file was changed? false where it cannot be told. */
bool libvirt_daemon_is_older(const char *path);

/* libvirt-journal.c */
int journal_init(struct journal *journal, const struct args *args);
void journal_free(struct journal *journal);
void journal_change(struct journal *journal, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void journal_then(struct journal *journal, const char *command, const char *why);
int journal_end(struct journal *journal); /* prints what is not printed yet; an exit code */
/* A new content for a file of the administrator's; NULL: the file goes. */
int journal_write(struct journal *journal, const char *path, const char *text, const char *how);

/* libvirt-host.c: what all domains of qemu:///system have in common. */
int libvirt_host_enable(struct libvirt *libvirt);
int libvirt_host_disable(struct libvirt *libvirt);
#define LIBVIRT_QEMU_CONF "/etc/libvirt/qemu.conf"
#define LIBVIRT_APPARMOR "/etc/apparmor.d/abstractions/libvirt-qemu"
#define LIBVIRT_APPARMOR_LOCAL "/etc/apparmor.d/local/abstractions/libvirt-qemu"
#define LIBVIRT_DEVICE "/dev/userfaultfd"
/* What AppArmor must allow, as lines of its language; to be freed. -EINVAL: a path that cannot be
 * written in it, -ENOMEM. */
int libvirt_apparmor_rules(const struct libvirt *libvirt, char **rules);

/* libvirt-salt.c */
int libvirt_salt_path(const struct libvirt *libvirt, const struct domain *domain,
		      char path[PATH_MAX]);
int libvirt_salt_enable(struct libvirt *libvirt, const struct domain *domain, const char **path);
int libvirt_salt_disable(struct libvirt *libvirt, const struct domain *domain);
/* The folder for copies and records; made if it is not there. */
int libvirt_state_folder(struct libvirt *libvirt);

/* libvirt-check.c */
int libvirt_check(struct libvirt *libvirt, const char *domain);

#endif
