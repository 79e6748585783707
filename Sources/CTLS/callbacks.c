/* SPDX-License-Identifier: Apache-2.0
 * What OpenSSL asks during a handshake: which certificate, which protocol, which key.
 */
#include "internal.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

ctls_stream *ctls_stream_of(const SSL *ssl) { return SSL_get_app_data(ssl); }

static ctls_context *context_of(const SSL *ssl) { return ctls_stream_of(ssl)->context; }

/* ---- Names ---------------------------------------------------------------------------------------------------- */

/* *.example.org stands for one label, as in a certificate. RFC 6125 section 6.4.3. */
static bool matches(const char *pattern, const char *host) {
  if (pattern[0] != '*' || pattern[1] != '.') return strcasecmp(pattern, host) == 0;
  const char *dot = strchr(host, '.');
  return dot && dot != host && strcasecmp(pattern + 1, dot) == 0;
}

static int choose_certificate(SSL *ssl, int *alert, void *user) {
  (void)alert, (void)user;
  const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  ctls_context *c = context_of(ssl);
  if (!host) return SSL_TLSEXT_ERR_NOACK;
  for (int wildcards = 0; wildcards < 2; wildcards++) {
    for (size_t i = 0; i < c->name_count; i++) {
      if ((c->names[i].host[0] == '*') != wildcards || !matches(c->names[i].host, host)) continue;
      SSL_set_SSL_CTX(ssl, c->names[i].context->ssl);
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_OK;
}

/* ---- Application protocols (RFC 7301) --------------------------------------------------------------------------- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *count, const unsigned char *in,
                           unsigned in_count, void *user) {
  (void)user;
  ctls_context *c = context_of(ssl);
  unsigned char *chosen;
  if (c->protocol_count > 0 && SSL_select_next_proto(&chosen, count, c->protocols, (unsigned)c->protocol_count, in,
                                                     in_count) == OPENSSL_NPN_NEGOTIATED) {
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
  }
  return c->requires_protocol ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

/* choose_protocol is not asked about a client that names none. */
static int look_at_hello(SSL *ssl, int *alert, void *user) {
  (void)user;
  const unsigned char *extension;
  size_t count;
  if (!context_of(ssl)->requires_protocol ||
      SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &extension, &count)) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  ctls_stream_of(ssl)->lacks_protocol = true;
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

/* ---- Keys instead of certificates ------------------------------------------------------------------------------- */

/* An identity is text (RFC 4279 section 5.2); the encrypted bytes of a ticket are not. */
static bool is_identity(const uint8_t *bytes, size_t count) {
  if (count == 0 || count > CTLS_LONGEST_IDENTITY || memchr(bytes, 0, count)) return false;
  for (size_t at = 0; at < count;) {
    unsigned long scalar;
    int n = UTF8_getc(bytes + at, (int)(count - at), &scalar);
    if (n <= 0) return false;
    at += (size_t)n;
  }
  return true;
}

/* Of a server. The stream remembers who came, and that somebody unknown did. */
size_t ctls_find_key(SSL *ssl, const uint8_t *identity, size_t count, uint8_t *key, size_t room) {
  ctls_stream *s = ctls_stream_of(ssl);
  ctls_context *c = s->context;
  if (!c->lookup || !is_identity(identity, count)) return 0;
  size_t found = c->lookup(c->lookup_user, identity, count, key, room);
  if (found == 0 || found > room) {
    s->identity_unknown = true;
    return 0;
  }
  free(s->identity);
  s->identity = strndup((const char *)identity, count);
  return found;
}

static unsigned server_key12(SSL *ssl, const char *identity, unsigned char *key, unsigned room) {
  /* TLS 1.3 asks find_session first, and this one when that knew nobody. */
  if (!SSL_is_dtls(ssl) && SSL_version(ssl) >= TLS1_3_VERSION) return 0;
  return (unsigned)ctls_find_key(ssl, (const uint8_t *)identity, strlen(identity), key,
                                 room < CTLS_LONGEST_KEY ? room : CTLS_LONGEST_KEY);
}

/* A key of TLS 1.2 belongs to SHA-256 in TLS 1.3: RFC 8446 section 4.2.11. */
static SSL_SESSION *session_of_key(SSL *ssl, const uint8_t *key, size_t count) {
  static const unsigned char suite[] = {0x13, 0x01};
  const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite);
  SSL_SESSION *session = SSL_SESSION_new();
  if (session && cipher && SSL_SESSION_set1_master_key(session, key, count) &&
      SSL_SESSION_set_cipher(session, cipher) && SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION)) {
    return session;
  }
  SSL_SESSION_free(session);
  return NULL;
}

/* Also asked about tickets, which it does not know: no session, no error. Whoever names an unknown identity means to be
   known by it, and is not let in as somebody without one. */
static int find_session(SSL *ssl, const unsigned char *identity, size_t count, SSL_SESSION **session) {
  uint8_t key[CTLS_LONGEST_KEY];
  size_t key_count = ctls_find_key(ssl, identity, count, key, sizeof key);
  /* Its handshake is a short one anyway, and a ticket would outlive the key and not say whose it was. */
  if (key_count) SSL_set_num_tickets(ssl, 0);
  *session = key_count ? session_of_key(ssl, key, key_count) : NULL;
  OPENSSL_cleanse(key, sizeof key);
  return key_count > 0 || !ctls_stream_of(ssl)->identity_unknown;
}

static unsigned client_key12(SSL *ssl, const char *hint, char *identity, unsigned room, unsigned char *key,
                             unsigned key_room) {
  (void)hint;
  ctls_context *c = context_of(ssl);
  if (!c->identity || strlen(c->identity) + 1 > room || c->key_count > key_room) return 0;
  strcpy(identity, c->identity);
  memcpy(key, c->key, c->key_count);
  return (unsigned)c->key_count;
}

void ctls_install_callbacks(ctls_context *c) {
  if (!c->is_server) {
    /* OpenSSL makes a TLS 1.3 key of SHA-256 of this one too. */
    SSL_CTX_set_psk_client_callback(c->ssl, client_key12);
    return;
  }
  SSL_CTX_set_tlsext_servername_callback(c->ssl, choose_certificate);
  SSL_CTX_set_alpn_select_cb(c->ssl, choose_protocol, NULL);
  SSL_CTX_set_client_hello_cb(c->ssl, look_at_hello, NULL);
}

void ctls_install_key_callbacks(ctls_context *c) {
  SSL_CTX_set_psk_server_callback(c->ssl, server_key12);
  SSL_CTX_set_psk_find_session_callback(c->ssl, find_session);
}
