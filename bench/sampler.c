/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sampler: how sharing goes on, read every few ms from figures that the kernel keeps anyway, so
 * that sampling does not cost what is measured. (Page frames are counted before and after, by
 * demo/frames; walking all page tables 20 times a second would hold the VMs' locks.)
 *
 *	sampler MS [daemon=PID] [ksm=PID] vm=PID...
 *
 * A line every MS ms until stdin ends; figures are since the start:
 *	t=NS saved=PAGES share=NS vm=NS
 *
 *	saved	with daemon: anonymous pages that the VMs have lost, less what stores have grown;
 *		else: what KSM counts as sharing, and its zero pages
 *	share	CPU of the daemon, of the VMs' pshare-* threads, and of ksmd
 *	vm	CPU of the VMs' other threads
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

#define VMS_MAX 64
#define KSM "/sys/kernel/mm/ksm/"
#define AGENT "pshare-"
#define STORE "pshare-store"

static struct {
	pid_t daemon, ksm;
	pid_t vm[VMS_MAX];
	int vms;
} who;

struct sample {
	uint64_t t, share, vm;
	int64_t saved;
};

static int64_t saved_by_daemon(void)
{
	uint64_t bytes = 0, pages;
	int64_t saved = 0;

	for (int i = 0; i < who.vms; i++)
		if (anonymous_pages(who.vm[i], &pages) == 0)
			saved -= (int64_t)pages;
	memfd_bytes(who.daemon, STORE, &bytes);
	return saved - (int64_t)(bytes / MEASURE_PAGE);
}

static int64_t saved_by_ksm(void)
{
	uint64_t sharing = 0, zero = 0;

	read_number(KSM "pages_sharing", &sharing);
	read_number(KSM "ksm_zero_pages", &zero);
	return (int64_t)(sharing + zero);
}

static struct sample take(void)
{
	struct sample s = {.t = now_ns()};
	uint64_t ns;

	s.saved = who.daemon ? saved_by_daemon() : saved_by_ksm();
	if (who.daemon && threads_cpu_ns(who.daemon, "", true, &ns) == 0)
		s.share += ns;
	if (who.ksm && threads_cpu_ns(who.ksm, "", true, &ns) == 0)
		s.share += ns;
	for (int i = 0; i < who.vms; i++) {
		if (threads_cpu_ns(who.vm[i], AGENT, true, &ns) == 0)
			s.share += ns;
		if (threads_cpu_ns(who.vm[i], AGENT, false, &ns) == 0)
			s.vm += ns;
	}
	return s;
}

static bool parse(const char *word)
{
	const char *pid = strchr(word, '=');
	int number = pid ? atoi(pid + 1) : 0;

	if (number <= 0)
		return false;
	if (!strncmp(word, "daemon=", 7))
		who.daemon = number;
	else if (!strncmp(word, "ksm=", 4))
		who.ksm = number;
	else if (!strncmp(word, "vm=", 3) && who.vms < VMS_MAX)
		who.vm[who.vms++] = number;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	int ms = argc > 1 ? atoi(argv[1]) : 0;
	struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
	struct sample first;

	for (int i = 2; i < argc; i++)
		if (!parse(argv[i]))
			ms = 0;
	if (ms <= 0 || !who.vms) {
		fprintf(stderr, "usage: %s MS [daemon=PID] [ksm=PID] vm=PID...\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	first = take();
	do {
		struct sample s = take();

		printf("t=%llu saved=%lld share=%llu vm=%llu\n",
		       (unsigned long long)(s.t - first.t), (long long)(s.saved - first.saved),
		       (unsigned long long)(s.share - first.share),
		       (unsigned long long)(s.vm - first.vm));
	} while (poll(&end, 1, ms) == 0);
	return 0;
}
