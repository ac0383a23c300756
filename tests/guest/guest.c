/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest: process 1 of a test guest.
 *
 * It boots into a Debian root, reads the user land into the page cache, starts processes with
 * heaps, fills memory and tmpfs files with content that it can make again, and then obeys the
 * second serial port; the first is the kernel's console and gets the reports of what is wrong.
 *
 *	TAG COMMAND [ARGUMENT]		asked, a line
 *	TAG ok|bad KEY=VALUE ...	answered, a line; "bad": wrong content, or no such command
 *
 *	hello		answers once all is set up: name, memory
 *	verify		compares files, tmpfs, memory and the processes' memory with what they were
 *	reread		drops the page cache, reads the files from the disk again, compares
 *	work ROUND	writes half of memory, tmpfs and heaps anew
 *	flip		turns one bit of its memory over, for a test that verify sees it
 *	eat MIB		takes so much more memory, until it is told another amount
 *	stats		where the guest's memory is
 *	load MS		memory, system calls and disk reads in turns: how many of each a second
 *	read, write	touches what the loads leave alone, page by page: how long it takes, in ns
 *	build MS, database MS	work as people do it: how much of it was done
 *	random		32 bytes of the kernel's random numbers
 *	identity	who it is: host name, machine-id, generation, address of eth0, clock
 *	poweroff
 *
 * Between commands it wakes up every second and writes a little, as a machine that is alive.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "area.h"
#include "boot.h"
#include "files.h"
#include "load.h"
#include "model.h"
#include "procs.h"

#define COMMANDS "/dev/ttyS1"
#define LINE_BYTES 256
#define IDLE_MS 1000
#define TOUCH_PAGES 16
#define FILES_PERMILLE 420
#define NAME_DEFAULT "guest"

static struct area areas[] = {
	{.name = "same", .kind = AREA_SAME, .permille = 100},
	{.name = "own", .kind = AREA_OWN, .permille = 40},
	{.name = "twin", .kind = AREA_TWIN, .permille = 20},
	{.name = "zero", .kind = AREA_ZERO, .permille = 30},
	{.name = "busy", .kind = AREA_BUSY, .permille = 4},
	{.name = "tmpfs-same", .path = "/run/same", .kind = AREA_SAME, .permille = 25},
	{.name = "tmpfs-own", .path = "/tmp/own", .kind = AREA_OWN, .permille = 25},
};
#define AREAS (sizeof(areas) / sizeof(areas[0]))

static struct files files;
static const char *name = NAME_DEFAULT;
static uint64_t memory;

static void say(FILE *to, const char *text)
{
	fprintf(to, "guest: %s\n", text);
}

/* Prints into an answer the sums of one kind of area, before and after, as one number each. */
static size_t check_areas(bool tmpfs, uint64_t *before, uint64_t *now)
{
	size_t wrong = 0;

	*before = *now = 0;
	for (size_t i = 0; i < AREAS; i++) {
		uint64_t sum;

		if (!areas[i].path == tmpfs)
			continue;
		wrong += area_check(&areas[i], &sum);
		*before = model_mix(*before ^ areas[i].sum);
		*now = model_mix(*now ^ sum);
	}
	return wrong;
}

static uint64_t area_bytes(void)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < AREAS; i++)
		pages += areas[i].pages;
	return pages * MODEL_PAGE;
}

/* Reads the files again; whether they are what they were. */
static bool files_same(struct files *now)
{
	*now = (struct files){.budget = files.budget};
	return files_read("/", now) == 0 && now->sum == files.sum && now->bytes == files.bytes;
}

static void do_verify(const char *tag, FILE *out)
{
	uint64_t memory_before, memory_now, tmpfs_before, tmpfs_now, procs_now;
	size_t wrong_memory = check_areas(false, &memory_before, &memory_now);
	size_t wrong_tmpfs = check_areas(true, &tmpfs_before, &tmpfs_now);
	int dead_procs, wrong_procs = procs_check(&procs_now, &dead_procs);
	struct files now;
	bool right = files_same(&now) && !wrong_memory && !wrong_tmpfs && !wrong_procs &&
		     memory_before == memory_now && tmpfs_before == tmpfs_now;

	fprintf(out,
		"%s %s bytes=%" PRIu64 " files=%" PRIu64 " files_before=%016" PRIx64
		" files_now=%016" PRIx64 " memory_before=%016" PRIx64 " memory_now=%016" PRIx64
		" tmpfs_before=%016" PRIx64 " tmpfs_now=%016" PRIx64 " processes_before=%016" PRIx64
		" processes_now=%016" PRIx64
		" wrong_pages=%zu wrong_processes=%d dead_processes=%d\n",
		tag, right ? "ok" : "bad", area_bytes() + now.bytes, now.count, files.sum, now.sum,
		memory_before, memory_now, tmpfs_before, tmpfs_now, procs_sum(), procs_now,
		wrong_memory + wrong_tmpfs, wrong_procs, dead_procs);
}

static void do_reread(const char *tag, FILE *out)
{
	int dropped = files_drop_cache();
	struct files now;
	bool right = files_same(&now) && dropped == 0;

	fprintf(out,
		"%s %s bytes=%" PRIu64 " files_before=%016" PRIx64 " files_now=%016" PRIx64 "\n",
		tag, right ? "ok" : "bad", now.bytes, files.sum, now.sum);
}

static void do_work(const char *tag, uint32_t round, FILE *out)
{
	int r;

	for (size_t i = 0; i < AREAS; i++)
		area_work(&areas[i], round);
	r = procs_work(round);
	fprintf(out, "%s %s round=%u\n", tag, r == 0 ? "ok" : "bad", round);
}

static void do_flip(const char *tag, FILE *out)
{
	areas[0].memory[areas[0].pages / 2 * MODEL_PAGE] ^= 1;
	fprintf(out, "%s ok\n", tag);
}

/* Takes so much memory, and keeps it until it is asked for another amount. */
static void do_eat(const char *tag, size_t mib, FILE *out)
{
	static char *eaten;
	static size_t bytes;

	if (bytes)
		munmap(eaten, bytes);
	bytes = mib << 20;
	if (bytes)
		eaten = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
	if (bytes && eaten == MAP_FAILED)
		bytes = 0;
	for (size_t i = 0; i < bytes; i += MODEL_PAGE)
		memcpy(eaten + i, &i, sizeof(i));
	fprintf(out, "%s %s bytes=%zu\n", tag, bytes == mib << 20 ? "ok" : "bad", bytes);
}

static void do_stats(const char *tag, FILE *out)
{
	FILE *info = fopen("/proc/meminfo", "re");
	char key[64];
	unsigned long long kib;

	fprintf(out, "%s ok", tag);
	while (info && fscanf(info, "%63[^:]: %llu%*[^\n] ", key, &kib) == 2)
		if (!strcmp(key, "MemTotal") || !strcmp(key, "MemFree") || !strcmp(key, "Cached") ||
		    !strcmp(key, "AnonPages") || !strcmp(key, "Shmem"))
			fprintf(out, " %s=%llu", key, kib << 10);
	if (info)
		fclose(info);
	fprintf(out, " processes=%zu\n", procs_count());
}

/* The file that every guest has; NULL: none. */
static struct area *untouched(void)
{
	for (size_t i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
		if (areas[i].path && areas[i].kind == AREA_SAME)
			return &areas[i];
	return NULL;
}

/* Loads read what every guest has: the first area, and never write to it. */
static void do_load(const char *tag, const char *command, unsigned int ms, FILE *out)
{
	char *text = NULL;
	size_t size;
	struct area *area = untouched();
	FILE *answer = open_memstream(&text, &size);
	int r = -ENOMEM;

	if (answer && !strcmp(command, "load"))
		r = load_run(areas[0].memory, areas[0].pages * MODEL_PAGE, ms, answer);
	else if (answer && area && (!strcmp(command, "read") || !strcmp(command, "write")))
		r = load_touch(area->memory, area->pages * MODEL_PAGE, *command == 'w', answer);
	else if (answer)
		r = load_job(command, ms, answer);
	if (answer)
		fclose(answer);
	if (r == 0)
		fprintf(out, "%s ok%s\n", tag, text);
	else
		fprintf(out, "%s bad error=%d\n", tag, -r);
	free(text);
}

static void do_random(const char *tag, FILE *out)
{
	unsigned char bytes[32];
	ssize_t n = getrandom(bytes, sizeof(bytes), 0);

	fprintf(out, "%s %s bytes=", tag, n == (ssize_t)sizeof(bytes) ? "ok" : "bad");
	for (ssize_t i = 0; i < n; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('\n', out);
}

/* KEY=the first word of a file, or "none". */
static void print_word(FILE *out, const char *key, const char *path)
{
	FILE *file = fopen(path, "re");
	char word[128] = "none";

	if (file && fscanf(file, "%127s", word) != 1)
		strcpy(word, "none");
	if (file)
		fclose(file);
	fprintf(out, " %s=%s", key, word);
}

static void do_identity(const char *tag, FILE *out)
{
	char host[65] = "";

	(void)gethostname(host, sizeof(host) - 1);
	fprintf(out, "%s ok host=%s time=%lld", tag, host, (long long)time(NULL));
	print_word(out, "machine_id", "/etc/machine-id");
	print_word(out, "generation", "/run/pshare/generation");
	print_word(out, "clone", "/run/pshare/clone");
	print_word(out, "mac", "/sys/class/net/eth0/address");
	fputc('\n', out);
}

static void obey(char *line, FILE *out)
{
	char *rest = NULL;
	const char *tag = strtok_r(line, " \r\n", &rest);
	const char *command = strtok_r(NULL, " \r\n", &rest);
	const char *argument = strtok_r(NULL, " \r\n", &rest);

	if (!tag || !command)
		return;
	if (!strcmp(command, "hello"))
		fprintf(out, "%s ok name=%s memory=%" PRIu64 "\n", tag, name, memory);
	else if (!strcmp(command, "verify"))
		do_verify(tag, out);
	else if (!strcmp(command, "reread"))
		do_reread(tag, out);
	else if (!strcmp(command, "work"))
		do_work(tag, argument ? (uint32_t)strtoul(argument, NULL, 10) : 1, out);
	else if (!strcmp(command, "flip"))
		do_flip(tag, out);
	else if (!strcmp(command, "eat"))
		do_eat(tag, argument ? strtoul(argument, NULL, 10) : 0, out);
	else if (!strcmp(command, "stats"))
		do_stats(tag, out);
	else if (!strcmp(command, "load") || !strcmp(command, "build") ||
		 !strcmp(command, "database") || !strcmp(command, "read") ||
		 !strcmp(command, "write"))
		do_load(tag, command, argument ? (unsigned int)strtoul(argument, NULL, 10) : 1000,
			out);
	else if (!strcmp(command, "random"))
		do_random(tag, out);
	else if (!strcmp(command, "identity"))
		do_identity(tag, out);
	else if (!strcmp(command, "poweroff"))
		reboot(RB_POWER_OFF);
	else
		fprintf(out, "%s bad error=no-such-command\n", tag);
	fflush(out);
}

/* The second serial port, as a stream of bytes: no echo, no line editing. */
static FILE *open_commands(void)
{
	struct termios raw;
	int fd = open(COMMANDS, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &raw) < 0)
		return NULL;
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	tcsetattr(fd, TCSAFLUSH, &raw);
	return fdopen(fd, "w");
}

/* Takes what has arrived; obeys it when a line is whole. */
static void take_input(FILE *commands)
{
	static char line[LINE_BYTES];
	static size_t have;
	ssize_t n = read(fileno(commands), line + have, sizeof(line) - 1 - have);
	char *end;

	if (n <= 0)
		return;
	have += (size_t)n;
	line[have] = '\0';
	while ((end = strchr(line, '\n'))) {
		size_t used = (size_t)(end - line) + 1;
		char one[LINE_BYTES];

		memcpy(one, line, used);
		one[used] = '\0';
		obey(one, commands);
		have -= used;
		memmove(line, line + used, have + 1);
	}
	if (have == sizeof(line) - 1)
		have = 0;
}

static void serve(FILE *commands)
{
	for (uint32_t tick = 0;; tick++) {
		struct pollfd ready = {.fd = fileno(commands), .events = POLLIN};

		if (poll(&ready, 1, IDLE_MS) > 0) {
			take_input(commands);
			continue;
		}
		for (size_t i = 0; i < AREAS; i++)
			if (areas[i].kind == AREA_BUSY && areas[i].memory)
				area_touch(&areas[i], tick, TOUCH_PAGES);
	}
}

static int start_work(void)
{
	const char *fill = getenv("guest_fill");
	int r;

	if (fill && !strcmp(fill, "0"))
		return 0;
	r = procs_start(name);
	for (size_t i = 0; r == 0 && i < AREAS; i++)
		r = area_start(&areas[i], memory, model_seed(name));
	if (r < 0)
		return r;
	files.budget = memory / 1000 * FILES_PERMILLE;
	return files_read("/", &files);
}

int main(void)
{
	FILE *commands;
	int r;

	if (getenv("guest_name"))
		name = getenv("guest_name");
	say(stderr, "hello");
	if (getenv("guest_init"))
		r = boot_to_system(getenv("guest_init"));
	else
		r = boot_to_root();
	if (r == 0) {
		memory = boot_memory();
		r = start_work();
	}
	commands = r == 0 ? open_commands() : NULL;
	if (!commands) {
		fprintf(stderr, "guest: cannot start: %s\n", strerror(r ? -r : errno));
		reboot(RB_POWER_OFF);
		return 1;
	}
	boot_start_helper();
	say(stderr, "ready");
	serve(commands);
}
