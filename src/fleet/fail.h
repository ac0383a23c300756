/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PSHARE_FLEET_FAIL_H
#define PSHARE_FLEET_FAIL_H

#define FLEET_ERROR_MAX 512u /* bytes of a line that says what went wrong */

/* Writes the line to err, control characters of what others sent as '?', and returns error. */
int fleet_fail(char err[FLEET_ERROR_MAX], int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
