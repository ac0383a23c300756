/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A core that knows two VMs and does what it is told, for the API's tests. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/test-api-core.h"
#include "policy/entitle.h"
#include "policy/settings.h"

static void fill_vm(struct view_vm *vm, const char *name, uid_t uid)
{
	*vm = (struct view_vm){
		.state = "sharing", .pins = "fork", .pid = 4711, .uid = uid, .enable = true};
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	snprintf(vm->comm, sizeof(vm->comm), "qemu");
	snprintf(vm->domain, sizeof(vm->domain), "0123abcd");
	vm->size = 512ull << 20;
	vm->shrd = 300ull << 20;
	vm->refused[PS_CAUSE_PINNED] = 7;
	vm->balloon = (struct view_balloon){.state = "none", .why = "none"};
	vm->memory.swap_dir = "";
	vm->memory.set_shares = SHARES_HIGH;
	vm->memory.max_mb = -1;
	vm->memory.action =
		(struct view_action){.what = "suspend", .wanted = UINT64_MAX, .moved = 7};
	vm->memory.page_in[PS_TIER_ZIP] = (struct ps_times){
		.count = {[0] = 1, [3] = 3, [PS_LATENCY_BUCKETS - 1] = 2},
		.sum_ns = 1234567890,
	};
	vm->progress.done = 0.625;
	vm->nregions = 1;
	vm->regions[0].size = vm->size;
}

/* All that is not there in every VM. */
static void enrich(struct view_vm *vm)
{
	vm->balloon = (struct view_balloon){
		.state = "ready", .why = "it works", .mend = "nothing", .says = "QEMU's words"};
	vm->balloon.usable = vm->balloon.known = vm->balloon.device = true;
	vm->balloon.free = vm->balloon.age_ns = UINT64_MAX;
	vm->reason = PS_CAUSE_STOPPED;
	vm->birth = "failed";
	vm->birth_error = ENOMEM;
	snprintf(vm->parent, sizeof(vm->parent), "web2");
	vm->refused[PS_CAUSE_ERROR] = 1;
	vm->error = ENOMEM;
	vm->regions[0].cause = PS_CAUSE_HUGETLB;
	vm->progress.left_ns = UINT64_MAX;
	vm->memory.action.error = -ENOMEM;
}

void view_host(struct daemon *daemon, struct view_host *out)
{
	(void)daemon;
	*out = (struct view_host){.state = "high", .pid = 1, .vms = 2, .domains = 1};
	out->memory.host = (struct view_source){.state = "high", .managed = 8ull << 30};
	out->memory.budget = (struct view_source){.state = "high"};
	out->memory.unreserved = 77;
	out->shared = 600ull << 20;
	out->common = 300ull << 20;
	out->saving = 300ull << 20;
}

int view_vms(struct daemon *daemon, int (*each)(const struct view_vm *vm, void *arg), void *arg)
{
	static const char *const names[] = {"web1", "web2"};
	struct view_vm vm;
	int r = 0;
	int i;

	for (i = 0; i < 2 && !r; i++) {
		fill_vm(&vm, names[i], 0);
		if (daemon->rich)
			enrich(&vm);
		r = each(&vm, arg);
	}
	return r;
}

int view_vm(struct daemon *daemon, const char *name, struct view_vm *out)
{
	if (strcmp(name, "web1") != 0 && strcmp(name, "web2") != 0)
		return -ENOENT;
	fill_vm(out, name, daemon->owner);
	if (daemon->rich)
		enrich(out);
	out->balloon.by_hand = daemon->balloon;
	return 0;
}

int view_picture(struct daemon *daemon, const char *name, struct view_picture *out)
{
	(void)daemon;
	if (strcmp(name, "web1") != 0 && strcmp(name, "web2") != 0)
		return -ENOENT;
	*out = (struct view_picture){.cells = 1026, .age_ns = 250000000};
	out->picture.cell_pages = 8;
	out->picture.nregions = 2;
	out->picture.region[0] = (struct ps_picture_region){.npages = 8192, .cells = 1024};
	out->picture.region[1] =
		(struct ps_picture_region){.base = 8192, .npages = 9, .cell = 1024, .cells = 2};
	memset(out->picture.cell, PS_PICTURE_CELL(PS_PICTURE_SHARED, 15), 1026);
	out->picture.cell[1025] = PS_PICTURE_CELL(PS_PICTURE_SWAPPED, 1);
	return 0;
}

int view_likeness(struct daemon *daemon, const char *name, struct view_likeness *out)
{
	(void)daemon;
	if (strcmp(name, "web1") != 0 && strcmp(name, "web2") != 0)
		return -ENOENT;
	*out = (struct view_likeness){
		.key = 0x12, .user = 3, .has_salt = name[3] == '1', .salt = 7};
	out->sketch.weight = 2.5;
	out->sketch.pages = 3;
	out->sketch.n = 2;
	out->sketch.token[0] = 5;
	out->sketch.token[1] = 70000;
	return 0;
}

int view_setting(struct daemon *daemon, const char *name, char *value, size_t size)
{
	struct host_settings defaults;
	int id = setting_find(name, false, NULL);

	settings_defaults(&defaults);
	if (id == SETTING_SHARE_SCAN_TIME)
		snprintf(value, size, "%s", daemon->scan_time);
	else
		setting_format((enum setting_id)id, defaults.value[id], value, size);
	return 0;
}

int view_setting_origin(struct daemon *daemon, const char *name, char *origin, size_t size)
{
	(void)daemon;
	snprintf(origin, size, "/etc/x.conf:%zu", strlen(name));
	return 0;
}

int view_setting_note(struct daemon *daemon, const char *name, char *note, size_t size)
{
	(void)daemon, (void)name;
	snprintf(note, size, "%s", "");
	return 0;
}

void view_record(struct daemon *daemon, const struct view_record *of)
{
	daemon->records++;
	daemon->result = of->result;
	snprintf(daemon->told, sizeof(daemon->told), "%s %s %s asked %s, %s to %s by %u as %s: %s",
		 of->what, of->vm ? of->vm : "host", of->setting, of->asked, of->before, of->after,
		 of->peer->uid, role_name(of->peer->role), of->reason);
}

int view_log(struct daemon *daemon, uint64_t after, unsigned int max,
	     int (*each)(const char *line, void *arg), void *arg)
{
	char line[64];
	int r = 0;

	(void)daemon;
	for (uint64_t i = after + 1; i <= 3 && max && !r; i++) {
		snprintf(line, sizeof(line), "{\"seq\":%u}", (unsigned int)i);
		r = each(line, arg);
	}
	return r;
}

void view_log_state(struct daemon *daemon, struct view_log_state *out)
{
	(void)daemon;
	*out = (struct view_log_state){.path = "/var/log/x", .head = "", .last = 3};
}

int view_reset(struct daemon *daemon, const char *name, const struct view_change *change,
	       struct view_reason *why)
{
	(void)name, (void)change, (void)why;
	snprintf(daemon->scan_time, sizeof(daemon->scan_time), "60");
	return 0;
}

static int begin_change(struct daemon *daemon, const struct view_change *change,
			struct view_reason *why)
{
	if (daemon->refuse) {
		snprintf(why->text, sizeof(why->text), "the core does not want to");
		return daemon->refuse;
	}
	if (!daemon->slow)
		return 0;
	daemon->done = change->done;
	daemon->done_arg = change->arg;
	return -EINPROGRESS;
}

int view_set(struct daemon *daemon, const char *name, const char *value,
	     const struct view_change *change, struct view_reason *why)
{
	(void)name;
	snprintf(daemon->scan_time, sizeof(daemon->scan_time), "%s", value);
	return begin_change(daemon, change, why);
}

int view_vm_set(struct daemon *daemon, const char *vm, const char *name, const char *value,
		const struct view_change *change, struct view_reason *why)
{
	(void)vm, (void)name, (void)value;
	return begin_change(daemon, change, why);
}

int view_vm_balloon(struct daemon *daemon, const char *vm, uint64_t bytes, bool force,
		    struct view_reason *why)
{
	(void)vm, (void)force;
	daemon->balloon = bytes;
	snprintf(why->text, sizeof(why->text), "the core does not want to");
	return daemon->refuse;
}

int view_vm_salt(struct daemon *daemon, const char *vm, const void *salt, size_t length,
		 const struct view_change *change, struct view_reason *why)
{
	(void)vm;
	daemon->salt_given = salt != NULL;
	daemon->salt_length = length;
	if (salt && length)
		memcpy(daemon->salt, salt, length);
	return begin_change(daemon, change, why);
}

int view_family(struct daemon *daemon, const char *name,
		int (*each)(const char *other, uint64_t bytes, void *arg), void *arg)
{
	(void)daemon;
	return strcmp(name, "web1") != 0 ? -ENOENT : each("web2", 4096, arg);
}

int view_fork(struct daemon *daemon, const char *name, struct view_fork *out)
{
	(void)daemon;
	if (strcmp(name, "web1") != 0)
		return -ENOENT;
	*out = (struct view_fork){.state = daemon->forking ? "publishing" : "none",
				  .running = true};
	return 0;
}

int view_fork_set(struct daemon *daemon, const char *name, const char *what,
		  const struct view_peer *peer, struct view_reason *why)
{
	(void)name, (void)peer;
	if (strcmp(what, "publish") != 0 && strcmp(what, "drop") != 0) {
		snprintf(why->text, sizeof(why->text), "what?");
		return -EINVAL;
	}
	daemon->forking = !strcmp(what, "publish");
	return 0;
}

int view_stores(struct daemon *daemon, int (*each)(const struct view_store *store, void *arg),
		void *arg)
{
	struct view_store store = {.generation = 7, .domain = "0123abcd", .inode = 5, .live = 2};

	(void)daemon;
	return each(&store, arg);
}

int view_accounts(struct daemon *daemon, int (*each)(const struct view_account *account, void *arg),
		  void *arg)
{
	struct view_account account = {
		.name = "web1",
		.pid = 4711,
		.salt = "-",
		.nstakes = 1,
		.stake = {{.generation = 7, .mapped = 3}},
	};

	(void)daemon;
	return each(&account, arg);
}

int view_damages(struct daemon *daemon, int (*each)(const struct view_damage *damage, void *arg),
		 void *arg)
{
	struct view_damage damage = {.domain = "0123abcd", .generation = 7, .frame = 9};

	(void)daemon;
	return each(&damage, arg);
}

int view_live(struct daemon *daemon, uint64_t generation, uint64_t first,
	      uint8_t bits[VIEW_LIVE / 8])
{
	(void)daemon;
	if (generation != 7 || first > 1000)
		return -ENOENT;
	memset(bits, 0, VIEW_LIVE / 8);
	bits[1] = 0xa5;
	return 0;
}

int view_act(struct daemon *daemon, const char *vm, const char *what, uint64_t bytes,
	     const struct view_peer *peer, struct view_reason *why)
{
	(void)peer;
	snprintf(daemon->did, sizeof(daemon->did), "%s %s %llu", what, vm,
		 (unsigned long long)bytes);
	if (daemon->refuse)
		snprintf(why->text, sizeof(why->text), "the core does not want to");
	return daemon->refuse;
}

int view_admit(struct daemon *daemon, const struct view_wish *wishes, unsigned int n,
	       const struct view_peer *peer, struct view_reason *why)
{
	size_t len = (size_t)snprintf(daemon->did, sizeof(daemon->did), "%d", (int)peer->pid);

	for (unsigned int i = 0; i < n && len < sizeof(daemon->did); i++)
		len += (size_t)snprintf(daemon->did + len, sizeof(daemon->did) - len, " %s=%s",
					wishes[i].name, wishes[i].value);
	if (daemon->refuse)
		snprintf(why->text, sizeof(why->text), "it does not fit");
	return daemon->refuse;
}

void view_cancel(struct daemon *daemon, const void *arg)
{
	if (daemon->done_arg == arg)
		daemon->cancelled++;
}
