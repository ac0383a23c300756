/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics: text for Prometheus, by hand (there is no library for it in C worth the name).
 *
 * Two formats, of which the client chooses (policy/accept.h). They differ in what a family is
 * called (OpenMetrics knows a counter without its _total, and has units, infos and state sets) and
 * in the last line; samples are the same in both.
 *
 * What a reader does not forgive: Prometheus keeps the first of two samples with one name and the
 * same labels, without a word, and refuses a whole page for one line. So all samples of a family
 * are next to each other (the VMs are copied first, and each family walks over the copies); a VM's
 * label is its name, which no other VM has (vm.c), and what is in a label has a checked alphabet
 * (names, fingerprints, causes, states), so that nothing needs escaping; histograms are cumulative
 * by construction, their count is their last bucket.
 *
 * Cost: nothing but a walk over these tables; no page of any VM is looked at. A few hundred numbers
 * for each VM: 50 VMs are some 400 kB, so numbers are written by hand and not by printf.
 */
#include "daemon/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metric-rows.h"
#include "sys/cleanup.h"

#define NS_PER_S 1000000000ull
#define MICRO 1000000u

const char *metrics_content_type(bool open)
{
	return open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" :
		      "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- text that grows ------------------------------------------------------------------------ */

struct page {
	char *text;
	size_t length, room;
	bool open;   /* OpenMetrics */
	bool failed; /* memory was short: what follows is lost */
};

static void page_free(struct page *page)
{
	free(page->text);
}

static char *make_room(struct page *page, size_t more)
{
	if (page->room - page->length < more) {
		size_t room = page->room * 2 + more + 65536;
		char *text = page->failed ? NULL : realloc(page->text, room);

		if (!text) {
			page->failed = true;
			return NULL;
		}
		page->text = text;
		page->room = room;
	}
	return page->text + page->length;
}

static void put(struct page *page, const char *words)
{
	size_t len = strlen(words);
	char *at = make_room(page, len);

	if (!at)
		return;
	memcpy(at, words, len);
	page->length += len;
}

static void put_number(struct page *page, uint64_t number)
{
	char digits[24], *at = digits + sizeof(digits);

	*--at = '\0';
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	put(page, at);
}

/* To the microsecond. */
static void put_seconds(struct page *page, uint64_t ns)
{
	char part[8] = ".";
	uint64_t us = ns % NS_PER_S / 1000;

	for (unsigned int i = 6; i; i--, us /= 10)
		part[i] = (char)('0' + us % 10);
	put_number(page, ns / NS_PER_S);
	put(page, part);
}

static void put_ratio(struct page *page, double ratio)
{
	put_seconds(page, ratio > 0 ? (uint64_t)(ratio * (double)NS_PER_S + 0.5) : 0);
}

/* ---- families ------------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), of_end = strlen(end);

	return len > of_end && !strcmp(name + len - of_end, end);
}

/* ending: what samples have behind the family's name, which the older format knows as part of it.
 */
static void put_family(struct page *page, const char *name, const char *type, const char *ending,
		       const char *help)
{
	static const char *const units[] = {"bytes", "seconds", "ratio"};
	const char *lines[][2] = {{"# HELP pshare_", help}, {"# TYPE pshare_", type}};

	for (unsigned int i = 0; i < 2; i++) {
		put(page, lines[i][0]);
		put(page, name);
		if (!page->open)
			put(page, ending);
		put(page, " ");
		put(page, lines[i][1]);
		put(page, "\n");
	}
	for (unsigned int i = 0; page->open && i < sizeof(units) / sizeof(units[0]); i++) {
		if (!ends_with(name, units[i]))
			continue;
		put(page, "# UNIT pshare_");
		put(page, name);
		put(page, " ");
		put(page, units[i]);
		put(page, "\n");
	}
}

/* A sample up to its value. vm and label may be NULL. */
static void put_sample(struct page *page, const char *name, const char *ending, const char *vm,
		       const char *label)
{
	put(page, "pshare_");
	put(page, name);
	put(page, ending);
	if (vm || label) {
		put(page, "{");
		if (vm) {
			put(page, "vm=\"");
			put(page, vm);
			put(page, label ? "\"," : "\"");
		}
		put(page, label ? label : "");
		put(page, "}");
	}
	put(page, " ");
}

static uint64_t number_at(const struct metric_row *row, const void *view)
{
	const char *at = (const char *)view + row->offset;
	unsigned int small;
	uint64_t number;

	switch (row->value) {
	case METRIC_UNSIGNED:
		memcpy(&small, at, sizeof(small));
		return small;
	case METRIC_BOOL:
		return *(const bool *)at;
	default:
		memcpy(&number, at, sizeof(number));
		return number;
	}
}

static void put_row(struct page *page, const struct metric_row *row, const char *vm,
		    const void *view)
{
	uint64_t number = number_at(row, view);
	double real;

	if (row->value != METRIC_DOUBLE && number == UINT64_MAX)
		return;
	put_sample(page, row->name, row->type == METRIC_COUNTER ? "_total" : "", vm, row->label);
	if (row->value == METRIC_DOUBLE) {
		memcpy(&real, (const char *)view + row->offset, sizeof(real));
		put_ratio(page, real);
	} else if (row->value == METRIC_NS) {
		put_seconds(page, number);
	} else {
		put_number(page, number);
	}
	put(page, "\n");
}

static void put_row_family(struct page *page, const struct metric_row *row)
{
	if (row->type == METRIC_COUNTER)
		put_family(page, row->name, "counter", "_total", row->help);
	else
		put_family(page, row->name, "gauge", "", row->help);
}

/* ---- the host ------------------------------------------------------------------------------- */

static void put_info(struct page *page, const char *name, const char *help)
{
	put_family(page, name, page->open ? "info" : "gauge", "_info", help);
}

static void put_refused(struct page *page, const char *name, const char *vm,
			const uint64_t refused[PS_CAUSE_END])
{
	for (unsigned int i = PS_CAUSE_NONE + 1; i < PS_CAUSE_END; i++) {
		char label[64];

		if (vm && !refused[i])
			continue;
		snprintf(label, sizeof(label), "cause=\"%s\"", ps_cause_name(i));
		put_sample(page, name, "_total", vm, label);
		put_number(page, refused[i]);
		put(page, "\n");
	}
}

static void put_host(struct page *page, const struct view_host *host)
{
	static const char *const states[] = {"high", "clear", "soft", "hard", "low"};

	put_info(page, "build", "The daemon's version.");
	put(page, "pshare_build_info{version=\"" PSHARE_VERSION "\"} 1\n");
	put_family(page, "state", page->open ? "stateset" : "gauge", "",
		   "State of the host's memory: 1 for the one that it is in.");
	for (unsigned int i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		put(page, "pshare_state{pshare_state=\"");
		put(page, states[i]);
		put(page, strcmp(states[i], host->state) ? "\"} 0\n" : "\"} 1\n");
	}
	put_family(page, "pages_refused", "counter", "_total", "Pages left alone, by cause.");
	put_refused(page, "pages_refused", NULL, host->refused);
	for (size_t i = 0; i < metric_host_count; i++) {
		const struct metric_row *row = &metric_host_rows[i];

		if (row->help)
			put_row_family(page, row);
		put_row(page, row, NULL, host);
	}
}

/* ---- the VMs -------------------------------------------------------------------------------- */

struct vms {
	struct view_vm *vm;
	size_t n, room;
};

static void vms_free(struct vms *all)
{
	free(all->vm);
}

static int collect(const struct view_vm *vm, void *arg)
{
	struct vms *all = arg;

	if (all->n == all->room) {
		size_t room = all->room ? all->room * 2 : 16;
		struct view_vm *bigger = reallocarray(all->vm, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		all->vm = bigger;
		all->room = room;
	}
	all->vm[all->n++] = *vm;
	return 0;
}

static void put_vm_info(struct page *page, const struct vms *all)
{
	put_info(page, "vm", "What a VM is, and why it shares nothing (none: it does).");
	for (size_t k = 0; k < all->n; k++) {
		const struct view_vm *vm = &all->vm[k];
		char labels[256];

		snprintf(labels, sizeof(labels),
			 "domain=\"%s\",pid=\"%d\",state=\"%s\",reason=\"%s\",parent=\"%s\"",
			 vm->domain, vm->pid, vm->state, ps_cause_name(vm->reason), vm->parent);
		put_sample(page, "vm", "_info", vm->name, labels);
		put(page, "1\n");
	}
	put_family(page, "vm_pages_refused", "counter", "_total", "Pages left alone, by cause.");
	for (size_t k = 0; k < all->n; k++)
		put_refused(page, "vm_pages_refused", all->vm[k].name, all->vm[k].refused);
}

/* Rows i .. of one family. Returns how many they are. */
static size_t put_vm_family(struct page *page, size_t i, const struct vms *all)
{
	const struct metric_row *row = &metric_vm_rows[i];
	size_t n = 1;

	while (i + n < metric_vm_count && !row[n].help)
		n++;
	put_row_family(page, row);
	for (size_t k = 0; k < all->n; k++)
		for (size_t r = 0; r < n; r++)
			put_row(page, &row[r], all->vm[k].name, &all->vm[k]);
	return n;
}

/* The upper end of a bucket, in seconds: 2^i us. */
static const char *bucket_end(unsigned int i, char text[16])
{
	if (i < PS_LATENCY_BUCKETS - 1)
		snprintf(text, 16, "%g", (double)(1u << i) / MICRO);
	else
		strcpy(text, "+Inf");
	return text;
}

static void put_times(struct page *page, const struct metric_times *row, const char *vm,
		      const struct ps_times *times)
{
	char label[64], end[16];
	uint64_t all = 0;

	for (unsigned int i = 0; i < PS_LATENCY_BUCKETS; i++) {
		all += times->count[i];
		snprintf(label, sizeof(label), "%s%sle=\"%s\"", row->label ? row->label : "",
			 row->label ? "," : "", bucket_end(i, end));
		put_sample(page, row->name, "_bucket", vm, label);
		put_number(page, all);
		put(page, "\n");
	}
	put_sample(page, row->name, "_count", vm, row->label);
	put_number(page, all);
	put(page, "\n");
	put_sample(page, row->name, "_sum", vm, row->label);
	put_seconds(page, times->sum_ns);
	put(page, "\n");
}

static void put_histograms(struct page *page, const struct vms *all)
{
	for (size_t i = 0, n; i < metric_vm_times_count; i += n) {
		const struct metric_times *row = &metric_vm_times[i];

		for (n = 1; i + n < metric_vm_times_count && !row[n].help;)
			n++;
		put_family(page, row->name, "histogram", "", row->help);
		for (size_t k = 0; k < all->n * n; k++) {
			const struct metric_times *part = &row[k % n];
			const struct view_vm *vm = &all->vm[k / n];

			put_times(page, part, vm->name,
				  (const struct ps_times *)((const char *)vm + part->offset));
		}
	}
}

int metrics_text(struct daemon *daemon, bool open, char **text, size_t *length)
{
	_cleanup_(page_free) struct page page = {.open = open};
	_cleanup_(vms_free) struct vms all = {0};
	struct view_host host = {0};

	if (view_vms(daemon, collect, &all))
		return -ENOMEM;
	view_host(daemon, &host);
	put_host(&page, &host);
	put_vm_info(&page, &all);
	for (size_t i = 0; i < metric_vm_count;)
		i += put_vm_family(&page, i, &all);
	put_histograms(&page, &all);
	if (open)
		put(&page, "# EOF\n");
	if (page.failed)
		return -ENOMEM;
	*text = TAKE_PTR(page.text);
	*length = page.length;
	return 0;
}
