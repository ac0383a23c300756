/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plant: does one thing that an audit must find, says "ready", and holds it until its standard
 * input ends. A test copies it to a VMM's name where it is to pass for a VM.
 *
 *	plant file PATH		has a file as its memory, privately
 *	plant shared PATH	the same, MAP_SHARED
 *	plant reader PATH	the same, for reading alone
 *	plant code PATH		the same, and executes a page of it
 *	plant ended PATH	has it as its memory, and its first thread has ended
 *	plant apart PATH	a thread with descriptors of its own holds that file open
 *	plant daemon DIR	as user 65534: answers at DIR/api.sock with what DIR/books holds
 *	plant memory WORD	private memory, all pages equal to those of others with that word
 *	plant merge WORD	the same, offered to KSM
 *	plant store PATH	holds that file open for reading; PATH is one of /proc/PID/fd
 *	plant write PATH	holds it open for writing
 *	plant map PATH		maps the file's first pages and reads them
 *	plant page PATH		maps the file's first page and closes it
 *	plant other PATH	holds the file open, and has become another user since
 *	plant brief PATH	holds the file open; has a child at any time, none for long
 *	plant word WORD		has WORD on its command line
 */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (2u << 20)
#define PAGE 4096u
#define NOBODY 65534
#define BOOKS_MAX 4096
#define OTHER 4321u
#define BRIEF_MS 40

static unsigned int touch(volatile const unsigned char *memory, size_t size)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < size; i += PAGE)
		sum += memory[i];
	return sum;
}

static void fill(unsigned char *memory, const char *word)
{
	for (size_t i = 0; i < SIZE; i += strlen(word))
		memcpy(memory + i, word, strlen(word) < SIZE - i ? strlen(word) : SIZE - i);
	for (size_t i = 0; i < SIZE; i += PAGE)
		memcpy(memory + i, &i, sizeof(i));
}

/* ---- with threads ---------------------------------------------------------------------------- */

static void wait_for_end(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	exit(0);
}

static void *second_thread(void *apart)
{
	if (apart && (unshare(CLONE_FILES) || open(apart, O_RDONLY) < 0))
		exit(2);
	puts("ready");
	fflush(stdout);
	wait_for_end();
	return NULL;
}

/* The first thread ends, or waits without the other's descriptor. */
static void go_on_in_another(const char *apart)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, second_thread, (void *)(size_t)apart))
		exit(2);
	if (!apart)
		pthread_exit(NULL);
	pthread_join(thread, NULL);
}

/* ---- a daemon that lies ---------------------------------------------------------------------- */

static void answer(int peer, const char *folder)
{
	char path[128], books[BOOKS_MAX] = "", request[BOOKS_MAX];
	FILE *file;
	size_t n;

	while (read(peer, request, sizeof(request)) > 0) {
		snprintf(path, sizeof(path), "%.100s/books", folder);
		file = fopen(path, "re");
		n = file ? fread(books, 1, sizeof(books), file) : 0;
		if (file)
			fclose(file);
		dprintf(peer,
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			"Content-Length: %zu\r\n\r\n%.*s",
			n, (int)n, books);
	}
	close(peer);
}

static void *serve(void *folder)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;

	snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/api.sock",
		 (const char *)folder);
	if (setgid(NOBODY) || setuid(NOBODY) ||
	    bind(sock, (struct sockaddr *)&address, sizeof(address)) || listen(sock, 8))
		exit(2);
	puts("ready");
	fflush(stdout);
	while ((peer = accept(sock, NULL, NULL)) >= 0)
		answer(peer, folder);
	return NULL;
}

static void be_daemon(const char *folder)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, serve, (void *)(size_t)folder))
		exit(2);
	wait_for_end();
}

/* ---------------------------------------------------------------------------------------------- */

static int plant(const char *what, const char *word)
{
	bool reader = !strcmp(what, "reader") || !strcmp(what, "code");
	int how = strcmp(what, "write") == 0 ? O_RDWR : O_RDONLY;
	bool shared = reader || !strcmp(what, "shared") || !strcmp(what, "ended");
	unsigned char *memory = NULL;
	int fd = -1;

	if (!strcmp(what, "word") || !strcmp(what, "apart") || !strcmp(what, "daemon"))
		return 0;
	if (!strcmp(what, "memory") || !strcmp(what, "merge")) {
		memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
		if (memory == MAP_FAILED || madvise(memory, SIZE, MADV_NOHUGEPAGE))
			return 2;
		fill(memory, word);
		return !strcmp(what, "merge") && madvise(memory, SIZE, MADV_MERGEABLE) ? 2 : 0;
	}
	fd = open(word, shared && !reader ? O_RDWR : how);
	if (fd < 0)
		return 2;
	if (!strcmp(what, "store") || !strcmp(what, "write") || !strcmp(what, "brief"))
		return 0;
	if (!strcmp(what, "other"))
		return setgroups(0, NULL) || setresgid(OTHER, OTHER, OTHER) ||
		       setresuid(OTHER, OTHER, OTHER);
	if (!strcmp(what, "page")) {
		memory = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
		close(fd);
		return memory == MAP_FAILED;
	}
	memory = mmap(NULL, SIZE, reader ? PROT_READ : PROT_READ | PROT_WRITE,
		      shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (memory == MAP_FAILED)
		return 2;
	if (!strcmp(what, "code") &&
	    mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED)
		return 2;
	close(fd);
	(void)touch(memory, SIZE);
	return 0;
}

/* One child after the other, until the standard input ends. */
static void bear(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	while (poll(&input, 1, 0) == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			poll(NULL, 0, BRIEF_MS);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 || plant(argv[1], argv[2])) {
		perror(argc > 1 ? argv[1] : "plant");
		return 2;
	}
	if (!strcmp(argv[1], "daemon"))
		be_daemon(argv[2]);
	if (!strcmp(argv[1], "ended") || !strcmp(argv[1], "apart"))
		go_on_in_another(!strcmp(argv[1], "apart") ? argv[2] : NULL);
	puts("ready");
	fflush(stdout);
	if (!strcmp(argv[1], "brief"))
		bear();
	wait_for_end();
	return 0;
}
