/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A text of the kernel is a list of parts, in no fixed form: "Mitigation: PTE Inversion; VMX:
 * conditional cache flushes, SMT vulnerable" (Documentation/admin-guide/hw-vuln). Its beginning is
 * what the host does for itself; that guests are left alone may stand at its end, in small letters.
 * So every part counts, and the worst of them. What is not understood is not taken for good.
 */
#include "cli/weakness.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool follows(const char *at, const char *text, const char *before)
{
	size_t n = strlen(before);

	return (size_t)(at - text) >= n && !strncasecmp(at - n, before, n);
}

enum weakness weakness_judge(const char *text)
{
	enum weakness worst = WEAKNESS_NONE;

	for (const char *at = text; (at = strcasestr(at, "vulnerable")); at++) {
		if (!follows(at, text, "SMT "))
			return WEAKNESS_OPEN;
		worst = WEAKNESS_SMT;
	}
	/* "Unknown: No mitigations": out of service, so nobody looked; "CSV2, but not BHB" */
	if (strcasestr(text, "no mitigation") || strcasestr(text, "but not"))
		return WEAKNESS_OPEN;
	if (worst == WEAKNESS_NONE &&
	    (strcasestr(text, "unknown") ||
	     (!strcasestr(text, "mitigation") && !strcasestr(text, "not affected"))))
		return WEAKNESS_UNKNOWN;
	return worst;
}
