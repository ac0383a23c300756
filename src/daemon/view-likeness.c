/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VM's pages are like: the sample that its agent shows (wire.h), made into tokens with this
 * host's key, which may be that of a fleet. The sample is a claim: an agent that lies spoils what
 * plans say about its own VM. Hashes never leave the daemon: without the key nobody can ask a
 * sketch whether a page that he guesses is in it.
 *
 * VMs with one salt are told by a number made of its digest, with the key; salts of hosts with
 * different keys, and guesses, tell nothing.
 */
#include "daemon/view.h"

#include <errno.h>
#include <string.h>

#include "daemon/session.h"
#include "daemon/vm.h"
#include "policy/access.h"

#define WHOLE 4294967296.0

/* Two more keys from the one: what tells keys apart, and salts, is no token. */
static void derive(const struct daemon *d, uint64_t what, uint8_t key[SKETCH_KEY_SIZE])
{
	uint64_t word[2] = {sketch_keyed(d->likeness_key, what << 8 | 1),
			    sketch_keyed(d->likeness_key, what << 8 | 2)};

	memcpy(key, word, sizeof(word));
}

static uint64_t label_of(const struct daemon *d, const struct salt_digest *digest)
{
	uint8_t key[SKETCH_KEY_SIZE];
	uint64_t label = 0, part;

	derive(d, 's', key);
	for (size_t i = 0; i < sizeof(digest->byte); i += sizeof(part)) {
		memcpy(&part, digest->byte + i, sizeof(part));
		label = sketch_keyed(key, label ^ part);
	}
	return label;
}

static void take_sample(const struct vm *vm, struct sketch *out)
{
	static struct ps_likeness sample; /* the loop's one thread */
	uint8_t key[SKETCH_KEY_SIZE];

	out->n = out->pages = 0;
	out->weight = 1;
	if (!vm->session || !vm->session->samples || ring_likeness(&vm->session->ring, &sample) ||
	    sample.n > PS_LIKENESS_MAX || !sample.below || sample.below > (uint64_t)WHOLE)
		return;
	derive(vm->daemon, 't', key);
	sketch_make(out, key, sample.hash, sample.n,
		    sample.pages < PS_PAGES_MAX ? (uint32_t)sample.pages : 0,
		    WHOLE / (double)sample.below);
}

int view_likeness(struct daemon *daemon, const char *name, struct view_likeness *out)
{
	struct vm *vm = vm_by_name(daemon, name);
	uint8_t key[SKETCH_KEY_SIZE];
	bool named;

	_Static_assert(PS_LIKENESS_MAX <= SKETCH_MAX, "a sample fits a sketch");
	if (!vm)
		return -ENOENT;
	named = vm->has_salt && !vm->salt_empty;
	derive(daemon, 'k', key);
	out->key = sketch_keyed(key, 0);
	out->user =
		access_uid_group(daemon->policy, vm->user->uid, named ? &vm->fingerprint : NULL);
	out->has_salt = named;
	out->salt = named ? label_of(daemon, &vm->salt) : 0;
	take_sample(vm, &out->sketch);
	return 0;
}
