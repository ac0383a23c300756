/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/latency.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define CALIBRATE_NS 20000000u

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double tick_ns(void)
{
	static double known;

	if (known == 0) {
		uint64_t ns = now_ns(), ticks = tick(), end = ns + CALIBRATE_NS;

		while (now_ns() < end)
			continue;
		ticks = tick() - ticks;
		known = (double)(now_ns() - ns) / (double)ticks;
	}
	return known;
}

void spin_ns(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		continue;
}

double touch_read(const volatile uint64_t *word)
{
	uint64_t start = tick();

	(void)*word;
	return (double)(tick() - start) * tick_ns();
}

double touch_write(volatile uint64_t *word, uint64_t value)
{
	uint64_t start = tick();

	*word = value;
	return (double)(tick() - start) * tick_ns();
}

int latency_init(struct latency *l, size_t room)
{
	*l = (struct latency){.ns = calloc(room ? room : 1, sizeof(*l->ns)), .room = room};
	return l->ns ? 0 : -ENOMEM;
}

void latency_deinit(struct latency *l)
{
	free(l->ns);
	*l = (struct latency){0};
}

void latency_add(struct latency *l, double ns)
{
	if (l->count < l->room)
		l->ns[l->count++] = ns;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double quantile(const struct latency *l, double part)
{
	return l->count ? l->ns[(size_t)(part * (double)(l->count - 1))] : 0;
}

void latency_print(struct latency *l, FILE *out)
{
	qsort(l->ns, l->count, sizeof(*l->ns), by_size);
	fprintf(out, " n=%zu p50=%.0f p99=%.0f p999=%.0f max=%.0f", l->count, quantile(l, 0.5),
		quantile(l, 0.99), quantile(l, 0.999), quantile(l, 1));
}
