/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A line after the other. What is kept: all series that were seen, all families that have ended,
 * the family under way with its type, and the histogram under way.
 */
#include "harness/expo.h"

#include <ctype.h>
#include <math.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_ 128u
#define LABELS_MAX 512u

struct sample {
	char name[NAME_MAX_];
	char labels[LABELS_MAX]; /* sorted, without le */
	char le[32];		 /* "": none */
	double value;
	char label[8][128]; /* the same, one by one */
	size_t nlabels;
};

struct expo {
	bool open;
	char family[NAME_MAX_], type[16]; /* under way; "": none */
	bool help, sampled;
	void *seen; /* series, and families that were begun: a tree of texts */
	/* the histogram under way */
	char labels[LABELS_MAX];
	double le, bucket;
	bool bucketed, counted, summed;
	char *why;
	unsigned int line;
};

static bool bad(struct expo *x, const char *what, const char *which)
{
	snprintf(x->why, EXPO_WHY, "line %u: %s: %.150s", x->line, what, which);
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* False if it was there. */
static bool first(struct expo *x, const char *what)
{
	char *copy = strdup(what), **at = tsearch(copy, &x->seen, compare);

	if (*at == copy)
		return true;
	free(copy);
	return false;
}

static bool ends(const char *name, const char *end)
{
	size_t len = strlen(name), of_end = strlen(end);

	return len > of_end && !strcmp(name + len - of_end, end);
}

static bool is_name(const char *name)
{
	if (!islower((unsigned char)*name))
		return false;
	for (; *name; name++)
		if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name) &&
		    *name != '_')
			return false;
	return true;
}

/* Units that are no base units, and what a name does not say. */
static bool has_word(const char *name)
{
	static const char *const words[] = {
		"kb",	     "mb",	     "gb",	"kib",	    "mib",	"gib",
		"kilobytes", "ms",	     "us",	"ns",	    "minutes",	"hours",
		"days",	     "milliseconds", "percent", "percents", "celsius_", "gauge",
		"counter",   "histogram",    "summary",
	};
	char copy[NAME_MAX_], *word, *rest = copy;

	snprintf(copy, sizeof(copy), "%s", name);
	while ((word = strsep(&rest, "_")))
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (!strcmp(word, words[i]))
				return true;
	return false;
}

static bool end_histogram(struct expo *x)
{
	if (x->bucketed && (x->le != INFINITY || !x->counted || !x->summed))
		return bad(x, "a histogram without +Inf, _count or _sum", x->labels);
	x->bucketed = x->counted = x->summed = false;
	return true;
}

static bool end_family(struct expo *x)
{
	if (*x->family && !x->help)
		return bad(x, "a family without HELP", x->family);
	return end_histogram(x);
}

static bool metadata(struct expo *x, const char *line)
{
	char what[8], name[NAME_MAX_];
	int at = 0;

	if (sscanf(line, "# %7s %127s %n", what, name, &at) != 2 || !line[at])
		return bad(x, "a comment that says nothing", line);
	if (strcmp(what, "HELP") != 0 && strcmp(what, "TYPE") != 0 &&
	    (!x->open || strcmp(what, "UNIT") != 0))
		return bad(x, "no HELP, TYPE or UNIT", line);
	if (strcmp(name, x->family) != 0) {
		char begun[NAME_MAX_ + 8];

		if (!end_family(x))
			return false;
		snprintf(begun, sizeof(begun), "# %s", name);
		if (!first(x, begun))
			return bad(x, "the family was there before", name);
		strcpy(x->family, name);
		*x->type = '\0';
		x->help = x->sampled = false;
	}
	if (x->sampled)
		return bad(x, "metadata behind samples", line);
	if (!strcmp(what, "HELP")) {
		if (x->help)
			return bad(x, "HELP twice", name);
		x->help = true;
	} else if (!strcmp(what, "UNIT")) {
		if (!ends(name, line + at))
			return bad(x, "a UNIT that the name does not end with", line);
	} else {
		if (*x->type)
			return bad(x, "TYPE twice", name);
		snprintf(x->type, sizeof(x->type), "%s", line + at);
	}
	return true;
}

static bool known_type(const struct expo *x)
{
	static const char *const types[] = {"gauge", "counter", "histogram", "info", "stateset"};

	for (size_t i = 0; i < (x->open ? 5 : 3); i++)
		if (!strcmp(x->type, types[i]))
			return true;
	return false;
}

/* Is name one that a sample of the family under way may have? */
static bool belongs(const struct expo *x, const char *name)
{
	size_t len = strlen(x->family);
	const char *rest = name + len;

	if (!*x->family || strncmp(name, x->family, len) != 0)
		return false;
	if (!strcmp(x->type, "counter"))
		return x->open ? !strcmp(rest, "_total") : !*rest && ends(name, "_total");
	if (!strcmp(x->type, "info"))
		return !strcmp(rest, "_info");
	if (!strcmp(x->type, "histogram"))
		return !strcmp(rest, "_bucket") || !strcmp(rest, "_count") || !strcmp(rest, "_sum");
	return !*rest && !ends(name, "_total") && !ends(name, "_bucket") && !ends(name, "_count") &&
	       !ends(name, "_sum");
}

/* One label of a sample, up to the comma or the bracket. */
static const char *parse_label(struct expo *x, const char *at, struct sample *s)
{
	const char *equals = strchr(at, '='), *end;

	if (!equals || equals[1] != '"')
		return bad(x, "a label without a value in quotes", at), NULL;
	for (end = equals + 2; *end && *end != '"'; end++)
		if (*end == '\\' && !*++end)
			break;
	if (*end != '"' || (end[1] != ',' && end[1] != '}'))
		return bad(x, "a label without an end", at), NULL;
	if (!strncmp(at, "le=", 3)) {
		snprintf(s->le, sizeof(s->le), "%.*s", (int)(end - equals - 2), equals + 2);
	} else if (s->nlabels == 8) {
		return bad(x, "more labels than this knows", at), NULL;
	} else {
		snprintf(s->label[s->nlabels++], sizeof(s->label[0]), "%.*s", (int)(end - at + 1),
			 at);
	}
	return end + 1;
}

static bool parse(struct expo *x, const char *line, struct sample *s)
{
	size_t len = strcspn(line, "{ ");
	char *end;

	*s = (struct sample){0};
	snprintf(s->name, sizeof(s->name), "%.*s", (int)len, line);
	line += len;
	if (*line == '{') {
		do {
			line = parse_label(x, line + 1, s);
			if (!line)
				return false;
		} while (*line == ',');
		line++;
	}
	qsort(s->label, s->nlabels, sizeof(s->label[0]), compare);
	for (size_t i = 0; i < s->nlabels; i++) {
		len = strlen(s->labels);
		snprintf(s->labels + len, LABELS_MAX - len, "%s,", s->label[i]);
	}
	if (*line != ' ')
		return bad(x, "no blank before the value", line);
	s->value = strtod(line + 1, &end);
	if (end == line + 1 || *end)
		return bad(x, "no number, or more than one", line);
	return true;
}

static bool histogram(struct expo *x, const struct sample *s)
{
	if (ends(s->name, "_bucket")) {
		double le = strtod(s->le, NULL);

		if (!*s->le)
			return bad(x, "a bucket without le", s->name);
		if (!x->bucketed || strcmp(x->labels, s->labels) != 0) {
			if (!end_histogram(x))
				return false;
			strcpy(x->labels, s->labels);
			x->le = -INFINITY;
			x->bucket = 0;
			x->bucketed = true;
		}
		if (le <= x->le)
			return bad(x, "buckets out of order", s->le);
		if (s->value < x->bucket)
			return bad(x, "buckets are not cumulative", s->le);
		x->le = le;
		x->bucket = s->value;
		return true;
	}
	if (!x->bucketed || strcmp(x->labels, s->labels) != 0)
		return bad(x, "no buckets before", s->name);
	if (ends(s->name, "_count")) {
		if (x->le != INFINITY || s->value != x->bucket)
			return bad(x, "a count that is not the last bucket's", s->labels);
		x->counted = true;
	} else {
		x->summed = true;
	}
	return true;
}

static bool sample(struct expo *x, const char *line)
{
	char series[NAME_MAX_ + LABELS_MAX + 64];
	struct sample s;

	if (!parse(x, line, &s))
		return false;
	snprintf(series, sizeof(series), "%s{%sle=%s}", s.name, s.labels, s.le);
	if (!first(x, series))
		return bad(x, "one series twice", series);
	if (!is_name(s.name) || has_word(s.name))
		return bad(x, "no name, or not in base units", s.name);
	if (!known_type(x))
		return bad(x, "no type, or none of this format's", x->type);
	if (!belongs(x, s.name))
		return bad(x, "not of the family under way", s.name);
	x->sampled = true;
	if (isnan(s.value))
		return bad(x, "not a number", s.name);
	if (!strcmp(x->type, "histogram"))
		return histogram(x, &s);
	if (*s.le)
		return bad(x, "le without a histogram", s.name);
	if (!strcmp(x->type, "counter") && s.value < 0)
		return bad(x, "a counter below 0", s.name);
	return true;
}

static bool all_lines(struct expo *x, char *text)
{
	char *line, *rest = text;
	bool ended = false;

	while ((line = strsep(&rest, "\n")) && rest) {
		x->line++;
		if (ended)
			return bad(x, "more behind # EOF", line);
		if (strchr(line, '\r'))
			return bad(x, "a carriage return", line);
		if (x->open && !strcmp(line, "# EOF"))
			ended = true;
		else if (*line == '#' ? !metadata(x, line) : !sample(x, line))
			return false;
	}
	if (line && *line)
		return bad(x, "the last line has no end", line);
	if (x->open && !ended)
		return bad(x, "no # EOF", "");
	return end_family(x);
}

bool expo_check(const char *text, bool open, char why[EXPO_WHY])
{
	struct expo x = {.open = open, .why = why};
	char *copy = strdup(text);
	bool well = all_lines(&x, copy);

	tdestroy(x.seen, free);
	free(copy);
	return well;
}

double expo_value(const char *text, const char *sample)
{
	size_t len = strlen(sample);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, sample, len) && at[len] == ' ')
			return strtod(at + len, NULL);
	}
	return NAN;
}
