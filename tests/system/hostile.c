/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hostile.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct t_daemon d;
struct fakevmm honest[2];
uint32_t fds_before;

uint32_t open_fds(pid_t pid)
{
	char path[64];
	uint32_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

void share_anew(uint32_t key)
{
	for (int i = 0; i < 2; i++)
		for (uint32_t p = 0; p < PAGES; p += KEYS)
			fv_pool(&honest[i], 0, p, PAGES - p < KEYS ? PAGES - p : KEYS, key);
	for (int i = 0; i < 2; i++)
		REQUIRE_WITHIN(SHARED_MS, fv_shared(&honest[i], 0) > PAGES * 3 / 4);
}

void start(void)
{
	static const char *const NAMES[] = {"honest-a", "honest-b"};

	t_daemon_fresh(&d);
	for (int i = 0; i < 2; i++) {
		fv_start(&honest[i], &d, (struct t_vm_opts){.name = NAMES[i], .salt = SALT});
		fv_map(&honest[i], PAGES, FV_MAP_NOHUGE | FV_MAP_DONTFORK);
	}
	share_anew(0);
	fds_before = open_fds(d.pid);
}

void attack(void (*body)(void))
{
	pid_t pid = fork();
	int status = -1;

	REQUIRE_SYS(pid);
	if (!pid) {
		body();
		_exit(0);
	}
	REQUIRE(!t_wait(pid, ATTACK_SECONDS, &status));
	REQUIRE_EQ(status, 0);
}

void others_fine(void)
{
	REQUIRE_SYS(kill(d.pid, 0));
	fv_check(&honest[0], 0);
	fv_check(&honest[1], 0);
	share_anew(100);
	fv_do(&honest[0], FV_PATCH, 0, 0, PAGES / 2, 72, 9);
	fv_check(&honest[0], 0);
	fv_check(&honest[1], 0);
	REQUIRE_WITHIN(10000, t_api_number(&d, "/v1/status", "vms") == 2);
	REQUIRE_WITHIN(5000, open_fds(d.pid) <= fds_before);
	fv_end(&honest[0]);
	fv_end(&honest[1]);
	REQUIRE_WITHIN(10000, t_api_number(&d, "/v1/status", "pshare/common") == 0);
	REQUIRE_WITHIN(10000, pm_memfd_bytes(d.pid, NULL) == 0);
	t_daemon_free(&d);
}

void check_refusal(struct peer *p)
{
	const char *r = p->refuse.reason;

	if (!p->refuse.head.type)
		return;
	CHECK_GT(p->refuse.error, 0);
	CHECK(memchr(r, '\0', PS_REASON_MAX) && *r);
	for (; *r; r++)
		CHECK(*r >= ' ' && *r != 0x7f);
}

void must_cut(struct peer *p, const char *what)
{
	if (!peer_is_cut(p, CUT_MS))
		NOTE_FAIL("%s: the daemon neither refuses it nor cuts it off", what);
	check_refusal(p);
	peer_close(p);
}

uint64_t key_hash(struct peer *p, uint32_t key)
{
	uint8_t page[T_PAGE];

	content_fill(page, pool_key(key));
	return XXH3_64bits_withSeed(page, T_PAGE, p->domain.seed);
}
