// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The HTTP API: bytes of a client, in pieces, on one or two connections at once. Nobody's request
 * may end the daemon or leave a connection behind; a good request afterwards is answered.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/api-internal.h"
#include "daemon/api.h"
#include "daemon/test-api-core.h"
#include "fuzz/fuzz.h"
#include "sys/sock.h"

#define TURNS 3

static struct server server;

static void begin(void)
{
	const struct role_groups groups = {OPERATE, ADMINISTER, getuid()};

	snprintf(server.path, sizeof(server.path), "%s/api.sock", fuzz_folder());
	memset(&server.daemon, 0, sizeof(server.daemon));
	snprintf(server.daemon.scan_time, sizeof(server.daemon.scan_time), "60");
	unlink(server.path);
	server.listener = sys_unix_listen(server.path, SYS_SOCK_STREAM, 0600);
	fuzz_check(server.listener >= 0);
	fuzz_check(api_new(&server.api, &server.daemon, server.listener, &groups) == 0);
}

static void turn(void)
{
	for (int i = 0; i < TURNS; i++)
		api_dispatch(server.api);
}

static void drain(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	int fd[2];

	begin();
	for (int i = 0; i < 2; i++)
		fd[i] = sys_unix_connect(server.path, SYS_SOCK_STREAM);
	server.daemon.slow = fuzz_u8(&in) & 1;
	while (in.left) {
		uint8_t how = fuzz_u8(&in);
		size_t n = fuzz_u8(&in) * (how & 2 ? 16u : 1u);
		char piece[4096];

		n = n < in.left ? n : in.left;
		fuzz_bytes(&in, piece, n);
		if (fd[how & 1] >= 0)
			(void)!send(fd[how & 1], piece, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		turn();
		if (how & 4 && server.daemon.done) {
			view_done done = server.daemon.done;

			server.daemon.done = NULL;
			if (!server.daemon.cancelled)
				done(server.daemon.done_arg, 0, NULL);
			turn();
		}
		drain(fd[how & 1]);
	}
	for (int i = 0; i < 2; i++)
		close(fd[i]);
	turn();
	server.api = api_free(server.api);
	close(server.listener);
	return 0;
}
