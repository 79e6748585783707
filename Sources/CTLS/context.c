/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* A broker has nobody to ask for a passphrase. */
static int no_passphrase(char *buffer, int size, int writing, void *user) {
  (void)buffer, (void)size, (void)writing, (void)user;
  return -1;
}

static ctls_context *make(bool is_server, const SSL_METHOD *method) {
  ctls_context *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->ssl = SSL_CTX_new(method);
  if (!c->ssl) {
    free(c);
    return NULL;
  }
  atomic_init(&c->references, 1);
  c->is_server = is_server;
  SSL_CTX_set_app_data(c->ssl, c);
  SSL_CTX_set_options(c->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  /* Tickets are enough: a cache would be memory and a lock that all loops share. */
  SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(c->ssl, no_passphrase);
  SSL_CTX_set_dh_auto(c->ssl, 1);
  SSL_CTX_set_verify(c->ssl, is_server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
  ctls_install_callbacks(c);
  if (is_server) ctls_install_verification(c);
  return c;
}

ctls_context *ctls_context_new(bool is_server) {
  ctls_context *c = make(is_server, is_server ? TLS_server_method() : TLS_client_method());
  if (c) SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
  return c;
}

ctls_context *ctls_context_new_datagram(bool is_server) {
  ctls_context *c = make(is_server, is_server ? DTLS_server_method() : DTLS_client_method());
  if (!c) return NULL;
  c->is_datagram = true;
  if (SSL_CTX_set_min_proto_version(c->ssl, DTLS1_2_VERSION) && (!is_server || ctls_install_cookies(c))) {
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_QUERY_MTU);
    return c;
  }
  ctls_context_free(c);
  return NULL;
}

ctls_context *ctls_context_retain(ctls_context *c) {
  atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
  return c;
}

void ctls_context_free(ctls_context *c) {
  if (!c || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) != 1) return;
  SSL_CTX_free(c->ssl);
  for (size_t i = 0; i < c->name_count; i++) {
    free(c->names[i].host);
    ctls_context_free(c->names[i].context);
  }
  free(c->names);
  free(c->protocols);
  free(c->identity);
  OPENSSL_cleanse(c->key, sizeof c->key);
  OPENSSL_cleanse(c->cookie_key, sizeof c->cookie_key);
  if (c->lookup_release) c->lookup_release(c->lookup_user);
  free(c);
}

/* The first error is the one that says what happened, those after it only where. */
bool ctls_explain(ctls_why *why, const char *what) {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
  if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
    reason = "it has no PEM block of the kind that is needed";
  } else if (ERR_GET_REASON(code) == ERR_R_INTERRUPTED_OR_CANCELLED ||
             (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_BAD_PASSWORD_READ)) {
    reason = "it is protected by a passphrase, which nobody could type";
  }
  if (code == 0 || !reason) reason = "OpenSSL does not say why";
  snprintf(why->text, sizeof why->text, "%s: %s", what, reason);
  return false;
}

bool ctls_set_versions(ctls_context *c, int versions, ctls_why *why) {
  if (c->is_datagram) {
    if (versions & CTLS_TLS12) return true;
    snprintf(why->text, sizeof why->text, "datagrams are encrypted with DTLS 1.2, and only TLS 1.3 is allowed");
    return false;
  }
  int low = versions & CTLS_TLS12 ? TLS1_2_VERSION : TLS1_3_VERSION;
  int high = versions & CTLS_TLS13 ? TLS1_3_VERSION : TLS1_2_VERSION;
  ERR_clear_error();
  if (SSL_CTX_set_min_proto_version(c->ssl, low) && SSL_CTX_set_max_proto_version(c->ssl, high)) return true;
  return ctls_explain(why, "the versions cannot be set");
}

bool ctls_set_certificate(ctls_context *c, const char *chain_file, const char *key_file, ctls_why *why) {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(c->ssl, chain_file) != 1) return ctls_explain(why, chain_file);
  if (SSL_CTX_use_PrivateKey_file(c->ssl, key_file, SSL_FILETYPE_PEM) == 1) return true;
  if (ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH &&
      ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509) {
    ERR_clear_error();
    snprintf(why->text, sizeof why->text, "%s: it is not the key of the certificate in %s", key_file, chain_file);
    return false;
  }
  return ctls_explain(why, key_file);
}

bool ctls_set_authorities(ctls_context *c, const char *file, ctls_why *why) {
  ERR_clear_error();
  if (SSL_CTX_load_verify_file(c->ssl, file) != 1) return ctls_explain(why, file);
  if (!c->is_server) return true;
  STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
  if (!names) return ctls_explain(why, file);
  SSL_CTX_set_client_CA_list(c->ssl, names);
  return true;
}

bool ctls_set_system_authorities(ctls_context *c, ctls_why *why) {
  ERR_clear_error();
  return SSL_CTX_set_default_verify_paths(c->ssl) == 1 || ctls_explain(why, "the system's authorities");
}

bool ctls_set_revoked(ctls_context *c, const char *file, ctls_why *why) {
  ERR_clear_error();
  X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
  X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (!lookup || X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) < 1) return ctls_explain(why, file);
  return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1 || ctls_explain(why, file);
}

void ctls_set_verify(ctls_context *c, bool wanted, bool required) {
  int mode = wanted || !c->is_server ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
  if (wanted && required) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(c->ssl, mode, NULL);
}

void ctls_set_unverified(ctls_context *c) { SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, NULL); }

bool ctls_set_ciphers(ctls_context *c, const char *tls12, const char *tls13, ctls_why *why) {
  ERR_clear_error();
  if (tls12[0] && SSL_CTX_set_cipher_list(c->ssl, tls12) != 1) return ctls_explain(why, tls12);
  if (tls13[0] && SSL_CTX_set_ciphersuites(c->ssl, tls13) != 1) return ctls_explain(why, tls13);
  return true;
}

bool ctls_is_suite13(const char *name) { return strncmp(name, "TLS_", 4) == 0 && !strstr(name, "_WITH_"); }

bool ctls_set_dh(ctls_context *c, const char *file, ctls_why *why) {
  ERR_clear_error();
  BIO *bio = BIO_new_file(file, "r");
  EVP_PKEY *parameters = bio ? PEM_read_bio_Parameters(bio, NULL) : NULL;
  BIO_free(bio);
  if (!parameters) return ctls_explain(why, file);
  if (SSL_CTX_set0_tmp_dh_pkey(c->ssl, parameters) == 1) return true;
  EVP_PKEY_free(parameters);
  return ctls_explain(why, file);
}

void ctls_set_server_order(ctls_context *c, bool on) {
  if (on) {
    SSL_CTX_set_options(c->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
  } else {
    SSL_CTX_clear_options(c->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
  }
}

void ctls_set_resumption(ctls_context *c, bool on, const char *scope) {
  uint8_t id[SHA256_DIGEST_LENGTH];
  SHA256((const uint8_t *)scope, strlen(scope), id);
  if (c->is_server) SSL_CTX_set_session_id_context(c->ssl, id, sizeof id);
  SSL_CTX_set_num_tickets(c->ssl, on ? 1 : 0);
  if (on) {
    SSL_CTX_clear_options(c->ssl, SSL_OP_NO_TICKET);
  } else {
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET);
  }
}

bool ctls_set_protocols(ctls_context *c, const uint8_t *wire, size_t count, bool required) {
  if (!c->is_server) return SSL_CTX_set_alpn_protos(c->ssl, wire, (unsigned)count) == 0;
  uint8_t *copy = malloc(count ? count : 1);
  if (!copy) return false;
  memcpy(copy, wire, count);
  free(c->protocols);
  c->protocols = copy;
  c->protocol_count = count;
  c->requires_protocol = required;
  return true;
}

bool ctls_add_name(ctls_context *c, const char *host, ctls_context *other) {
  struct ctls_name *names = realloc(c->names, (c->name_count + 1) * sizeof *names);
  if (!names) return false;
  c->names = names;
  char *copy = strdup(host);
  if (!copy) return false;
  names[c->name_count++] = (struct ctls_name){copy, ctls_context_retain(other)};
  return true;
}

bool ctls_set_psk_lookup(ctls_context *c, ctls_psk_lookup lookup, void *user, void (*release)(void *user),
                         const char *hint, ctls_why *why) {
  ERR_clear_error();
  c->lookup = lookup;
  c->lookup_user = user;
  c->lookup_release = release;
  ctls_install_key_callbacks(c);
  return !hint || SSL_CTX_use_psk_identity_hint(c->ssl, hint) == 1 || ctls_explain(why, hint);
}

bool ctls_set_psk(ctls_context *c, const char *identity, const uint8_t *key, size_t count) {
  if (count == 0 || count > sizeof c->key || strlen(identity) > CTLS_LONGEST_IDENTITY) return false;
  char *copy = strdup(identity);
  if (!copy) return false;
  free(c->identity);
  c->identity = copy;
  memcpy(c->key, key, count);
  c->key_count = count;
  return true;
}

int64_t ctls_not_after(const ctls_context *c) {
  X509 *leaf = SSL_CTX_get0_certificate(c->ssl);
  struct tm end;
  if (!leaf || ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &end) != 1) return 0;
  return timegm(&end);
}

size_t ctls_subject(const ctls_context *c, char *out, size_t room) {
  X509 *leaf = SSL_CTX_get0_certificate(c->ssl);
  if (!leaf || room == 0) return 0;
  BIO *bio = BIO_new(BIO_s_mem());
  if (!bio) return 0;
  X509_NAME_print_ex(bio, X509_get_subject_name(leaf), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char *text;
  long count = BIO_get_mem_data(bio, &text);
  size_t copied = (size_t)count < room ? (size_t)count : room - 1;
  memcpy(out, text, copied);
  out[copied] = 0;
  BIO_free(bio);
  return (size_t)count;
}
