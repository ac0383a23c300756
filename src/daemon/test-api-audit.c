/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an audit asks the API for, against a core of a few lines (test-api-core.c). */
#include <jansson.h>
#include <string.h>

#include "daemon/json.h"
#include "daemon/view.h"
#include "harness/harness.h"

TEST("the books of an audit are whole: stores, stakes, damage, and the rule's setting")
{
	json_t *books = json_of_audit(NULL), *vm, *stake;

	REQUIRE(books);
	vm = json_array_get(json_object_get(books, "vms"), 0);
	stake = json_array_get(json_object_get(vm, "stakes"), 0);
	CHECK_EQ(json_integer_value(json_object_get(books, "salting")), 2);
	CHECK_EQ(json_integer_value(json_object_get(stake, "generation")), 7);
	CHECK_EQ(json_integer_value(json_object_get(stake, "mapped")), 3);
	CHECK_EQ(json_array_size(json_object_get(books, "damaged")), 1);
	CHECK_EQ(json_array_size(json_object_get(books, "stores")), 1);
	json_decref(books);
}

TEST("which frames are live comes as hex digits, lowest frame first, and of no other store")
{
	json_t *live = json_of_live(NULL, 7, 0);
	const char *text;

	REQUIRE(live);
	text = json_string_value(json_object_get(live, "live"));
	CHECK_EQ(strlen(text), VIEW_LIVE / 4);
	CHECK(!strncmp(text, "00a500", 6));
	json_decref(live);
	CHECK(json_of_live(NULL, 8, 0) == NULL);
}
