/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/latency.h"
#include "model.h"
#include "sys/cleanup.h"

#define TURN_MS 100u
#define OWN_BYTES (2u << 20) /* what the memory load writes to */
#define READS_PER_WRITE 7
#define BATCH 64
#define DISK "/dev/vda"
#define IO_BYTES (64u << 10)
#define DISK_BYTES (128u << 20) /* of the disk that are read */

#define TOUCH_APART_NS 50000u /* so that who settles a touch is asleep again at the next one */

#define DB_FILE "/run/records"
#define DB_RECORDS 32768u
#define DB_RECORD 256u
#define DB_BATCH 64 /* updates between two fdatasync() */

static uint64_t next_random(void)
{
	static uint64_t state = 1;

	return state = model_mix(state);
}

/* ---- loads in turns --------------------------------------------------------------- */

struct load {
	const uint8_t *memory;
	size_t bytes;
	uint64_t *own;
	uint8_t *buffer;
	int zero, disk;
	volatile uint64_t sum;
	bool failed;
};

/* Whole pages, here and there: how fast an emulator finds a page that it has not seen for a while
 * says more of the size of its own tables (which come and go) than of the memory. */
static uint64_t do_memory(struct load *l)
{
	const uint64_t *word = (const uint64_t *)(const void *)l->memory;
	const size_t words = MODEL_PAGE / sizeof(*word);

	for (int i = 0; i < BATCH; i++) {
		for (int k = 0; k < READS_PER_WRITE; k++) {
			const uint64_t *page =
				word + next_random() % (l->bytes / MODEL_PAGE) * words;

			for (size_t at = 0; at < words; at++)
				l->sum += page[at];
		}
		l->own[next_random() % (OWN_BYTES / sizeof(*l->own))] += l->sum;
	}
	return (uint64_t)BATCH * READS_PER_WRITE * words;
}

static uint64_t do_syscall(struct load *l)
{
	for (int i = 0; i < BATCH; i++) {
		l->sum += (uint64_t)syscall(SYS_getppid);
		l->failed |= read(l->zero, l->buffer, 1) != 1;
	}
	return 2 * (uint64_t)BATCH;
}

static uint64_t do_io(struct load *l)
{
	off_t offset = (off_t)(next_random() % (DISK_BYTES / IO_BYTES) * IO_BYTES);

	l->failed |= pread(l->disk, l->buffer, IO_BYTES, offset) != IO_BYTES;
	return 1;
}

static const struct {
	const char *name;
	uint64_t (*run)(struct load *l);
} kinds[] = {{"memory", do_memory}, {"syscall", do_syscall}, {"io", do_io}};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void take_turns(struct load *l, unsigned int ms, FILE *out)
{
	uint64_t done[KINDS] = {0}, ns[KINDS] = {0}, start = now_ns();

	do {
		for (size_t k = 0; k < KINDS; k++) {
			uint64_t from = now_ns(), now = from;

			for (; now - from < TURN_MS * 1000000ull; now = now_ns())
				done[k] += kinds[k].run(l);
			ns[k] += now - from;
		}
	} while (now_ns() - start < ms * 1000000ull);
	for (size_t k = 0; k < KINDS; k++)
		fprintf(out, " %s=%.1f", kinds[k].name, (double)done[k] * 1e9 / (double)ns[k]);
}

int load_run(const uint8_t *memory, size_t bytes, unsigned int ms, FILE *out)
{
	_cleanup_close_ int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int disk = open(DISK, O_RDONLY | O_CLOEXEC | O_DIRECT);
	struct load l = {.memory = memory, .bytes = bytes, .zero = zero, .disk = disk};
	uint8_t *own;

	if (zero < 0 || disk < 0)
		return -errno;
	own = mmap(NULL, OWN_BYTES + IO_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	if (own == MAP_FAILED)
		return -errno;
	l.own = (uint64_t *)(void *)own;
	l.buffer = own + OWN_BYTES;
	take_turns(&l, ms, out);
	munmap(own, OWN_BYTES + IO_BYTES);
	return l.failed ? -EIO : 0;
}

/* ---- touches ------------------------------------------------------------------------ */

/* A write is of what is there already: content stays right, and yet it is a write. */
static double touch(uint8_t *page, bool write)
{
	volatile uint64_t *word = (volatile uint64_t *)(void *)page;

	return write ? touch_write(word, *word) : touch_read(word);
}

int load_touch(uint8_t *memory, size_t bytes, bool write, FILE *out)
{
	size_t pages = bytes / MODEL_PAGE, *order = calloc(pages ? pages : 1, sizeof(*order));
	struct latency l;

	if (!order || latency_init(&l, pages) < 0) {
		free(order);
		return -ENOMEM;
	}
	tick_ns();
	for (size_t i = 0; i < pages; i++) {
		size_t k = next_random() % (i + 1); /* shuffled while it grows */

		order[i] = order[k];
		order[k] = i;
	}
	for (size_t i = 0; i < pages; i++) {
		spin_ns(TOUCH_APART_NS);
		latency_add(&l, touch(memory + order[i] * MODEL_PAGE, write));
	}
	latency_print(&l, out);
	latency_deinit(&l);
	free(order);
	return 0;
}

/* ---- jobs -------------------------------------------------------------------------- */

/* Compiles file after file until its time is over, and says how many bytes. Not the largest, of
 * which one takes as long as all that a short run comes to; and not how many files. */
static const char build_script[] =
	"import glob, marshal, os, sys, time\n"
	"files = sorted(glob.glob('/usr/lib/python3*/**/*.py', recursive=True))\n"
	"files = [name for name in files if 1024 < os.path.getsize(name) < 32768]\n"
	"end, done, turn = time.monotonic() + float(sys.argv[1]) / 1000, 0, 0\n"
	"while time.monotonic() < end:\n"
	"    name = files[turn % len(files)]\n"
	"    text = open(name, 'rb').read()\n"
	"    code = compile(text, name, 'exec', dont_inherit=True)\n"
	"    with open(f'/run/object.{turn % 64}', 'wb') as out:\n"
	"        out.write(marshal.dumps(code))\n"
	"    done, turn = done + len(text), turn + 1\n"
	"print(done)\n";

static int job_build(unsigned int ms, uint64_t *done)
{
	char time_text[16], answer[32] = "";
	int out[2], status;
	ssize_t n;
	pid_t pid;

	snprintf(time_text, sizeof(time_text), "%u", ms);
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		execl("/usr/bin/python3", "python3", "-c", build_script, time_text, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	n = read(out[0], answer, sizeof(answer) - 1);
	close(out[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status || n <= 0)
		return -ECHILD;
	*done = strtoull(answer, NULL, 10);
	return 0;
}

struct record {
	uint64_t key, version;
	uint8_t text[DB_RECORD - 16];
};

static void make_record(struct record *r, uint64_t key, uint64_t version)
{
	*r = (struct record){.key = key, .version = version};
	memset(r->text, (int)(model_mix(key ^ version) & 0xff), sizeof(r->text));
}

static int database_new(int fd, uint32_t *place)
{
	struct record r;

	for (uint32_t i = 0; i < DB_RECORDS; i++) {
		place[i] = (uint32_t)(i * 40503u % DB_RECORDS); /* odd: each place once */
		make_record(&r, i, 0);
		if (pwrite(fd, &r, sizeof(r), (off_t)place[i] * DB_RECORD) != sizeof(r))
			return -errno;
	}
	return 0;
}

/* Three reads for an update, each by the index; what is read must be what was written. */
static int database_step(int fd, const uint32_t *place, uint32_t *version, uint64_t step)
{
	uint32_t key = (uint32_t)(next_random() % DB_RECORDS);
	off_t at = (off_t)place[key] * DB_RECORD;
	struct record r, want;

	make_record(&want, key, version[key]);
	if (pread(fd, &r, sizeof(r), at) != sizeof(r))
		return -errno;
	if (memcmp(&r, &want, sizeof(r)) != 0)
		return -EILSEQ;
	if (step % 4)
		return 0;
	make_record(&r, key, ++version[key]);
	if (pwrite(fd, &r, sizeof(r), at) != sizeof(r))
		return -errno;
	return step / 4 % DB_BATCH || fdatasync(fd) == 0 ? 0 : -errno;
}

static int job_database(unsigned int ms, uint64_t *done)
{
	_cleanup_close_ int fd = open(DB_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	_cleanup_free_ uint32_t *place = calloc(DB_RECORDS, sizeof(*place));
	_cleanup_free_ uint32_t *version = calloc(DB_RECORDS, sizeof(*version));
	uint64_t start, steps = 0;
	int r;

	if (fd < 0 || !place || !version)
		return -ENOMEM;
	r = database_new(fd, place);
	start = now_ns();
	while (r == 0 && now_ns() - start < ms * 1000000ull)
		for (int i = 0; r == 0 && i < BATCH; i++)
			r = database_step(fd, place, version, steps++);
	*done = steps;
	return r;
}

int load_job(const char *name, unsigned int ms, FILE *out)
{
	uint64_t done = 0;
	int r = -EINVAL;

	if (!strcmp(name, "build"))
		r = job_build(ms, &done);
	else if (!strcmp(name, "database"))
		r = job_database(ms, &done);
	if (r == 0)
		fprintf(out, " done=%llu", (unsigned long long)done);
	return r;
}
