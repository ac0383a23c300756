/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt: a domain that libvirt starts has the agent in it, or has it no more; and what is
 * lacking.
 *
 * enable goes from the host to the VM, disable back: at no moment is a domain set up for an agent
 * that the host would keep from its work. Both may be run again at any time, and then change what
 * is left to change. A VM that runs is not touched: it has what it was started with.
 *
 * Two administrators at once: one at a time edits the host's files (a lock on libvirt's folder).
 * The domain's XML has no such lock; who edits it in the same second by other means may lose his
 * change, as with "virsh edit".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/libvirt.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/self.h"

#define CONFIG_DIR "/etc/libvirt"

/* A domain that is to be edited. */
struct edit {
	struct libvirt libvirt;
	struct domain *domain;
	char *xml;
	int lock;
};

static void edit_deinit(struct edit *edit)
{
	journal_free(&edit->libvirt.journal);
	domain_free(edit->domain);
	free(edit->xml);
	cleanup_close(&edit->lock);
}
#define _cleanup_edit_ _cleanup_(edit_deinit)

static bool is_listed(const char *list, const char *uuid)
{
	return list && strstr(list, uuid);
}

/* A definition that is not kept would become one that is. */
static int check_persistent(const struct edit *edit, const char *name)
{
	_cleanup_free_ char *list = NULL;
	int r = VIRSH(&edit->libvirt, NULL, &list, "list", "--all", "--persistent", "--uuid");

	if (!r && !is_listed(list, edit->domain->uuid))
		r = say_error(CLI_FAILED,
			      "domain %s is transient: nothing of it is kept, so put "
			      "the agent where it is made; or 'virsh define' it first",
			      name);
	return r;
}

static int check_right(const struct libvirt *libvirt)
{
	if (libvirt->session || libvirt->journal.dry || !sys_self_uid())
		return 0;
	return say_error(CLI_FAILED,
			 "files of %s are to be edited: run it as root (or with "
			 "--dry-run, or --connect qemu:///session)",
			 CONFIG_DIR);
}

static int edit_init(struct edit *edit, const struct args *args)
{
	const char *name = args->operands[1];
	int r;

	*edit = (struct edit){.lock = -1};
	r = libvirt_open(&edit->libvirt, args);
	if (!r)
		r = journal_init(&edit->libvirt.journal, args);
	if (!r)
		r = check_right(&edit->libvirt);
	if (!r && !edit->libvirt.session && !args->dry_run)
		edit->lock = sys_lock_folder(CONFIG_DIR);
	if (!r)
		r = libvirt_xml(&edit->libvirt, name, true, &edit->xml);
	if (r)
		return r;
	r = domain_look(edit->xml, &edit->domain);
	if (r)
		return say_error(CLI_FAILED, "domain %s: its XML is not understood", name);
	if (strcmp(edit->domain->type, "kvm") != 0 && strcmp(edit->domain->type, "qemu") != 0)
		return say_error(CLI_FAILED, "domain %s is of type %s: only QEMU's are shared",
				 name, edit->domain->type);
	return check_persistent(edit, name);
}

/* Puts the edited XML in force, and looks whether libvirt kept what is in it. */
static int define(struct edit *edit, const char *xml, bool enabled)
{
	_cleanup_free_ char *said = NULL;
	_cleanup_free_ char *now = NULL;
	_cleanup_domain_ struct domain *kept = NULL;
	int r;

	if (edit->libvirt.journal.dry)
		return 0;
	r = VIRSH(&edit->libvirt, xml, &said, "define", "/dev/stdin");
	if (!r)
		r = libvirt_xml(&edit->libvirt, edit->domain->uuid, true, &now);
	if (r)
		return r;
	if (domain_look(now, &kept) || kept->enabled != enabled)
		return say_error(CLI_FAILED, "domain %s: libvirt did not keep what was defined",
				 edit->domain->name);
	return 0;
}

static int say_domain(struct edit *edit, const char *how)
{
	_cleanup_free_ char *what = NULL;

	if (asprintf(&what, "domain %s", edit->domain->name) < 0)
		return say_error(CLI_FAILED, "out of memory");
	journal_change(&edit->libvirt.journal, what, "%s", how);
	return 0;
}

static int then_start_anew(struct edit *edit, const char *why)
{
	_cleanup_free_ char *list = NULL;
	_cleanup_free_ char *command = NULL;
	int r = VIRSH(&edit->libvirt, NULL, &list, "list", "--uuid");

	if (r || !is_listed(list, edit->domain->uuid))
		return r;
	if (asprintf(&command, "virsh -c %s shutdown %s; virsh -c %s start %s", edit->libvirt.uri,
		     edit->domain->name, edit->libvirt.uri, edit->domain->name) < 0)
		return say_error(CLI_FAILED, "out of memory");
	journal_then(&edit->libvirt.journal, command, why);
	return 0;
}

/* libvirt's daemon reads its file at its start only. */
static void then_restart(struct edit *edit)
{
	if (!edit->libvirt.session && libvirt_daemon_is_older(LIBVIRT_QEMU_CONF))
		journal_then(&edit->libvirt.journal, libvirt_restart_command(),
			     "it reads qemu.conf at its start; VMs run on");
}

/* ---- enable ---------------------------------------------------------------------------------- */

static int enable_domain(struct edit *edit, const char *salt_file)
{
	const struct libvirt *libvirt = &edit->libvirt;
	struct domain_wish wish = {.agent = libvirt->agent,
				   .runtime_dir = libvirt->runtime.dir,
				   .salt_file = salt_file};
	_cleanup_free_ char *edited = NULL;
	_cleanup_free_ char *how = NULL;
	int r = domain_enable(edit->xml, &wish, &edited);

	if (r == -EALREADY)
		return 0;
	if (r || asprintf(&how, "LD_PRELOAD=%s, PSHARE_RUNTIME_DIR=%s%s%s", wish.agent,
			  wish.runtime_dir, salt_file ? ", PSHARE_SALT_FILE=" : ", no salt",
			  salt_file ? salt_file : "") < 0)
		return say_error(CLI_FAILED, "out of memory");
	r = define(edit, edited, true);
	if (!r)
		r = say_domain(edit, how);
	return r ? r : then_start_anew(edit, "it runs as it was started");
}

static int enable(const struct args *args)
{
	_cleanup_edit_ struct edit edit;
	const char *salt_file = NULL;
	int r = edit_init(&edit, args);

	/* what is the caller's to give is refused before anything of the host's is changed */
	if (!r)
		r = libvirt_salt_enable(&edit.libvirt, edit.domain, &salt_file);
	if (!r && !edit.libvirt.session)
		r = libvirt_host_enable(&edit.libvirt);
	if (!r)
		r = enable_domain(&edit, salt_file);
	if (r)
		return r;
	then_restart(&edit);
	if (edit.domain->unfit)
		say_error(0,
			  "warning: its memory cannot be shared as it is; see 'pshare libvirt "
			  "check %s'",
			  edit.domain->name);
	return journal_end(&edit.libvirt.journal);
}

/* ---- disable --------------------------------------------------------------------------------- */

struct others {
	const struct domain *own;
	unsigned int n;
};

static int count_other(const struct domain *domain, void *arg)
{
	struct others *others = arg;

	others->n += strcmp(domain->uuid, others->own->uuid) != 0;
	return 0;
}

static int disable_domain(struct edit *edit)
{
	_cleanup_free_ char *edited = NULL;
	int r = domain_disable(edit->xml, &edited);

	if (r == -ENOENT)
		return 0;
	if (r)
		return say_error(CLI_FAILED, "out of memory");
	r = define(edit, edited, false);
	if (!r)
		r = say_domain(edit, "the agent and its variables are taken out");
	return r ? r : then_start_anew(edit, "it runs as it was started, and shares until then");
}

/* The last one takes what all had in common along. */
static int disable_host(struct edit *edit)
{
	struct others others = {.own = edit->domain};
	int r = libvirt_each_enabled(&edit->libvirt, count_other, &others);

	if (!r && !others.n && !edit->libvirt.session)
		r = libvirt_host_disable(&edit->libvirt);
	if (r || others.n || edit->libvirt.journal.dry)
		return r;
	r = sys_folder_remove(edit->libvirt.state_dir);
	return r ? say_error(CLI_FAILED, "folder %s: %s", edit->libvirt.state_dir, strerror(-r)) :
		   0;
}

static int disable(const struct args *args)
{
	_cleanup_edit_ struct edit edit;
	int r = edit_init(&edit, args);

	if (!r)
		r = disable_domain(&edit);
	if (!r)
		r = libvirt_salt_disable(&edit.libvirt, edit.domain);
	if (!r)
		r = disable_host(&edit);
	if (r)
		return r;
	then_restart(&edit);
	return journal_end(&edit.libvirt.journal);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int check(const struct args *args)
{
	struct libvirt libvirt;
	int r;

	if (args->dry_run)
		return say_usage(args->command, "check changes nothing: --dry-run is not for it");
	r = libvirt_open(&libvirt, args);
	return r ? r : libvirt_check(&libvirt, args->operands[1]);
}

int cmd_libvirt(struct args *args)
{
	const char *verb = args->operands[0];
	bool enables = !strcmp(verb, "enable");

	if (!enables && (args->salt_file || args->salt_env || args->clear_salt))
		return say_usage(args->command, "a salt is for enable only");
	if (args->clear_salt && (args->salt_file || args->salt_env))
		return say_usage(args->command, "--clear-salt and a salt exclude each other");
	if (!strcmp(verb, "check"))
		return check(args);
	if (!enables && strcmp(verb, "disable") != 0)
		return say_usage(args->command, "'%.40s' is none of enable, disable, check", verb);
	if (args->noperands < 2)
		return say_usage(args->command, "which domain? pshare libvirt %s DOMAIN", verb);
	return enables ? enable(args) : disable(args);
}
