/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pure part of the API: a path is cut into segments, a route is found for it, a body is
 * looked through for its depth. Nothing here allocates; every length has a cap.
 *
 * A path is taken literally: no "//", no trailing "/", no "." or "..". One thing has one name.
 */
#include <errno.h>
#include <string.h>

#include "daemon/api-internal.h"

static int take_segment(struct api_path *path, const char *start, size_t length)
{
	char *segment;

	if (!length || length >= API_SEGMENT_MAX || path->n == API_SEGMENTS_MAX)
		return -ENOENT;
	segment = path->segment[path->n++];
	memcpy(segment, start, length);
	segment[length] = '\0';
	return 0;
}

int api_path_parse(struct api_path *path, const char *url)
{
	int r;

	path->n = 0;
	if (*url++ != '/')
		return -ENOENT;
	for (;;) {
		size_t length = strcspn(url, "/");

		r = take_segment(path, url, length);
		if (r)
			return r;
		url += length;
		if (!*url++)
			return 0;
	}
}

static bool route_matches(const char *pattern, const struct api_path *path)
{
	unsigned int i;

	for (i = 0; i < path->n; i++) {
		size_t length = strcspn(pattern, "/");
		bool any = length == 1 && *pattern == '*';

		if (!length)
			return false;
		if (!any && (strlen(path->segment[i]) != length ||
			     memcmp(path->segment[i], pattern, length) != 0))
			return false;
		pattern += length + (pattern[length] == '/');
	}
	return !*pattern;
}

const struct api_route *api_route_find(const struct api_route *routes, size_t n,
				       const struct api_path *path)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (route_matches(routes[i].pattern, path))
			return &routes[i];
	}
	return NULL;
}

/* Counts brackets outside of strings. What is no JSON at all is the parser's business: it must
 * only be sure that it does not recurse deeper than this. */
int api_check_depth(const char *text, size_t length)
{
	unsigned int depth = 0;
	bool in_string = false;
	size_t i;

	for (i = 0; i < length; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > API_DEPTH_MAX)
				return -E2BIG;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return 0;
}
