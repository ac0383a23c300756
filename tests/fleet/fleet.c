/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleet: hosts with a real daemon and pshare-fleet each, one real etcd (TLS, users, roles), the
 * real command. What happens in each is in scenes.sh. No root is needed, but for the network
 * namespaces.
 */
#include <stdio.h>
#include <stdlib.h>

#include "harness/harness.h"

static char out[65536];

static void scene(const char *name)
{
	int status;

	setenv("FLEET_DIR", test_dir(), 1);
	setenv("build", TEST_BUILD_ROOT, 1);
	unsetenv("PSHARE_RUNTIME_DIR");
	unsetenv("PSHARE_FLEET_CONFIG");
	setenv("PSHARE_AGENT", test_built("src/agent/libpshare-agent.so"), 1);
	status = TEST_RUN(out, sizeof(out), test_source("tests/fleet/scenes.sh"), name);
	if (status == 77)
		SKIP("%s", out);
	if (status)
		FAIL("%s: status %d: %s", name, status, out);
}

#define SCENE(name, sentence)                           \
	TEST_WITH(sentence, .seconds = 180, .load = 25) \
	{                                               \
		scene(name);                            \
	}

/* clang-format off */
SCENE("everywhere", "what is set is in force on every connected host when set returns, for all or for some")
SCENE("away", "a host that is away is told so, and gets what it missed when it is back")
SCENE("canary", "canaries go first; if they do not confirm they are put back and nobody else is touched")
SCENE("put_back", "canaries get back what was desired of them; what nobody managed is not managed then")
SCENE("interrupted", "who ends 'fleet set --canary' while it waits leaves nothing on the canaries")
SCENE("drift", "what is set by hand on a host is shown as drift, and set right if the rules say so")
SCENE("daemon", "a daemon that starts anew is told what is wanted, and that is no drift")
SCENE("looker", "who may only look changes nothing, and is told")
SCENE("audit", "an audit of hosts that are not there, or away, says so and fails")
SCENE("two", "of administrators at once none overwrites another unseen, and the history has each")
SCENE("history", "of the history what is too old or too much goes, little by little; it is read page by page")
SCENE("pages", "a fleet that is larger than a page is read whole, as of one moment")
SCENE("killed", "etcd is killed: hosts go on as they are; it comes back, and all is as desired")
SCENE("compacted", "etcd is compacted and restarted while a host is away: it reads anew")
SCENE("gateway", "a watch that is compacted, denied, or ended, and a dead lease are known for what they are")
SCENE("slow", "etcd that stops for seconds delays a change and loses none")
SCENE("full", "etcd is full: a change is refused with the reason; with room again it goes on")
SCENE("follower", "a host that knows a follower alone works through it, and notices when it is cut off")
SCENE("certificates", "each wrong certificate is told, by file and fault")
SCENE("clocks", "clocks that are hours wrong change nothing but what people are shown")
SCENE("admission", "admission: off, warn, refuse, by each policy, and without a fleet that answers")
SCENE("admission_race", "two hosts that admit at the same moment admit no more than there is room for")
SCENE("second", "a second pshare-fleet in one folder ends; where none runs, the VM is unchecked and it is said")
SCENE("drain", "drain says where each VM would fit, and which fit nowhere")
SCENE("rubbish", "rubbish in etcd ends nobody and is put in force nowhere")
SCENE("salts", "no salt is in etcd, nor anything made of one")
SCENE("name", "two hosts of one name: the second waits, is told, and takes over when the first is gone")
/* clang-format on */
