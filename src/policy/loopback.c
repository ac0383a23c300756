/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names are taken literally: what a resolver would make of them is what an attacker may choose. So
 * of names there is "localhost" alone, and addresses are read here, digit by digit.
 */
#include "policy/loopback.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NUMBER_NONE UINT32_MAX

/* The number that *text begins with, at most max; *text is then behind it. */
static uint32_t number(const char **text, uint32_t max)
{
	uint32_t n = 0;
	const char *at = *text;

	while (*at >= '0' && *at <= '9') {
		n = n * 10 + (uint32_t)(*at++ - '0');
		if (n > max)
			return NUMBER_NONE;
	}
	if (at == *text || at - *text > 5)
		return NUMBER_NONE;
	*text = at;
	return n;
}

/* 127.x.y.z at *text; *text is then behind it. */
static bool take_four(const char **text, uint8_t four[4])
{
	for (unsigned int i = 0; i < 4; i++) {
		uint32_t n;

		if (i && *(*text)++ != '.')
			return false;
		n = number(text, 255);
		if (n == NUMBER_NONE)
			return false;
		four[i] = (uint8_t)n;
	}
	return four[0] == 127;
}

/* The address at *text; *text is then behind it. */
static bool take_address(const char **text, struct loopback *out)
{
	static const char six[] = "[::1]", name[] = "localhost";

	*out = (struct loopback){.four = {127, 0, 0, 1}};
	if (strncmp(*text, six, sizeof(six) - 1) == 0) {
		*text += sizeof(six) - 1;
		out->six = true;
		return true;
	}
	if (strncasecmp(*text, name, sizeof(name) - 1) == 0) {
		*text += sizeof(name) - 1;
		return true;
	}
	return take_four(text, out->four);
}

int loopback_parse(const char *text, struct loopback *out, char err[POLICY_ERROR_MAX])
{
	bool port_alone = strspn(text, "0123456789") == strlen(text);
	const char *at = text;
	uint32_t port = NUMBER_NONE;

	*out = (struct loopback){.four = {127, 0, 0, 1}};
	if (port_alone || (take_address(&at, out) && *at++ == ':'))
		port = number(&at, UINT16_MAX);
	if (port == NUMBER_NONE || *at) {
		snprintf(err, POLICY_ERROR_MAX,
			 "\"%.40s\": give PORT, 127.0.0.1:PORT or [::1]:PORT: whoever reaches it "
			 "may look, so it is this host alone",
			 text);
		return -EINVAL;
	}
	out->port = (uint16_t)port;
	return 0;
}

bool loopback_host(const char *host)
{
	struct loopback address;

	if (!host || !take_address(&host, &address))
		return false;
	if (*host == ':') {
		host++;
		if (number(&host, UINT16_MAX) == NUMBER_NONE)
			return false;
	}
	return !*host;
}
