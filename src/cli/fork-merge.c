/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork-merge: what a parent wrote to its delta goes into the file that was frozen, and the delta is
 * removed. Only if no child is left, for the file changes.
 *
 * A file that QEMU writes to is never removed. That a job is gone does not say that it went well:
 * one that fails when the disk is about to change over is gone, too. Nor does a delta's being there
 * say that it is used: QEMU may have made it, and failed then. So it is QEMU that says what its
 * disks are made of, before and after.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/fork.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/proc.h"
#include "sys/vmproc.h"

#define MS 1000000ull
#define MERGE_MOST_MS 600000u
#define MERGE_POLL_MS 2u

/* What the VM's disks are made of. */
struct made_of {
	bool delta;    /* one has the delta, on top or below */
	bool frozen;   /* one writes to the file that was frozen */
	char node[64]; /* that has the delta on top; or "" */
};

/* file: as QEMU says it. */
static bool is_file(const struct fork *f, const char *file, const char *path)
{
	_cleanup_free_ char *whole = *file ? fork_whole_path(f, file) : NULL;

	return whole && (!strcmp(whole, path) || sys_same_file(whole, path) > 0);
}

static int look(struct fork *f, const struct fork_disk *disk, struct made_of *m)
{
	_cleanup_json_ json_t *blocks = NULL;
	const json_t *block, *image;
	size_t i;
	int r = fork_qmp(f, f->qmp, f->parent, "query-block", NULL, -1, &blocks);

	*m = (struct made_of){.delta = false};
	json_array_foreach(blocks, i, block)
	{
		const json_t *in = json_object_get(block, "inserted");
		const char *file = ask_text(in, "file");

		if (is_file(f, file, disk->delta))
			snprintf(m->node, sizeof(m->node), "%s", ask_text(in, "node-name"));
		m->delta |= is_file(f, file, disk->delta);
		m->frozen |= !ask_true(in, "ro") && is_file(f, file, disk->top);
		for (image = json_object_get(in, "image"); json_is_object(image);
		     image = json_object_get(image, "backing-image"))
			m->delta |= is_file(f, ask_text(image, "filename"), disk->delta);
	}
	return r;
}

/* Is the job there, and is it ready to be completed? */
static int look_at_job(struct fork *f, const char *job, bool *there, bool *ready)
{
	_cleanup_json_ json_t *jobs = NULL;
	const json_t *one;
	size_t i;
	int r = fork_qmp(f, f->qmp, f->parent, "query-block-jobs", NULL, -1, &jobs);

	*there = *ready = false;
	json_array_foreach(jobs, i, one) if (!strcmp(ask_text(one, "device"), job))
	{
		*there = true;
		*ready = ask_true(one, "ready");
	}
	return r;
}

/* Until the job is gone. One that another --undo left is gone on with. */
static int run_job(struct fork *f, const struct fork_disk *disk, const char *job, const char *what)
{
	uint64_t end = sys_now() + MERGE_MOST_MS * MS;
	bool there, ready, completing = false;
	int r = look_at_job(f, job, &there, &ready);

	if (!r && !there)
		r = fork_qmp(f, f->qmp, f->parent, "block-commit",
			     json_pack("{s:s, s:s, s:s}", "job-id", job, "device", what, "base",
				       disk->top),
			     -1, NULL);
	while (!r && sys_now() < end) {
		r = look_at_job(f, job, &there, &ready);
		if (r || !there)
			break;
		if (!completing && ready) {
			r = fork_qmp(f, f->qmp, f->parent, "block-job-complete",
				     json_pack("{s:s}", "device", job), -1, NULL);
			completing = true;
		}
		sys_sleep_ms(MERGE_POLL_MS);
	}
	return r;
}

static int merge_one(struct fork *f, struct fork_disk *disk, unsigned int nr)
{
	const char *what = *disk->device ? disk->device : disk->node;
	struct made_of m;
	char job[32];
	int r = look(f, disk, &m);

	snprintf(job, sizeof(job), "pshare-merge-%u", nr);
	if (!r && (m.delta || !m.frozen)) {
		/* a record that was written before the transaction has the node below */
		r = run_job(f, disk, job, !*disk->device && *m.node ? m.node : what);
		if (!r)
			r = look(f, disk, &m);
	}
	if (r)
		return r;
	if (m.delta || !m.frozen)
		return say_error(CLI_FAILED, "%s: %s could not be merged into %s; both are kept",
				 f->parent, disk->delta, disk->top);
	(void)sys_file_remove(disk->delta);
	disk->frozen = false;
	return 0;
}

int fork_disks_merge(struct fork *f)
{
	int r = 0;

	for (size_t i = 0; i < f->ndisks; i++)
		if (f->disk[i].frozen) {
			int one = merge_one(f, &f->disk[i], (unsigned int)i);

			r = r ? r : one;
		}
	return r;
}
