/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * policyfile: the administrator's policy, who may share with whom (policy/access.h), read when the
 * daemon starts and at SIGHUP. A file with a mistake changes nothing.
 */

#include "daemon/policyfile.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "daemon/rehome.h"
#include "daemon/trusted.h"
#include "daemon/vm-salt.h"
#include "daemon/vm.h"
#include "sys/cleanup.h"
#include "sys/path.h"

/* A JSON string of the first half of its SHA-256. */
static void note_digest(const char *text, size_t length, char json[POLICY_DIGEST_MAX])
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	char *at = json;

	(void)EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL);
	*at++ = '"';
	for (unsigned int i = 0; i < 16; i++, at += 2)
		snprintf(at, 3, "%02x", digest[i]);
	at[0] = '"';
	at[1] = '\0';
}

int policyfile_load(struct daemon *d, char why[POLICYFILE_WHY_MAX])
{
	const char *path = d->options->policy;
	_cleanup_free_ char *text = NULL;
	struct access_policy *policy = NULL;
	char err[POLICY_ERROR_MAX];
	size_t length = 0;
	int r = 0;

	if (path)
		r = trusted_read(d->options, path, ACCESS_FILE_MAX, &text, &length, err);
	if (r < 0) {
		snprintf(why, POLICYFILE_WHY_MAX, "--policy %.200s: %s", path, err);
		return r;
	}
	r = access_parse_names(text, length, sys_user_id, &policy, err);
	if (r < 0) {
		snprintf(why, POLICYFILE_WHY_MAX, "--policy %.200s: %s", path ? path : "(none)",
			 err);
		return r;
	}
	access_free(d->policy);
	d->policy = policy;
	note_digest(text ? text : "", length, d->policy_digest);
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
