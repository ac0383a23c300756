/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS says "bad certificate" and no more, or etcd's gateway a 400 or a 503 on each request. So
 * what can be told from the files alone is told when a program starts: a file that is not there,
 * holds no certificate, is out of its time (or this host's clock is), a key that is another's or
 * that others may read, a certificate that is not for clients, and one with a common name where
 * there is a user (etcd 3.4's gateway refuses it). What only the server knows is told when it
 * answers (etcd.c).
 */
#include "fleet/certs.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "fleet/id.h"
#include "sys/cleanup.h"
#include "sys/file.h"
#include "sys/launch.h"
#include "sys/path.h"

#define PEM_MAX (256u << 10)
#define OTHERS_READ 04

DEFINE_CLEANUP(X509 *, x509, X509_free);
DEFINE_CLEANUP(EVP_PKEY *, pkey, EVP_PKEY_free);
DEFINE_CLEANUP(BIO *, bio, BIO_free);

static int read_pem(const char *what, const char *path, BIO **bio, char **text,
		    char err[FLEET_ERROR_MAX])
{
	int r = sys_read_text(path, PEM_MAX, text);

	if (r)
		return fleet_fail(err, r, "%s %.200s: %s", what, path, strerror(-r));
	*bio = BIO_new_mem_buf(*text, -1);
	return *bio ? 0 : fleet_fail(err, -ENOMEM, "out of memory");
}

static int read_certificate(const char *what, const char *path, X509 **out,
			    char err[FLEET_ERROR_MAX])
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(cleanup_bio) BIO *bio = NULL;
	int r = read_pem(what, path, &bio, &text, err);

	if (r)
		return r;
	*out = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	return *out ? 0 :
		      fleet_fail(err, -EINVAL, "%s %.200s holds no certificate (PEM)", what, path);
}

static int check_time(const char *what, const char *path, const X509 *cert,
		      char err[FLEET_ERROR_MAX])
{
	time_t now = sys_wall_time();
	char clock[FLEET_TIME_MAX];

	if (X509_cmp_time(X509_get0_notBefore(cert), &now) > 0)
		return fleet_fail(err, -EKEYEXPIRED,
				  "%s %.200s is not valid yet: this host's clock says %s", what,
				  path, fleet_time(clock, now));
	if (X509_cmp_time(X509_get0_notAfter(cert), &now) < 0)
		return fleet_fail(err, -EKEYEXPIRED,
				  "%s %.200s has expired: this host's clock says %s", what, path,
				  fleet_time(clock, now));
	return 0;
}

static int check_key(const struct fleet_config *config, const X509 *cert, char err[FLEET_ERROR_MAX])
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(cleanup_bio) BIO *bio = NULL;
	_cleanup_(cleanup_pkey) EVP_PKEY *key = NULL;
	struct sys_file file;
	int r = read_pem("key", config->key, &bio, &text, err);

	if (r)
		return r;
	if (!sys_file_look(config->key, &file) && (file.mode & OTHERS_READ))
		return fleet_fail(err, -EPERM, "key %.200s may be read by everybody: chmod 0600",
				  config->key);
	key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
	explicit_bzero(text, strlen(text));
	if (!key)
		return fleet_fail(err, -EINVAL,
				  "key %.200s holds no private key (PEM, unencrypted)",
				  config->key);
	if (!X509_check_private_key(cert, key))
		return fleet_fail(err, -EINVAL, "key %.200s is not the key of certificate %.200s",
				  config->key, config->certificate);
	return 0;
}

static bool has_common_name(const X509 *cert)
{
	return X509_NAME_get_index_by_NID(X509_get_subject_name(cert), NID_commonName, -1) >= 0;
}

static int check_own(const struct fleet_config *config, char err[FLEET_ERROR_MAX])
{
	_cleanup_(cleanup_x509) X509 *cert = NULL;
	int r = read_certificate("certificate", config->certificate, &cert, err);

	if (!r)
		r = check_time("certificate", config->certificate, cert, err);
	if (!r && !(X509_get_extended_key_usage(cert) & XKU_SSL_CLIENT))
		r = fleet_fail(
			err, -EINVAL,
			"certificate %.200s is not for clients: its extended key usage lacks "
			"clientAuth",
			config->certificate);
	if (!r && config->user && has_common_name(cert))
		r = fleet_fail(
			err, -EINVAL,
			"certificate %.200s has a common name, which etcd's JSON gateway refuses "
			"where there is authentication: make one with an empty subject",
			config->certificate);
	return r ? r : check_key(config, cert, err);
}

int fleet_certs_check(const struct fleet_config *config, char err[FLEET_ERROR_MAX])
{
	_cleanup_(cleanup_x509) X509 *ca = NULL;
	int r = config->ca ? read_certificate("ca", config->ca, &ca, err) : 0;

	if (!r && ca)
		r = check_time("ca", config->ca, ca, err);
	if (!r && ca && !X509_check_ca(ca))
		r = fleet_fail(err, -EINVAL, "ca %.200s is no certificate of an authority",
			       config->ca);
	if (!r && config->certificate)
		r = check_own(config, err);
	return r;
}
