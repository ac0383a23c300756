/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt-domain: the agent in a domain's XML. QEMU's own namespace lets a domain set variables of
 * the emulator's environment, and that is all that a preloaded library needs:
 *
 *	<qemu:commandline>
 *	  <qemu:env name='LD_PRELOAD' value='/usr/lib/.../libpshare-agent.so'/>
 *	  <qemu:env name='PSHARE_RUNTIME_DIR' value='/run/pshare'/>
 *	  <qemu:env name='PSHARE_SALT_FILE' value='...'/>
 *	</qemu:commandline>
 *
 * Rejected: a wrapper as <emulator>. libvirt runs an emulator to ask what it can do, as another
 * user and without the variables of a session, and keeps the answer until the FILE changes: a
 * wrapper hides every update of QEMU. AppArmor lets libvirtd execute what lies in few folders. And
 * a VM that migrates to a host without the wrapper does not start; one whose LD_PRELOAD is not
 * there does.
 *
 * The VM's name is not set: the agent takes it from QEMU's command line, so it is libvirt's own,
 * also after "virsh domrename".
 *
 * What an administrator set by the same means stays: his LD_PRELOAD is kept behind the agent, and
 * other variables and arguments are not touched. So the XML is its own record of the change. The
 * daemons of libvirt write it anew whenever it is defined; no blank of it is worth keeping.
 *
 * Limit: libvirt marks a domain with such variables as "tainted: custom-argv" in its log.
 */
#include "cli/libvirt-domain.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define QEMU_URI "http://libvirt.org/schemas/domain/qemu/1.0"
#define AGENT "libpshare-agent.so"
#define XML_MAX (16 << 20)
#define BLANKS " :\t\n\r" /* what ld.so splits LD_PRELOAD at, more or less */

DEFINE_CLEANUP(xmlDocPtr, xml_doc, xmlFreeDoc);
#define _cleanup_xml_doc_ _cleanup_(cleanup_xml_doc)

static const xmlChar *x(const char *text)
{
	return (const xmlChar *)text;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* No network, no entities of its own: libvirt writes none, and nobody else has a reason to. */
static int parse(const char *xml, const char *root, xmlDocPtr *out)
{
	_cleanup_xml_doc_ xmlDocPtr doc = NULL;
	size_t length = strlen(xml);
	xmlNodePtr top;

	if (length > XML_MAX)
		return -EINVAL;
	doc = xmlReadMemory(xml, (int)length, "domain.xml", NULL,
			    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	top = doc ? xmlDocGetRootElement(doc) : NULL;
	if (!top || doc->intSubset || !xmlStrEqual(top->name, x(root)))
		return -EINVAL;
	*out = TAKE_PTR(doc);
	return 0;
}

static bool is_qemu(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && node->ns &&
	       xmlStrEqual(node->ns->href, x(QEMU_URI)) && xmlStrEqual(node->name, x(name));
}

/* The next child element of this name, without a namespace. */
static xmlNodePtr next_named(xmlNodePtr node, const char *name)
{
	for (; node; node = node->next) {
		if (node->type == XML_ELEMENT_NODE && !node->ns && xmlStrEqual(node->name, x(name)))
			return node;
	}
	return NULL;
}

static xmlNodePtr child(xmlNodePtr node, const char *name)
{
	return node ? next_named(node->children, name) : NULL;
}

static bool attribute_is(xmlNodePtr node, const char *name, const char *value)
{
	_cleanup_free_ xmlChar *have = node ? xmlGetNoNsProp(node, x(name)) : NULL;

	return have && xmlStrEqual(have, x(value));
}

static xmlNodePtr find_commandline(xmlNodePtr domain)
{
	xmlNodePtr node;

	for (node = domain->children; node; node = node->next) {
		if (is_qemu(node, "commandline"))
			return node;
	}
	return NULL;
}

/* The setting that counts: libvirt takes the last. */
static xmlNodePtr find_env(xmlNodePtr commandline, const char *name)
{
	xmlNodePtr node, found = NULL;

	for (node = commandline ? commandline->children : NULL; node; node = node->next) {
		if (is_qemu(node, "env") && attribute_is(node, "name", name))
			found = node;
	}
	return found;
}

static char *env_value(xmlNodePtr commandline, const char *name)
{
	xmlNodePtr node = find_env(commandline, name);

	return node ? (char *)xmlGetNoNsProp(node, x("value")) : NULL;
}

static char *child_text(xmlNodePtr node, const char *name)
{
	xmlNodePtr at = child(node, name);

	return at ? (char *)xmlNodeGetContent(at) : NULL;
}

/* ---- a list of libraries --------------------------------------------------------------------- */

/* One item of an LD_PRELOAD: is it an agent, of whatever version or folder? */
static bool is_agent(const char *item, size_t length)
{
	size_t n = strlen(AGENT);

	return length >= n && !strncmp(item + length - n, AGENT, n) &&
	       (length == n || item[length - n - 1] == '/');
}

/* The agent in it, or NULL. */
static char *agent_of(const char *list)
{
	while (list && *(list += strspn(list, BLANKS))) {
		size_t length = strcspn(list, BLANKS);

		if (is_agent(list, length))
			return strndup(list, length);
		list += length;
	}
	return NULL;
}

/* The list without agents, and without the colon that stood between; NULL: no memory. */
static char *without_agents(const char *list)
{
	char *rest = malloc(strlen(list) + 1), *to = rest;

	if (!rest)
		return NULL;
	while (*list) {
		size_t blanks = strspn(list, BLANKS);
		size_t length = strcspn(list + blanks, BLANKS);

		if (!is_agent(list + blanks, length)) {
			size_t from = to == rest ? blanks : 0;

			memcpy(to, list + from, blanks + length - from);
			to += blanks + length - from;
		}
		list += blanks + length;
	}
	*to = '\0';
	return rest;
}

/* ---- what it is ------------------------------------------------------------------------------ */

static bool is_shared(xmlNodePtr backing)
{
	xmlNodePtr source = child(backing, "source");

	return attribute_is(child(backing, "access"), "mode", "shared") ||
	       attribute_is(source, "type", "memfd") || attribute_is(source, "type", "file");
}

static enum domain_unfit unfit_of(xmlNodePtr domain)
{
	xmlNodePtr backing = child(domain, "memoryBacking");

	if (child(backing, "nosharepages"))
		return DOMAIN_NO_MERGE;
	if (child(backing, "hugepages"))
		return DOMAIN_HUGEPAGES;
	if (is_shared(backing))
		return DOMAIN_SHARED;
	if (child(backing, "locked"))
		return DOMAIN_LOCKED;
	return child(child(domain, "devices"), "hostdev") ? DOMAIN_HOSTDEV : DOMAIN_FIT;
}

struct domain *domain_free(struct domain *domain)
{
	if (!domain)
		return NULL;
	free(domain->type);
	free(domain->name);
	free(domain->agent);
	free(domain->runtime_dir);
	free(domain->salt_file);
	free(domain);
	return NULL;
}

/* A UUID becomes part of a path: nothing but hexadecimal digits and hyphens. */
static int take_uuid(struct domain *domain, const char *text)
{
	if (!text || strlen(text) != sizeof(domain->uuid) - 1 ||
	    strspn(text, "0123456789abcdefABCDEF-") != strlen(text))
		return -EINVAL;
	memcpy(domain->uuid, text, sizeof(domain->uuid));
	return 0;
}

int domain_look(const char *xml, struct domain **out)
{
	_cleanup_xml_doc_ xmlDocPtr doc = NULL;
	_cleanup_domain_ struct domain *domain = calloc(1, sizeof(*domain));
	_cleanup_free_ char *preload = NULL;
	_cleanup_free_ char *uuid = NULL;
	xmlNodePtr top, commandline;
	int r = domain ? parse(xml, "domain", &doc) : -ENOMEM;

	if (r)
		return r;
	top = xmlDocGetRootElement(doc);
	commandline = find_commandline(top);
	domain->type = (char *)xmlGetNoNsProp(top, x("type"));
	domain->name = child_text(top, "name");
	uuid = child_text(top, "uuid");
	r = take_uuid(domain, uuid);
	if (r || !domain->type || !domain->name)
		return r ? r : -EINVAL;
	preload = env_value(commandline, "LD_PRELOAD");
	domain->agent = agent_of(preload);
	domain->enabled = domain->agent != NULL;
	domain->runtime_dir = env_value(commandline, "PSHARE_RUNTIME_DIR");
	domain->salt_file = env_value(commandline, "PSHARE_SALT_FILE");
	domain->unfit = unfit_of(top);
	*out = TAKE_PTR(domain);
	return 0;
}

/* ---- editing --------------------------------------------------------------------------------- */

static int print(xmlDocPtr doc, char **edited)
{
	xmlChar *text = NULL;
	int length = 0;

	xmlDocDumpMemory(doc, &text, &length);
	if (!text)
		return -ENOMEM;
	*edited = (char *)text;
	return 0;
}

/* The namespace as this document calls it; a prefix of ours where it has none. */
static xmlNsPtr qemu_namespace(xmlDocPtr doc, xmlNodePtr top)
{
	xmlNsPtr ns = xmlSearchNsByHref(doc, top, x(QEMU_URI));

	if (ns && ns->prefix)
		return ns;
	ns = xmlNewNs(top, x(QEMU_URI), x("qemu"));
	return ns ? ns : xmlNewNs(top, x(QEMU_URI), x("pshare-qemu")); /* "qemu" means another */
}

static xmlNodePtr make_commandline(xmlDocPtr doc)
{
	xmlNodePtr top = xmlDocGetRootElement(doc);
	xmlNodePtr have = find_commandline(top);

	return have ? have : xmlNewChild(top, qemu_namespace(doc, top), x("commandline"), NULL);
}

/* 1: changed; 0: it is so already. */
static int set_env(xmlNodePtr commandline, const char *name, const char *value)
{
	xmlNodePtr node = find_env(commandline, name);

	if (node && attribute_is(node, "value", value))
		return 0;
	if (!node) {
		node = xmlNewChild(commandline, commandline->ns, x("env"), NULL);
		if (!node || !xmlNewProp(node, x("name"), x(name)))
			return -ENOMEM;
	}
	return xmlSetProp(node, x("value"), x(value)) ? 1 : -ENOMEM;
}

static void drop_node(xmlNodePtr node)
{
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

static int drop_env(xmlNodePtr commandline, const char *name)
{
	xmlNodePtr node;
	int changed = 0;

	while ((node = find_env(commandline, name))) {
		drop_node(node);
		changed = 1;
	}
	return changed;
}

/* The agent first, then what was there. */
static int set_preload(xmlNodePtr commandline, const char *agent)
{
	_cleanup_free_ char *before = env_value(commandline, "LD_PRELOAD");
	_cleanup_free_ char *rest = without_agents(before ? before : "");
	_cleanup_free_ char *value = NULL;

	if (!rest || asprintf(&value, "%s%s%s", agent, *rest ? ":" : "", rest) < 0)
		return -ENOMEM;
	return set_env(commandline, "LD_PRELOAD", value);
}

int domain_enable(const char *xml, const struct domain_wish *wish, char **edited)
{
	_cleanup_xml_doc_ xmlDocPtr doc = NULL;
	xmlNodePtr commandline;
	int preload, dir, salt, r = parse(xml, "domain", &doc);

	if (r)
		return r;
	commandline = make_commandline(doc);
	if (!commandline)
		return -ENOMEM;
	preload = set_preload(commandline, wish->agent);
	dir = set_env(commandline, "PSHARE_RUNTIME_DIR", wish->runtime_dir);
	salt = wish->salt_file ? set_env(commandline, "PSHARE_SALT_FILE", wish->salt_file) :
				 drop_env(commandline, "PSHARE_SALT_FILE");
	if (preload < 0 || dir < 0 || salt < 0)
		return -ENOMEM;
	return preload || dir || salt ? print(doc, edited) : -EALREADY;
}

static int drop_preload(xmlNodePtr commandline)
{
	_cleanup_free_ char *before = env_value(commandline, "LD_PRELOAD");
	_cleanup_free_ char *agent = agent_of(before);
	_cleanup_free_ char *rest = NULL;

	if (!agent)
		return 0;
	rest = without_agents(before);
	if (!rest)
		return -ENOMEM;
	return *rest ? set_env(commandline, "LD_PRELOAD", rest) :
		       drop_env(commandline, "LD_PRELOAD");
}

int domain_disable(const char *xml, char **edited)
{
	_cleanup_xml_doc_ xmlDocPtr doc = NULL;
	xmlNodePtr commandline;
	int preload, dir, salt, r = parse(xml, "domain", &doc);

	if (r)
		return r;
	commandline = find_commandline(xmlDocGetRootElement(doc));
	if (!commandline)
		return -ENOENT;
	preload = drop_preload(commandline);
	dir = drop_env(commandline, "PSHARE_RUNTIME_DIR");
	salt = drop_env(commandline, "PSHARE_SALT_FILE");
	if (preload < 0)
		return preload;
	if (!preload && !dir && !salt)
		return -ENOENT;
	if (!xmlFirstElementChild(commandline))
		drop_node(commandline);
	return print(doc, edited);
}

/* ---- capabilities ---------------------------------------------------------------------------- */

/* <baselabel type='kvm'>+64055:+64055</baselabel> of the model "dac" */
static void take_owner(xmlNodePtr model, struct host_caps *caps)
{
	xmlNodePtr label;

	for (label = child(model, "baselabel"); label;
	     label = next_named(label->next, "baselabel")) {
		_cleanup_free_ char *text = (char *)xmlNodeGetContent(label);

		if (text && sscanf(text, "+%u:+%u", &caps->uid, &caps->gid) == 2)
			caps->has_owner = true;
	}
}

int domain_capabilities(const char *xml, struct host_caps *caps)
{
	_cleanup_xml_doc_ xmlDocPtr doc = NULL;
	int r = parse(xml, "capabilities", &doc);
	xmlNodePtr model;

	if (r)
		return r;
	*caps = (struct host_caps){0};
	model = child(child(xmlDocGetRootElement(doc), "host"), "secmodel");
	for (; model; model = next_named(model->next, "secmodel")) {
		_cleanup_free_ char *name = child_text(model, "model");

		if (name && !strcmp(name, "dac"))
			take_owner(model, caps);
		caps->apparmor |= name && !strcmp(name, "apparmor");
	}
	return 0;
}
