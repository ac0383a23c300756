/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guestname: "-name guest=web1,debug-threads=on", as libvirt writes it, or "-name web1".
 *
 * QEMU takes one hyphen or two, an option without a key as the guest, ",," for a comma in a value,
 * and the last of several. Whatever a name of ours may not hold becomes '_', so different guests
 * may come out equal: the daemon tells VMs of one name apart. A name that is too long is cut.
 *
 * Limit: any word "-name" is taken for the option, also where it is another option's value. QEMU's
 * options are hundreds, and no list of those with a value would stay right.
 */
#include "policy/guestname.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool is_allowed(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("._:@-", c) != NULL;
}

/* One value, up to a single comma or the end; returns what is behind it. */
static const char *take_value(const char *at, const char *end, char name[PS_NAME_MAX])
{
	size_t n = 0;

	memset(name, 0, PS_NAME_MAX);
	for (; at < end; at++) {
		if (*at == ',') {
			if (at + 1 == end || at[1] != ',')
				return at + 1;
			at++;
		}
		if (n < PS_NAME_MAX - 1)
			name[n++] = is_allowed(*at) ? *at : '_';
	}
	return end;
}

/* The guest of one "-name" option; false: it names none. */
static bool take_option(const char *at, const char *end, char name[PS_NAME_MAX])
{
	static const char key[] = "guest=";
	const size_t length = sizeof(key) - 1;
	char value[PS_NAME_MAX];
	bool found = false, first = true;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *equals = memchr(at, '=', (size_t)((comma ? comma : end) - at));
		bool is_key = (size_t)(end - at) >= length && !memcmp(at, key, length);
		bool is_guest = is_key || (first && !equals);

		at = take_value(is_key ? at + length : at, end, value);
		if (is_guest && value[0]) {
			memcpy(name, value, PS_NAME_MAX);
			found = true;
		}
		first = false;
	}
	return found;
}

int guest_name(const char *words, size_t length, char name[PS_NAME_MAX])
{
	const char *at = words, *end = words + length;
	char found[PS_NAME_MAX] = "";
	bool is_value = false;

	while (at < end) {
		const char *stop = memchr(at, '\0', (size_t)(end - at));

		if (!stop)
			break; /* cut: whatever this was, it is not whole */
		if (is_value)
			(void)take_option(at, stop, found);
		is_value = !is_value && (!strcmp(at, "-name") || !strcmp(at, "--name"));
		at = stop + 1;
	}
	if (!found[0] || ps_name_check(found))
		return -ENOENT;
	memcpy(name, found, PS_NAME_MAX);
	return 0;
}
