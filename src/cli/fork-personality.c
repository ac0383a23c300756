/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fork-personality: what makes a child another machine than its parent.
 *
 * Always: a new generation counter (the vmgenid device has a new GUID in each QEMU), random
 * numbers, the clock, a number that guests can read, a new MAC for every NIC.
 * By --personality, a JSON file, also
 *
 *	"hostname": "web-%n"	   %n: the child's number from 1, %c: its name
 *	"machine_id": true	   a new one
 *	"ssh_host_keys": true	   new ones
 *	"dhcp": true		   leases are asked for anew
 *	"uuid": "auto", "keep" or a UUID   of the system, where the parent was given one
 *	"mac": "auto", "keep" or "52:54:00:00:01:%n"
 *	"netdev": {"ID": "tap,ifname=tap%n,script=no"}	in place of the parent's -netdev ID
 *
 * All of it but vmgenid and the UUID needs the helper in the guest, contrib/guest/pshare-guest.
 * What cannot be done is noted, and the child runs on all the same; but the link of a NIC whose
 * address is still the parent's stays down where both would be on one network: the second would
 * kill the first one's connections.
 *
 * The guest is asked as soon as it runs. Until it has answered, programs in it have what the parent
 * had; kernels with a driver for vmgenid have new random numbers before.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/fork.h"
#include "cli/guest-channel.h"
#include "sys/entropy.h"
#include "sys/launch.h"
#include "sys/proc.h"

#define ASK_MS 10000u
#define FIRST_MS 20000u /* a guest under emulation, on a busy host */
#define OPEN_MS 5000u
#define OPEN_POLL_MS 5u
#define RANDOM_MAX 64u
#define SLOW_MS 120000u /* keys are made */
#define PORT "pshare-guest"
#define NO_HELPER "nobody answers in the guest: pshare-guest (contrib/guest) does not run there"
#define NOT_STARTED                                                                        \
	"it was not started, so nothing in it was changed: when it runs (cont) it is its " \
	"parent still, but for vmgenid; links of cards that are not in user mode are down"

enum { PERSON_BOOL, PERSON_TEXT, PERSON_OBJECT };

static const struct {
	const char *key;
	int type;
} keys[] = {{"hostname", PERSON_TEXT}, {"machine_id", PERSON_BOOL}, {"ssh_host_keys", PERSON_BOOL},
	    {"dhcp", PERSON_BOOL},     {"mac", PERSON_TEXT},	    {"netdev", PERSON_OBJECT},
	    {"uuid", PERSON_TEXT}};

static int check_key(const struct fork *f, const char *key, const json_t *value)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].key, key) != 0)
			continue;
		if (keys[i].type == PERSON_BOOL ? json_is_boolean(value) :
		    keys[i].type == PERSON_TEXT ? json_is_string(value) :
						  json_is_object(value))
			return 0;
		return say_error(CLI_USAGE, "--personality %s: \"%s\" must be %s",
				 f->args->personality, key,
				 keys[i].type == PERSON_BOOL ? "true or false" :
				 keys[i].type == PERSON_TEXT ? "a string" :
							       "an object");
	}
	return say_error(CLI_USAGE,
			 "--personality %s: there is no \"%s\"; there are hostname, machine_id, "
			 "ssh_host_keys, dhcp, mac, netdev, uuid",
			 f->args->personality, key);
}

static bool is_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	return true;
}

/* One that is given is one child's. */
static int check_uuid(const struct fork *f, const char *uuid)
{
	if (!*uuid || !strcmp(uuid, "auto") || !strcmp(uuid, "keep"))
		return 0;
	if (!is_uuid(uuid))
		return say_error(
			CLI_USAGE,
			"--personality %s: \"uuid\": \"%s\" is neither auto, nor keep, nor "
			"a UUID",
			f->args->personality, uuid);
	if (f->nchildren > 1)
		return say_error(CLI_USAGE,
				 "--personality %s: \"uuid\": %s is for one child, not for %u",
				 f->args->personality, uuid, f->nchildren);
	return 0;
}

int personality_read(struct fork *f)
{
	json_error_t error;
	const char *key;
	json_t *value;
	int r;

	if (!f->args->personality)
		return 0;
	f->personality = json_load_file(f->args->personality, JSON_REJECT_DUPLICATES, &error);
	if (!f->personality)
		return say_error(CLI_USAGE, "--personality %s: line %d: %s", f->args->personality,
				 error.line, error.text);
	json_object_foreach(f->personality, key, value)
	{
		r = check_key(f, key, value);
		if (r)
			return r;
	}
	return check_uuid(f, ask_text(f->personality, "uuid"));
}

/* The text with %n and %c in it replaced; to be freed. */
static char *expand(const struct fork *f, const struct child *c, const char *text)
{
	char *out = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&out, &size);

	if (!stream)
		return NULL;
	for (; *text; text++) {
		if (text[0] == '%' && text[1] == 'n') {
			fprintf(stream, "%u", (unsigned int)(c - f->child) + 1);
			text++;
		} else if (text[0] == '%' && text[1] == 'c') {
			fputs(c->name, stream);
			text++;
		} else {
			fputc(*text, stream);
		}
	}
	if (fclose(stream)) {
		free(out);
		return NULL;
	}
	return out;
}

char *personality_netdev(const struct fork *f, const struct child *c, const char *id)
{
	const json_t *given = json_object_get(json_object_get(f->personality, "netdev"), id);

	return json_is_string(given) ? expand(f, c, json_string_value(given)) : NULL;
}

int personality_uuid(const struct fork *f, char uuid[FORK_UUID_SIZE])
{
	const char *wanted = ask_text(f->personality, "uuid");
	unsigned char b[16];
	int r;

	uuid[0] = '\0';
	if (!strcmp(wanted, "keep"))
		return 0;
	if (*wanted && strcmp(wanted, "auto") != 0) {
		snprintf(uuid, FORK_UUID_SIZE, "%s", wanted);
		return 0;
	}
	r = sys_random(b, sizeof(b));
	if (r)
		return say_error(CLI_FAILED, "no random bytes for a UUID: %s", strerror(-r));
	b[6] = (b[6] & 0x0f) | 0x40; /* of RFC 9562, version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(uuid, FORK_UUID_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return 0;
}

static void note(struct child *c, const char *what, const char *why)
{
	json_object_set_new(c->guest, what, why ? json_string(why) : json_true());
}

/* ---- network cards ------------------------------------------------------------------------ */

static bool keeps_mac(const struct fork *f)
{
	return !strcmp(ask_text(f->personality, "mac"), "keep");
}

/* Its cards as QEMU tells of them: [{"name", "main-mac"}]. */
static json_t *cards_of(struct child *c)
{
	json_t *answer = NULL;

	return qmp_command(c->qmp, "query-rx-filter", NULL, &answer) ? json_array() : answer;
}

static void set_link(struct child *c, const char *name, bool up)
{
	(void)qmp_command(c->qmp, "set_link", json_pack("{s:s, s:b}", "name", name, "up", (int)up),
			  NULL);
}

/* Does every card have a network of its own, made by QEMU? */
static bool all_user_mode(const struct child *c)
{
	for (size_t i = 1; i + 1 < c->words.n; i++) {
		const char *option = c->words.word[i], *value = c->words.word[i + 1];
		bool net = !strcmp(option, "-netdev") || !strcmp(option, "-nic") ||
			   !strcmp(option, "-net");

		if (net && strncmp(value, "user", 4) != 0 && strncmp(value, "nic", 3) != 0)
			return false;
	}
	return true;
}

int personality_before(struct fork *f, struct child *c)
{
	_cleanup_json_ json_t *cards = NULL;
	const json_t *card;
	size_t i;

	if (keeps_mac(f) || all_user_mode(c))
		return 0;
	cards = cards_of(c);
	json_array_foreach(cards, i, card) set_link(c, ask_text(card, "name"), false);
	return 0;
}

/* The last byte of each is another for each card of a child. */
static void new_mac(const struct fork *f, const struct child *c, size_t card, char text[18])
{
	const char *wanted = ask_text(f->personality, "mac");
	unsigned char random[3] = {0};
	unsigned int bytes[6], n = (unsigned int)(c - f->child) + 1;
	char *given;

	(void)sys_random(random, sizeof(random));
	snprintf(text, 18, "52:54:00:%02x:%02x:%02x", random[0], random[1], random[2]);
	if (!*wanted || !strcmp(wanted, "auto"))
		return;
	given = expand(f, c, wanted);
	if (given && sscanf(given, "%x:%x:%x:%x:%x:%x", &bytes[0], &bytes[1], &bytes[2], &bytes[3],
			    &bytes[4], &bytes[5]) == 6)
		snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0] & 0xfe,
			 bytes[1] & 0xff, bytes[2] & 0xff, bytes[3] & 0xff,
			 (unsigned int)(bytes[4] + card) & 0xff,
			 strstr(wanted, "%n") ? n & 0xff : bytes[5] & 0xff);
	free(given);
}

/* ---- the guest ---------------------------------------------------------------------------- */

static int ask(struct guest_channel *g, struct child *c, const char *what, const char *line,
	       unsigned int ms)
{
	char why[GUEST_WHY] = "";
	int r = guest_ask(g, line, ms, why);

	note(c, what, !r ? NULL : r == -EREMOTEIO ? why : NO_HELPER);
	return r == -EREMOTEIO ? 0 : r;
}

/* word, and random bytes of this host, as many as are asked for. */
static int ask_random(struct guest_channel *g, struct child *c, const char *what, const char *word,
		      size_t n)
{
	unsigned char bytes[RANDOM_MAX];
	char line[32 + 2 * RANDOM_MAX];
	int at = snprintf(line, sizeof(line), "%s ", word);

	if (n > RANDOM_MAX || sys_random(bytes, n)) {
		note(c, what, "this host gives no random bytes");
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		at += snprintf(line + at, sizeof(line) - (size_t)at, "%02x", bytes[i]);
	return ask(g, c, what, line, ASK_MS);
}

static int ask_clock(struct guest_channel *g, struct child *c)
{
	struct timespec now;
	char line[64];

	timespec_get(&now, TIME_UTC);
	snprintf(line, sizeof(line), "clock %lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
	return ask(g, c, "clock", line, ASK_MS);
}

static int ask_hostname(const struct fork *f, struct guest_channel *g, struct child *c)
{
	const char *wanted = ask_text(f->personality, "hostname");
	char *name, line[256];
	int r;

	if (!*wanted)
		return 0;
	name = expand(f, c, wanted);
	if (!name)
		return -ENOMEM;
	snprintf(line, sizeof(line), "hostname %.200s", name);
	free(name);
	r = ask(g, c, "hostname", line, ASK_MS);
	return r;
}

static int ask_macs(struct fork *f, struct guest_channel *g, struct child *c)
{
	_cleanup_json_ json_t *cards = keeps_mac(f) ? NULL : cards_of(c);
	const json_t *card;
	size_t i;
	int r = 0;

	json_array_foreach(cards, i, card)
	{
		char line[64], mac[18], what[80];

		new_mac(f, c, i, mac);
		snprintf(line, sizeof(line), "mac %.17s %s", ask_text(card, "main-mac"), mac);
		snprintf(what, sizeof(what), "mac of %.60s", ask_text(card, "name"));
		r = ask(g, c, what, line, ASK_MS);
		if (r)
			break;
		if (json_is_true(json_object_get(c->guest, what)))
			set_link(c, ask_text(card, "name"), true);
	}
	return r;
}

static int ask_all(struct fork *f, struct guest_channel *g, struct child *c)
{
	char line[128];
	bool leases;
	int r;

	snprintf(line, sizeof(line), "generation %" PRIu64 " %s", f->image, c->name);
	r = ask(g, c, "generation", line, FIRST_MS);
	if (!r)
		r = ask_random(g, c, "random", "entropy", 64);
	if (!r)
		r = ask_clock(g, c);
	if (!r)
		r = ask_hostname(f, g, c);
	if (!r && ask_true(f->personality, "machine_id"))
		r = ask_random(g, c, "machine_id", "machine-id", 16);
	/* a card whose link comes up with its parent's lease still would be its parent's double */
	if (!r && ask_true(f->personality, "dhcp"))
		r = ask(g, c, "dhcp", "release", SLOW_MS);
	leases = ask_true(f->personality, "dhcp") &&
		 json_is_true(json_object_get(c->guest, "dhcp"));
	if (!r)
		r = ask_macs(f, g, c);
	if (!r && ask_true(f->personality, "ssh_host_keys"))
		r = ask(g, c, "ssh_host_keys", "ssh-keys", SLOW_MS);
	if (!r && leases)
		r = ask(g, c, "dhcp", "dhcp", SLOW_MS);
	snprintf(line, sizeof(line), "hooks %s", c->name);
	if (!r)
		r = ask(g, c, "hooks", line, SLOW_MS);
	return r;
}

bool personality_port_open(struct qmp *qmp)
{
	_cleanup_json_ json_t *devices = NULL;
	const json_t *device;
	size_t i;

	if (qmp_command(qmp, "query-chardev", NULL, &devices))
		return false;
	json_array_foreach(devices, i, device) if (!strcmp(ask_text(device, "label"),
							   PORT)) return ask_true(device,
										  "frontend-open");
	return false;
}

/* A child's port is open a moment after it runs, where its parent's was. */
static bool wait_open(const struct fork *f, const struct child *c)
{
	for (unsigned int ms = 0; f->has_helper && ms < OPEN_MS; ms += OPEN_POLL_MS) {
		if (personality_port_open(c->qmp))
			return true;
		sys_sleep_ms(OPEN_POLL_MS);
	}
	return false;
}

static void note_down(struct fork *f, struct child *c)
{
	_cleanup_json_ json_t *cards = NULL;
	const json_t *card;
	size_t i;

	if (keeps_mac(f) || all_user_mode(c))
		return;
	cards = cards_of(c);
	json_array_foreach(cards, i, card)
	{
		char what[80];

		snprintf(what, sizeof(what), "mac of %.60s", ask_text(card, "name"));
		if (!json_is_true(json_object_get(c->guest, what)))
			note(c, what,
			     "it is the parent's, so its link is left down; set it in the "
			     "guest, then set_link by QMP");
	}
}

int personality_after(struct fork *f, struct child *c, unsigned int index)
{
	struct guest_channel g = {.sock = -1};
	char path[PATH_MAX];
	int r = -ENOTCONN;

	if (f->args->no_start) {
		note(c, "guest", NOT_STARTED);
		return 0;
	}
	fork_progress(f, "%s: %s becomes itself (%u of %u) ...", f->parent, c->name, index + 1,
		      f->nchildren);
	snprintf(path, sizeof(path), "%.4000s/guest.sock", c->folder);
	if (wait_open(f, c))
		r = guest_open(&g, path);
	if (!r)
		r = ask_all(f, &g, c);
	if (r)
		note(c, "guest", NO_HELPER);
	note_down(f, c);
	guest_close(&g);
	return 0;
}
