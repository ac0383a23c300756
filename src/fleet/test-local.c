/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon's answers mean to a node. The daemon is this test (--wrap). */
#include <errno.h>

#include "fleet/local.h"
#include "harness/harness.h"

static struct http_call asked;
static int heard;

int __wrap_http_start(struct http *http, const struct http_call *call,
		      struct http_request **request);

int __wrap_http_start(struct http *http, const struct http_call *call,
		      struct http_request **request)
{
	(void)http, (void)request;
	asked = *call;
	return 0;
}

static void hear(void *arg, int error, const char *why, json_t *json)
{
	(void)arg;
	heard = error;
	CHECK_EQ(error == 0, json != NULL);
	CHECK_EQ(error == 0, why == NULL);
}

TEST("what is refused is refused for good; what fails for now is asked again")
{
	static const struct {
		long status;
		int error;
	} cases[] = {
		{200, 0},	   {400, -EINVAL},    {403, -EINVAL},	 {404, -EINVAL},
		{409, -ETIMEDOUT}, {429, -ETIMEDOUT}, {500, -ETIMEDOUT}, {502, -ETIMEDOUT},
		{503, -ETIMEDOUT}, {504, -ETIMEDOUT},
	};
	_cleanup_local_ struct local_daemon *daemon = NULL;
	struct local *local;

	REQUIRE_OK(local_daemon_new(&daemon, NULL, test_dir()));
	local = local_of(daemon);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_json_ json_t *json = json_pack("{s:s}", "detail", "so it is");
		struct http_answer answer = {.status = cases[i].status, .json = json};

		REQUIRE_OK(local->put(local, "Mem.ShareScanTime", json_integer(20), hear, NULL));
		asked.done(asked.arg, &answer);
		if (heard != cases[i].error)
			NOTE_FAIL("status %ld is told as %d", cases[i].status, heard);
	}
}
