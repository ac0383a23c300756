/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * accept: Prometheus names the formats that it reads, with weights, best first:
 *
 *   application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5;q=0.1
 *
 * Older readers, curl and a browser name none of ours, or anything at all, and read the plain text.
 * So OpenMetrics is for who names it, in a version that we have, with a weight above 0 and not
 * below that of the plain text. Nobody is refused: who can read neither gets the plain text.
 *
 * The header is a stranger's: it is walked over once, and nothing of it is kept.
 */
#include "policy/accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define WEIGHT_ONE 1000

struct word {
	const char *at;
	size_t len;
};

/* The next stretch of *text up to one of the marks, without blanks around it. A mark within quotes
 * is none. */
static struct word take(const char **text, const char *marks)
{
	const char *at = *text, *end;
	bool quoted = false;

	for (end = at; *end && (quoted || !strchr(marks, *end)); end++) {
		quoted ^= *end == '"';
		if (quoted && *end == '\\' && end[1])
			end++;
	}
	*text = end;
	while (at < end && strchr(" \t", *at))
		at++;
	while (end > at && strchr(" \t", end[-1]))
		end--;
	return (struct word){at, (size_t)(end - at)};
}

static bool is(struct word word, const char *what)
{
	return word.len == strlen(what) && !strncasecmp(word.at, what, word.len);
}

/* In thousandths; what is no weight counts as 0. */
static int weight_of(struct word word)
{
	int weight = 0, digit = WEIGHT_ONE;

	for (size_t i = 0; i < word.len && digit; i++) {
		if (i == 1) {
			if (word.at[i] != '.')
				return 0;
			continue;
		}
		if (word.at[i] < '0' || word.at[i] > '9')
			return 0;
		weight += (word.at[i] - '0') * digit;
		digit /= 10;
	}
	return weight < WEIGHT_ONE ? weight : WEIGHT_ONE;
}

enum kind { OTHER, PLAIN, OPEN };

static enum kind kind_of(struct word type)
{
	if (is(type, "application/openmetrics-text"))
		return OPEN;
	if (is(type, "text/plain") || is(type, "text/*") || is(type, "*/*"))
		return PLAIN;
	return OTHER;
}

static bool has_version(enum kind kind, struct word value)
{
	if (value.len >= 2 && value.at[0] == '"')
		value = (struct word){value.at + 1, value.len - 2};
	if (kind == OPEN) /* what 0.0.1 had is all in 1.0.0, and readers take one for the other */
		return is(value, "1.0.0") || is(value, "0.0.1");
	return is(value, "0.0.4");
}

/* One range with its parameters; *text is left at the comma or the end. Its weight, 0: not ours. */
static int range(const char **text, enum kind *kind)
{
	int weight = WEIGHT_ONE;

	*kind = kind_of(take(text, ",;"));
	while (**text == ';') {
		struct word name, value = {"", 0};

		++*text;
		name = take(text, ",;=");
		if (**text == '=') {
			++*text;
			value = take(text, ",;");
		}
		if (is(name, "q"))
			weight = weight_of(value);
		else if (is(name, "version") && !has_version(*kind, value))
			*kind = OTHER;
	}
	return *kind == OTHER ? 0 : weight;
}

bool accept_openmetrics(const char *header)
{
	int best[] = {[OTHER] = 0, [PLAIN] = 0, [OPEN] = 0};

	while (header && *header) {
		enum kind kind;
		int weight = range(&header, &kind);

		if (weight > best[kind])
			best[kind] = weight;
		if (*header)
			header++;
	}
	return best[OPEN] && best[OPEN] >= best[PLAIN];
}
