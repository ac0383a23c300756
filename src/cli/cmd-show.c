/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* show and status: one VM, or the host, as lines of "name value"; --json is the API's own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/balloon-lines.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/outlook.h"
#include "cli/unmanaged.h"
#include "sys/look.h"

#define KEY_WIDTH 22

static void line(const char *key, const char *value)
{
	printf("%-*s %s\n", KEY_WIDTH, key, value);
}

static void size_line(const json_t *object, const char *member, const char *key, bool bytes)
{
	char text[CELL_MAX];

	size_text(text, ask_number(object, member), bytes);
	printf("%-*s %s %s\n", KEY_WIDTH, key, text, size_unit(bytes));
}

static void count_line(const char *prefix, const char *key, const json_t *value)
{
	char whole[64];

	snprintf(whole, sizeof(whole), "%s%s", prefix, key);
	if (json_is_integer(value))
		printf("%-*s %" JSON_INTEGER_FORMAT "\n", KEY_WIDTH, whole,
		       json_integer_value(value));
}

/* All counts of an object, those refused by cause too, under their own names. */
static void count_lines(const json_t *object, const char *unit)
{
	const json_t *value;
	const char *key;

	printf("\n%s\n", unit);
	json_object_foreach((json_t *)(uintptr_t)object, key, value) count_line("  ", key, value);
	json_object_foreach(json_object_get(object, "refused"), key, value)
		count_line("  refused, ", key, value);
}

/* Why a VM or a region shares nothing, and what would do. */
static void reason_lines(const json_t *object, const char *indent)
{
	const char *reason = ask_text(object, "reason"), *mend = ask_text(object, "mend");
	int width = KEY_WIDTH - (int)strlen(indent);

	if (!*reason)
		return;
	printf("%s%-*s %s: %s\n", indent, width, "reason", reason, ask_text(object, "why"));
	if (*mend)
		printf("%s%-*s %s\n", indent, width, "mend", mend);
}

static void region_lines(const json_t *vm, bool bytes)
{
	const json_t *regions = json_object_get(vm, "regions");
	const json_t *region;
	char at[CELL_MAX], text[CELL_MAX];
	size_t i;

	puts("\nregions");
	json_array_foreach((json_t *)(uintptr_t)regions, i, region)
	{
		size_text(at, ask_number(region, "base"), bytes);
		size_text(text, ask_number(region, "size"), bytes);
		printf("  at %10s %s, %10s %s\n", at, size_unit(bytes), text, size_unit(bytes));
		reason_lines(region, "    ");
	}
}

static void vm_head(const json_t *vm)
{
	char text[CELL_MAX], user[CELL_MAX / 2];

	line("name", ask_text(vm, "name"));
	sys_user_name((uid_t)ask_number(vm, "uid"), user, sizeof(user));
	snprintf(text, sizeof(text), "%llu (%s), user %s (%llu)",
		 (unsigned long long)ask_number(vm, "pid"), ask_text(vm, "comm"), user,
		 (unsigned long long)ask_number(vm, "uid"));
	line("pid", text);
	line("state", ask_text(vm, "state"));
	reason_lines(vm, "");
	if (!json_object_get(vm, "domain"))
		return;
	line("domain", ask_text(vm, "domain"));
	line("sharing enabled", ask_true(vm, "enable") ? "TRUE" : "FALSE");
}

static void vm_memory(const json_t *vm, bool bytes)
{
	const json_t *overhead = json_object_get(vm, "overhead");

	size_line(vm, "size", "size", bytes);
	size_line(vm, "GRANT", "GRANT (mapped)", bytes);
	size_line(vm, "SHRD", "SHRD (shared)", bytes);
	size_line(vm, "SHRDSVD", "SHRDSVD (saved)", bytes);
	size_line(vm, "ZERO", "ZERO (zero pages)", bytes);
	size_line(vm, "private", "private", bytes);
	size_line(vm, "large", "large (huge pages)", bytes);
	size_line(vm, "COWH", "COWH (if broken)", bytes);
	size_line(vm, "quarantined", "quarantined", bytes);
	size_line(vm, "broken", "broken (written since)", bytes);
	size_line(overhead, "agent", "overhead, agent", bytes);
	size_line(overhead, "kernel", "overhead, kernel", bytes);
	count_line("", "mappings", json_object_get(vm, "mappings"));
	printf("%-*s %.2f s\n", KEY_WIDTH, "CPU", ask_real(vm, "cpu_s"));
}

static void pair_line(const json_t *memory, const char *key, const char *title, bool bytes)
{
	char text[CELL_MAX];

	size_text(text, ask_number(memory, key), bytes);
	printf("  %-*s %s %s\n", KEY_WIDTH - 2, title, text, size_unit(bytes));
}

/* Why a means is not used, where it is not. */
static void why_lines(const json_t *memory)
{
	static const char *const means[] = {"break", "balloon", "compress", "swap"};
	const json_t *why = json_object_get(memory, "why_not");

	for (size_t i = 0; i < sizeof(means) / sizeof(means[0]); i++) {
		const char *text = ask_text(why, means[i]);

		if (*text)
			printf("  no %-*s %s\n", KEY_WIDTH - 5, means[i], text);
	}
}

/* What the VM takes of the host, is to have, and has given. */
static void vm_pressure(const json_t *vm, bool bytes)
{
	static const char *const rows[][2] = {
		{"consumed", "consumed"},
		{"SZTGT", "SZTGT (target)"},
		{"ACTV", "ACTV (active)"},
		{"overhead", "beside its guest"},
		{"MCTLSZ", "MCTLSZ (balloon)"},
		{"MCTLTGT", "MCTLTGT"},
		{"MCTLMAX", "MCTLMAX"},
		{"staged", "staged"},
		{"twin", "twin"},
		{"zipped", "compressed"},
		{"CACHESZ", "CACHESZ (held)"},
		{"CACHEUSD", "CACHEUSD (used)"},
		{"ZIP/s", "ZIP/s"},
		{"UNZIP/s", "UNZIP/s"},
		{"SWCUR", "SWCUR (swapped)"},
		{"SWTGT", "SWTGT (to be out)"},
		{"SWR/s", "SWR/s"},
		{"SWW/s", "SWW/s"},
	};
	const json_t *memory = json_object_get(vm, "memory");

	if (!memory)
		return;
	puts("\nmemory");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		pair_line(memory, rows[i][0], rows[i][1], bytes);
	printf("  %-*s %llu; reservation %lld MB, limit %lld MB\n", KEY_WIDTH - 2, "shares",
	       (unsigned long long)ask_number(memory, "ASHRS"),
	       (long long)json_integer_value(json_object_get(memory, "AMIN")),
	       (long long)json_integer_value(json_object_get(memory, "AMAX")));
	printf("  %-*s %.2f %% of the time\n", KEY_WIDTH - 2, "latency",
	       ask_real(memory, "latency_percent"));
	if (ask_true(memory, "held"))
		printf("  %-*s memory is in low state, and it is furthest above its target\n",
		       KEY_WIDTH - 2, "held back");
	if (ask_true(memory, "suspended"))
		printf("  %-*s pushed out by command\n", KEY_WIDTH - 2, "suspended");
	why_lines(memory);
	count_lines(json_object_get(memory, "pages"), "pages moved");
}

/* How first writes are settled, and what would settle them better. */
static void vm_pins(const json_t *vm)
{
	static const char *const words[][2] = {
		{"descriptors", "by the kernel; nothing that is open can pin pages"},
		{"fork", "by the kernel; a short fork tells which pages are pinned"},
		{"swap", "by the kernel; paging out tells which pages are pinned"},
		{"guarded", "by a thread, slower: it cannot be told which pages are pinned. Disks "
			    "with cache=writeback, or swap space on the host, would mend that"},
		{"unknown", "not looked at yet"},
	};
	const char *pins = ask_text(vm, "pins");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(pins, words[i][0]) == 0)
			line("first writes", words[i][1]);
	printf("%-*s %.1f ms\n", KEY_WIDTH, "longest stall", ask_real(vm, "longest_stall_s") * 1e3);
}

/* Whose child it is, and with whom it shares what. */
static void vm_family(struct client *client, const json_t *vm, bool bytes)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *family = json_object_get(vm, "family"), *other;
	char text[CELL_MAX];
	size_t i;

	if (*ask_text(family, "parent"))
		line("forked from", ask_text(family, "parent"));
	if (client_look(client, &answer, "/v1/vms/%s/family", ask_text(vm, "name")))
		return;
	json_array_foreach(json_object_get(answer, "shares_with"), i, other)
	{
		size_text(text, ask_number(other, "bytes"), bytes);
		printf("%-*s %s %s with %s\n", KEY_WIDTH, i ? "" : "the same as", text,
		       size_unit(bytes), ask_text(other, "name"));
	}
}

/* One that the daemon does not know, with the agent in it. */
static int find_unmanaged(json_t **vm, const char *name)
{
	_cleanup_json_ json_t *all = unmanaged(NULL);
	const json_t *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		if (!strcmp(ask_text(one, "name"), name)) {
			*vm = json_incref((json_t *)(uintptr_t)one);
			return 0;
		}
	}
	return say_error(CLI_FAILED, "there is no VM named %s", name);
}

int cmd_show(struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *vm = NULL;
	char text[OUTLOOK_MAX];
	int r = client_open(&client, args);

	if (r)
		return r;
	r = client_look(client, &vm, "/v1/vms/%s", args->operands[0]);
	if (r == -ENOENT)
		r = find_unmanaged(&vm, args->operands[0]);
	if (r)
		return r;
	if (args->json)
		return print_json(vm);
	vm_head(vm);
	if (!json_object_get(vm, "size"))
		return CLI_OK;
	if (outlook_pass(vm, args->bytes, text))
		line("progress", text);
	vm_memory(vm, args->bytes);
	vm_pins(vm);
	vm_family(client, vm, args->bytes);
	balloon_lines(json_object_get(vm, "balloon"), args->bytes);
	vm_pressure(vm, args->bytes);
	count_lines(json_object_get(vm, "counters"), "counters (pages)");
	region_lines(vm, args->bytes);
	return CLI_OK;
}

/* ---- the host ------------------------------------------------------------------------------ */

static void host_head(const json_t *host)
{
	char text[CELL_MAX];

	snprintf(text, sizeof(text), "%s, pid %llu, up %.0f s", ask_text(host, "version"),
		 (unsigned long long)ask_number(host, "pid"), ask_real(host, "uptime_s"));
	line("pshared", text);
	line("memory state", ask_text(host, "state"));
	count_line("", "domains", json_object_get(host, "domains"));
	count_line("", "vms", json_object_get(host, "vms"));
}

/* What there is, and what VMs take of it and have given. */
static void host_memory(const json_t *host, bool bytes)
{
	static const char *const rows[][2] = {
		{"managed", "managed"},
		{"minfree", "minfree"},
		{"free", "free"},
		{"consumed", "consumed by VMs"},
		{"reserved", "reserved"},
		{"unreserved", "unreserved"},
		{"balloon", "balloons"},
		{"staged", "staged"},
		{"twin", "twin"},
		{"zipped", "compressed"},
		{"zip_bytes", "compressed, held"},
		{"swapped", "swapped"},
		{"out_target", "to be out"},
	};
	const json_t *memory = json_object_get(host, "memory");
	const json_t *budget = json_object_get(memory, "budget");

	puts("\nmemory");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		pair_line(memory, rows[i][0], rows[i][1], bytes);
	printf("  %-*s %s, since %.0f s\n", KEY_WIDTH - 2, "state", ask_text(host, "state"),
	       ask_real(memory, "state_s"));
	printf("  %-*s %s\n", KEY_WIDTH - 2, "by the host",
	       ask_text(json_object_get(memory, "host"), "state"));
	if (json_is_object(budget))
		printf("  %-*s %s (Mem.ManagedMB)\n", KEY_WIDTH - 2, "by the budget",
		       ask_text(budget, "state"));
	if (ask_number(memory, "held"))
		printf("  %-*s %llu\n", KEY_WIDTH - 2, "VMs held back",
		       (unsigned long long)ask_number(memory, "held"));
}

static void host_settings(const json_t *host)
{
	const json_t *value;
	const char *key;

	puts("\nsettings");
	json_object_foreach(json_object_get(host, "settings"), key, value)
	{
		if (json_is_boolean(value))
			printf("  %-30s %s\n", key, json_is_true(value) ? "TRUE" : "FALSE");
		else
			printf("  %-30s %" JSON_INTEGER_FORMAT "\n", key,
			       json_integer_value(value));
	}
}

int cmd_status(struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *host = NULL;
	const json_t *pshare, *cpu;
	char text[OUTLOOK_MAX];
	int r = client_open(&client, args);

	if (r)
		return r;
	r = client_get(client, &host, "/v1/status", NULL, NULL);
	if (r)
		return r;
	if (args->json)
		return print_json(host);
	pshare = json_object_get(host, "pshare");
	cpu = json_object_get(host, "cpu");
	host_head(host);
	size_line(pshare, "shared", "shared", args->bytes);
	size_line(pshare, "common", "common", args->bytes);
	size_line(pshare, "saving", "saving", args->bytes);
	size_line(pshare, "zero", "zero", args->bytes);
	outlook_done(host, args->bytes, text);
	line("sharing done", text);
	size_line(host, "metadata_bytes", "metadata", args->bytes);
	printf("%-*s %.2f s daemon, %.2f s agents\n", KEY_WIDTH, "CPU", ask_real(cpu, "daemon_s"),
	       ask_real(cpu, "agents_s"));
	host_memory(host, args->bytes);
	count_lines(json_object_get(host, "pages"), "pages");
	count_lines(json_object_get(host, "frames"), "frames read again");
	host_settings(host);
	return CLI_OK;
}
