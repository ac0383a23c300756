/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fleets whose plan was worked out by hand: tests/plan/ *.txt, each with what is asked ("ask") and
 * what has to come out ("expect KEY MIB"), the way to it in comments.
 */
#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/harness.h"
#include "plan/outcome.h"
#include "plan/text.h"
#include "policy/plain.h"

#define MIB (1048576.0 / PLAN_PAGE)
#define TEXT_MAX 65536u

static const char *const bases[PLAN_BASES] = {[PLAN_WITH] = "with",
					      [PLAN_ALONE] = "alone",
					      [PLAN_WITHOUT] = "without",
					      [PLAN_WHOLE] = "whole"};
static const char *const ways[PLAN_WAYS] = {"first-fit", "best-fit", "likeness"};

/* What follows head in text; NULL. */
static const char *after(const char *text, const char *head)
{
	size_t length = strlen(head);

	return strncmp(text, head, length) == 0 ? text + length : NULL;
}

static int basis_of(const char *word)
{
	for (int i = 0; i < PLAN_BASES; i++)
		if (strcmp(word, bases[i]) == 0)
			return i;
	return -1;
}

static double mode_value(const struct plan_saving *saving, const char *word)
{
	const char *mode = after(word, "mode");

	if (mode)
		return (saving->self + saving->between[*mode - '0']) / MIB;
	if (strcmp(word, "self") == 0)
		return saving->self / MIB;
	if (strcmp(word, "salts") == 0)
		return saving->between[2] / MIB;
	if (strcmp(word, "across") == 0)
		return (saving->now - saving->between[2]) / MIB;
	return NAN;
}

static double host_value(const struct plan *plan, const struct plan_outcome *out, const char *rest)
{
	for (uint32_t h = 0; h < plan->nhosts; h++) {
		const char *word = after(rest, plan_host_name(plan, h));

		if (word && *word == '.')
			return mode_value(&out->each[h], word + 1);
	}
	return NAN;
}

static double case_value(const struct plan_need *need, const char *word)
{
	const char *rest;

	if (strcmp(word, "memory") == 0)
		return need->capacity / MIB;
	if ((rest = after(word, "homeless.")) && basis_of(rest) >= 0)
		return (double)need->homeless[basis_of(rest)];
	if ((rest = after(word, "hosts.")) && basis_of(rest) >= 0)
		return need->needed[basis_of(rest)] == UINT32_MAX ? -1.0 :
								    need->needed[basis_of(rest)];
	return basis_of(word) < 0 ? NAN : need->used[basis_of(word)] / MIB;
}

static double way_value(const struct plan_result *result, const char *word)
{
	if (strcmp(word, "used") == 0)
		return result->used / MIB;
	if (strcmp(word, "hosts") == 0)
		return result->hosts;
	return strcmp(word, "homeless") == 0 ? (double)result->homeless : NAN;
}

static double move_value(const struct plan *plan, const struct plan_outcome *out, const char *rest)
{
	char name[256];

	for (uint32_t i = 0; i < out->nmoves; i++) {
		snprintf(name, sizeof(name), "%s.%s", plan_vm_name(plan, out->moves[i].vm),
			 plan_host_name(plan, out->moves[i].to));
		if (strcmp(name, rest) == 0)
			return out->moves[i].gain / MIB;
	}
	return NAN;
}

/* where.VM.HOST, where.VM.nowhere: 1 if that is where it is placed. */
static double where_value(const struct plan *plan, const struct plan_outcome *out, const char *rest)
{
	for (uint32_t i = 0; i < plan->nvms; i++) {
		const char *word = after(rest, plan_vm_name(plan, i));
		uint32_t host = out->where[i];

		if (word && *word == '.')
			return strcmp(word + 1,
				      host == PLAN_NONE ? "nowhere" : plan_host_name(plan, host)) ==
			       0;
	}
	return NAN;
}

static double value_of(const struct plan *plan, const struct plan_outcome *out, const char *key)
{
	const char *rest;

	if ((rest = after(key, "host.")))
		return host_value(plan, out, rest);
	if ((rest = after(key, "more.")))
		return (double)out->more[basis_of(rest)];
	if ((rest = after(key, "move.")))
		return move_value(plan, out, rest);
	if ((rest = after(key, "where.")))
		return where_value(plan, out, rest);
	if ((rest = after(key, "live-today.")))
		return way_value(&out->today, rest);
	if (strcmp(key, "rehomed") == 0)
		return plan_rehomed(plan, out);
	if (strcmp(key, "left-to-gain") == 0)
		return plan_left_to_gain(out) / MIB;
	if (strcmp(key, "moves") == 0)
		return out->nmoves;
	if (strcmp(key, "gain") == 0)
		return out->gain / MIB;
	for (int way = 0; way < PLAN_WAYS; way++)
		if ((rest = after(key, ways[way])) && *rest == '.')
			return way_value(&out->placed[way], rest + 1);
	for (uint32_t i = 0; i < out->ncases; i++)
		if ((rest = after(key, out->cases[i].name)) && *rest == '.')
			return case_value(&out->cases[i].need, rest + 1);
	return mode_value(&out->all, key);
}

static unsigned int expect_all(const struct plan *plan, const struct plan_outcome *out,
			       const char *name, char *text)
{
	unsigned int n = 0;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		char *number;
		double want, have;

		if (!after(line, "expect "))
			continue;
		line += strlen("expect ");
		number = strrchr(line, ' ');
		REQUIRE(number);
		*number = '\0';
		want = strtod(number + 1, NULL);
		have = value_of(plan, out, line);
		if (!(fabs(have - want) < 0.01)) /* not a number is no match either */
			NOTE_FAIL("%s: %s is %.3f, by hand it is %.3f", name, line, have, want);
		n++;
	}
	return n;
}

/* Lines that are ours are made comments. */
static void blank_ours(char *text, struct plan_question *question)
{
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (after(line, "ask ")) {
			const char *add = strstr(line, "add="), *fail = strstr(line, "fail=");
			const char *end = strchr(line, '\n');

			question->add = add && add < end ? strtoul(add + 4, NULL, 10) : 0;
			question->fail =
				fail && fail < end ? (uint32_t)strtoul(fail + 5, NULL, 10) : 0;
			*line = '#';
		} else if (after(line, "expect ")) {
			*line = '#';
		}
	}
}

static void read_file(const char *name, char text[TEXT_MAX])
{
	char path[512];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "tests/plan/%s", name);
	file = fopen(test_source(path), "r");
	REQUIRE(file);
	n = fread(text, 1, TEXT_MAX - 1, file);
	fclose(file);
	text[n] = '\0';
}

static void try_case(const char *name)
{
	static char text[TEXT_MAX], copy[TEXT_MAX];
	struct plan_question question = {0};
	struct plan_outcome outcome;
	char err[PLAN_ERROR_MAX];
	struct plan plan;

	read_file(name, text);
	memcpy(copy, text, sizeof(copy));
	blank_ours(copy, &question);
	REQUIRE_OK(plan_init(&plan));
	if (plan_read_text(&plan, copy, strlen(copy), err))
		FAIL("%s: %s", name, err);
	REQUIRE_OK(plan_work_out(&plan, &question, &outcome));
	CHECK_GT(expect_all(&plan, &outcome, name, text), 0);
	plan_outcome_free(&outcome);
	plan_free(&plan);
}

TEST("fleets that were planned by hand are planned so")
{
	DIR *dir = opendir(test_source("tests/plan"));
	const struct dirent *entry;
	unsigned int n = 0;

	REQUIRE(dir);
	while ((entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (!dot || strcmp(dot, ".txt") != 0)
			continue;
		try_case(entry->d_name);
		n++;
	}
	closedir(dir);
	CHECK(n >= 4);
}

static void refused_bytes(const char *given, size_t length, const char *said)
{
	char text[512], err[PLAN_ERROR_MAX];
	struct plan plan;

	REQUIRE(length < sizeof(text));
	memcpy(text, given, length);
	text[length] = '\0';
	REQUIRE_OK(plan_init(&plan));
	CHECK_EQ(plan_read_text(&plan, text, length, err), -EINVAL);
	CHECK_IN(said, err);
	CHECK(plain_is(err));
	plan_free(&plan);
}

static void refused(const char *given, const char *said)
{
	refused_bytes(given, strlen(given), said);
}

TEST("what cannot be is refused, with the line and what would do")
{
	refused("", "no host");
	refused("hots h1 memory=4G", "line 1: 'hots' is none of");
	refused("\nhost h1", "line 2: host h1 has no memory");
	refused("host h1 memory=4X", "memory='4X' is no size");
	refused("host h1 memory=4G\nhost h1 memory=4G", "line 2: host h1 is there twice");
	refused("host h1 memory=4G salting=3", "salting='3' is no number from 0 to 2");
	refused("host h1 memory=4G state=gone", "state=gone is none of");
	refused("host h1 memory=4G colour=red", "'colour=red' is unknown");
	refused("host h1 memory=4G\nvm a host=h2 size=1G", "there is no host h2");
	refused("host h1 memory=4G\nvm a host=h1", "vm a has no size");
	refused("host h1 memory=4G\nvm a host=h1 size=1G touched=512M zero=600M",
		"zero=600M is too large: what the VM has touched is the most");
	refused("host h1 memory=4G\nvm a host=h1 size=1G content=x", "write NAME:SIZE");
	refused("host h1 memory=4G\nvm a host=h1 size=1G zero=512M content=x:300M,y:300M",
		"larger than what the VM has");
	refused("rule das.nothing 1", "no rule 'das.nothing'");
	refused("rule das.failoverLevel 99", "das.failoverLevel");
	refused("host h1 memory=4G\ngenerate hosts=3", "stands alone");
	refused("generate hosts=0", "nothing to put VMs on");
}

#define HOST "host h1 memory=4G\n"

TEST("what no fleet can have is refused: sizes, names twice, hosts beside those that are made up")
{
	refused(HOST "vm a host=h1 size=1G\nvm a host=h1 size=1G", "line 3: vm a is there twice");
	refused(HOST "host h2 memory=4G\nvm a host=h1 size=1G\nvm a host=h2 size=1G",
		"line 4: vm a is there twice");
	refused(HOST "vm a host=h1 size=1G touched=2G",
		"line 2: touched=2G is too large: the VM's size is the most");
	refused("generate hosts=2 vms=3\nhost h1 memory=4G", "line 2: host h1: 'generate' stands");
	refused("generate hosts=2 vms=3\nvm a host=host-0 size=1G", "line 2: vm a: 'generate'");
	refused("host h1 memory=0x10G", "line 1: memory='0x10G' is no size: give MiB");
	refused("host h1 memory=1e3", "memory='1e3' is no size");
	refused("host h1 memory=5000T", "line 1: memory=5000T is too large: 4095T is the most");
	refused("generate memory=9999999999T", "too large: 4095T is the most");
	refused(HOST "vm a host=h1 size=9T", "line 2: size=9T is too large: 8T is the most");
	refused(HOST "vm a host=h1 size=1G content=x:0x1", "'0x1' is no size: give MiB");
}

TEST("what a terminal or JSON cannot take is refused, with the line, and not shown as it is")
{
	static const char cut[] = HOST "vm a host=h1 size=1G\0\nvm b host=h1 size=1G\n";
	static const char last[] = HOST "\0";

	refused("host h\033[31mx memory=4G", "line 1: 'h?[31mx' holds a control character");
	refused("host h memory=\033[31m1", "line 1: 'memory=?[31m1' holds a control character");
	refused(HOST "vm a\x7f host=h1 size=1G", "line 2: 'a?' holds a control character");
	refused("host h\xc2\x9b memory=4G", "' holds a control character");
	refused("host h\xff memory=4G", "line 1: 'h?' holds a control character, or what is no");
	refused(HOST "vm a host=h1 size=1G salt=\xff", "line 2: 'salt=?' holds");
	refused_bytes(cut, sizeof(cut) - 1, "line 2: 'vm a host=h1 size=1G' is followed by a NUL");
	refused_bytes(last, sizeof(last) - 1, "line 2: '' is followed by a NUL byte");
}

TEST("names in any script, comments in any encoding, the largest sizes are taken")
{
	char text[] = "# \xff\033[31m\nhost f\xc3\xbcnf memory=4095T # \xff\n"
		      "vm \xe4\xba\x94 host=f\xc3\xbcnf size=8T touched=8T\r\n";
	char err[PLAN_ERROR_MAX];
	struct plan plan;

	REQUIRE_OK(plan_init(&plan));
	CHECK_OK(plan_read_text(&plan, text, strlen(text), err));
	CHECK_EQ(plan.nvms, 1);
	plan_free(&plan);
}
