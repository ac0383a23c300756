/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's command line, changed for a fork. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/qemu-words.h"
#include "harness/harness.h"

static const char *joined(const struct qemu_words *w)
{
	static char text[16384];

	text[0] = '\0';
	for (size_t i = 0; i < w->n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 w->word[i]);
	return text;
}

static void has(const struct qemu_words *w, const char *part)
{
	if (!strstr(joined(w), part))
		FAIL("'%s' is not in: %s", part, joined(w));
}

static void has_not(const struct qemu_words *w, const char *part)
{
	if (strstr(joined(w), part))
		FAIL("'%s' is in: %s", part, joined(w));
}

static int forkable(struct qemu_words *w, unsigned int *rams, char why[QEMU_WHY],
		    const char *const *argv)
{
	REQUIRE_OK(qemu_words_copy(w, argv));
	return qemu_make_forkable(w, "/run/p/vms/P", rams, NULL, NULL, why);
}

#define WORDS(...) ((const char *const[]){"qemu-system-x86_64", __VA_ARGS__, NULL})

TEST("a list's value is found, changed, added and taken out; commas inside are doubled")
{
	char *text = qemu_prop("file=/a,,b.img,format=raw", "file");

	CHECK_STR(text, "/a,b.img");
	free(text);
	CHECK_EQ(qemu_prop("file=/a", "fil") == NULL, true);
	text = qemu_prop("virtio-net,id=n", "");
	CHECK_STR(text, "virtio-net");
	free(text);
	text = qemu_prop_set("file=/a,format=raw", "file", "/x,y");
	CHECK_STR(text, "file=/x,,y,format=raw");
	free(text);
	text = qemu_prop_set("user,id=n", "net", "10.0.0.0/8");
	CHECK_STR(text, "user,id=n,net=10.0.0.0/8");
	free(text);
	text = qemu_prop_set("user,hostfwd=a,id=n,hostfwd=b", "hostfwd", NULL);
	CHECK_STR(text, "user,id=n");
	free(text);
}

TEST("memory that is given by -m alone becomes a shared file, of the same size")
{
	static const struct {
		const char *m, *size;
	} rows[] = {{"512", "size=536870912,"},
		    {"1G", "size=1073741824,"},
		    {"196616k", "size=201334784,"},
		    {"size=2G,slots=2,maxmem=4G", "size=2147483648,"},
		    {"1.5G", "size=1610612736,"}};
	char why[QEMU_WHY];
	unsigned int rams;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct qemu_words w;

		REQUIRE_OK(forkable(&w, &rams, why, WORDS("-m", rows[i].m)));
		CHECK_EQ(rams, 1u);
		has(&w, rows[i].size);
		has(&w, "mem-path=/run/p/vms/P/ram0,share=on,align=2M");
		has(&w, "-machine memory-backend=pshare-ram");
		has(&w, "-device vmgenid,");
		has(&w, "path=/run/p/vms/P/qmp.sock,server=on");
		qemu_words_free(&w);
	}
}

TEST("memory backends of the user's become files, and keep their names")
{
	char why[QEMU_WHY];
	unsigned int rams;
	struct qemu_words w;

	REQUIRE_OK(forkable(&w, &rams, why,
			    WORDS("-object", "memory-backend-ram,id=a,size=1G,prealloc=on",
				  "-object", "memory-backend-memfd,id=b,size=2G,share=on", "-numa",
				  "node,memdev=a", "-numa", "node,memdev=b", "-device",
				  "vmgenid,guid=auto")));
	CHECK_EQ(rams, 2u);
	has(&w, "memory-backend-file,id=a,size=1G,mem-path=/run/p/vms/P/ram0,share=on,align=2M");
	has(&w, "memory-backend-file,id=b,size=2G,mem-path=/run/p/vms/P/ram1,share=on,align=2M");
	has_not(&w, "prealloc");
	has_not(&w, "pshare-ram");
	has_not(&w, "pshare-genid");
	qemu_words_free(&w);
}

TEST("what cannot be forked is refused, with what would help")
{
	static const struct {
		const char *option, *value, *help;
	} rows[] = {
		{"-device", "vfio-pci,host=1:0.0", "use virtio"},
		{"-device", "vhost-user-fs-pci,chardev=c", "use virtio"},
		{"-device", "{\"id\":\"v\",\"driver\":\"vfio-pci\"}", "use virtio"},
		{"-device", "driver=vhost-user-blk-pci,chardev=c", "use virtio"},
		{"-netdev", "vhost-user,chardev=c,id=n", "use tap"},
		{"-netdev", "{\"type\":\"vhost-user\",\"id\":\"n\"}", "use tap"},
		{"-netdev", "vhost-vdpa,id=n", "use tap"},
		{"-object", "memory-backend-memfd,id=m,size=1G,hugetlb=on", "leave hugetlb out"},
		{"-object", "memory-backend-file,id=m,size=1G,mem-path=/dev/hugepages",
		 "leave hugetlb out"},
		{"-object", "{\"qom-type\":\"memory-backend-ram\",\"id\":\"m\"}", "key=value"},
		{"-mem-path", "/srv/ram", "leave it out"},
		{"-numa", "node,mem=512", "memdev="},
		{"-m", "lots", "not understood"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[QEMU_WHY] = "";
		unsigned int rams;
		struct qemu_words w;

		CHECK_EQ(forkable(&w, &rams, why, WORDS(rows[i].option, rows[i].value)), -EINVAL);
		if (!strstr(why, rows[i].help))
			FAIL("%s %s: '%s' lacks '%s'", rows[i].option, rows[i].value, why,
			     rows[i].help);
		qemu_words_free(&w);
	}
}

static int child(struct qemu_words *w, struct qemu_disk *disks, size_t n, char why[QEMU_WHY],
		 const char *const *argv)
{
	struct qemu_child c = {
		.name = "C",
		.parent_folder = "/run/p/vms/P",
		.folder = "/run/p/vms/C",
		.disks = disks,
		.ndisks = n,
	};

	REQUIRE_OK(qemu_words_copy(w, argv));
	return qemu_make_child(w, &c, NULL, NULL, why);
}

TEST("a child has its own folder, name, sockets; what one VM of a host can have is dropped")
{
	char why[QEMU_WHY];
	struct qemu_words w;

	REQUIRE_OK(
		child(&w, NULL, 0, why,
		      WORDS("-name", "P,debug-threads=on", "-object",
			    "memory-backend-file,id=r,mem-path=/run/p/vms/P/ram0,share=on",
			    "-chardev", "socket,id=q,path=/run/p/vms/P/qmp.sock,server=on,wait=off",
			    "-chardev", "socket,id=x,path=/srv/x.sock,server=on,wait=off",
			    "-serial", "file:/srv/P.console", "-serial", "mon:stdio", "-netdev",
			    "user,id=n0,hostfwd=tcp::2222-:22", "-daemonize", "-pidfile",
			    "/srv/pid", "-vnc", ":1")));
	has(&w, "-name guest=C,debug-threads=on");
	has(&w, "mem-path=/run/p/vms/C/ram0");
	has(&w, "path=/run/p/vms/C/qmp.sock");
	has(&w, "path=/run/p/vms/C/x.sock");
	has(&w, "-serial file:/run/p/vms/C/P.console");
	has(&w, "-serial unix:/run/p/vms/C/serial1.sock,server=on,wait=off");
	has(&w, "-netdev user,id=n0");
	has(&w, "-vnc unix:/run/p/vms/C/vnc.sock");
	has(&w, "-incoming defer");
	has_not(&w, "hostfwd");
	has_not(&w, "-daemonize");
	has_not(&w, "/srv/pid");
	has_not(&w, "vms/P/");
	qemu_words_free(&w);
}

TEST("a child's disks are its deltas, however the parent's are written; one not found is refused")
{
	static const char *const names[] = {"/d/delta", "/d/a.img", NULL};
	struct qemu_disk disk = {.names = names, .file = "/d/child"};
	char why[QEMU_WHY] = "";
	struct qemu_words w;

	REQUIRE_OK(child(&w, &disk, 1, why, WORDS("-drive", "file=/d/a.img,format=raw,if=virtio")));
	has(&w, "-drive file=/d/child,format=qcow2,if=virtio");
	qemu_words_free(&w);
	REQUIRE_OK(child(&w, &disk, 1, why, WORDS("-hda", "/d/a.img")));
	has(&w, "-hda /d/child");
	qemu_words_free(&w);
	REQUIRE_OK(child(&w, &disk, 1, why,
			 WORDS("-blockdev", "driver=file,node-name=f,filename=/d/a.img",
			       "-blockdev", "driver=raw,node-name=d,file=f")));
	has(&w, "driver=file,node-name=f,filename=/d/child");
	has(&w, "driver=qcow2,node-name=d,file=f");
	qemu_words_free(&w);
	disk.found = false;
	CHECK_EQ(child(&w, &disk, 1, why, WORDS("-drive", "file=/d/b.img")), -EINVAL);
	CHECK_EQ(strstr(why, "/d/delta") != NULL, true);
	qemu_words_free(&w);
}

#define UUID_A "11111111-2222-3333-4444-555555555555"
#define UUID_B "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

TEST("a child's system has a UUID of its own if its parent's has one, and its own generation")
{
	static const struct {
		const char *option, *value, *has;
		bool has_uuid;
	} rows[] = {
		{"-uuid", UUID_A, "-uuid " UUID_B, true},
		{"-smbios", "type=1,serial=s,uuid=" UUID_A, "type=1,serial=s,uuid=" UUID_B, true},
		{"-smbios", "type=1,serial=s", "-smbios type=1,serial=s", false},
		{"-device", "vmgenid,id=g,guid=" UUID_A, "-device vmgenid,id=g,guid=auto", false},
		{"-device", "{\"driver\":\"vmgenid\",\"guid\":\"" UUID_A "\"}",
		 "-device vmgenid,guid=auto", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct qemu_child c = {.name = "C",
				       .parent_folder = "/run/p/vms/P",
				       .folder = "/run/p/vms/C",
				       .uuid = UUID_B};
		char why[QEMU_WHY] = "";
		struct qemu_words w;

		REQUIRE_OK(qemu_words_copy(&w, WORDS(rows[i].option, rows[i].value)));
		REQUIRE_OK(qemu_make_child(&w, &c, NULL, NULL, why));
		has(&w, rows[i].has);
		has_not(&w, UUID_A);
		CHECK_EQ(c.has_uuid, rows[i].has_uuid);
		qemu_words_free(&w);
	}
}

TEST("a child's system keeps its parent's UUID where that is wanted; nobody is given one")
{
	struct qemu_child c = {
		.name = "C", .parent_folder = "/run/p/vms/P", .folder = "/run/p/vms/C"};
	char why[QEMU_WHY] = "";
	struct qemu_words w;

	REQUIRE_OK(qemu_words_copy(&w, WORDS("-uuid", UUID_A)));
	REQUIRE_OK(qemu_make_child(&w, &c, NULL, NULL, why));
	has(&w, "-uuid " UUID_A);
	qemu_words_free(&w);
	c.uuid = UUID_B;
	REQUIRE_OK(qemu_words_copy(&w, WORDS("-m", "64")));
	REQUIRE_OK(qemu_make_child(&w, &c, NULL, NULL, why));
	has_not(&w, "uuid");
	qemu_words_free(&w);
}

TEST("a generation counter in JSON is not added a second time")
{
	char why[QEMU_WHY] = "";
	unsigned int rams;
	struct qemu_words w;

	REQUIRE_OK(forkable(&w, &rams, why, WORDS("-device", "{\"driver\":\"vmgenid\"}")));
	has_not(&w, "pshare-genid");
	qemu_words_free(&w);
}
