/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit-books: what a daemon believes of its stores, against the page tables.
 *
 *	a frame that a guest maps is live in the books: else it would be given back, and filled with
 *	something else, under that guest
 *	a guest maps no more pages of a store than it has references to frames there
 *	a store takes memory for all frames that are in use, and for little more
 *	no frame is damaged (the daemon reads them again, daemon/verify.c)
 *
 * A guest's page maps a frame where a private writable mapping of the store has it and the page is
 * the file's (what the guest wrote to is its own). The agent's view of a store, which is read-only,
 * is none of a guest's.
 *
 * All that moves while it is read. So what seems wrong is looked at again, LOOKS times, and is a
 * violation if it was wrong each time; for frames, if it was the same frame.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "sys/launch.h"
#include "sys/pagemap.h"

#define LOOKS 5
#define LOOK_AGAIN_MS 150
#define CHUNK 4096u
#define LIVE_CHUNK 65536u /* frames in one answer of the daemon */
#define LIVE_BYTES (LIVE_CHUNK / 8)
#define SLACK (4u << 20) /* bytes: what reads of holes leave until the daemon punches them */

/* A store, and what the page tables say of it. */
struct store {
	const struct audit_daemon *daemon;
	uint64_t generation, device, inode, window, live, other;
	char domain[16];
	uint64_t bytes;	   /* that its file takes; 0: nobody's descriptor was found */
	uint8_t **live_at; /* by chunk; NULL: not asked for, nothing is mapped there */
	uint64_t chunks;
	uint64_t dead; /* frames that are mapped and not live */
	uint64_t first_dead;
	pid_t dead_pid;
};

struct mapped { /* by one VM, in one store */
	uint32_t vm;
	size_t store;
	uint64_t pages, allowed;
	uint64_t unshared; /* that it had before it was looked at */
};

struct look {
	struct audit *audit;
	struct store *stores;
	size_t nstores;
	struct mapped *mapped;
	size_t nmapped;
	struct frame {
		size_t store;
		uint64_t number;
		pid_t pid;
	} * dead; /* mapped and not live */
	size_t ndead;
};

static void look_free(struct look *look)
{
	for (size_t i = 0; i < look->nstores; i++) {
		for (uint64_t k = 0; k < look->stores[i].chunks; k++)
			free(look->stores[i].live_at[k]);
		free(look->stores[i].live_at);
	}
	free(look->stores);
	free(look->mapped);
	free(look->dead);
}

/* ---- stores --------------------------------------------------------------------------------- */

static int add_store(struct look *look, const struct audit_daemon *daemon, const json_t *json)
{
	struct store *grown = reallocarray(look->stores, look->nstores + 1, sizeof(*grown)), *s;

	if (!grown)
		return -ENOMEM;
	look->stores = grown;
	s = &grown[look->nstores++];
	*s = (struct store){
		.daemon = daemon,
		.generation = ask_number(json, "generation"),
		.device = ask_number(json, "device"),
		.inode = ask_number(json, "inode"),
		.window = ask_number(json, "window"),
		.live = ask_number(json, "live"),
		.other = ask_number(json, "other"),
	};
	if (s->window > PS_FRAMES_MAX)
		s->window = PS_FRAMES_MAX;
	snprintf(s->domain, sizeof(s->domain), "%s", ask_text(json, "domain"));
	s->chunks = (s->window + LIVE_CHUNK - 1) / LIVE_CHUNK;
	s->live_at = calloc(s->chunks + 1, sizeof(*s->live_at));
	if (!s->live_at) {
		s->chunks = 0;
		return -ENOMEM;
	}
	return 0;
}

static int take_open(const struct sys_open *open_file, void *arg)
{
	struct look *look = arg;

	for (size_t i = 0; i < look->nstores; i++)
		if (look->stores[i].inode == open_file->inode &&
		    look->stores[i].device == open_file->device)
			look->stores[i].bytes = open_file->bytes;
	return 0;
}

static int find_stores(struct look *look)
{
	const struct audit *audit = look->audit;
	const json_t *json;
	size_t k;
	int r = 0;

	for (size_t i = 0; !r && i < audit->ndaemons; i++) {
		json_array_foreach(json_object_get(audit->daemons[i].books, "stores"), k, json)
		{
			r = add_store(look, &audit->daemons[i], json);
			if (r)
				break;
		}
		if (!r)
			(void)sys_each_open(audit->daemons[i].pid, take_open, look);
	}
	return r;
}

static unsigned int digit(char c)
{
	return c >= 'a' ? (unsigned int)(c - 'a' + 10) : (unsigned int)(c - '0');
}

/* Is that frame live in the books? They are asked stretch by stretch. */
static bool is_live(struct store *s, uint64_t frame)
{
	_cleanup_json_ json_t *answer = NULL;
	uint64_t chunk = frame / LIVE_CHUNK;
	const char *text;
	char path[96];
	uint8_t *bits;

	if (chunk >= s->chunks)
		return false;
	bits = s->live_at[chunk];
	if (!bits) {
		bits = calloc(1, LIVE_BYTES);
		if (!bits)
			return true; /* no word against it */
		s->live_at[chunk] = bits;
		snprintf(path, sizeof(path), "/v1/audit/%" PRIu64 "/frames/%" PRIu64, s->generation,
			 chunk * LIVE_CHUNK);
		if (client_try(s->daemon->client, &answer, path)) {
			memset(bits, 0xff, LIVE_BYTES); /* the store has ended meanwhile */
			return true;
		}
		text = ask_text(answer, "live");
		for (uint32_t i = 0; i < LIVE_BYTES && text[2 * i] && text[2 * i + 1]; i++)
			bits[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
	}
	return bits[frame % LIVE_CHUNK / 8] >> (frame % 8) & 1;
}

/* ---- guests --------------------------------------------------------------------------------- */

static int add_dead(struct look *look, size_t store, uint64_t frame, pid_t pid)
{
	struct frame *grown = reallocarray(look->dead, look->ndead + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	look->dead = grown;
	look->dead[look->ndead++] = (struct frame){store, frame, pid};
	return 0;
}

static int count_map(struct look *look, const struct audit_vm *vm, const struct audit_map *map,
		     struct mapped *mapped)
{
	struct store *store = &look->stores[mapped->store];
	static uint64_t entries[CHUNK];
	int r = 0;

	for (uint64_t at = map->start; !r && at < map->end;) {
		uint64_t left = (map->end - at) / AUDIT_PAGE;
		uint32_t n = left < CHUNK ? (uint32_t)left : CHUNK;

		if (pagemap_read(vm->pagemap, at, entries, n))
			return 0; /* it ends, or the mapping has gone */
		for (uint32_t i = 0; !r && i < n; i++) {
			uint64_t frame = (map->offset + at - map->start) / AUDIT_PAGE + i;

			if (!(entries[i] & PM_PRESENT) || !(entries[i] & PM_FILE))
				continue;
			mapped->pages++;
			if (!is_live(store, frame))
				r = add_dead(look, mapped->store, frame, vm->pid);
		}
		at += (uint64_t)n * AUDIT_PAGE;
	}
	return r;
}

static uint64_t allowed_of(const struct audit_vm *vm, uint64_t generation)
{
	uint64_t allowed = 0;
	const json_t *stake;
	size_t k;

	json_array_foreach(json_object_get(vm->account, "stakes"), k, stake)
	{
		if (ask_number(stake, "generation") == generation)
			allowed += ask_number(stake, "mapped") + ask_number(stake, "pending");
	}
	return allowed;
}

static struct mapped *mapped_of(struct look *look, uint32_t vm, size_t store)
{
	struct mapped *grown;

	for (size_t i = look->nmapped; i--;)
		if (look->mapped[i].vm == vm && look->mapped[i].store == store)
			return &look->mapped[i];
	grown = reallocarray(look->mapped, look->nmapped + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	look->mapped = grown;
	look->mapped[look->nmapped] = (struct mapped){
		.vm = vm,
		.store = store,
		.allowed = allowed_of(&look->audit->vms[vm], look->stores[store].generation),
		.unshared = ask_number(look->audit->vms[vm].account, "unshared"),
	};
	return &look->mapped[look->nmapped++];
}

static int count_vm(struct look *look, uint32_t number)
{
	struct audit_vm *vm = &look->audit->vms[number];
	int r = 0;

	for (size_t i = 0; !r && i < vm->nmaps; i++) {
		const struct audit_map *map = &vm->maps[i];
		struct mapped *mapped = NULL;
		size_t s = 0;

		if (map->kind != AUDIT_STORE || map->shared || !map->writable)
			continue;
		while (s < look->nstores && (look->stores[s].inode != map->inode ||
					     look->stores[s].device != map->device))
			s++;
		if (s == look->nstores)
			continue; /* an earlier daemon's */
		mapped = mapped_of(look, number, s);
		if (!mapped)
			return -ENOMEM;
		r = count_map(look, vm, map, mapped);
	}
	return r;
}

/* Once before the page tables are read, once after: what it had references for at one of the two
 * times is allowed, and what it gave back meanwhile, for it may have been seen before that. */
static void allow(struct look *look)
{
	for (size_t i = 0; i < look->nmapped; i++) {
		struct mapped *m = &look->mapped[i];
		const struct audit_vm *vm = &look->audit->vms[m->vm];
		uint64_t allowed = allowed_of(vm, look->stores[m->store].generation);
		uint64_t unshared = ask_number(vm->account, "unshared");

		if (unshared > m->unshared)
			allowed += unshared - m->unshared;
		if (allowed > m->allowed)
			m->allowed = allowed;
	}
}

static int take(struct audit *audit, struct look *look)
{
	int r;

	*look = (struct look){.audit = audit};
	audit_read_books(audit);
	r = find_stores(look);
	for (uint32_t i = 0; !r && i < audit->nvms; i++) {
		if (!audit->vms[i].account || audit->vms[i].pagemap < 0)
			continue;
		r = audit_read_maps(audit, &audit->vms[i]);
		r = r == -ENOMEM ? r : count_vm(look, i);
	}
	audit_read_books(audit);
	allow(look);
	return r;
}

/* ---- judging -------------------------------------------------------------------------------- */

static bool same_store(const struct store *a, const struct store *b)
{
	return a->device == b->device && a->inode == b->inode;
}

static bool dead_in(const struct look *look, const struct store *store, const struct frame *frame)
{
	for (size_t i = 0; i < look->ndead; i++)
		if (look->dead[i].number == frame->number && look->dead[i].pid == frame->pid &&
		    same_store(&look->stores[look->dead[i].store], store))
			return true;
	return false;
}

static bool excess_in(const struct look *look, const struct store *store, uint32_t vm)
{
	for (size_t i = 0; i < look->nmapped; i++)
		if (look->mapped[i].vm == vm && look->mapped[i].pages > look->mapped[i].allowed &&
		    same_store(&look->stores[look->mapped[i].store], store))
			return true;
	return false;
}

static bool is_too_small(const struct store *s)
{
	return s->bytes && s->bytes < s->live * AUDIT_PAGE;
}

static bool is_too_large(const struct store *s)
{
	return s->bytes > (s->live + s->other) * AUDIT_PAGE + SLACK;
}

static bool sized_in(const struct look *look, const struct store *store)
{
	for (size_t i = 0; i < look->nstores; i++)
		if (same_store(&look->stores[i], store))
			return (is_too_small(store) && is_too_small(&look->stores[i])) ||
			       (is_too_large(store) && is_too_large(&look->stores[i]));
	return false;
}

/* Keeps of the first look what was wrong in this one as well. True: something is. */
static bool keep(struct look *first, const struct look *again)
{
	size_t left = 0, wrong = 0;

	for (size_t i = 0; i < first->ndead; i++)
		if (dead_in(again, &first->stores[first->dead[i].store], &first->dead[i]))
			first->dead[left++] = first->dead[i];
	first->ndead = left;
	for (size_t i = 0; i < first->nmapped; i++) {
		struct mapped *m = &first->mapped[i];

		if (m->pages > m->allowed && !excess_in(again, &first->stores[m->store], m->vm))
			m->allowed = m->pages;
		wrong += m->pages > m->allowed;
	}
	for (size_t i = 0; i < first->nstores; i++) {
		struct store *s = &first->stores[i];

		if (!sized_in(again, s))
			s->bytes = 0;
		wrong += is_too_small(s) || is_too_large(s);
	}
	return left || wrong;
}

static bool anything_wrong(const struct look *look)
{
	size_t wrong = look->ndead;

	for (size_t i = 0; i < look->nmapped; i++)
		wrong += look->mapped[i].pages > look->mapped[i].allowed;
	for (size_t i = 0; i < look->nstores; i++)
		wrong += is_too_small(&look->stores[i]) || is_too_large(&look->stores[i]);
	return wrong;
}

static void say_dead(struct audit *audit, struct look *look)
{
	for (size_t i = 0; i < look->ndead; i++) {
		struct store *s = &look->stores[look->dead[i].store];

		if (!s->dead++) {
			s->first_dead = look->dead[i].number;
			s->dead_pid = look->dead[i].pid;
		}
	}
	for (size_t i = 0; i < look->nstores; i++) {
		const struct store *s = &look->stores[i];

		if (s->dead)
			audit_say(audit, "books", AUDIT_VIOLATION,
				  json_pack("[i]", (int)s->dead_pid), s->dead,
				  "end that VM; its memory may change under it",
				  "process %d maps frame %llu of domain %s, which the daemon holds "
				  "for free; %llu such pages in all",
				  (int)s->dead_pid, (unsigned long long)s->first_dead, s->domain,
				  (unsigned long long)s->dead);
	}
}

static void say_counts(struct audit *audit, const struct look *look)
{
	for (size_t i = 0; i < look->nmapped; i++) {
		const struct mapped *m = &look->mapped[i];
		const struct audit_vm *vm = &audit->vms[m->vm];

		if (m->pages > m->allowed)
			audit_say(
				audit, "books", AUDIT_VIOLATION, json_pack("[i]", (int)vm->pid),
				m->pages - m->allowed,
				"end that VM; its memory may change under it",
				"%s (process %d) maps %llu pages of domain %s, and has references "
				"for %llu",
				vm->name, (int)vm->pid, (unsigned long long)m->pages,
				look->stores[m->store].domain, (unsigned long long)m->allowed);
	}
}

static void say_sizes(struct audit *audit, const struct look *look)
{
	for (size_t i = 0; i < look->nstores; i++) {
		const struct store *s = &look->stores[i];
		unsigned long long has = s->bytes / AUDIT_PAGE;

		if (is_too_small(s))
			audit_say(
				audit, "books", AUDIT_VIOLATION,
				json_pack("[i]", (int)s->daemon->pid), s->live - has,
				"end the VMs of that domain: some read zeros where they had content",
				"domain %s has %llu frames in use and memory for %llu", s->domain,
				(unsigned long long)s->live, has);
		else if (is_too_large(s))
			audit_say(
				audit, "books", AUDIT_NOTE, json_pack("[i]", (int)s->daemon->pid),
				has - s->live, NULL,
				"domain %s has %llu frames in use and takes memory for %llu: a VM "
				"reads what was never written there",
				s->domain, (unsigned long long)s->live, has);
	}
}

static void say_damages(struct audit *audit)
{
	const json_t *damage;
	size_t k;

	for (size_t i = 0; i < audit->ndaemons; i++)
		json_array_foreach(json_object_get(audit->daemons[i].books, "damaged"), k, damage)
		{
			bool mended = ask_true(damage, "mended");
			bool bad = !mended && ask_true(damage, "present") &&
				   ask_number(damage, "pages");

			audit_say(
				audit, "damage", bad ? AUDIT_VIOLATION : AUDIT_NOTE, NULL,
				ask_number(damage, "pages"),
				bad ? "end these VMs and start them anew; test the host's memory" :
				      "test the host's memory",
				"frame %llu of domain %s had changed by itself%s%s",
				(unsigned long long)ask_number(damage, "frame"),
				ask_text(damage, "domain"),
				mended ? ", one bit, and was set right" :
				bad    ? ", and is damaged in " :
					 ", and is used by nobody any more",
				bad ? ask_text(damage, "vms") : "");
		}
}

int audit_books(struct audit *audit)
{
	struct look first, again;
	uint64_t pages = 0;
	bool wrong = false;
	int r = take(audit, &first);

	if (!r)
		wrong = anything_wrong(&first);
	for (size_t i = 0; i < first.nmapped; i++)
		pages += first.mapped[i].pages;
	for (int i = 1; !r && wrong && i < LOOKS; i++) {
		sys_sleep_ms(LOOK_AGAIN_MS);
		r = take(audit, &again);
		wrong = !r && keep(&first, &again);
		look_free(&again);
	}
	if (!r && wrong) {
		say_dead(audit, &first);
		say_counts(audit, &first);
		say_sizes(audit, &first);
	} else if (!r && audit->ndaemons) {
		audit_say(audit, "books", AUDIT_OK, NULL, pages, NULL,
			  "each of %llu shared pages has a frame that its daemon keeps for it",
			  (unsigned long long)pages);
	}
	if (!r)
		say_damages(audit);
	look_free(&first);
	return r;
}
