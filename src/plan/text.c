/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One pass, a line at a time; a host comes before its VMs. What is not understood is an error, as
 * is what cannot be: a plan of a typing slip would look like any other.
 */
#include "plan/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/generate.h"
#include "policy/plain.h"

#define WORDS_MAX 16
#define VM_PAGES_MAX (1ull << 31) /* 8 TiB */
#define PAGES_MAX (4095ull << 28) /* 4095 TiB */

struct line {
	struct plan *plan;
	unsigned int number;
	char *words[WORDS_MAX];
	int n;
	char *err;
};

__attribute__((format(printf, 2, 3))) static int fault(const struct line *line, const char *format,
						       ...)
{
	va_list list;
	int n = snprintf(line->err, PLAN_ERROR_MAX, "line %u: ", line->number);

	va_start(list, format);
	(void)vsnprintf(line->err + n, PLAN_ERROR_MAX - (size_t)n, format, list);
	va_end(list);
	plain_text(line->err); /* a name may be cut in a character */
	return -EINVAL;
}

/* The value of name=..., taken out of the line; NULL: there is none. */
static char *take(struct line *line, const char *name)
{
	size_t length = strlen(name);

	for (int i = 1; i < line->n; i++) {
		char *word = line->words[i];

		if (word && strncmp(word, name, length) == 0 && word[length] == '=') {
			line->words[i] = NULL;
			return word + length + 1;
		}
	}
	return NULL;
}

/* What nobody took. */
static int check_rest(const struct line *line, int from)
{
	for (int i = from; i < line->n; i++)
		if (line->words[i])
			return fault(line, "'%.60s' is unknown here, or given twice",
				     line->words[i]);
	return 0;
}

/* 0, -EINVAL: no size, -ERANGE: more than PAGES_MAX. */
static int parse_size(const char *text, uint64_t *pages)
{
	static const char units[] = "KMGT";
	char *end;
	const char *unit;
	unsigned int shift = 20;
	double value;

	/* strtod() takes more: 0x10, 1e3, inf */
	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	value = strtod(text, &end);
	if (end != text + strspn(text, "0123456789."))
		return -EINVAL;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	value *= (double)(1ull << shift) / PLAN_PAGE;
	if (!(value <= (double)PAGES_MAX))
		return -ERANGE;
	*pages = (uint64_t)(value + 0.5);
	return 0;
}

/* name=SIZE into *pages, which stays as it is where there is none. No more than most, which is
 * called so. */
static int take_size(struct line *line, const char *name, uint64_t most, const char *called,
		     uint64_t *pages)
{
	const char *text = take(line, name);
	int r;

	if (!text)
		return 0;
	r = parse_size(text, pages);
	if (r == -EINVAL)
		return fault(line, "%s='%.40s' is no size: give MiB, or 4G, 512M", name, text);
	if (r || *pages > most)
		return fault(line, "%s=%.40s is too large: %s is the most", name, text, called);
	return 0;
}

static int take_number(struct line *line, const char *name, uint64_t most, uint64_t *number)
{
	const char *text = take(line, name);
	char *end;

	if (!text)
		return 0;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || *number > most)
		return fault(line, "%s='%.40s' is no number from 0 to %llu", name, text,
			     (unsigned long long)most);
	return 0;
}

/* ---- the kinds of lines -------------------------------------------------------------------- */

static int read_rule(struct line *line)
{
	char why[POLICY_ERROR_MAX];
	int rule;

	if (line->n != 3)
		return fault(line, "write: rule NAME VALUE");
	rule = fleetrule_find(line->words[1]);
	if (rule < 0)
		return fault(line, "there is no rule '%.60s'", line->words[1]);
	if (fleetrule_set(&line->plan->rules, (enum fleetrule)rule, line->words[2], why))
		return fault(line, "%s", why);
	return 0;
}

static int read_host(struct line *line)
{
	static const char *const states[] = {"here", "away", "maintenance", "standby"};
	const char *name = line->n > 1 ? line->words[1] : NULL, *state;
	uint64_t memory = 0, mode = 2;
	int64_t number;
	size_t i;
	int r;

	if (!name || strchr(name, '='))
		return fault(line, "write: host NAME memory=SIZE ...");
	if (line->plan->generated)
		return fault(line,
			     "host %.60s: 'generate' stands alone: it makes all hosts and VMs",
			     name);
	state = take(line, "state");
	r = take_size(line, "memory", PAGES_MAX, "4095T", &memory);
	if (!r)
		r = take_number(line, "salting", PLAN_MODES - 1, &mode);
	if (!r)
		r = check_rest(line, 2);
	if (r)
		return r;
	if (!memory)
		return fault(line, "host %.60s has no memory: give memory=SIZE", name);
	for (i = 0; state && i < 4 && strcmp(states[i], state) != 0; i++)
		;
	if (i == 4)
		return fault(line, "state=%.40s is none of here, away, maintenance, standby",
			     state);
	number = plan_add_host(line->plan, name);
	if (number == -EEXIST)
		return fault(line, "host %.60s is there twice: give it another name", name);
	if (number < 0)
		return (int)number;
	line->plan->hosts[number].memory = memory;
	line->plan->hosts[number].mode = (uint8_t)mode;
	line->plan->hosts[number].state = (uint8_t)i;
	return 0;
}

/* content=NAME:SIZE,... of the VM that was added last. Together no more than most pages. */
static int read_contents(struct line *line, char *text, uint64_t most)
{
	uint64_t sum = 0;
	char *one;

	while ((one = strsep(&text, ","))) {
		char *colon = strrchr(one, ':');
		uint64_t pages;
		int64_t number;

		if (!colon || colon == one)
			return fault(line, "content '%.60s': write NAME:SIZE", one);
		*colon = '\0';
		if (parse_size(colon + 1, &pages))
			return fault(line,
				     "content %.40s: '%.40s' is no size: give MiB, or 4G, 512M",
				     one, colon + 1);
		sum += pages;
		number = plan_names_put(&line->plan->contents, one, NULL);
		if (number < 0 || plan_add_part(line->plan, (uint32_t)number + 1, (double)pages))
			return -ENOMEM;
	}
	if (sum > most)
		return fault(line, "the contents are larger than what the VM has beside zero and "
				   "self");
	return 0;
}

static int name_to(struct plan_names *names, const char *text, uint32_t *number)
{
	int64_t n = text ? plan_names_put(names, text, NULL) : *number;

	if (n < 0)
		return (int)n;
	*number = (uint32_t)n;
	return 0;
}

static int read_vm(struct line *line)
{
	const char *name = line->n > 1 ? line->words[1] : NULL, *host, *user, *salt;
	uint64_t size = 0, touched, zero = 0, self = 0;
	char *content;
	struct plan_vm *vm;
	int64_t number, at;
	int r;

	if (!name || strchr(name, '='))
		return fault(line, "write: vm NAME host=HOST size=SIZE ...");
	if (line->plan->generated)
		return fault(line, "vm %.60s: 'generate' stands alone: it makes all hosts and VMs",
			     name);
	host = take(line, "host");
	user = take(line, "user");
	salt = take(line, "salt");
	content = take(line, "content");
	r = take_size(line, "size", VM_PAGES_MAX, "8T", &size);
	touched = size;
	if (!r && (!size || !host))
		return fault(line, "vm %.60s has no %s: give %s", name, host ? "size" : "host",
			     host ? "size=SIZE" : "host=HOST");
	if (!r)
		r = take_size(line, "touched", size, "the VM's size", &touched);
	if (!r)
		r = take_size(line, "zero", touched, "what the VM has touched", &zero);
	if (!r)
		r = take_size(line, "self", touched - zero, "what the VM has beside zero", &self);
	if (!r)
		r = check_rest(line, 2);
	if (r)
		return r;
	at = plan_names_find(&line->plan->host_names, host);
	if (at < 0)
		return fault(line, "vm %.60s: there is no host %.60s above", name, host);
	if (plan_names_find(&line->plan->names, name) >= 0)
		return fault(line, "vm %.60s is there twice: give it another name", name);
	number = plan_add_vm(line->plan, name, (uint32_t)at);
	if (number < 0)
		return (int)number;
	vm = &line->plan->vms[number];
	vm->size = (uint32_t)size;
	vm->touched = (uint32_t)touched;
	vm->self = (uint32_t)(zero + self);
	r = name_to(&line->plan->users, user, &vm->user);
	if (!r && (!salt || *salt)) /* an empty salt is a domain of its own */
		r = name_to(&line->plan->salts, salt, &vm->salt);
	return r || !content ? r : read_contents(line, content, touched - zero - self);
}

static int read_generate(struct line *line)
{
	struct plan_generate what = {.hosts = 100, .vms = 3000, .seed = 1, .memory = 0};
	int r = take_number(line, "hosts", 1000000, &what.hosts);

	if (!r)
		r = take_number(line, "vms", 50000000, &what.vms);
	if (!r)
		r = take_number(line, "seed", UINT64_MAX, &what.seed);
	if (!r)
		r = take_size(line, "memory", PAGES_MAX, "4095T", &what.memory);
	if (!r)
		r = check_rest(line, 1);
	if (r)
		return r;
	if (line->plan->nhosts || line->plan->nvms)
		return fault(line, "'generate' stands alone: it makes all hosts and VMs");
	if (!what.hosts)
		return fault(line, "hosts=0: there is nothing to put VMs on");
	return plan_generate(line->plan, &what);
}

static int read_line(struct line *line, char *text)
{
	static const struct {
		const char *word;
		int (*read)(struct line *line);
	} kinds[] = {{"rule", read_rule},
		     {"host", read_host},
		     {"vm", read_vm},
		     {"generate", read_generate}};
	char *word;

	text[strcspn(text, "#")] = '\0';
	line->n = 0;
	while ((word = strsep(&text, " \t\r"))) {
		if (!*word)
			continue;
		if (line->n == WORDS_MAX)
			return fault(line, "more than %d words", WORDS_MAX);
		if (!plain_is(word))
			return fault(line,
				     "'%.60s' holds a control character, or what is no UTF-8: give "
				     "what can be shown",
				     word);
		line->words[line->n++] = word;
	}
	if (!line->n)
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].word, line->words[0]) == 0)
			return kinds[i].read(line);
	return fault(line, "'%.40s' is none of rule, host, vm, generate", line->words[0]);
}

int plan_read_text(struct plan *plan, char *text, size_t length, char err[PLAN_ERROR_MAX])
{
	struct line line = {.plan = plan, .err = err};
	const char *end = text + length;
	char *one;

	*err = '\0';
	while ((one = strsep(&text, "\n"))) {
		int r;

		line.number++;
		/* strsep() ends at a NUL; the text does not */
		if (!text && one + strlen(one) < end)
			return fault(&line, "'%.60s' is followed by a NUL byte: give text", one);
		r = read_line(&line, one);
		if (r)
			return r;
	}
	if (!plan->nhosts) {
		snprintf(err, PLAN_ERROR_MAX, "there is no host in it");
		return -EINVAL;
	}
	return plan_finish(plan);
}
