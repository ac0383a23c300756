/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One look: the answers of a daemon as numbers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static void text(char *out, size_t size, const char *from)
{
	size_t len = from ? strlen(from) : 0;

	len = len < size ? len : size - 1;
	memcpy(out, from ? from : "", len);
	out[len] = '\0';
}

static void read_host(struct top_host *h, const json_t *status)
{
	const json_t *pshare = json_object_get(status, "pshare");
	const json_t *memory = json_object_get(status, "memory");
	const json_t *host = json_object_get(memory, "host");

	*h = (struct top_host){
		.vms = number(status, "vms"),
		.domains = number(status, "domains"),
		.uptime_s = number(status, "uptime_s"),
		.machine = number(host, "managed"),
		.machine_free = number(host, "free"),
		.managed = number(memory, "managed"),
		.free = number(memory, "free"),
		.minfree = number(memory, "minfree"),
		.consumed = number(memory, "consumed"),
		.reserved = number(memory, "reserved"),
		.unreserved = number(memory, "unreserved"),
		.shared = number(pshare, "shared"),
		.common = number(pshare, "common"),
		.saving = number(pshare, "saving"),
		.zero = number(pshare, "zero"),
		.metadata = number(status, "metadata_bytes"),
		.balloon = number(memory, "balloon"),
		.balloon_target = number(memory, "balloon_target"),
		.balloon_max = number(memory, "balloon_max"),
		.staged = number(memory, "staged"),
		.twin = number(memory, "twin"),
		.zipped = number(memory, "zipped"),
		.zip_bytes = number(memory, "zip_bytes"),
		.swapped = number(memory, "swapped"),
		.out_target = number(memory, "out_target"),
		.done = number(json_object_get(status, "progress"), "done"),
		.stalled = is_true(memory, "stalled"),
		.budget = json_is_object(json_object_get(memory, "budget")),
	};
	text(h->state, sizeof(h->state), json_string_value(json_object_get(status, "state")));
}

/* As `list --mem` has it. */
static const char *state_of(const json_t *vm)
{
	const json_t *memory = json_object_get(vm, "memory");
	const json_t *action = json_object_get(memory, "action");

	if (is_true(memory, "held"))
		return "held";
	if (action && !is_true(action, "over"))
		return json_string_value(json_object_get(action, "what"));
	if (is_true(memory, "suspended"))
		return "suspended";
	return json_string_value(json_object_get(vm, "state"));
}

static void read_vm(struct top_vm *out, const json_t *vm)
{
	*out = (struct top_vm){0};
	text(out->name, sizeof(out->name), json_string_value(json_object_get(vm, "name")));
	text(out->state, sizeof(out->state), state_of(vm));
	for (unsigned int i = 0; i < TOP_FIELDS; i++) {
		const struct top_field *field = &top_fields[i];
		const json_t *part = field->part ? json_object_get(vm, field->part) : vm;

		if (field->key)
			out->value[i] = number(part, field->key);
	}
	out->value[top_field_find("OVHD")] += number(json_object_get(vm, "overhead"), "kernel");
	out->pid = (long)number(vm, "pid");
	out->active_slow = number(json_object_get(vm, "memory"), "ACTVS");
	out->active_fast = number(json_object_get(vm, "memory"), "ACTVF");
	out->active_now = number(json_object_get(vm, "memory"), "ACTVN");
}

static void add_up(struct top_host *h, const struct top_vm *vm)
{
	h->size += vm->value[top_field_find("SIZE")];
	h->zip += vm->value[top_field_find("ZIP/s")];
	h->unzip += vm->value[top_field_find("UNZIP/s")];
	h->swap_read += vm->value[top_field_find("SWR/s")];
	h->swap_written += vm->value[top_field_find("SWW/s")];
}

int top_sample_read(struct top_sample *out, const json_t *status, const json_t *vms)
{
	const json_t *list = json_object_get(vms, "vms");
	size_t n = json_array_size(list);
	struct top_vm *vm = calloc(n + 1, sizeof(*vm));

	if (!vm)
		return -ENOMEM;
	top_sample_free(out);
	read_host(&out->host, status);
	out->vm = vm;
	out->n = n;
	for (size_t i = 0; i < n; i++) {
		read_vm(&vm[i], json_array_get(list, i));
		add_up(&out->host, &vm[i]);
	}
	return 0;
}

void top_sample_free(struct top_sample *sample)
{
	free(sample->vm);
	*sample = (struct top_sample){0};
}

int top_state_number(const char *state)
{
	static const char *const states[] = {"high", "clear", "soft", "hard", "low"};

	for (int i = 0; i < 5; i++)
		if (!strcmp(state, states[i]))
			return i;
	return -1;
}
