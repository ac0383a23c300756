/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gateway's JSON, made and read. What comes may be anything that somebody with the right to
 * write put there: a key that is too long or holds control characters is not one of ours, a value
 * that is no object of a schema that we read is as good as none.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/etcd.h"

#define VALUE_MAX (1u << 20)

/* ---- base64 -------------------------------------------------------------------------------- */

static json_t *encoded_bytes(const char *text, size_t n)
{
	unsigned char *out = malloc(4 * ((n + 2) / 3) + 1);
	json_t *string = NULL;

	if (out) {
		EVP_EncodeBlock(out, (const unsigned char *)text, (int)n);
		string = json_string((const char *)out);
	}
	free(out);
	return string;
}

static json_t *encoded(const char *text)
{
	return encoded_bytes(text, strlen(text));
}

/* The least key that is behind this one. */
static json_t *encoded_behind(const char *key)
{
	return encoded_bytes(key, strlen(key) + 1);
}

/* Bytes, and a NUL behind them, to be freed; NULL: no base64, too many, or no memory. */
static char *decoded_bytes(const char *text, size_t max, size_t *length)
{
	size_t n = strlen(text), whole = n / 4 * 3;
	unsigned char *out;

	if (n % 4 || whole > max + 2)
		return NULL;
	out = malloc(whole + 1);
	if (!out || EVP_DecodeBlock(out, (const unsigned char *)text, (int)n) != (int)whole) {
		free(out);
		return NULL;
	}
	for (; n && text[n - 1] == '='; n--)
		whole--;
	out[whole] = '\0';
	*length = whole;
	return (char *)out;
}

/* A string, to be freed; NULL: as above, or a NUL is within. */
static char *decoded(const char *text, size_t max, size_t *length)
{
	char *out = decoded_bytes(text, max, length);

	if (out && memchr(out, 0, *length)) {
		free(out);
		return NULL;
	}
	return out;
}

/* As etcd orders keys. */
static int bytes_order(const char *a, size_t na, const char *b, size_t nb)
{
	int order = memcmp(a, b, na < nb ? na : nb);

	return order ? order : (na > nb) - (na < nb);
}

/* The key of a record or a request, whatever it is; NULL: none. */
static char *decoded_key(const json_t *object, size_t *length)
{
	const char *base64 = json_string_value(json_object_get(object, "key"));

	return base64 ? decoded_bytes(base64, VALUE_MAX, length) : NULL;
}

/* ---- bodies -------------------------------------------------------------------------------- */

/* {"key": ..., "range_end": ...} */
static json_t *key_body(const char *key)
{
	char end[FLEET_KEY_MAX];
	size_t n = strlen(key);

	if (!n || key[n - 1] != '/')
		return json_pack("{s:o}", "key", encoded(key));
	fleet_range_end(end, key);
	return json_pack("{s:o, s:o}", "key", encoded(key), "range_end", encoded(end));
}

json_t *etcd_range_body(const char *key)
{
	return key_body(key);
}

json_t *etcd_delete_body(const char *key)
{
	return key_body(key);
}

json_t *etcd_page_body(const char *prefix, unsigned int n, bool keys)
{
	char end[FLEET_KEY_MAX];

	fleet_range_end(end, prefix);
	return json_pack("{s:o, s:o, s:i, s:b}", "key", encoded(prefix), "range_end", encoded(end),
			 "limit", (int)n, "keys_only", keys);
}

int etcd_page_next(json_t **page, const json_t *answer)
{
	const json_t *kvs = etcd_kvs(answer);
	size_t n = json_array_size(kvs), asked = 0, length = 0;
	_cleanup_json_ json_t *this = *page;
	_cleanup_free_ char *from = NULL, *last = NULL;
	json_t *next;

	*page = NULL;
	if (!json_is_true(json_object_get(answer, "more")))
		return 0;
	from = decoded_key(this, &asked);
	last = n ? decoded_key(json_array_get(kvs, n - 1), &length) : NULL;
	if (!from || !last || bytes_order(last, length, from, asked) < 0)
		return -EPROTO;
	next = json_copy(this);
	if (json_object_set_new(next, "key", encoded_bytes(last, length + 1))) {
		json_decref(next);
		return -ENOMEM;
	}
	*page = next;
	return 0;
}

json_t *etcd_delete_to_body(const char *prefix, const char *key)
{
	return json_pack("{s:o, s:o}", "key", encoded(prefix), "range_end", encoded_behind(key));
}

json_t *etcd_put_body(const char *key, const json_t *value, int64_t lease)
{
	_cleanup_free_ char *text = json_line(value);
	char number[24];
	json_t *body;

	if (!text)
		return NULL;
	body = json_pack("{s:o, s:o}", "key", encoded(key), "value", encoded(text));
	snprintf(number, sizeof(number), "%" PRId64, lease);
	if (body && lease && json_object_set_new(body, "lease", json_string(number))) {
		json_decref(body);
		body = NULL;
	}
	return body;
}

json_t *etcd_txn_body(json_t *compare, json_t *success, json_t *failure)
{
	return json_pack("{s:o*, s:o*, s:o*}", "compare", compare, "success", success, "failure",
			 failure);
}

int etcd_add_op(json_t *list, const char *op, json_t *body)
{
	char name[32];
	json_t *wrapped;

	snprintf(name, sizeof(name), "request_%s", op);
	wrapped = body ? json_pack("{s:o}", name, body) : NULL;
	return !list || !wrapped || json_array_append_new(list, wrapped) ? -ENOMEM : 0;
}

int etcd_add_compare(json_t *list, const char *key, int64_t mod_revision)
{
	char number[24];
	json_t *compare;

	snprintf(number, sizeof(number), "%" PRId64, mod_revision);
	compare = json_pack("{s:o, s:s, s:s, s:s}", "key", encoded(key), "target", "MOD", "result",
			    "EQUAL", "mod_revision", number);
	return !list || !compare || json_array_append_new(list, compare) ? -ENOMEM : 0;
}

/* ---- answers ------------------------------------------------------------------------------- */

int64_t etcd_int(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_integer(value))
		return json_integer_value(value);
	return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : 0;
}

static bool is_key(const char *text, size_t length)
{
	if (!length || length >= FLEET_KEY_MAX)
		return false;
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || (unsigned char)*text > 126)
			return false;
	return true;
}

/* Of a schema that this version reads; else NULL. Any host may have written it, and it comes to the
 * terminals of administrators: this is the border where it is made fit for that. */
static json_t *read_value(const char *base64)
{
	size_t length = 0;
	_cleanup_free_ char *text = base64 ? decoded(base64, VALUE_MAX, &length) : NULL;
	json_t *value = text ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_int_t schema = json_integer_value(json_object_get(value, "schema"));

	if (schema >= 1 && schema <= FLEET_SCHEMA) {
		json_scrub(value);
		return value;
	}
	json_decref(value);
	return NULL;
}

int etcd_kv(const json_t *kv, struct etcd_kv *out)
{
	const char *base64 = json_string_value(json_object_get(kv, "key"));
	size_t length = 0;
	_cleanup_free_ char *key = base64 ? decoded(base64, FLEET_KEY_MAX, &length) : NULL;

	*out = (struct etcd_kv){0};
	if (!key || !is_key(key, length))
		return -EBADMSG;
	memcpy(out->key, key, length + 1);
	out->value = read_value(json_string_value(json_object_get(kv, "value")));
	out->mod_revision = etcd_int(kv, "mod_revision");
	out->create_revision = etcd_int(kv, "create_revision");
	out->lease = etcd_int(kv, "lease");
	return 0;
}

void etcd_kv_free(struct etcd_kv *kv)
{
	json_decref(kv->value);
	kv->value = NULL;
}

json_t *etcd_kvs(const json_t *range)
{
	return json_object_get(range, "kvs");
}

json_t *etcd_response(const json_t *txn, size_t n, const char *op)
{
	return json_object_get(json_array_get(json_object_get(txn, "responses"), n), op);
}
