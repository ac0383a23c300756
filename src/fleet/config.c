/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file's words. What is not understood is an error, and so is what is given twice: a slip must
 * not send a host to another fleet. https needs a ca: a host takes its settings from there, so it
 * must know who it talks to. A password file that others may read is refused.
 */
#include "fleet/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/file.h"
#include "sys/hostname.h"
#include "sys/path.h"
#include "wire/wire.h"

#define CONFIG_MAX (64u << 10)
#define PASSWORD_MAX 512u
#define OTHERS_READ 04
#define DEFAULT_TTL_S 30u
#define DEFAULT_REPORT_S 60u

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static bool is_name(const char *text)
{
	char name[PS_NAME_MAX] = "";
	size_t length = strlen(text);

	if (!length || length >= sizeof(name))
		return false;
	memcpy(name, text, length);
	return ps_name_check(name) == 0;
}

/* What follows "https://": a host, or [an address], and what libcurl makes of the rest. Without one
 * it would take the first word of a path for the host. */
static bool has_host(const char *rest)
{
	return *rest && !strchr(":/?#@", *rest);
}

static int take_endpoints(struct fleet_config *config, char *value, char err[FLEET_ERROR_MAX])
{
	char *one;

	if (config->nendpoints)
		return fleet_fail(err, -EINVAL, "endpoints is given twice");
	while ((one = strsep(&value, ","))) {
		one = trim(one);
		if ((strncmp(one, "https://", 8) != 0 || !has_host(one + 8)) &&
		    (strncmp(one, "http://", 7) != 0 || !has_host(one + 7)))
			return fleet_fail(err, -EINVAL,
					  "endpoint '%.80s': give https://HOST:PORT (or http://)",
					  one);
		if (config->nendpoints == FLEET_ENDPOINTS_MAX)
			return fleet_fail(err, -EINVAL, "more than %u endpoints",
					  FLEET_ENDPOINTS_MAX);
		if (one[strlen(one) - 1] == '/')
			one[strlen(one) - 1] = '\0';
		config->endpoints[config->nendpoints++] = one;
	}
	return 0;
}

static int take_seconds(uint32_t *out, const char *name, const char *value, uint32_t least,
			char err[FLEET_ERROR_MAX])
{
	char *end;
	unsigned long seconds = strtoul(value, &end, 10);

	if (*out)
		return fleet_fail(err, -EINVAL, "%s is given twice", name);
	if (!isdigit((unsigned char)*value) || *end || seconds < least || seconds > 3600)
		return fleet_fail(err, -EINVAL, "%s '%.40s': give seconds, %u to 3600", name, value,
				  least);
	*out = (uint32_t)seconds;
	return 0;
}

static int take_one(struct fleet_config *config, const char *name, char *value,
		    char err[FLEET_ERROR_MAX])
{
	const struct {
		const char *name;
		const char **at;
		bool is_name;
	} words[] = {
		{"fleet", &config->fleet, true},
		{"host", &config->host, true},
		{"ca", &config->ca, false},
		{"certificate", &config->certificate, false},
		{"key", &config->key, false},
		{"user", &config->user, false},
		{"password-file", &config->password_file, false},
	};

	if (!*value)
		return fleet_fail(err, -EINVAL, "%s has no value", name);
	if (strcmp(name, "endpoints") == 0)
		return take_endpoints(config, value, err);
	if (strcmp(name, "lease-seconds") == 0)
		return take_seconds(&config->ttl_s, name, value, 3, err);
	if (strcmp(name, "report-seconds") == 0)
		return take_seconds(&config->report_s, name, value, 1, err);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(name, words[i].name) != 0)
			continue;
		if (*words[i].at)
			return fleet_fail(err, -EINVAL, "%s is given twice", name);
		if (words[i].is_name && !is_name(value))
			return fleet_fail(err, -EINVAL,
					  "%s '%.80s' is no name: 1 to %u of A-Z a-z 0-9 . _ : @ -",
					  name, value, PS_NAME_MAX - 1);
		*words[i].at = value;
		return 0;
	}
	return fleet_fail(
		err, -EINVAL,
		"no such word '%.40s': fleet, host, endpoints, ca, certificate, key, user, "
		"password-file, lease-seconds, report-seconds are",
		name);
}

static int check_whole(struct fleet_config *config, char err[FLEET_ERROR_MAX])
{
	if (!config->nendpoints)
		return fleet_fail(err, -EINVAL,
				  "no endpoints: give endpoints = https://HOST:2379,...");
	for (unsigned int i = 0; i < config->nendpoints; i++)
		if (!strncmp(config->endpoints[i], "https://", 8) && !config->ca)
			return fleet_fail(err, -EINVAL, "https needs a ca = FILE to know etcd by");
	if (!config->certificate != !config->key)
		return fleet_fail(err, -EINVAL, "certificate and key go together: one is missing");
	if (!config->user != !config->password_file)
		return fleet_fail(err, -EINVAL,
				  "user and password-file go together: one is missing");
	if (!config->ttl_s)
		config->ttl_s = DEFAULT_TTL_S;
	if (!config->report_s)
		config->report_s = DEFAULT_REPORT_S;
	if (!config->fleet)
		config->fleet = "default";
	if (!config->host) {
		if (sys_host_name(config->own_name, sizeof(config->own_name)) ||
		    !is_name(config->own_name))
			return fleet_fail(err, -EINVAL,
					  "this host's name is no name: give host = NAME");
		config->host = config->own_name;
	}
	return 0;
}

int fleet_config_parse(struct fleet_config *config, char *text, char err[FLEET_ERROR_MAX])
{
	unsigned int number = 0;
	char *line, why[FLEET_ERROR_MAX];

	*config = (struct fleet_config){.text = text};
	while ((line = strsep(&text, "\n"))) {
		char *equals, *name;

		number++;
		line[strcspn(line, "#")] = '\0';
		line = trim(line);
		if (!*line)
			continue;
		equals = strchr(line, '=');
		if (!equals)
			return fleet_fail(err, -EINVAL, "line %u: '%.40s': write NAME = VALUE",
					  number, line);
		*equals = '\0';
		name = trim(line);
		if (take_one(config, name, trim(equals + 1), why))
			return fleet_fail(err, -EINVAL, "line %u: %.400s", number, why);
	}
	return check_whole(config, err);
}

static int read_password(struct fleet_config *config, char err[FLEET_ERROR_MAX])
{
	struct sys_file file;
	int r;

	if (!config->password_file)
		return 0;
	r = sys_file_look(config->password_file, &file);
	if (!r && (file.mode & OTHERS_READ))
		return fleet_fail(err, -EPERM,
				  "password-file %.200s may be read by everybody: chmod 0600",
				  config->password_file);
	if (!r)
		r = sys_read_text(config->password_file, PASSWORD_MAX, &config->password);
	if (r)
		return fleet_fail(err, r, "password-file %.200s: %s", config->password_file,
				  strerror(-r));
	config->password[strcspn(config->password, "\r\n")] = '\0';
	return 0;
}

int fleet_config_read(struct fleet_config *config, const char *path, char err[FLEET_ERROR_MAX])
{
	const char *env = getenv("PSHARE_FLEET_CONFIG");
	char why[FLEET_ERROR_MAX], *text = NULL;
	int r;

	*config = (struct fleet_config){0};
	if (!path)
		path = env && *env ? env : FLEET_CONFIG_PATH;
	r = sys_read_text(path, CONFIG_MAX, &text);
	if (r)
		return fleet_fail(err, r, "%.200s: %s", path, strerror(-r));
	r = fleet_config_parse(config, text, why);
	config->text = text;
	config->path = path;
	if (!r)
		r = read_password(config, why);
	return r ? fleet_fail(err, r, "%.100s: %.400s", path, why) : 0;
}

void fleet_config_free(struct fleet_config *config)
{
	if (config->password) {
		explicit_bzero(config->password, strlen(config->password));
		free(config->password);
	}
	free(config->text);
	*config = (struct fleet_config){0};
}
