/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fleet/sketch.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define WEIGHT_MAX 1e6
#define TEXT_MAX ((SKETCH_BYTES + 2) / 3 * 4 + 1)

/* Bytes of a text in base64, SKETCH_BYTES at most; -EINVAL. */
static int from_base64(const char *text, uint8_t out[SKETCH_BYTES])
{
	unsigned char room[SKETCH_BYTES + 3];
	size_t length = text ? strlen(text) : 0;
	int n;

	if (!length || length % 4 || length / 4 * 3 > sizeof(room))
		return -EINVAL;
	n = EVP_DecodeBlock(room, (const unsigned char *)text, (int)length);
	if (n < 0)
		return -EINVAL;
	n -= (text[length - 1] == '=') + (text[length - 2] == '='); /* it counts these as bytes */
	if (n > (int)SKETCH_BYTES)
		return -EINVAL;
	memcpy(out, room, (size_t)n);
	return n;
}

int fleet_sketch_read(const json_t *likeness, struct sketch *sketch)
{
	uint8_t bytes[SKETCH_BYTES];
	json_int_t n = json_integer_value(json_object_get(likeness, "tokens"));
	json_int_t pages = json_integer_value(json_object_get(likeness, "pages"));
	int length = from_base64(json_string_value(json_object_get(likeness, "sketch")), bytes);

	sketch->weight = json_number_value(json_object_get(likeness, "weight"));
	if (length < 0 || n < 0 || n > SKETCH_MAX || pages < n || pages > UINT32_MAX ||
	    !(sketch->weight >= 1 && sketch->weight <= WEIGHT_MAX))
		return -EINVAL;
	sketch->pages = (uint32_t)pages;
	return sketch_decode(sketch, (uint32_t)n, bytes, (size_t)length);
}

int fleet_sketch_thin(json_t *likeness, uint32_t max)
{
	struct sketch sketch;
	uint8_t bytes[SKETCH_BYTES];
	char text[TEXT_MAX];

	if (fleet_sketch_read(likeness, &sketch) || sketch.n <= max)
		return 0;
	sketch_thin(&sketch, max);
	EVP_EncodeBlock((unsigned char *)text, bytes, (int)sketch_encode(&sketch, bytes));
	return json_object_set_new(likeness, "weight", json_real(sketch.weight)) ||
			       json_object_set_new(likeness, "pages", json_integer(sketch.pages)) ||
			       json_object_set_new(likeness, "tokens", json_integer(sketch.n)) ||
			       json_object_set_new(likeness, "sketch", json_string(text)) ?
		       -ENOMEM :
		       0;
}
