/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json: each view becomes one JSON object here, and nowhere else. The names are the API.
 *
 * Memory may end at any line of the building. So add() takes NULL as a value and drops the whole
 * object then: a reply is whole or it is none, and no line here has to look.
 */
#include "daemon/json.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "policy/reason.h"
#include "sys/wipe.h"

#define NS_PER_S 1e9
#define VALUE_MAX 64

void json_wipe_always(void)
{
	json_set_alloc_funcs(sys_wiping_alloc, sys_wiping_free);
}

/* Puts a value (its reference is taken) into *object; on any failure *object becomes NULL. */
static void add(json_t **object, const char *key, json_t *value)
{
	if (!*object) {
		json_decref(value);
	} else if (!value || json_object_set_new(*object, key, value)) {
		json_decref(*object);
		*object = NULL;
	}
}

static void add_number(json_t **object, const char *key, uint64_t number)
{
	add(object, key, json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

static void add_text(json_t **object, const char *key, const char *text)
{
	add(object, key, json_string(text));
}

static void add_seconds(json_t **object, const char *key, uint64_t ns)
{
	add(object, key, json_real((double)ns / NS_PER_S));
}

static json_t *refused_object(const uint64_t refused[PS_CAUSE_END])
{
	json_t *object = json_object();
	unsigned int cause;

	for (cause = PS_CAUSE_NONE + 1; cause < PS_CAUSE_END; cause++) {
		if (refused[cause])
			add_number(&object, ps_cause_name(cause), refused[cause]);
	}
	return object;
}

static json_t *progress_object(const struct view_progress *progress)
{
	json_t *object = json_object();

	add(&object, "settled", json_boolean(progress->settled));
	add(&object, "first_pass", json_boolean(progress->first));
	add(&object, "done", json_real(progress->done));
	add_number(&object, "remaining", progress->remaining);
	add(&object, "looked_percent", json_real(progress->looked));
	add_number(&object, "saved", progress->saved);
	add_number(&object, "expected", progress->expected);
	if (progress->left_ns == UINT64_MAX)
		add(&object, "left_s", json_null());
	else
		add_seconds(&object, "left_s", progress->left_ns);
	return object;
}

/* ---- settings ------------------------------------------------------------------------------ */

static json_t *number_of(const struct setting *setting, int64_t number)
{
	char text[VALUE_MAX];

	if (setting->type == SETTING_SHARES && number < 0) {
		int id = setting_find(setting->name, setting->vm, NULL);

		if (id < 0 || setting_format((enum setting_id)id, number, text, sizeof(text)) < 0)
			return NULL;
		return json_string(text);
	}
	return setting->type == SETTING_BOOL ? json_boolean(number) : json_integer(number);
}

static json_t *host_value(const struct setting *setting, struct daemon *daemon)
{
	char text[VALUE_MAX];
	struct setting_value value;
	enum setting_id id;

	if (view_setting(daemon, setting->name, text, sizeof(text)))
		return NULL;
	id = (enum setting_id)setting_find(setting->name, false, NULL);
	if (setting_parse(id, text, strlen(text), &value, NULL))
		return NULL;
	return number_of(setting, value.num);
}

/* What a VM's setting reads as; of a salt only the fingerprint of the domain it leads to. */
static void add_vm_value(json_t **object, enum setting_id id, const struct view_vm *vm)
{
	const struct setting *setting = setting_get(id);

	switch (id) {
	case SETTING_PSHARE_ENABLE:
		add(object, "value", json_boolean(vm->enable));
		break;
	case SETTING_MEM_SHARES:
		add(object, "value", number_of(setting, vm->memory.set_shares));
		break;
	case SETTING_MEM_MIN:
		add(object, "value", number_of(setting, vm->memory.min_mb));
		break;
	case SETTING_MEM_MAX:
		add(object, "value", number_of(setting, vm->memory.max_mb));
		break;
	case SETTING_MAXMEMCTL:
		add(object, "value", number_of(setting, vm->memory.maxmemctl_mb));
		break;
	case SETTING_SWAP_DIR:
		add_text(object, "value", vm->memory.swap_dir);
		break;
	default:
		add(object, "present", json_boolean(vm->has_salt));
		add_text(object, "fingerprint", vm->domain);
	}
}

static void add_host_value(json_t **object, const struct setting *setting, struct daemon *daemon)
{
	char text[VIEW_REASON + 256];

	add(object, "value", host_value(setting, daemon));
	if (view_setting_origin(daemon, setting->name, text, sizeof(text)) == 0)
		add_text(object, "source", text);
	if (view_setting_note(daemon, setting->name, text, sizeof(text)) == 0 && *text)
		add_text(object, "note", text);
}

json_t *json_of_setting(enum setting_id id, struct daemon *daemon, const struct view_vm *vm)
{
	const struct setting *setting = setting_get(id);
	json_t *object = json_object();

	add_text(&object, "name", setting->name);
	if (vm)
		add_vm_value(&object, id, vm);
	else
		add_host_value(&object, setting, daemon);
	if (setting->type != SETTING_STRING) {
		add(&object, "default", number_of(setting, setting->def));
		add(&object, "min", number_of(setting, setting->min));
		add(&object, "max", number_of(setting, setting->max));
	}
	add_text(&object, "unit", setting->unit);
	add_text(&object, "text", setting->text);
	return object;
}

json_t *json_of_settings(struct daemon *daemon, const struct view_vm *vm)
{
	json_t *list = json_array();
	json_t *object = json_object();
	int id;

	for (id = 0; id < SETTING_END && list; id++) {
		if (setting_get((enum setting_id)id)->vm != (vm != NULL))
			continue;
		if (json_array_append_new(list, json_of_setting((enum setting_id)id, daemon, vm))) {
			json_decref(list);
			list = NULL;
		}
	}
	add(&object, "settings", list);
	return object;
}

/* ---- the host ------------------------------------------------------------------------------ */

static json_t *settings_by_name(struct daemon *daemon)
{
	json_t *object = json_object();
	int id;

	for (id = 0; id < SETTING_HOST_END; id++) {
		const struct setting *setting = setting_get((enum setting_id)id);

		add(&object, setting->name, host_value(setting, daemon));
	}
	return object;
}

static json_t *pshare_object(const struct view_host *host)
{
	json_t *object = json_object();

	add_number(&object, "shared", host->shared);
	add_number(&object, "common", host->common);
	add_number(&object, "saving", host->saving);
	add_number(&object, "zero", host->zero);
	return object;
}

static json_t *pages_object(const struct view_host *host)
{
	json_t *object = json_object();

	add_number(&object, "scanned", host->scanned);
	add_number(&object, "shared", host->shares);
	add_number(&object, "zeroed", host->zeroed);
	add_number(&object, "unshared", host->unshares);
	add(&object, "refused", refused_object(host->refused));
	return object;
}

static json_t *frames_object(const struct view_host *host)
{
	json_t *object = json_object();

	add_number(&object, "verified", host->verified);
	add_number(&object, "damaged", host->damaged);
	add_number(&object, "mended", host->mended);
	return object;
}

static json_t *cpu_object(const struct view_host *host)
{
	json_t *object = json_object();

	add_seconds(&object, "daemon_s", host->cpu_daemon_ns);
	add_seconds(&object, "agents_s", host->cpu_agents_ns);
	return object;
}

static json_t *source_object(const struct view_source *source)
{
	json_t *object = json_object();

	if (!source->managed) {
		json_decref(object);
		return json_null();
	}
	add_text(&object, "state", source->state);
	add_number(&object, "managed", source->managed);
	add_number(&object, "free", source->free);
	add_number(&object, "minfree", source->min_free);
	return object;
}

static json_t *host_memory_object(const struct view_host_memory *memory)
{
	json_t *object = json_object();

	add_number(&object, "managed", memory->managed);
	add_number(&object, "free", memory->free);
	add_number(&object, "minfree", memory->min_free);
	add_number(&object, "consumed", memory->consumed);
	add_number(&object, "reserved", memory->reserved);
	add_number(&object, "unreserved", memory->unreserved);
	add(&object, "host", source_object(&memory->host));
	add(&object, "budget", source_object(&memory->budget));
	add(&object, "stalled", json_boolean(memory->stalled));
	add_seconds(&object, "state_s", memory->state_ns);
	add_number(&object, "held", memory->held);
	add_number(&object, "balloon", memory->balloon);
	add_number(&object, "balloon_target", memory->balloon_target);
	add_number(&object, "balloon_max", memory->balloon_max);
	add_number(&object, "staged", memory->staged);
	add_number(&object, "twin", memory->twin);
	add_number(&object, "zipped", memory->zipped);
	add_number(&object, "zip_bytes", memory->zip_bytes);
	add_number(&object, "swapped", memory->swapped);
	add_number(&object, "out_target", memory->out_target);
	return object;
}

json_t *json_of_host(struct daemon *daemon)
{
	json_t *object = json_object();
	struct view_host host = {0};

	view_host(daemon, &host);
	add_text(&object, "version", PSHARE_VERSION);
	add_number(&object, "pid", (uint64_t)host.pid);
	add_seconds(&object, "uptime_s", host.uptime_ns);
	add_text(&object, "state", host.state);
	add_number(&object, "domains", host.domains);
	add_number(&object, "vms", host.vms);
	add(&object, "pshare", pshare_object(&host));
	add(&object, "memory", host_memory_object(&host.memory));
	add(&object, "progress", progress_object(&host.progress));
	add_number(&object, "metadata_bytes", host.metadata);
	add(&object, "cpu", cpu_object(&host));
	add(&object, "pages", pages_object(&host));
	add(&object, "frames", frames_object(&host));
	add(&object, "settings", settings_by_name(daemon));
	return object;
}

/* ---- a VM ---------------------------------------------------------------------------------- */

/* "reason": a name, or null where there is none; then what it means, and what would do. */
static void add_reason(json_t **object, unsigned int cause)
{
	const char *mend = reason_mend(cause);

	add(object, "reason",
	    cause == PS_CAUSE_NONE ? json_null() : json_string(ps_cause_name(cause)));
	if (cause == PS_CAUSE_NONE)
		return;
	add_text(object, "why", reason_text(cause));
	if (mend)
		add_text(object, "mend", mend);
}

static json_t *region_object(const struct view_region *region)
{
	json_t *object = json_object();

	add_number(&object, "base", (uint64_t)region->base * PS_PAGE_SIZE);
	add_number(&object, "size", region->size);
	add_reason(&object, region->cause);
	return object;
}

static json_t *regions_array(const struct view_vm *vm)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < vm->nregions && list; i++) {
		if (json_array_append_new(list, region_object(&vm->regions[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *overhead_object(const struct view_vm *vm)
{
	json_t *object = json_object();

	add_number(&object, "agent", vm->overhead_agent);
	add_number(&object, "kernel", vm->overhead_kernel);
	return object;
}

/* Of what an agent claims to be an errno. */
static const char *error_name(uint64_t error)
{
	const char *name = error <= INT_MAX ? strerrorname_np((int)error) : NULL;

	return name ? name : "unknown";
}

static json_t *counters_object(const struct view_vm *vm)
{
	json_t *object = json_object();

	add_number(&object, "passes", vm->passes);
	add_number(&object, "looked", vm->looked);
	add_number(&object, "scanned", vm->scanned);
	add_number(&object, "hinted", vm->hinted);
	add_number(&object, "shared", vm->shares);
	add_number(&object, "zeroed", vm->zeroed);
	add_number(&object, "unshared", vm->unshares);
	add_number(&object, "discards", vm->discards);
	add_number(&object, "late_writes", vm->late_writes);
	add_number(&object, "faults", vm->faults);
	add_number(&object, "stuck", vm->stuck);
	add_number(&object, "brought_back", vm->brought_back);
	add_number(&object, "shared_again", vm->reshares);
	add_number(&object, "batches", vm->batches);
	add_number(&object, "pin_forks", vm->pin_forks);
	add(&object, "refused", refused_object(vm->refused));
	if (vm->refused[PS_CAUSE_ERROR] && vm->error)
		add_text(&object, "error", error_name(vm->error));
	return object;
}

static json_t *hints_object(const struct view_vm *vm)
{
	json_t *object = json_object();

	add_number(&object, "held", vm->hints);
	add_number(&object, "quota", vm->hints_quota);
	add_number(&object, "evicted", vm->hints_evicted);
	add_number(&object, "lost", vm->hints_lost);
	add_number(&object, "asked_again", vm->rehints);
	return object;
}

static void add_memory(json_t **object, const struct view_vm *vm)
{
	add_number(object, "size", vm->size);
	add_number(object, "GRANT", vm->grant);
	add_number(object, "SHRD", vm->shrd);
	add_number(object, "SHRDSVD", vm->shrdsvd);
	add_number(object, "ZERO", vm->zero);
	add_number(object, "private", vm->priv);
	add_number(object, "large", vm->large);
	add_number(object, "quarantined", vm->quarantined);
	add_number(object, "broken", vm->broken);
	add(object, "overhead", overhead_object(vm));
	add_number(object, "COWH", vm->cowh);
}

static json_t *family_object(const struct view_vm *vm)
{
	json_t *object = json_object();

	if (!vm->birth) {
		json_decref(object);
		return json_null();
	}
	add_text(&object, "parent", vm->parent);
	add_number(&object, "image", vm->image);
	add_text(&object, "birth", vm->birth);
	if (vm->birth_error)
		add_text(&object, "error", error_name((uint64_t)vm->birth_error));
	return object;
}

/* A figure that may not be known: null then. */
static void add_figure(json_t **object, const char *key, uint64_t figure)
{
	if (figure == UINT64_MAX)
		add(object, key, json_null());
	else
		add_number(object, key, figure);
}

static json_t *guest_object(const struct view_balloon *balloon)
{
	json_t *object = json_object();

	add_figure(&object, "total", balloon->total);
	add_figure(&object, "available", balloon->available);
	add_figure(&object, "free", balloon->free);
	add_figure(&object, "swap_in_per_s", balloon->swap_in);
	add_figure(&object, "major_faults_per_s", balloon->major_faults);
	add_figure(&object, "stalls_per_s", balloon->stalls);
	if (balloon->age_ns == UINT64_MAX)
		add(&object, "age_s", json_null());
	else
		add_seconds(&object, "age_s", balloon->age_ns);
	add(&object, "fresh", json_boolean(balloon->fresh));
	add(&object, "short", json_boolean(balloon->guest_short));
	return object;
}

json_t *json_of_balloon(const struct view_balloon *balloon)
{
	json_t *object = json_object();

	add_text(&object, "state", balloon->state);
	add_text(&object, "why", balloon->why);
	if (balloon->mend)
		add_text(&object, "mend", balloon->mend);
	if (*balloon->says)
		add_text(&object, "says", balloon->says);
	add(&object, "usable", json_boolean(balloon->usable));
	add_number(&object, "MCTLSZ", balloon->size);
	add_number(&object, "MCTLTGT", balloon->target);
	add_number(&object, "MCTLMAX", balloon->max);
	add_number(&object, "by_hand", balloon->by_hand);
	if (!balloon->known)
		return object;
	add_number(&object, "memory", balloon->memory);
	add(&object, "held", json_boolean(balloon->held));
	add(&object, "paused", json_boolean(balloon->paused));
	add(&object, "device", json_boolean(balloon->device));
	if (!balloon->device)
		return object;
	add_number(&object, "goal", balloon->goal);
	add_number(&object, "most", balloon->most);
	add(&object, "deflate_on_oom", json_boolean(balloon->oom));
	add(&object, "free_page_reporting", json_boolean(balloon->reporting));
	add(&object, "guest", guest_object(balloon));
	return object;
}

json_t *json_of_action(const struct view_action *action)
{
	json_t *object = json_object();

	add_text(&object, "what", action->what);
	add(&object, "over", json_boolean(action->over));
	add(&object, "error",
	    action->error ? json_string(strerrordesc_np(-action->error)) : json_null());
	if (action->wanted == UINT64_MAX)
		add(&object, "wanted", json_null());
	else
		add_number(&object, "wanted", action->wanted);
	add_number(&object, "moved", action->moved);
	add_seconds(&object, "time_s", action->time_ns);
	return object;
}

static json_t *latencies_object(const struct view_memory *memory)
{
	static const char *const names[PS_TIERS] = {"staged", "twin", "zipped", "swapped"};
	json_t *object = json_object();

	for (unsigned int tier = 0; tier < PS_TIERS; tier++) {
		json_t *list = json_array();

		for (unsigned int i = 0; i < PS_LATENCY_BUCKETS && list; i++)
			if (json_array_append_new(
				    list,
				    json_integer((json_int_t)memory->page_in[tier].count[i]))) {
				json_decref(list);
				list = NULL;
			}
		add(&object, names[tier], list);
	}
	return object;
}

static json_t *why_not_object(const struct view_memory *memory)
{
	json_t *object = json_object();

	add_text(&object, "break", memory->why_break);
	add_text(&object, "balloon", memory->why_balloon);
	add_text(&object, "compress", memory->why_zip);
	add_text(&object, "swap", memory->why_swap);
	return object;
}

static json_t *moves_object(const struct view_memory *memory)
{
	json_t *object = json_object();

	add_number(&object, "staged", memory->stagings);
	add_number(&object, "staged_back", memory->staged_back);
	add_number(&object, "twin", memory->twins);
	add_number(&object, "twin_back", memory->twinins);
	add_number(&object, "zipped", memory->zips);
	add_number(&object, "unzipped", memory->unzips);
	add_number(&object, "swapped_out", memory->swapouts);
	add_number(&object, "swapped_in", memory->swapins);
	add_number(&object, "promoted", memory->promotions);
	add_number(&object, "blocks_broken", memory->breaks);
	add_number(&object, "blocks_collapsed", memory->collapses);
	add_number(&object, "swap_errors", memory->swap_errors);
	return object;
}

static json_t *memory_object(const struct view_memory *memory)
{
	json_t *object = json_object();

	add_number(&object, "consumed", memory->consumed);
	add_number(&object, "SZTGT", memory->target);
	add_number(&object, "overhead", memory->overhead);
	add_number(&object, "ACTV", memory->active);
	add_number(&object, "ACTVS", memory->active_slow);
	add_number(&object, "ACTVF", memory->active_fast);
	add_number(&object, "ACTVN", memory->active_now);
	add_number(&object, "ASHRS", memory->shares);
	add(&object, "AMIN", json_integer(memory->min_mb));
	add(&object, "AMAX", json_integer(memory->max_mb));
	add_number(&object, "MCTLSZ", memory->mctlsz);
	add_number(&object, "MCTLTGT", memory->mctltgt);
	add_number(&object, "MCTLMAX", memory->mctlmax);
	add_number(&object, "staged", memory->staged);
	add_number(&object, "twin", memory->twin);
	add_number(&object, "zipped", memory->zipped);
	add_number(&object, "CACHESZ", memory->cachesz);
	add_number(&object, "CACHEUSD", memory->cacheusd);
	add_number(&object, "ZIP/s", memory->zip_rate);
	add_number(&object, "UNZIP/s", memory->unzip_rate);
	add_number(&object, "SWCUR", memory->swcur);
	add_number(&object, "SWTGT", memory->swtgt);
	add_number(&object, "SWR/s", memory->swap_read_rate);
	add_number(&object, "SWW/s", memory->swap_write_rate);
	add_number(&object, "swap_file", memory->swap_file);
	add(&object, "latency_percent", json_real(memory->latency));
	add_seconds(&object, "wait_s", memory->wait_ns);
	add(&object, "held", json_boolean(memory->held));
	add(&object, "suspended", json_boolean(memory->suspended));
	add(&object, "why_not", why_not_object(memory));
	add(&object, "pages", moves_object(memory));
	add(&object, "page_in_us", latencies_object(memory));
	add(&object, "action", json_of_action(&memory->action));
	return object;
}

json_t *json_of_vm(const struct view_vm *vm)
{
	json_t *object = json_object();

	add_text(&object, "name", vm->name);
	add_number(&object, "pid", (uint64_t)vm->pid);
	add_number(&object, "uid", vm->uid);
	add_text(&object, "comm", vm->comm);
	add_text(&object, "state", vm->state);
	add_reason(&object, vm->reason);
	add_text(&object, "domain", vm->domain);
	add(&object, "enable", json_boolean(vm->enable));
	add_memory(&object, vm);
	add(&object, "memory", memory_object(&vm->memory));
	add_number(&object, "mappings", vm->mappings);
	add_seconds(&object, "cpu_s", vm->cpu_ns);
	add_text(&object, "pins", vm->pins);
	add_seconds(&object, "longest_stall_s", vm->stall_max_ns);
	add(&object, "progress", progress_object(&vm->progress));
	add(&object, "balloon", json_of_balloon(&vm->balloon));
	add(&object, "hints", hints_object(vm));
	add(&object, "family", family_object(vm));
	add(&object, "counters", counters_object(vm));
	add(&object, "regions", regions_array(vm));
	return object;
}

json_t *json_of_fork(const struct view_fork *fork)
{
	json_t *object = json_object();

	add_text(&object, "state", fork->state);
	if (fork->why)
		add_text(&object, "why", fork->why);
	add_number(&object, "image", fork->image);
	add(&object, "running", json_boolean(fork->running));
	add_number(&object, "size", fork->size);
	add_number(&object, "grant", fork->grant);
	add_number(&object, "zero", fork->zero);
	add_number(&object, "framed", fork->framed);
	add_number(&object, "quarantined", fork->quarantined);
	add_number(&object, "out", fork->out);
	add_number(&object, "passes", fork->passes);
	add_number(&object, "pages_frames", fork->frames);
	add_number(&object, "pages_copied", fork->copied);
	add_number(&object, "pages_found", fork->found);
	add_number(&object, "pages_zero", fork->zeros);
	return object;
}
