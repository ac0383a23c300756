/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * policyfile: the administrator's policy, who may share with whom (policy/access.h), read when the
 * daemon starts and at SIGHUP. A file with a mistake changes nothing.
 */

#include "daemon/policyfile.h"

#include <string.h>

#include "daemon/rehome.h"
#include "daemon/vm-salt.h"
#include "daemon/vm.h"
#include "sys/cleanup.h"
#include "sys/path.h"

int policyfile_load(struct daemon *d)
{
	const char *path = d->options->policy;
	_cleanup_free_ char *text = NULL;
	struct access_policy *policy = NULL;
	char err[POLICY_ERROR_MAX];
	int r = 0;

	if (path)
		r = sys_read_text(path, ACCESS_FILE_MAX + 1, &text);
	if (r < 0) {
		log_error("--policy %s: %s", path, strerror(-r));
		return r;
	}
	r = access_parse_names(text, text ? strlen(text) : 0, sys_user_id, &policy, err);
	if (r < 0) {
		log_error("--policy %s: %s", path ? path : "(none)", err);
		return r;
	}
	access_free(d->policy);
	d->policy = policy;
	return 0;
}

void policyfile_apply(struct daemon *d)
{
	list_for_each(vm, &d->vms, struct vm, link)
		vm_judge_salt(vm);
	rehome_all(d);
	if (d->options->policy)
		log_info("the policy was read again");
	else
		log_info("no --policy was given: there is none to read again");
}
