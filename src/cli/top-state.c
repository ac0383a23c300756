/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What keys do. They are esxtop's where it has them: space, s, f, h, ?, q; M, B and N sort as on
 * its memory screen. A key that means nothing says so in the message line, and changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"

#define CTRL(c) ((c)&31)

void top_state_init(struct top_state *s, double delay)
{
	*s = (struct top_state){.delay = delay, .sort = TOP_NAME};
	for (unsigned int i = 0; i < TOP_FIELDS; i++)
		s->shown |= (uint32_t)top_fields[i].shown << i;
}

/* ---- order ---------------------------------------------------------------------------------- */

/* web2 comes before web10. */
static int compare_names(const char *a, const char *b)
{
	while (*a && *b) {
		if (*a >= '0' && *a <= '9' && *b >= '0' && *b <= '9') {
			char *end_a, *end_b;
			unsigned long long of_a = strtoull(a, &end_a, 10);
			unsigned long long of_b = strtoull(b, &end_b, 10);

			if (of_a != of_b)
				return of_a < of_b ? -1 : 1;
			if (end_a - a != end_b - b)
				return end_a - a < end_b - b ? -1 : 1;
			a = end_a;
			b = end_b;
		} else if (*a != *b) {
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		} else {
			a++;
			b++;
		}
	}
	return *a ? 1 : *b ? -1 : 0;
}

struct order {
	unsigned int field;
	bool reverse;
};

/* Numbers largest first, texts from A. */
static int compare(const void *a, const void *b, void *arg)
{
	const struct top_vm *of_a = a, *of_b = b;
	const struct order *order = arg;
	double x = of_a->value[order->field], y = of_b->value[order->field];
	int r = x > y ? -1 : x < y ? 1 : 0;

	if (order->field == TOP_NAME)
		r = compare_names(of_a->name, of_b->name);
	else if (order->field == TOP_STATE)
		r = strcmp(of_a->state, of_b->state);
	if (order->reverse)
		r = -r;
	return r ? r : compare_names(of_a->name, of_b->name);
}

void top_sort(const struct top_state *s, struct top_sample *sample)
{
	struct order order = {s->sort, s->reverse};

	if (sample->n)
		qsort_r(sample->vm, sample->n, sizeof(sample->vm[0]), compare, &order);
}

size_t top_chosen(const struct top_state *s, const struct top_sample *sample)
{
	for (size_t i = 0; i < sample->n; i++)
		if (!strcmp(sample->vm[i].name, s->chosen))
			return i;
	return 0;
}

/* ---- keys ----------------------------------------------------------------------------------- */

static void say(struct top_state *s, const char *what)
{
	size_t len = strlen(what);

	len = len < sizeof(s->message) ? len : sizeof(s->message) - 1;
	memcpy(s->message, what, len);
	s->message[len] = '\0';
}

static void choose(struct top_state *s, const struct top_sample *sample, size_t i, size_t rows)
{
	if (!sample->n)
		return;
	i = i < sample->n ? i : sample->n - 1;
	memcpy(s->chosen, sample->vm[i].name, sizeof(s->chosen));
	if (i < s->first)
		s->first = i;
	if (rows && i >= s->first + rows)
		s->first = i - rows + 1;
}

static void sort_by(struct top_state *s, unsigned int field)
{
	s->reverse = s->sort == field ? !s->reverse : false;
	s->sort = field;
	s->first = 0;
}

/* The next field that is shown, to the left or to the right. */
static void sort_beside(struct top_state *s, int step)
{
	for (unsigned int i = 0; i < TOP_FIELDS; i++) {
		s->sort = (s->sort + TOP_FIELDS + (unsigned int)step) % TOP_FIELDS;
		if (s->shown >> s->sort & 1)
			break;
	}
	s->reverse = false;
	s->first = 0;
}

static void ask_key(struct top_state *s, uint32_t key)
{
	size_t len = strlen(s->prompt);
	double delay = strtod(s->prompt, NULL);

	if (key == KEY_OF_ESCAPE) {
		s->asking = false;
	} else if (key == KEY_OF_BACKSPACE && len) {
		s->prompt[len - 1] = '\0';
	} else if (key == KEY_OF_ENTER) {
		s->asking = false;
		if (len && delay >= TOP_DELAY_MIN && delay <= TOP_DELAY_MAX)
			s->delay = delay;
		else if (len)
			say(s, "the delay is 1 to 86400 seconds: it stays as it was");
	} else if (((key >= '0' && key <= '9') || key == '.') && len + 1 < sizeof(s->prompt)) {
		s->prompt[len] = (char)key;
		s->prompt[len + 1] = '\0';
	}
}

static void choose_key(struct top_state *s, uint32_t key)
{
	for (unsigned int i = 0; i < TOP_FIELDS; i++) {
		if (!top_fields[i].letter || (uint32_t)top_fields[i].letter != key)
			continue;
		s->shown ^= 1u << i;
		return;
	}
	s->screen = TOP_LIST;
	s->left = 0;
}

static bool move_key(struct top_state *s, uint32_t key, const struct top_sample *sample,
		     size_t rows)
{
	size_t at = top_chosen(s, sample);

	switch (key) {
	case KEY_OF_UP:
		choose(s, sample, at ? at - 1 : 0, rows);
		return true;
	case KEY_OF_DOWN:
		/* the first press only shows where one is */
		choose(s, sample, *s->chosen ? at + 1 : at, rows);
		return true;
	case KEY_OF_PAGE_UP:
		choose(s, sample, at > rows ? at - rows : 0, rows);
		return true;
	case KEY_OF_PAGE_DOWN:
		choose(s, sample, at + rows, rows);
		return true;
	case KEY_OF_HOME:
		choose(s, sample, 0, rows);
		return true;
	case KEY_OF_END:
		choose(s, sample, sample->n ? sample->n - 1 : 0, rows);
		return true;
	case KEY_OF_LEFT:
		s->left -= s->left > 0;
		return true;
	case KEY_OF_RIGHT:
		s->left += s->left + 1 < TOP_FIELDS;
		return true;
	default:
		return false;
	}
}

static void list_key(struct top_state *s, uint32_t key, const struct top_sample *sample,
		     size_t rows)
{
	switch (key) {
	case 's':
		s->asking = true;
		*s->prompt = '\0';
		break;
	case 'f':
	case 'F':
		s->screen = TOP_CHOOSE;
		break;
	case 'h':
	case '?':
		s->screen = TOP_HELP;
		break;
	case 'p':
	case KEY_OF_ENTER:
		choose(s, sample, top_chosen(s, sample), rows);
		if (sample->n)
			s->screen = TOP_PICTURE;
		else
			say(s, "there is no VM");
		s->refresh = true;
		break;
	case 'M':
		sort_by(s, top_field_find("SIZE"));
		break;
	case 'B':
		sort_by(s, top_field_find("MCTLSZ"));
		break;
	case 'S':
		sort_by(s, top_field_find("SHRDSVD"));
		break;
	case 'N':
		sort_by(s, TOP_NAME);
		break;
	case '<':
		sort_beside(s, -1);
		break;
	case '>':
		sort_beside(s, 1);
		break;
	case 'r':
	case 'R':
		s->reverse = !s->reverse;
		break;
	default:
		say(s, "no such key; h is help");
	}
}

void top_key(struct top_state *s, uint32_t key, const struct top_sample *sample, size_t rows)
{
	*s->message = '\0';
	if (key == CTRL('c')) {
		s->quit = true;
	} else if (key == KEY_OF_RESIZE) {
		choose(s, sample, top_chosen(s, sample), rows);
	} else if (key == CTRL('l')) {
		s->redraw = true;
	} else if (s->asking) {
		ask_key(s, key);
	} else if (s->screen == TOP_CHOOSE) {
		choose_key(s, key);
	} else if (s->screen == TOP_HELP) {
		s->screen = TOP_LIST;
	} else if (key == ' ') {
		s->refresh = true;
	} else if (s->screen == TOP_PICTURE &&
		   (key == 'q' || key == 'p' || key == KEY_OF_ENTER || key == KEY_OF_ESCAPE)) {
		s->screen = TOP_LIST;
	} else if (key == 'q' || key == 'Q') {
		s->quit = true;
	} else if (move_key(s, key, sample, rows)) {
		s->refresh = s->screen == TOP_PICTURE;
	} else if (s->screen == TOP_PICTURE) {
		say(s, "arrows: another VM; q or Enter: the list");
	} else {
		list_key(s, key, sample, rows);
	}
}
