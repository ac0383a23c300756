/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-files: memory that the kernel shares by itself: the page cache of a file that several VMs
 * have as their RAM (clones of one snapshot), and KSM.
 *
 * Who maps a file privately reads its pages out of the cache that all have in common, until he
 * writes: by the time of a read he can tell what another clone has read. That holds for a page
 * that only one of them has in memory as well; so here the mappings are compared, not the frames.
 */
#include <errno.h>
#include <stdlib.h>

#include "cli/audit.h"

#define KSM "/sys/kernel/mm/ksm/"

struct use {
	uint64_t device, inode;
	uint32_t vm;
	uint64_t bytes;
};

struct uses {
	struct use *at;
	size_t count;
};

static int add_use(struct uses *uses, uint32_t vm, const struct audit_map *map)
{
	struct use *grown;

	for (size_t i = 0; i < uses->count; i++) {
		struct use *use = &uses->at[i];

		if (use->vm == vm && use->device == map->device && use->inode == map->inode) {
			use->bytes += map->end - map->start;
			return 0;
		}
	}
	grown = reallocarray(uses->at, uses->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	uses->at = grown;
	uses->at[uses->count++] = (struct use){map->device, map->inode, vm, map->end - map->start};
	return 0;
}

struct name {
	uint64_t device, inode;
	char path[256];
};

static int take_name(const struct sys_map *map, void *arg)
{
	struct name *name = arg;

	if (map->device != name->device || map->inode != name->inode)
		return 0;
	snprintf(name->path, sizeof(name->path), "%s", map->path);
	return 1;
}

static uint64_t judge_uses(struct audit *audit, const struct uses *uses)
{
	uint64_t found = 0;

	for (size_t i = 0; i < uses->count; i++)
		for (size_t k = 0; k < i; k++) {
			const struct use *x = &uses->at[k], *y = &uses->at[i];
			const struct audit_vm *a = &audit->vms[x->vm], *b = &audit->vms[y->vm];
			struct name name = {.device = x->device, .inode = x->inode, .path = "?"};

			if (x->device != y->device || x->inode != y->inode || a->group == b->group)
				continue;
			(void)sys_each_map(a->eye, take_name, &name);
			audit_say(
				audit, "files", AUDIT_VIOLATION,
				json_pack("[i, i]", (int)a->pid, (int)b->pid),
				(x->bytes < y->bytes ? x->bytes : y->bytes) / AUDIT_PAGE,
				"give each VM a copy of the file, or clone it by a fork of pshare's",
				"%s (process %d) and %s (process %d) may not share and have one file "
				"as their memory, so one page cache: %s, %llu MiB",
				a->name, (int)a->pid, b->name, (int)b->pid, name.path,
				(unsigned long long)(x->bytes >> 20));
			found++;
			break; /* of this file one is enough for each VM */
		}
	return found;
}

/* ---- KSM ------------------------------------------------------------------------------------ */

static void judge_ksm(struct audit *audit)
{
	static const char mend[] = "as root: echo 2 > " KSM "run (and stop ksmtuned)";
	uint64_t run = 0, sharing = 0, pages = 0;
	json_t *pids = json_array();

	for (size_t i = 0; i < audit->nvms; i++) {
		pages += audit->vms[i].ksm;
		if (audit->vms[i].ksm && pids)
			json_array_append_new(pids, json_integer(audit->vms[i].pid));
	}
	if (sys_read_u64(KSM "run", &run)) {
		audit_say(audit, "ksm", AUDIT_OK, pids, 0, NULL, "not in this kernel");
		return;
	}
	(void)sys_read_u64(KSM "pages_sharing", &sharing);
	if (run == 1)
		audit_say(audit, "ksm", AUDIT_VIOLATION, pids, sharing, mend,
			  "KSM is running: it merges equal pages whoever owns them; %llu pages are "
			  "merged, %llu of them of VMs",
			  (unsigned long long)sharing, (unsigned long long)pages);
	else if (sharing)
		audit_say(audit, "ksm", AUDIT_VIOLATION, pids, sharing, mend,
			  "KSM has been stopped, and %llu pages are still merged, %llu of them of "
			  "VMs",
			  (unsigned long long)sharing, (unsigned long long)pages);
	else
		audit_say(audit, "ksm", AUDIT_OK, pids, 0, NULL,
			  "does not run and has merged nothing");
}

int audit_files(struct audit *audit)
{
	struct uses uses = {0};
	int r = 0;

	for (uint32_t i = 0; i < audit->nvms && !r; i++)
		for (size_t k = 0; k < audit->vms[i].nmaps && !r; k++)
			if (audit->vms[i].maps[k].kind == AUDIT_FILE)
				r = add_use(&uses, i, &audit->vms[i].maps[k]);
	if (!r && !judge_uses(audit, &uses))
		audit_say(audit, "files", AUDIT_OK, NULL, uses.count, NULL,
			  "no file is the memory of VMs that may not share");
	free(uses.at);
	if (!r)
		judge_ksm(audit);
	return r;
}
