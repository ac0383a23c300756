/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The policy file answers two questions: may this uid name this salt, and in which group of uids
 * does it then meet others. A group is a number in three spaces that cannot overlap:
 *
 *	uid			no section names it: the uid is alone
 *	GROUP_MEET | hash	the hash of the NAME in [meet NAME]
 *	GROUP_SALT | number	the fingerprint in [salt FINGERPRINT]
 *
 * The number comes from the section's name, not from its place in the file, so that a reload
 * that only reorders sections moves no VM. Two names with one hash are refused.
 *
 * [salt F] is a fence first: who is not in it may not name that salt, even if a [meet] would have
 * let it. Inside the fence all meet, whatever their [meet]. A uid is in at most one [meet]: in two,
 * the VMs of three users would have to share with some and not with others in one domain.
 *
 * Nothing is half applied: a file is parsed into a new policy, whole, or not at all. What is not
 * understood is an error, never skipped: a line with a slip in it must not open or close a door.
 *
 * Limits: ACCESS_FILE_MAX bytes, ACCESS_SECTIONS_MAX sections; so all below is bounded by the file.
 * Membership is one sorted table of (group, uid): asked once for each VM that connects.
 *
 * Rejected: names of users (getpwnam() may ask a network, and the daemon must not wait for it),
 * ranges of uids (a slip in one opens many doors), and salts in plain (they are secrets).
 */
#include "policy/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MEET (1ull << 62)
#define GROUP_SALT (2ull << 62)
#define GROUP_SPACE (3ull << 62)
#define FINGERPRINT_DIGITS 8u

struct member {
	uint64_t group;
	uint32_t uid;
	uint32_t line; /* while parsing: where it was named */
};

struct access_policy {
	uint64_t *groups; /* one for each section, in the file's order */
	size_t ngroups;
	struct member *members; /* sorted by group, then uid, once parsed */
	size_t nmembers;
};

/* A piece of the text, without the spaces around it. */
struct span {
	const char *at;
	size_t len;
};

#define USER_MAX 33u /* a user's name, with its NUL */

struct parser {
	struct access_policy *policy;
	struct span rest; /* not yet parsed */
	uint32_t line;	  /* of what is being parsed, from 1 */
	bool in_section;
	uint32_t section_line;
	size_t section_members; /* nmembers when the section began */
	char *err;
	access_user find; /* NULL: users have numbers only */
};

/* ---- text ----------------------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
	while (s.len && is_space(s.at[0]))
		s.at++, s.len--;
	while (s.len && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

/* Cuts what is before the first sep off *s and returns it; all of it if there is none. */
static struct span cut(struct span *s, char sep)
{
	const char *end = s->len ? memchr(s->at, sep, s->len) : NULL;
	struct span head = {s->at, end ? (size_t)(end - s->at) : s->len};
	size_t gone = head.len + !!end;

	s->at += gone;
	s->len -= gone;
	return head;
}

static bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.at, text, s.len);
}

static int bad(const struct parser *p, const char *what, struct span shown, const char *instead)
{
	char text[POLICY_SHOWN_MAX + 4];

	return policy_error(p->err, "line %u: %s '%s': %s", p->line, what,
			    policy_shown(text, shown.at, shown.len), instead);
}

static bool parse_uid(struct span s, uint32_t *uid)
{
	uint64_t n = 0;

	if (!s.len || s.len > 10)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		n = n * 10 + (s.at[i] - '0');
	}
	if (n >= UINT32_MAX) /* (uid_t)-1 is nobody at all */
		return false;
	*uid = n;
	return true;
}

int access_fingerprint_parse(const char *text, size_t len, uint32_t *fingerprint)
{
	uint32_t n = 0;

	if (len != FINGERPRINT_DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char c = text[i] | 0x20; /* digits have that bit already */

		if (text[i] >= '0' && text[i] <= '9')
			n = n << 4 | (uint32_t)(text[i] - '0');
		else if (c >= 'a' && c <= 'f')
			n = n << 4 | (uint32_t)(c - 'a' + 10);
		else
			return -EINVAL;
	}
	*fingerprint = n;
	return 0;
}

/* ---- groups --------------------------------------------------------------------------------- */

static bool is_name(struct span s)
{
	if (!s.len || s.len > ACCESS_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i], l = c | 0x20;

		if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && !strchr("._-", c))
			return false;
	}
	return true;
}

/* FNV-1a: names are the administrator's own, and two with one hash are refused. */
static uint64_t meet_group(struct span name)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (uint8_t)name.at[i]) * 0x100000001b3ull;
	return GROUP_MEET | (hash & ~GROUP_SPACE);
}

static uint64_t salt_group(uint32_t fingerprint)
{
	return GROUP_SALT | fingerprint;
}

static bool has_group(const struct access_policy *policy, uint64_t group)
{
	for (size_t i = 0; i < policy->ngroups; i++)
		if (policy->groups[i] == group)
			return true;
	return false;
}

static int member_compare(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static bool is_member(const struct access_policy *policy, uint64_t group, uint32_t uid)
{
	struct member key = {.group = group, .uid = uid};

	return policy->nmembers &&
	       bsearch(&key, policy->members, policy->nmembers, sizeof(key), member_compare);
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* Room for one more element: arrays double, so n is a power of two when one is full. */
static int grow(void **array, size_t n, size_t size)
{
	void *more;

	if (n & (n - 1) || (n && n < 8))
		return 0;
	more = realloc(*array, (n ? 2 * n : 8) * size);
	if (!more)
		return -ENOMEM;
	*array = more;
	return 0;
}

static int end_section(struct parser *p)
{
	if (p->in_section && p->policy->nmembers == p->section_members)
		return policy_error(p->err, "line %u: section without a uid: add uid = NUMBER, ...",
				    p->section_line);
	return 0;
}

static int section_group(const struct parser *p, struct span line, uint64_t *group)
{
	struct span inside = {line.at + 1, line.len - 1}, kind, name;
	uint32_t fingerprint;

	if (line.at[line.len - 1] != ']' || line.len < 2)
		return bad(p, "section without its ]", line,
			   "write [meet NAME] or [salt FINGERPRINT]");
	inside.len--;
	inside = trim(inside);
	kind = cut(&inside, ' ');
	name = trim(inside);
	if (span_is(kind, "meet")) {
		if (!is_name(name))
			return bad(p, "bad name", name, "use 1 to 64 of A-Z a-z 0-9 . _ -");
		*group = meet_group(name);
	} else if (span_is(kind, "salt")) {
		if (access_fingerprint_parse(name.at, name.len, &fingerprint))
			return bad(p, "bad fingerprint", name,
				   "give the 8 hex digits that pshare shows");
		*group = salt_group(fingerprint);
	} else {
		return bad(p, "unknown section", line, "write [meet NAME] or [salt FINGERPRINT]");
	}
	return 0;
}

static int parse_section(struct parser *p, struct span line)
{
	struct access_policy *policy = p->policy;
	uint64_t group = 0;
	int r;

	r = end_section(p);
	if (!r)
		r = section_group(p, line, &group);
	if (r)
		return r;
	if (has_group(policy, group))
		return bad(p, "second section", line, "name all its uids in the first one");
	if (policy->ngroups == ACCESS_SECTIONS_MAX)
		return policy_error(p->err, "line %u: too many sections: %u are allowed", p->line,
				    ACCESS_SECTIONS_MAX);
	r = grow((void **)&policy->groups, policy->ngroups, sizeof(*policy->groups));
	if (r)
		return r;
	policy->groups[policy->ngroups++] = group;
	p->in_section = true;
	p->section_line = p->line;
	p->section_members = policy->nmembers;
	return 0;
}

/* A name as useradd(8) makes them. */
static bool is_user_name(struct span s)
{
	if (!s.len || s.len >= USER_MAX || (s.at[0] >= '0' && s.at[0] <= '9') || s.at[0] == '-')
		return false;
	return is_name(s);
}

/* A number, or the name of a user. 0, or -EINVAL and the line is written. */
static int read_uid(const struct parser *p, struct span text, uint32_t *uid)
{
	char name[USER_MAX] = "";

	if (parse_uid(text, uid))
		return 0;
	if (!p->find || !is_user_name(text))
		return bad(p, "bad uid", text,
			   "give numbers from 0 to 4294967294, with commas between");
	memcpy(name, text.at, text.len);
	return p->find(name, uid) ?
		       bad(p, "no such user", text,
			   "give a name of /etc/passwd, or a number from 0 to 4294967294") :
		       0;
}

static int add_uid(struct parser *p, struct span text)
{
	struct access_policy *policy = p->policy;
	uint32_t uid;
	int r;

	r = read_uid(p, text, &uid);
	if (r)
		return r;
	r = grow((void **)&policy->members, policy->nmembers, sizeof(*policy->members));
	if (r)
		return r;
	policy->members[policy->nmembers++] = (struct member){
		.group = policy->groups[policy->ngroups - 1],
		.uid = uid,
		.line = p->line,
	};
	return 0;
}

static int parse_key(struct parser *p, struct span line)
{
	struct span key, all = line;
	int r;

	key = trim(cut(&line, '='));
	if (key.len == all.len || !span_is(key, "uid"))
		return bad(p, "unknown line", all, "write uid = NUMBER, ... or a section in [ ]");
	if (!p->in_section)
		return bad(p, "line before any section", all,
			   "begin with [meet NAME] or [salt FINGERPRINT]");
	do {
		bool more = line.len && memchr(line.at, ',', line.len);

		r = add_uid(p, trim(cut(&line, ',')));
		if (!r && more && !line.len)
			r = add_uid(p, line); /* a comma at the end: the same error */
	} while (!r && line.len);
	return r;
}

static int parse_line(struct parser *p, struct span line)
{
	line = trim(line);
	if (!line.len || line.at[0] == '#' || line.at[0] == ';')
		return 0;
	if (memchr(line.at, '\0', line.len))
		return policy_error(p->err, "line %u: a zero byte: this is no text file", p->line);
	if (line.at[0] == '[')
		return parse_section(p, line);
	return parse_key(p, line);
}

/* ---- the whole file ------------------------------------------------------------------------- */

static int by_uid(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* A uid may be in one [meet] only. In the order of uids, all of one uid are neighbours. */
static int check_meets(const struct parser *p)
{
	struct access_policy *policy = p->policy;
	const struct member *meet = NULL;

	if (policy->nmembers)
		qsort(policy->members, policy->nmembers, sizeof(*policy->members), by_uid);
	for (size_t i = 0; i < policy->nmembers; i++) {
		const struct member *m = &policy->members[i];

		if ((m->group & GROUP_SPACE) != GROUP_MEET)
			continue;
		if (meet && meet->uid == m->uid && meet->group != m->group)
			return policy_error(p->err,
					    "line %u: uid %u is in another [meet] since line %u: "
					    "a uid may be in one",
					    m->line, m->uid, meet->line);
		meet = m;
	}
	return 0;
}

static int parse_all(struct parser *p)
{
	int r = 0;

	while (!r && p->rest.len) {
		p->line++;
		r = parse_line(p, cut(&p->rest, '\n'));
	}
	if (!r)
		r = end_section(p);
	if (!r)
		r = check_meets(p);
	if (!r && p->policy->nmembers)
		qsort(p->policy->members, p->policy->nmembers, sizeof(*p->policy->members),
		      member_compare);
	return r;
}

int access_parse(const char *text, size_t len, struct access_policy **policy, char *err)
{
	return access_parse_names(text, len, NULL, policy, err);
}

int access_parse_names(const char *text, size_t len, access_user find,
		       struct access_policy **policy, char *err)
{
	struct parser p = {.rest = {text, text ? len : 0}, .err = err, .find = find};
	int r;

	if (p.rest.len > ACCESS_FILE_MAX)
		return policy_error(err, "the file has %zu bytes: %u are allowed", len,
				    ACCESS_FILE_MAX);
	p.policy = calloc(1, sizeof(*p.policy));
	r = p.policy ? parse_all(&p) : -ENOMEM;
	if (r == -ENOMEM)
		policy_error(err, "no memory for the policy");
	if (r) {
		access_free(p.policy);
		return r;
	}
	*policy = p.policy;
	return 0;
}

struct access_policy *access_free(struct access_policy *policy)
{
	if (policy) {
		free(policy->groups);
		free(policy->members);
		free(policy);
	}
	return NULL;
}

bool access_may_use(const struct access_policy *policy, uint32_t uid, uint32_t fingerprint)
{
	uint64_t group = salt_group(fingerprint);

	return !policy || !has_group(policy, group) || is_member(policy, group, uid);
}

/* The [meet] that the uid is in, or the uid itself. */
static uint64_t meet_of(const struct access_policy *policy, uint32_t uid)
{
	for (size_t i = 0; i < policy->ngroups; i++)
		if ((policy->groups[i] & GROUP_SPACE) == GROUP_MEET &&
		    is_member(policy, policy->groups[i], uid))
			return policy->groups[i];
	return uid;
}

uint64_t access_uid_group(const struct access_policy *policy, uint32_t uid,
			  const uint32_t *fingerprint)
{
	if (!policy)
		return uid;
	if (fingerprint && is_member(policy, salt_group(*fingerprint), uid))
		return salt_group(*fingerprint);
	return meet_of(policy, uid);
}
