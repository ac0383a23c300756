/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A host is known when anything of it is in etcd; it is connected while alive/HOST exists. Records
 * were checked for their form when they were read (etcd_kv); a member that is missing or of another
 * kind reads as nothing.
 */
#include "fleet/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wire.h"

/* Keys in a page. Of a host with many VMs a report takes 100 KB, an audit or sketches 1 MiB at
 * most: an answer takes 64 MiB (fleet/http.h), a third of that for base64. */
#define PAGE 250u
#define PAGE_LARGE 32u

int fleet_state_init(struct fleet_state *state, const char *fleet)
{
	*state = (struct fleet_state){.fleet = fleet};
	fleetrules_defaults(&state->rules);
	state->wants = json_object();
	state->rule_records = json_object();
	return state->wants && state->rule_records ? 0 : -ENOMEM;
}

void fleet_state_free(struct fleet_state *state)
{
	for (size_t i = 0; i < state->nhosts; i++) {
		json_decref(state->hosts[i].report);
		json_decref(state->hosts[i].settings);
		json_decref(state->hosts[i].audit);
		json_decref(state->hosts[i].likeness);
		json_decref(state->hosts[i].wants);
		json_decref(state->hosts[i].pending);
	}
	free(state->hosts);
	json_decref(state->wants);
	json_decref(state->rule_records);
	*state = (struct fleet_state){0};
}

/* ---- hosts --------------------------------------------------------------------------------- */

/* Where name is, or would be. */
static size_t place(const struct fleet_state *state, const char *name)
{
	size_t low = 0, high = state->nhosts;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(state->hosts[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct fleet_host *fleet_state_host(const struct fleet_state *state, const char *name)
{
	size_t at = place(state, name);

	return at < state->nhosts && strcmp(state->hosts[at].name, name) == 0 ? &state->hosts[at] :
										NULL;
}

static bool is_name(const char *text, size_t length)
{
	char name[PS_NAME_MAX] = "";

	if (!length || length >= sizeof(name))
		return false;
	memcpy(name, text, length);
	return ps_name_check(name) == 0;
}

/* The host of the first part of a key's rest; made if it is not there. *rest: what follows its '/',
 * or "". NULL: no name, or no memory. */
static struct fleet_host *host_of(struct fleet_state *state, const char *text, const char **rest)
{
	size_t length = strcspn(text, "/"), at;
	char name[FLEET_NAME_MAX] = "";

	if (!is_name(text, length))
		return NULL;
	memcpy(name, text, length);
	*rest = text[length] ? text + length + 1 : "";
	at = place(state, name);
	if (at < state->nhosts && strcmp(state->hosts[at].name, name) == 0)
		return &state->hosts[at];
	if (state->nhosts == state->room) {
		size_t room = state->room ? state->room * 2 : 64;
		struct fleet_host *more = realloc(state->hosts, room * sizeof(*more));

		if (!more)
			return NULL;
		state->hosts = more;
		state->room = room;
	}
	memmove(&state->hosts[at + 1], &state->hosts[at],
		(state->nhosts - at) * sizeof(*state->hosts));
	state->nhosts++;
	state->hosts[at] = (struct fleet_host){.wants = json_object(), .pending = json_object()};
	memcpy(state->hosts[at].name, name, sizeof(name));
	return &state->hosts[at];
}

static int order_of_hosts(const void *a, const void *b, void *arg)
{
	const struct fleet_state *state = arg;
	const struct fleet_host *x = &state->hosts[*(const size_t *)a];
	const struct fleet_host *y = &state->hosts[*(const size_t *)b];

	return x->connected != y->connected ? y->connected - x->connected :
					      strcmp(x->name, y->name);
}

size_t *fleet_state_order(const struct fleet_state *state)
{
	size_t *order = malloc((state->nhosts + 1) * sizeof(*order));

	for (size_t i = 0; order && i < state->nhosts; i++)
		order[i] = i;
	if (order)
		qsort_r(order, state->nhosts, sizeof(*order), order_of_hosts,
			(void *)(uintptr_t)state);
	return order;
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void replace(json_t **slot, json_t *value)
{
	json_decref(*slot);
	*slot = json_incref(value);
}

static void put(json_t *object, const char *name, const struct etcd_kv *kv)
{
	if (kv->value && *name) {
		(void)json_object_set_new(kv->value, "revision",
					  json_integer((json_int_t)kv->mod_revision));
		(void)json_object_set(object, name, kv->value);
	} else if (*name) {
		(void)json_object_del(object, name);
	}
}

static void take_of_host(struct fleet_host *host, enum fleet_key kind, const char *rest,
			 const struct etcd_kv *kv)
{
	switch (kind) {
	case FLEET_ALIVE:
		host->connected = kv->value && kv->lease; /* else it would never end */
		if (kv->value)
			host->since = (time_t)etcd_int(kv->value, "since");
		break;
	case FLEET_REPORT:
		replace(&host->report, kv->value);
		if (!host->connected)
			host->since = (time_t)etcd_int(kv->value, "at");
		break;
	case FLEET_SETTINGS:
		replace(&host->settings, kv->value);
		break;
	case FLEET_AUDIT:
		replace(&host->audit, kv->value);
		break;
	case FLEET_LIKENESS:
		replace(&host->likeness, kv->value);
		break;
	case FLEET_PENDING:
		put(host->pending, rest, kv);
		break;
	case FLEET_HOST_SET:
		rest = fleet_after(rest, "set/");
		if (rest)
			put(host->wants, rest, kv);
		break;
	default:
		break;
	}
}

static void take_rule(struct fleet_state *state, const char *name, const struct etcd_kv *kv)
{
	const char *value = json_string_value(json_object_get(kv->value, "value"));
	int id = fleetrule_find(name);

	put(state->rule_records, name, kv);
	if (id >= 0 && value)
		(void)fleetrule_set(&state->rules, (enum fleetrule)id, value, NULL);
}

int fleet_state_take_kv(struct fleet_state *state, const struct etcd_kv *kv)
{
	static const enum fleet_key of_hosts[] = {FLEET_ALIVE,	 FLEET_REPORT,	 FLEET_SETTINGS,
						  FLEET_AUDIT,	 FLEET_LIKENESS, FLEET_PENDING,
						  FLEET_HOST_SET};
	char prefix[FLEET_KEY_MAX];
	const char *rest;

	for (size_t i = 0; i < sizeof(of_hosts) / sizeof(of_hosts[0]); i++) {
		struct fleet_host *host;

		rest = fleet_after(kv->key,
				   fleet_key(prefix, state->fleet, of_hosts[i], NULL, NULL));
		if (!rest)
			continue;
		host = host_of(state, rest, &rest);
		if (host)
			take_of_host(host, of_hosts[i], rest, kv);
		return 0;
	}
	rest = fleet_after(kv->key, fleet_key(prefix, state->fleet, FLEET_ALL_SET, NULL, NULL));
	if (rest)
		put(state->wants, rest, kv);
	rest = fleet_after(kv->key, fleet_key(prefix, state->fleet, FLEET_ALL_RULE, NULL, NULL));
	if (rest)
		take_rule(state, rest, kv);
	if (strcmp(kv->key, fleet_key(prefix, state->fleet, FLEET_ADMISSION, NULL, NULL)) == 0)
		state->admission = kv->mod_revision;
	return 0;
}

/* ---- pages --------------------------------------------------------------------------------- */

static unsigned int page_of(enum fleet_key kind)
{
	return kind == FLEET_LIKENESS || kind == FLEET_AUDIT ? PAGE_LARGE : PAGE;
}

static json_t *first_page(const char *fleet, enum fleet_key kind)
{
	char key[FLEET_KEY_MAX];

	fleet_key(key, fleet, kind, NULL, NULL);
	return key[strlen(key) - 1] == '/' ? etcd_page_body(key, page_of(kind), false) :
					     etcd_range_body(key);
}

json_t *fleet_state_body(const char *fleet, const enum fleet_key *kinds, size_t n)
{
	json_t *list = json_array();
	int r = 0;

	for (size_t i = 0; i < n; i++)
		r |= etcd_add_op(list, "range", first_page(fleet, kinds[i]));
	if (r) {
		json_decref(list);
		return NULL;
	}
	return etcd_txn_body(NULL, list, NULL);
}

int fleet_state_next(const struct fleet_state *state, enum fleet_key kind, const json_t *range,
		     json_t **page)
{
	char revision[24];
	int r;

	if (!*page)
		*page = first_page(state->fleet, kind);
	r = etcd_page_next(page, range);
	if (r || !*page)
		return r;
	snprintf(revision, sizeof(revision), "%" PRId64, state->revision);
	if (json_object_set_new(*page, "revision", json_string(revision)))
		return -ENOMEM;
	return 0;
}

int fleet_state_take_page(struct fleet_state *state, const json_t *range)
{
	const json_t *list = etcd_kvs(range), *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, item)
	{
		_cleanup_kv_ struct etcd_kv kv = {0};

		if (!etcd_kv(item, &kv) && fleet_state_take_kv(state, &kv))
			return -ENOMEM;
	}
	return 0;
}

int fleet_state_take(struct fleet_state *state, const json_t *answer)
{
	const json_t *responses = json_object_get(answer, "responses"), *one;
	size_t i;
	int r = 0;

	state->revision = etcd_int(json_object_get(answer, "header"), "revision");
	json_array_foreach((json_t *)(uintptr_t)responses, i, one)
	{
		r = r ? r : fleet_state_take_page(state, json_object_get(one, "response_range"));
	}
	return r;
}

/* Has the host put it in force? */
static bool has_done(const struct fleet_host *host, const char *setting, const json_t *want)
{
	const json_t *settings = host ? json_object_get(host->settings, "settings") : NULL;
	const json_t *one = json_object_get(settings, setting);
	const char *done = json_string_value(json_object_get(one, "change"));
	const char *change = json_string_value(json_object_get(want, "change"));

	return done && change && strcmp(done, change) == 0;
}

json_t *fleet_state_want(const struct fleet_state *state, const struct fleet_host *host,
			 const char *setting)
{
	json_t *all = json_object_get(state->wants, setting);
	json_t *own = host ? json_object_get(host->wants, setting) : NULL;
	json_t *want = etcd_int(own, "revision") > etcd_int(all, "revision") ? own : all;

	return want && json_is_true(json_object_get(want, "once")) &&
			       has_done(host, setting, want) ?
		       NULL :
		       want;
}

/* ---- admission ----------------------------------------------------------------------------- */

static uint64_t number(const json_t *object, const char *name)
{
	int64_t value = etcd_int(object, name);

	return value > 0 ? (uint64_t)value : 0;
}

static bool is_reported(const struct fleet_host *host, const json_t *pending)
{
	const json_t *vm;
	size_t i;

	json_array_foreach(json_object_get(host->report, "vms"), i, vm)
	{
		if (number(vm, "pid") == number(pending, "pid"))
			return true;
	}
	return false;
}

static void add_vm(struct fleet_load *load, uint32_t host, const json_t *vm, uint64_t overhead)
{
	const char *name = json_string_value(json_object_get(vm, "name"));
	uint64_t size = number(vm, "size"), grant = number(vm, "GRANT");

	if (grant > size)
		size = grant;
	load->names[load->nvms] = name ? name : "";
	load->vms[load->nvms++] = (struct admission_vm){
		.host = host, .bytes = size + overhead, .saved = number(vm, "SHRDSVD")};
}

static size_t count_vms(const struct fleet_state *state)
{
	size_t n = 0;

	for (size_t h = 0; h < state->nhosts; h++)
		n += json_array_size(json_object_get(state->hosts[h].report, "vms")) +
		     json_object_size(state->hosts[h].pending);
	return n;
}

int fleet_load_init(struct fleet_load *load, const struct fleet_state *state)
{
	uint64_t overhead = (uint64_t)state->rules.value[FLEETRULE_VM_OVERHEAD_MB] << 20;
	size_t n = count_vms(state);

	*load = (struct fleet_load){0};
	load->hosts = calloc(state->nhosts + 1, sizeof(*load->hosts));
	load->vms = calloc(n + 1, sizeof(*load->vms));
	load->names = calloc(n + 1, sizeof(*load->names));
	if (!load->hosts || !load->vms || !load->names) {
		fleet_load_free(load);
		return -ENOMEM;
	}
	load->nhosts = (uint32_t)state->nhosts;
	for (uint32_t h = 0; h < load->nhosts; h++) {
		const struct fleet_host *host = &state->hosts[h];
		const json_t *vm;
		const char *key;
		size_t i;

		load->hosts[h] = (struct admission_host){
			.memory = fleetrules_usable(&state->rules,
						    number(json_object_get(host->report, "memory"),
							   "total")),
			.out = !host->connected,
			.failover = fleetrules_standby(&state->rules, host->name),
		};
		json_array_foreach(json_object_get(host->report, "vms"), i, vm)
			add_vm(load, h, vm, overhead);
		json_object_foreach(host->pending, key, vm)
		{
			if (!is_reported(host, vm))
				add_vm(load, h, vm, overhead);
		}
	}
	return 0;
}

void fleet_load_free(struct fleet_load *load)
{
	free(load->hosts);
	free(load->vms);
	free(load->names);
	*load = (struct fleet_load){0};
}

static unsigned long long mib(uint64_t bytes)
{
	return bytes >> 20;
}

void fleet_state_standby_faults(const struct fleet_state *state, char text[FLEET_FAULTS_MAX])
{
	const char *at = state->rules.failover_hosts;
	char name[PS_NAME_MAX];
	size_t n = 0;

	text[0] = '\0';
	while (n < FLEET_FAULTS_MAX && fleetrules_next_host(&at, name)) {
		const struct fleet_host *host = fleet_state_host(state, name);

		if (!host || !host->connected)
			n += (size_t)snprintf(text + n, FLEET_FAULTS_MAX - n, "; %s is %s", name,
					      host ? "not connected" : "no host of the fleet");
	}
}

static void describe_standby(const struct fleet_state *state, const struct admission_verdict *v,
			     const char *host, char why[FLEET_ERROR_MAX])
{
	char faults[FLEET_FAULTS_MAX];
	bool fits = v->answer == ADMISSION_YES;

	if (!state->rules.failover_hosts[0]) {
		snprintf(why, FLEET_ERROR_MAX,
			 "the %llu MiB of host %s's VMs, with this one, must fit on standby hosts, "
			 "and none is named: pshare fleet set das.failoverHosts HOST,...",
			 mib(v->failover_needed), host);
		return;
	}
	fleet_state_standby_faults(state, faults);
	snprintf(why, FLEET_ERROR_MAX,
		 "host %s's VMs count as %llu MiB with this one, and the standby hosts (%.120s) "
		 "have %llu MiB left%s%s",
		 host, mib(v->failover_needed), state->rules.failover_hosts, mib(v->failover_left),
		 fits				       ? ": enough" :
		 v->failover_left < v->failover_needed ? ": not enough" :
							 ", but not all fit there",
		 faults);
}

static void describe(const struct fleet_state *state, const struct admission_verdict *v,
		     const struct admission_rules *rules, const char *host,
		     char why[FLEET_ERROR_MAX])
{
	const char *no = v->answer == ADMISSION_YES ? "" : "not ";

	if (v->answer == ADMISSION_NO_ROOM)
		snprintf(why, FLEET_ERROR_MAX,
			 "host %s has %llu MiB for VMs, and with this one they would have %llu MiB",
			 host, mib(v->host_memory), mib(v->host_used));
	else if (v->answer == ADMISSION_STANDBY)
		snprintf(why, FLEET_ERROR_MAX,
			 "host %s stands by for the failure of others (das.failoverHosts)", host);
	else if (rules->policy == ADMISSION_SLOTS)
		snprintf(why, FLEET_ERROR_MAX,
			 "%u of %u hosts may fail: %llu slots of %llu MiB would be left, %llu are "
			 "needed with this VM: %senough",
			 rules->failures, v->hosts, (unsigned long long)v->slots_left, mib(v->slot),
			 (unsigned long long)v->slots_needed, no);
	else if (rules->policy == ADMISSION_PERCENT)
		snprintf(why, FLEET_ERROR_MAX,
			 "%u %% of %llu MiB are to stay free for failover, and with this VM "
			 "%u.%u %% would be: %senough",
			 rules->percent, mib(v->memory), v->free_permille / 10,
			 v->free_permille % 10, no);
	else
		describe_standby(state, v, host, why);
}

int fleet_state_judge(const struct fleet_state *state, const char *host, uint64_t bytes,
		      struct admission_verdict *verdict, char why[FLEET_ERROR_MAX])
{
	struct admission_rules rules = fleetrules_admission(&state->rules);
	const struct fleet_host *own = fleet_state_host(state, host);
	_cleanup_load_ struct fleet_load load = {0};
	_cleanup_free_ uint64_t *slots = NULL;
	_cleanup_free_ uint32_t *order = NULL;
	struct admission_vm vm = {.bytes = bytes};
	int r;

	if (!own || !own->report)
		return -ENOENT;
	r = fleet_load_init(&load, state);
	if (r)
		return r;
	slots = calloc(load.nhosts + 1, sizeof(*slots));
	order = calloc(load.nvms + 1, sizeof(*order));
	if (!slots || !order)
		return -ENOMEM;
	vm.host = (uint32_t)(own - state->hosts);
	vm.bytes += (uint64_t)state->rules.value[FLEETRULE_VM_OVERHEAD_MB] << 20;
	admission_judge(load.hosts, load.nhosts, load.vms, load.nvms, &vm, &rules, slots, order,
			verdict);
	describe(state, verdict, &rules, host, why);
	return 0;
}
