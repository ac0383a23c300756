// SPDX-License-Identifier: LGPL-2.1-or-later
/* A tag into a VM's configuration and out of it again; nothing else is another. */
#include "cli/proxmox-conf.h"
#include "harness/harness.h"

#include <errno.h>
#include <stdlib.h>

#include "sys/cleanup.h"

/* As Proxmox VE writes it. */
#define HEAD                                                        \
	"#Web server of tenant 1\n#tags%3A none\nagent: 1\n"        \
	"boot: order=scsi0;net0\ncores: 2\nmemory: 4096\n"          \
	"name: web1\nnet0: virtio=BC:24:11:5B:2A:01,bridge=vmbr0\n" \
	"scsi0: local-lvm:vm-101-disk-0,size=32G\nsockets: 1\n"
#define TAIL                                                                      \
	"vmgenid: 5f0c\n\n[PENDING]\ncores: 4\n\n[before-update]\n#tags: in it\n" \
	"memory: 2048\nsnaptime: 1700000000\ntags: old;pshare\nvmgenid: 5f0c\n"

static const char *const texts[] = {
	HEAD TAIL,
	HEAD "tags: prod\n" TAIL,
	HEAD "tags: prod;web\n" TAIL,
	HEAD "tags: prod, web \n" TAIL,
	HEAD "tags: pshare-not,xpshare\n" TAIL,
	HEAD,
	HEAD "vmgenid: 5f0c",
	"name: x",
	"",
	"\n[snap]\ntags: pshare\n",
};

TEST("to tag a VM and to untag it gives its configuration back byte for byte")
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		_cleanup_free_ char *with = NULL;
		_cleanup_free_ char *without = NULL;
		char *again = NULL;
		struct pve_conf conf;

		pve_conf_look(texts[i], &conf);
		CHECK(!conf.tagged);
		CHECK_EQ(pve_conf_untag(texts[i], &again), -ENOENT);
		REQUIRE_OK(pve_conf_tag(texts[i], &with));
		pve_conf_look(with, &conf);
		CHECK(conf.tagged);
		CHECK_EQ(pve_conf_tag(with, &again), -EALREADY);
		REQUIRE_OK(pve_conf_untag(with, &without));
		CHECK_STR(without, texts[i]);
	}
}

TEST("a new line of tags stands where Proxmox VE would sort it, before the sections")
{
	_cleanup_free_ char *with = NULL;

	REQUIRE_OK(pve_conf_tag(HEAD TAIL, &with));
	CHECK_STR(with, HEAD "tags: pshare\n" TAIL);
}

TEST("among other tags only our own comes and goes")
{
	_cleanup_free_ char *with = NULL;
	_cleanup_free_ char *first = NULL;
	_cleanup_free_ char *middle = NULL;

	REQUIRE_OK(pve_conf_tag("tags: a;b\nvga: std\n", &with));
	CHECK_STR(with, "tags: a;b;pshare\nvga: std\n");
	REQUIRE_OK(pve_conf_untag("tags: pshare;a\n", &first));
	CHECK_STR(first, "tags: a\n");
	REQUIRE_OK(pve_conf_untag("tags: a,pshare,b\n", &middle));
	CHECK_STR(middle, "tags: a,b\n");
}

TEST("tags that are pending, and a lock, are seen; those of snapshots are not")
{
	struct pve_conf conf;

	pve_conf_look(HEAD "lock: backup\n\n[PENDING]\ndelete: net1,tags\n", &conf);
	CHECK(conf.tags_pending);
	CHECK_STR(conf.lock, "backup");
	pve_conf_look(HEAD "\n[pending]\ntags: a\n", &conf);
	CHECK(conf.tags_pending);
	pve_conf_look(HEAD "\n[snap]\nlock: x\ntags: pshare\nhugepages: 2\n", &conf);
	CHECK(!conf.tags_pending && !conf.tagged && !*conf.lock && !conf.unfit);
}

TEST("what keeps a VM's memory from being shared is named")
{
	static const struct {
		const char *line;
		enum pve_unfit unfit;
	} cases[] = {
		{"allow-ksm: 0", PVE_NO_KSM},
		{"allow-ksm: 1", PVE_FIT},
		{"hugepages: 1024", PVE_HUGEPAGES},
		{"hostpci0: 0000:01:00", PVE_HOSTPCI},
		{"virtiofs0: share", PVE_VIRTIOFS},
		{"amd-sev: type=std", PVE_ENCRYPTED},
		{"arch: aarch64", PVE_FOREIGN},
		{"args: -object memory-backend-file,id=m,size=1G,mem-path=/x,share=on", PVE_ARGS},
		{"args: -mem-path /dev/shm", PVE_ARGS},
		{"args: -device virtio-rng-pci", PVE_FIT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pve_conf conf;

		pve_conf_look(cases[i].line, &conf);
		CHECK_EQ(conf.unfit, cases[i].unfit);
	}
}
