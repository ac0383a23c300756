/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * get and set: settings, under ESX's names.
 *
 * A name and a value are checked here by the same table that the daemon has, so a wrong one is
 * told without a daemon; the daemon checks all the same. A salt comes from a file or a variable,
 * and while it is here this process can be neither dumped nor traced.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/format.h"
#include "policy/settings.h"
#include "sys/process.h"
#include "sys/terminal.h"
#include "wire/wire.h"

DEFINE_CLEANUP(struct table *, table, table_free);

static void value_text(char text[CELL_MAX], const json_t *setting)
{
	const json_t *value = json_object_get(setting, "value");

	if (json_is_integer(value))
		snprintf(text, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		snprintf(text, CELL_MAX, "%s", json_is_true(value) ? "TRUE" : "FALSE");
	else if (json_is_string(value) && *json_string_value(value))
		snprintf(text, CELL_MAX, "%s", json_string_value(value));
	else if (ask_true(setting, "present"))
		snprintf(text, CELL_MAX, "(set; fingerprint %s)", ask_text(setting, "fingerprint"));
	else
		snprintf(text, CELL_MAX, "(none)");
}

static const struct column columns[] = {{"NAME", false},
					{"VALUE", false},
					{"MEANING", false},
					{"FROM", false}};

static int print_settings(const json_t *list)
{
	/* only values of the host come from different places */
	bool from = json_object_get(json_array_get(list, 0), "source") != NULL;
	_cleanup_(cleanup_table) struct table *table = table_new(columns, from ? 4 : 3);
	char text[CELL_MAX];
	const json_t *setting;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, setting)
	{
		if (!table || table_row(table))
			return say_error(CLI_FAILED, "out of memory");
		value_text(text, setting);
		table_text(table, 0, "%s", ask_text(setting, "name"));
		table_text(table, 1, "%s", text);
		table_text(table, 2, "%s", ask_text(setting, "text"));
		if (from)
			table_text(table, 3, "%s", ask_text(setting, "source"));
	}
	if (table)
		table_print(table, stdout);
	return CLI_OK;
}

/* The id of a name of the command line; or -1, and it is said. */
static int find_setting(const struct args *args, const char *name)
{
	char line[POLICY_ERROR_MAX];
	int id = setting_find(name, args->vm != NULL, line);

	if (id >= 0)
		return id;
	id = setting_find(name, args->vm == NULL, NULL);
	if (id >= 0 && args->vm)
		say_error(CLI_USAGE, "%s is a setting of the host: leave out --vm",
			  setting_get((enum setting_id)id)->name);
	else if (id >= 0)
		say_error(CLI_USAGE, "%s is a setting of a VM: give --vm VM",
			  setting_get((enum setting_id)id)->name);
	else
		say_error(CLI_USAGE, "%s", line);
	return -1;
}

static int get_one(struct client *client, const struct args *args, const char *name)
{
	_cleanup_json_ json_t *setting = NULL;
	char text[CELL_MAX];
	int r;

	if (args->vm)
		r = client_get(client, &setting, "/v1/vms/%s/settings/%s", args->vm, name);
	else
		r = client_get(client, &setting, "/v1/settings/%s", name, NULL);
	if (r)
		return r;
	if (args->json)
		return print_json(setting);
	value_text(text, setting);
	/* a script that reads the value gets the value */
	if (*ask_text(setting, "source") && term_is_terminal(1))
		printf("%s  (%s)\n", text, ask_text(setting, "source"));
	else
		puts(text);
	return CLI_OK;
}

static int get_all(struct client *client, const struct args *args)
{
	_cleanup_json_ json_t *answer = NULL;
	int r;

	if (args->vm)
		r = client_get(client, &answer, "/v1/vms/%s/settings", args->vm, NULL);
	else
		r = client_get(client, &answer, "/v1/settings", NULL, NULL);
	if (r)
		return r;
	return args->json ? print_json(answer) :
			    print_settings(json_object_get(answer, "settings"));
}

int cmd_get(struct args *args)
{
	_cleanup_client_ struct client *client = NULL;
	int id = 0;
	int r;

	if (args->noperands) {
		id = find_setting(args, args->operands[0]);
		if (id < 0)
			return CLI_USAGE;
	}
	r = client_open(&client, args);
	if (r)
		return r;
	if (args->noperands)
		return get_one(client, args, setting_get((enum setting_id)id)->name);
	return get_all(client, args);
}

/* ---- set ----------------------------------------------------------------------------------- */

static int put(const struct args *args, const char *name, const json_t *body)
{
	_cleanup_client_ struct client *client = NULL;
	_cleanup_json_ json_t *answer = NULL;
	char what[128];
	int r = client_open(&client, args);

	if (r)
		return r;
	snprintf(what, sizeof(what), "%s", name);
	if (args->vm)
		return client_put(client, &answer, body, what, "/v1/vms/%s/settings/%s", args->vm,
				  name);
	r = client_put(client, &answer, body, what, "/v1/settings/%s", name, NULL);
	if (r == 0 && *ask_text(answer, "note"))
		say_error(CLI_OK, "%s is set, but %s", name, ask_text(answer, "note"));
	return r;
}

/* The bytes of a salt as a body: as text where they are text, else as hex digits. */
static json_t *salt_body(const struct salt *salt)
{
	static const char digits[] = "0123456789abcdef";
	char hex[2 * PS_SALT_MAX + 1];
	json_t *text = NULL;
	json_t *body;
	size_t i;

	if (!memchr(salt->bytes, 0, salt->length))
		text = json_stringn((const char *)salt->bytes, salt->length);
	if (text)
		return json_pack("{s:o}", "salt", text);
	for (i = 0; i < salt->length; i++) {
		hex[2 * i] = digits[salt->bytes[i] >> 4];
		hex[2 * i + 1] = digits[salt->bytes[i] & 15];
	}
	hex[2 * salt->length] = '\0';
	body = json_pack("{s:s}", "salt_hex", hex);
	explicit_bzero(hex, sizeof(hex));
	return body;
}

static int set_salt(const struct args *args, const char *name)
{
	_cleanup_salt_ struct salt salt = {0};
	_cleanup_json_ json_t *body = NULL;
	int sources = !!args->salt_file + !!args->salt_env + args->clear_salt;
	int r;

	if (args->noperands > 1)
		return say_usage(args->command,
				 "%s is a secret, and others can read a command line: give "
				 "--salt-file F or --salt-env VAR",
				 name);
	if (sources != 1)
		return say_usage(args->command,
				 "%s needs one of --salt-file F, --salt-env VAR, --clear-salt",
				 name);
	(void)sys_set_undumpable();
	r = salt_read(&salt, args);
	if (r)
		return r;
	body = salt.bytes ? salt_body(&salt) : json_pack("{s:n}", "salt");
	if (!body)
		return say_error(CLI_FAILED, "out of memory");
	return put(args, name, body);
}

static int set_value(const struct args *args, enum setting_id id)
{
	_cleanup_json_ json_t *body = NULL;
	const char *name = setting_get(id)->name;
	const char *text = args->operands[1];
	struct setting_value value;
	char line[POLICY_ERROR_MAX];

	if (args->salt_file || args->salt_env || args->clear_salt)
		return say_usage(args->command, "--salt-file, --salt-env and --clear-salt are for "
						"sched.mem.pshare.salt only");
	if (args->reset && (text || args->vm))
		return say_usage(args->command,
				 "--reset is for a setting of the host, and takes no value");
	if (args->reset)
		body = json_pack("{s:n}", "value");
	else if (!text)
		return say_usage(args->command, "%s needs a value", name);
	else if (setting_parse(id, text, strlen(text), &value, line))
		return say_error(CLI_USAGE, "%s", line);
	else if (setting_get(id)->type == SETTING_BOOL)
		body = json_pack("{s:b}", "value", value.num != 0);
	else if (setting_get(id)->type == SETTING_INT)
		body = json_pack("{s:I}", "value", (json_int_t)value.num);
	else
		body = json_pack("{s:s}", "value", text);
	if (!body)
		return say_error(CLI_FAILED, "out of memory");
	return put(args, name, body);
}

int cmd_set(struct args *args)
{
	int id = find_setting(args, args->operands[0]);

	if (id < 0)
		return CLI_USAGE;
	if (setting_get((enum setting_id)id)->secret)
		return set_salt(args, setting_get((enum setting_id)id)->name);
	return set_value(args, (enum setting_id)id);
}
