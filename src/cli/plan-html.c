/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plan as one page of HTML that needs nothing else: no script, no other file. Plots are SVG, in
 * the colours of the page, which follow the reader's choice of light or dark. Each plot's figures
 * stand in a table below it, and in its title for who does not see it.
 *
 * Names of hosts and VMs come from others: all text goes through escape().
 */
#include "cli/plan.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/file.h"
#include "sys/path.h"
#include "sys/self.h"

#define WIDTH 720.0
#define LABEL 190.0 /* left of the bars */
#define VALUE 150.0 /* right of them */
#define FIGURE 55.0 /* a number beside a bar */
#define LABEL_MAX 24
#define ERROR_TEXT_MAX 32u
#define BAR 18.0
#define STEP 26.0
#define HOSTS_SHOWN 60u
#define PARTS_MAX 4u

static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>pshare plan</title>\n<style>\n"
	":root { color-scheme: light dark; --text: #1b1f24; --page: #fff; --line: #d0d7de;\n"
	"  --soft: #57606a; --a: #1f6feb; --b: #2da44e; --c: #bf8700; --d: #8c959f; }\n"
	"@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --page: #0d1117;\n"
	"  --line: #30363d; --soft: #9198a1; --a: #58a6ff; --b: #3fb950; --c: #d29922;\n"
	"  --d: #6e7681; } }\n"
	"body { font: 15px/1.5 system-ui, sans-serif; color: var(--text);\n"
	"  background: var(--page); max-width: 74em; margin: 2em auto; padding: 0 1em; }\n"
	"h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }\n"
	"table { border-collapse: collapse; font-variant-numeric: tabular-nums }\n"
	"th, td { padding: .2em .7em; border-bottom: 1px solid var(--line); text-align: right }\n"
	"th:first-child, td:first-child { text-align: left } td + td { white-space: nowrap }\n"
	"td:first-child { min-width: 9em }\n"
	"th { vertical-align: bottom } .wide { overflow-x: auto }\n"
	"svg { max-width: 100%; min-width: 36em; height: auto }\n"
	"svg text { fill: var(--text); font: 13px system-ui, sans-serif }\n"
	"svg .there { fill: var(--soft) }\n"
	".a { fill: var(--a) } .b { fill: var(--b) } .c { fill: var(--c) } .d { fill: var(--d) }\n"
	".have { stroke: var(--text); stroke-width: 2; fill: none }\n"
	".key span { margin-right: 1.2em; color: var(--soft) }\n"
	".key i { display: inline-block; width: .8em; height: .8em; margin-right: .35em }\n"
	".key .a { background: var(--a) } .key .b { background: var(--b) }\n"
	".key .c { background: var(--c) } .key .d { background: var(--d) }\n"
	"</style>\n</head>\n<body>\n";

static double gib(double pages)
{
	return pages * PLAN_PAGE / (1 << 30);
}

/* Nothing, where nothing is estimated. */
static const char *error_text(char out[ERROR_TEXT_MAX], double pages)
{
	out[0] = '\0';
	if (pages > 0)
		snprintf(out, ERROR_TEXT_MAX, "%.3f", gib(pages));
	return out;
}

static void escape(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

/* ---- plots --------------------------------------------------------------------------------- */

struct bar {
	char label[80];
	double part[PARTS_MAX]; /* one behind the other, pages */
	double have;		/* a mark: what there is; 0: none */
};

struct plot {
	const char *title;
	const char *keys[PARTS_MAX + 1]; /* of the parts; NULL at the end */
	struct bar *bars;
	unsigned int n;
	bool first; /* the figure at a bar is that of its first part; else of all */
};

static double longest(const struct plot *plot)
{
	double most = 1;

	for (unsigned int i = 0; i < plot->n; i++) {
		double sum = 0;

		for (unsigned int k = 0; k < PARTS_MAX; k++)
			sum += plot->bars[i].part[k];
		most = fmax(most, fmax(sum, plot->bars[i].have));
	}
	return most;
}

/* A name, cut where it is too long for its place. */
static void label(struct bar *bar, const char *name)
{
	snprintf(bar->label, sizeof(bar->label), "%.*s%s", LABEL_MAX, name,
		 strlen(name) > LABEL_MAX ? "\xe2\x80\xa6" : "");
}

/* The figure stands behind the bar, and behind the mark too where that is so near. */
static void draw_figures(FILE *out, double value, double have, double end, double mark, double y)
{
	double x = have > 0 && mark > end - 6 && mark < end + FIGURE ? mark : end;

	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">%.2f</text>\n", x + 6, y, gib(value));
	if (have <= 0)
		return;
	x = mark > x ? mark : x + FIGURE;
	fprintf(out, "<text class=\"there\" x=\"%.1f\" y=\"%.1f\">of %.2f</text>\n", x + 6, y,
		gib(have));
}

static void draw_bar(FILE *out, const struct bar *bar, double y, double scale, bool first)
{
	double x = LABEL, sum = 0, mark = LABEL + bar->have * scale;

	fprintf(out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">", LABEL - 8, y + BAR - 4);
	escape(out, bar->label);
	fprintf(out, "</text>\n");
	for (unsigned int k = 0; k < PARTS_MAX; k++) {
		double part = bar->part[k] > 0 ? bar->part[k] : 0;

		if (part > 0)
			fprintf(out,
				"<rect class=\"%c\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
				"height=\"%.0f\"/>\n",
				'a' + (char)k, x, y, part * scale, BAR);
		x += part * scale;
		sum += part;
	}
	if (bar->have > 0)
		fprintf(out, "<path class=\"have\" d=\"M%.1f %.1fv%.0f\"/>\n", mark, y - 2,
			BAR + 4);
	draw_figures(out, first ? bar->part[0] : sum, bar->have, x, mark, y + BAR - 4);
}

static void draw(FILE *out, const struct plot *plot)
{
	double scale = (WIDTH - LABEL - VALUE) / longest(plot);
	double height = plot->n * STEP + 10;

	fprintf(out, "<p class=\"key\">");
	for (unsigned int k = 0; plot->keys[k]; k++)
		fprintf(out, "<span><i class=\"%c\"></i>%s</span>", 'a' + (char)k, plot->keys[k]);
	fprintf(out,
		"</p>\n<div class=\"wide\"><svg viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\" "
		"aria-label=\"%s\">\n<title>%s</title>\n",
		WIDTH, height, WIDTH, height, plot->title, plot->title);
	for (unsigned int i = 0; i < plot->n; i++)
		draw_bar(out, &plot->bars[i], 5 + i * STEP, scale, plot->first);
	fprintf(out, "</svg></div>\n");
}

/* ---- sections ------------------------------------------------------------------------------ */

static void row(FILE *out, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A row of a table: the label, escaped, and cells as they are. */
static void row(FILE *out, const char *label, const char *format, ...)
{
	va_list list;

	fputs("<tr><td>", out);
	escape(out, label);
	fputs("</td>", out);
	va_start(list, format);
	vfprintf(out, format, list);
	va_end(list);
	fputs("</tr>\n", out);
}

static void section_settings(FILE *out, const struct planned *p)
{
	static const char *const names[] = {"0: all share", "1: those without a salt too",
					    "2: within one salt"};
	const struct plan_saving *all = &p->outcome.all;
	char error[ERROR_TEXT_MAX];
	struct bar bars[PLAN_MODES + 1] = {
		{.label = "no sharing between VMs", .part = {all->self}}};
	struct plot plot = {"Saved under each setting of Mem.ShareForceSalting, GiB",
			    {"inside VMs", "inside salts", "across salts"},
			    bars,
			    PLAN_MODES + 1,
			    false};

	fprintf(out, "<h2>What each setting of Mem.ShareForceSalting saves</h2>\n");
	for (unsigned int mode = 0; mode < PLAN_MODES; mode++) {
		struct bar *bar = &bars[PLAN_MODES - mode];

		snprintf(bar->label, sizeof(bar->label), "%s", names[mode]);
		bar->part[0] = all->self;
		bar->part[1] = all->between[2];
		bar->part[2] = all->between[mode] - all->between[2];
	}
	draw(out, &plot);
	fprintf(out,
		"<div class=\"wide\"><table>\n<tr><th>setting</th><th>saves/GiB</th><th>against today</th>"
		"<th>&plusmn;</th></tr>\n");
	for (unsigned int mode = 0; mode < PLAN_MODES; mode++)
		row(out, names[mode], "<td>%.3f</td><td>%+.3f</td><td>%s</td>",
		    gib(all->self + all->between[mode]), gib(all->between[mode] - all->now),
		    error_text(error, all->error[mode]));
	row(out, "no sharing between VMs", "<td>%.3f</td><td>%+.3f</td><td></td>", gib(all->self),
	    gib(-all->now));
	fprintf(out, "</table></div>\n");
	if (all->error[0] > 0)
		fprintf(out, "<p>&plusmn; is the standard error of what is estimated from sketches "
			     "of the VMs' pages: two times in three it is less.</p>\n");
}

static void fits_cell(FILE *out, const struct plan_need *need, int basis)
{
	fprintf(out, "<td>%.2f, ", gib(need->used[basis]));
	if (need->homeless[basis])
		fprintf(out, "<b>%llu out</b>", (unsigned long long)need->homeless[basis]);
	else
		fputs("fits", out);
	if (need->needed[basis] != UINT32_MAX)
		fprintf(out, "; %u host%s", need->needed[basis],
			need->needed[basis] == 1 ? "" : "s");
	fputs("</td>", out);
}

static void section_cases(FILE *out, const struct planned *p)
{
	struct bar bars[2 * PLAN_CASES_MAX] = {0};
	struct plot plot = {"Memory needed in each case, GiB",
			    {"needed with sharing", "more without sharing"},
			    bars,
			    p->outcome.ncases,
			    true};
	const struct plan_need *last = &p->outcome.cases[p->outcome.ncases - 1].need;

	fprintf(out, "<h2>Does the memory suffice?</h2>\n<p>The figure is what is needed "
		     "with sharing; the mark, what there is. "
		     "Out: VMs that find no place, or would have to leave their host for the "
		     "rest to fit; as few as can be.</p>\n");
	for (uint32_t i = 0; i < p->outcome.ncases; i++) {
		const struct plan_need *need = &p->outcome.cases[i].need;

		label(&bars[i], p->outcome.cases[i].name);
		bars[i].part[0] = need->used[PLAN_WITH];
		bars[i].part[1] = need->used[PLAN_WITHOUT] - need->used[PLAN_WITH];
		bars[i].have = need->capacity;
	}
	draw(out, &plot);
	fprintf(out, "<div class=\"wide\"><table>\n<tr><th>case</th><th>hosts</th><th>VMs</th>"
		     "<th>there is/GiB</th><th>with sharing</th><th>inside VMs only</th>"
		     "<th>without sharing</th><th>VMs whole</th></tr>\n");
	for (uint32_t i = 0; i < p->outcome.ncases; i++) {
		const struct plan_need *need = &p->outcome.cases[i].need;

		fputs("<tr><td>", out);
		escape(out, p->outcome.cases[i].name);
		fprintf(out, "</td><td>%u</td><td>%llu</td><td>%.2f</td>", need->hosts,
			(unsigned long long)need->vms, gib(need->capacity));
		for (int basis = 0; basis < PLAN_BASES; basis++)
			fits_cell(out, need, basis);
		fputs("</tr>\n", out);
	}
	fprintf(out, "</table></div>\n");
	if (last->needed[PLAN_WITH] == UINT32_MAX || last->needed[PLAN_WITHOUT] == UINT32_MAX)
		return;
	fprintf(out, "<p>Sharing is worth %u hosts and licences (", plan_hosts_saved(last));
	escape(out, p->outcome.cases[p->outcome.ncases - 1].name);
	fprintf(out, ": %u in place of %u)", last->needed[PLAN_WITH], last->needed[PLAN_WITHOUT]);
	if (p->args->priced)
		fprintf(out, ": %.2f euros", plan_hosts_saved(last) * p->args->price);
	fprintf(out, ".</p>\n");
}

static int section_hosts(FILE *out, const struct planned *p)
{
	uint32_t n = p->plan.nhosts < HOSTS_SHOWN ? p->plan.nhosts : HOSTS_SHOWN;
	struct bar *bars = calloc(n + 1, sizeof(*bars));
	struct plot plot = {"Memory of each host, GiB",
			    {"in use", "saved inside VMs", "saved between VMs"},
			    bars,
			    n,
			    true};

	if (!bars)
		return -1;
	fprintf(out, "<h2>Hosts</h2>\n<p>The figure is what is in use; the mark, what there is for "
		     "VMs.</p>\n");
	for (uint32_t h = 0; h < n; h++) {
		const struct plan_saving *saving = &p->outcome.each[h];

		label(&bars[h], plan_host_name(&p->plan, h));
		bars[h].part[0] = saving->touched - saving->self - saving->now;
		bars[h].part[1] = saving->self;
		bars[h].part[2] = saving->now;
		bars[h].have = (double)p->plan.hosts[h].usable;
	}
	draw(out, &plot);
	free(bars);
	fprintf(out, "<div class=\"wide\"><table>\n<tr><th>host</th><th>state</th>"
		     "<th>for VMs/GiB</th><th>VMs</th><th>they have</th><th>inside VMs</th>"
		     "<th>inside salts</th><th>across</th><th>to 0</th><th>to 1</th>"
		     "<th>to 2</th></tr>\n");
	for (uint32_t h = 0; h < n; h++) {
		const struct plan_saving *s = &p->outcome.each[h];

		row(out, plan_host_name(&p->plan, h),
		    "<td>%s</td><td>%.2f</td><td>%u</td><td>%.3f</td><td>%.3f</td><td>%.3f</td>"
		    "<td>%.3f</td><td>%+.3f</td><td>%+.3f</td><td>%+.3f</td>",
		    plan_state_names[p->plan.hosts[h].state], gib((double)p->plan.hosts[h].usable),
		    s->vms, gib(s->touched), gib(s->self), gib(s->between[2]),
		    gib(s->now - s->between[2]), gib(s->between[0] - s->now),
		    gib(s->between[1] - s->now), gib(s->between[2] - s->now));
	}
	fprintf(out, "</table></div>\n");
	if (n < p->plan.nhosts)
		fprintf(out, "<p>and %u hosts more</p>\n", p->plan.nhosts - n);
	return 0;
}

static void cell(FILE *out, const char *text)
{
	fputs("<td>", out);
	escape(out, text);
	fputs("</td>", out);
}

static void section_moves(FILE *out, const struct planned *p)
{
	if (!p->outcome.nmoves)
		return;
	fprintf(out,
		"<p>Moves, in this order: %.3f GiB more saved.</p>\n<div class=\"wide\"><table>\n"
		"<tr><th>VM</th><th>from</th><th>to</th><th>gain/GiB</th></tr>\n",
		gib(p->outcome.gain));
	for (uint32_t i = 0; i < p->outcome.nmoves; i++) {
		const struct plan_move *move = &p->outcome.moves[i];

		fputs("<tr>", out);
		cell(out, plan_vm_name(&p->plan, move->vm));
		cell(out, plan_host_name(&p->plan, move->from));
		cell(out, plan_host_name(&p->plan, move->to));
		fprintf(out, "<td>%.3f</td></tr>\n", gib(move->gain));
	}
	fprintf(out, "</table></div>\n");
}

static void section_where(FILE *out, const struct planned *p)
{
	double more = plan_left_to_gain(&p->outcome);

	if (more >= (double)(1 << 20) / PLAN_PAGE)
		fprintf(out,
			"<p>Anew by likeness %.3f GiB more would be saved%s: %u VMs live on "
			"another host then, exchanged for others.</p>\n",
			gib(more), p->outcome.nmoves ? " than by these moves" : "",
			plan_rehomed(&p->plan, &p->outcome));
	if (!plan_shows_placement(p))
		return;
	fprintf(out, "<div class=\"wide\"><table>\n<tr><th>VM</th><th>now</th>"
		     "<th>by likeness</th></tr>\n");
	for (uint32_t i = 0; i < p->plan.nvms; i++) {
		uint32_t now = p->plan.vms[i].host, to = p->outcome.where[i];

		if (p->plan.hosts[now].state == PLAN_AWAY)
			continue;
		fputs("<tr>", out);
		cell(out, plan_vm_name(&p->plan, i));
		cell(out, plan_host_name(&p->plan, now));
		cell(out, to == PLAN_NONE ? "no place" :
			  to == now	  ? "stays" :
					    plan_host_name(&p->plan, to));
		fputs("</tr>\n", out);
	}
	fprintf(out, "</table></div>\n");
}

static void section_placement(FILE *out, const struct planned *p)
{
	static const char *const names[] = {"first fit", "best fit", "likeness"};
	struct bar bars[PLAN_WAYS + 1] = {
		{"today", {p->outcome.today.used, p->outcome.today.saved}, 0}};
	struct plot plot = {"Memory that placements take, GiB",
			    {"taken", "shared between VMs"},
			    bars,
			    PLAN_WAYS + 1,
			    true};

	fprintf(out, "<h2>Where VMs live</h2>\n");
	for (int way = 0; way < PLAN_WAYS; way++) {
		const struct plan_result *placed = &p->outcome.placed[way];

		snprintf(bars[way + 1].label, sizeof(bars[way + 1].label), "anew, %s", names[way]);
		bars[way + 1].part[0] = placed->used;
		bars[way + 1].part[1] = placed->saved;
	}
	draw(out, &plot);
	fprintf(out,
		"<div class=\"wide\"><table>\n<tr><th>placement</th><th>takes/GiB</th><th>shared between "
		"VMs</th><th>hosts</th><th>no place</th></tr>\n");
	for (int way = -1; way < PLAN_WAYS; way++) {
		const struct plan_result *placed = way < 0 ? &p->outcome.today :
							     &p->outcome.placed[way];

		row(out, bars[way + 1].label, "<td>%.3f</td><td>%.3f</td><td>%u</td><td>%llu</td>",
		    gib(placed->used), gib(placed->saved), placed->hosts,
		    (unsigned long long)placed->homeless);
	}
	fprintf(out, "</table></div>\n");
	section_moves(out, p);
	section_where(out, p);
}

static int write_page(FILE *out, const struct planned *p)
{
	const struct plan_saving *all = &p->outcome.all;
	char error[ERROR_TEXT_MAX];

	fputs(head, out);
	fputs("<h1>pshare plan: ", out);
	escape(out, p->from);
	fprintf(out,
		"</h1>\n<p>%u VMs on %u hosts have %.2f GiB%s. Sharing saves %.2f GiB today: %.2f "
		"inside VMs, %.2f%s%s between VMs of one salt, %.2f across salts.</p>\n",
		all->vms, p->plan.nhosts, gib(all->touched), p->plan.generated ? " (made up)" : "",
		gib(all->self + all->now), gib(all->self), gib(all->between[2]),
		all->error[2] > 0 ? " &plusmn; " : "", error_text(error, all->error[2]),
		gib(all->now - all->between[2]));
	section_settings(out, p);
	section_cases(out, p);
	if (section_hosts(out, p))
		return -1;
	section_placement(out, p);
	fputs("</body>\n</html>\n", out);
	return ferror(out) ? -1 : 0;
}

static int say_unwritten(const char *path, int error)
{
	_cleanup_free_ char *bytes = NULL;
	size_t length;

	if (error == -EINVAL && sys_read_bytes(path, 0, &bytes, &length) == -EISDIR)
		return say_error(CLI_FAILED,
				 "%s cannot be written: it is a folder; give the name of a file",
				 path);
	if (error == -EINVAL)
		return say_error(CLI_FAILED,
				 "%s cannot be written: it is no plain file; give the name of one",
				 path);
	return say_error(CLI_FAILED, "%s cannot be written: %s", path, strerror(-error));
}

int plan_write_html(const struct planned *p, const char *path)
{
	const struct sys_file fresh = {sys_self_uid(), sys_self_gid(), 0644, 0};
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	int r = out ? write_page(out, p) : -1;

	if (out && fclose(out))
		r = -1;
	if (r)
		return say_error(CLI_FAILED, "out of memory");
	r = sys_file_replace(path, text, length, &fresh);
	return r ? say_unwritten(path, r) : 0;
}
