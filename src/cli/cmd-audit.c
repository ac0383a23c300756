/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit: that no memory crosses between VMs that may not share, shown from what the kernel says of
 * page frames, mappings and descriptors. The daemons' books are believed in one thing alone: which
 * user's and which salt's a VM is (audit-rule.h); all else that they say is compared.
 *
 * Everything is read; nothing is changed, stopped or traced.
 */
#include <errno.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/self.h"
#include "sys/terminal.h"

static int run_checks(struct audit *audit)
{
	static int (*const checks[])(struct audit * audit) = {
		audit_frames, audit_files, audit_stores, audit_books, audit_secrets,
	};
	int r = audit_find(audit);

	for (size_t i = 0; !r && i < sizeof(checks) / sizeof(checks[0]); i++)
		r = checks[i](audit);
	return r;
}

int cmd_audit(struct args *args)
{
	struct audit audit = {
		.args = args,
		.findings = json_array(),
		.began = sys_now(),
		.progress = term_is_terminal(2),
	};
	int r;

	if (sys_self_uid()) {
		json_decref(audit.findings);
		return say_error(CLI_UNSURE, "the kernel shows page frames to root alone: run "
					     "'pshare audit' as root");
	}
	r = audit.findings ? run_checks(&audit) : -ENOMEM;
	audit_progress(&audit, "", 0, 0);
	if (r == -EINVAL)
		r = CLI_USAGE; /* said */
	else if (r)
		r = say_error(CLI_UNSURE, "the audit could not be finished: %s", strerror(-r));
	else
		r = audit_print(&audit);
	audit_free(&audit);
	return r;
}
