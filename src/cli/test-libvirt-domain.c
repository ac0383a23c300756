// SPDX-License-Identifier: LGPL-2.1-or-later
/* The agent in a domain's XML, and out of it again. */
#include "cli/libvirt-domain.h"
#include "harness/harness.h"

#define UUID "72df80cf-06ea-4bba-a550-4ec58aba3b7f"
#define NS " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
#define DOMAIN(attributes, inside)                                                \
	"<domain type='kvm'" attributes "><name>web1</name><uuid>" UUID "</uuid>" \
	"<devices><emulator>/usr/bin/qemu</emulator></devices>" inside "</domain>"
#define AGENT "/usr/lib/libpshare-agent.so"

static const struct domain_wish wish = {AGENT, "/run/pshare", "/s"};

static char *enabled(const char *xml, const struct domain_wish *as)
{
	char *edited = NULL;

	REQUIRE_OK(domain_enable(xml, as, &edited));
	return edited;
}

static struct domain *look(const char *xml)
{
	struct domain *domain = NULL;

	REQUIRE_OK(domain_look(xml, &domain));
	return domain;
}

TEST("a domain that is enabled says so, twice is once, and disable takes all of it out")
{
	_cleanup_free_ char *with = enabled(DOMAIN("", ""), &wish);
	_cleanup_domain_ struct domain *domain = look(with);
	_cleanup_domain_ struct domain *plain = NULL;
	_cleanup_free_ char *without = NULL;
	char *again = NULL;

	CHECK(domain->enabled);
	CHECK_STR(domain->agent, AGENT);
	CHECK_STR(domain->runtime_dir, "/run/pshare");
	CHECK_STR(domain->salt_file, "/s");
	CHECK_STR(domain->name, "web1");
	CHECK_STR(domain->uuid, UUID);
	CHECK_IN("http://libvirt.org/schemas/domain/qemu/1.0", with);
	CHECK_EQ(domain_enable(with, &wish, &again), -EALREADY);
	REQUIRE_OK(domain_disable(with, &without));
	plain = look(without);
	CHECK(!plain->enabled && !plain->runtime_dir && !plain->salt_file);
	CHECK(!strstr(without, "commandline"));
	CHECK_EQ(domain_disable(without, &again), -ENOENT);
	CHECK(again == NULL);
}

TEST("what an administrator set by the same means stays where it was")
{
	_cleanup_free_ char *with = enabled(
		DOMAIN(NS, "<qemu:commandline><qemu:arg value='-foo'/>"
			   "<qemu:env name='LD_PRELOAD' value='/a.so /b.so'/>"
			   "<qemu:env name='PSHARE_NO_SHARE' value='1'/></qemu:commandline>"),
		&wish);
	_cleanup_free_ char *without = NULL;

	CHECK_IN("value=\"" AGENT ":/a.so /b.so\"", with);
	REQUIRE_OK(domain_disable(with, &without));
	CHECK_IN("name=\"LD_PRELOAD\" value=\"/a.so /b.so\"", without);
	CHECK_IN("-foo", without);
	CHECK_IN("PSHARE_NO_SHARE", without);
	CHECK(!strstr(without, "RUNTIME_DIR"));
}

TEST("the agent of another version or folder is replaced, not joined")
{
	_cleanup_free_ char *with = enabled(
		DOMAIN(NS, "<qemu:commandline><qemu:env name='LD_PRELOAD' "
			   "value='/x.so:/old/libpshare-agent.so:/y.so'/></qemu:commandline>"),
		&wish);
	_cleanup_free_ char *without = NULL;

	CHECK_IN("\"" AGENT ":/x.so:/y.so\"", with);
	REQUIRE_OK(domain_disable(with, &without));
	CHECK_IN("\"/x.so:/y.so\"", without);
}

TEST("a library that is only named alike is not the agent")
{
	_cleanup_domain_ struct domain *domain =
		look(DOMAIN(NS, "<qemu:commandline><qemu:env name='LD_PRELOAD' "
				"value='/x/notlibpshare-agent.so:/y/libpshare-agent.so.1'/>"
				"</qemu:commandline>"));

	CHECK(!domain->enabled);
}

TEST("a salt is set, kept and taken away; a document's own prefix is used")
{
	static const struct domain_wish bare = {AGENT, "/run/pshare", NULL};
	_cleanup_free_ char *with = enabled(
		DOMAIN(" xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0' xmlns:qemu='urn:x'",
		       ""),
		&wish);
	_cleanup_free_ char *without = enabled(with, &bare);
	_cleanup_domain_ struct domain *domain = look(without);

	CHECK_IN("<q:env", with);
	CHECK(domain->enabled);
	CHECK(domain->salt_file == NULL);
}

TEST("where the prefix qemu means something else, another one is made")
{
	_cleanup_free_ char *with =
		enabled(DOMAIN(" xmlns:qemu='urn:x'", "<qemu:commandline/>"), &wish);
	_cleanup_domain_ struct domain *domain = look(with);

	CHECK(domain->enabled);
	CHECK_IN("<qemu:commandline/>", with);
}

TEST("values with special characters come back as they were")
{
	static const struct domain_wish odd = {"/a&b<'\"/libpshare-agent.so", "/r&<\">'",
					       "/s&amp;"};
	_cleanup_free_ char *with = enabled(DOMAIN("", ""), &odd);
	_cleanup_domain_ struct domain *domain = look(with);

	CHECK_STR(domain->agent, odd.agent);
	CHECK_STR(domain->runtime_dir, odd.runtime_dir);
	CHECK_STR(domain->salt_file, odd.salt_file);
}

TEST("memory that cannot be shared is seen, with its cause")
{
	static const struct {
		const char *inside;
		enum domain_unfit unfit;
	} kinds[] = {
		{"", DOMAIN_FIT},
		{"<memoryBacking><nosharepages/></memoryBacking>", DOMAIN_NO_MERGE},
		{"<memoryBacking><hugepages/></memoryBacking>", DOMAIN_HUGEPAGES},
		{"<memoryBacking><source type='memfd'/></memoryBacking>", DOMAIN_SHARED},
		{"<memoryBacking><access mode='shared'/></memoryBacking>", DOMAIN_SHARED},
		{"<memoryBacking><access mode='private'/></memoryBacking>", DOMAIN_FIT},
		{"<memoryBacking><locked/></memoryBacking>", DOMAIN_LOCKED},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		_cleanup_free_ char *xml = NULL;
		_cleanup_domain_ struct domain *domain = NULL;

		REQUIRE(asprintf(&xml, DOMAIN("", "%s"), kinds[i].inside) > 0);
		domain = look(xml);
		CHECK_EQ(domain->unfit, kinds[i].unfit);
	}
}

TEST("what is no domain, or more than one should read, is refused")
{
	static const char *const bad[] = {
		"",
		"domain",
		"<domain",
		"<domain/>",
		"<network><name>x</name></network>",
		"<domain type='kvm'><name>x</name></domain>",
		"<domain type='kvm'><name>x</name><uuid>../../etc/passwd/aaaaaaaaaaaaaaaaaaaa</uuid></domain>",
		"<domain type='kvm'><name>x</name><uuid>" UUID "x</uuid></domain>",
		"<domain><name>x</name><uuid>" UUID "</uuid></domain>",
		/* entities: of a file, and of a billion laughs */
		"<!DOCTYPE domain [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" DOMAIN("", "&e;"),
		"<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>" DOMAIN("",
											     "&b;"),
		DOMAIN("", "") "trailing",
	};
	struct domain *domain = NULL;
	char *edited = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(domain_look(bad[i], &domain), -EINVAL);
	CHECK_EQ(domain_enable(bad[2], &wish, &edited), -EINVAL);
	CHECK_EQ(domain_disable(bad[2], &edited), -EINVAL);
	CHECK_EQ(domain_disable(DOMAIN("", ""), &edited), -ENOENT);
	CHECK(!domain && !edited);
}

TEST("libvirt's host says as whom VMs run, and whether AppArmor is used")
{
	struct host_caps caps;

	REQUIRE_OK(domain_capabilities(
		"<capabilities><host><secmodel><model>apparmor</model><doi>0</doi></secmodel>"
		"<secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>+64055:+108</baselabel>"
		"<baselabel type='qemu'>+64055:+108</baselabel></secmodel></host></capabilities>",
		&caps));
	CHECK(caps.apparmor && caps.has_owner);
	CHECK_EQ(caps.uid, 64055);
	CHECK_EQ(caps.gid, 108);
	REQUIRE_OK(domain_capabilities("<capabilities><host/></capabilities>", &caps));
	CHECK(!caps.apparmor && !caps.has_owner);
	CHECK_EQ(domain_capabilities("<domain/>", &caps), -EINVAL);
}
