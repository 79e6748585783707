/* SPDX-License-Identifier: Apache-2.0
 * Who the peer is. A certificate that OpenSSL has parsed takes 5 KB and more: a server keeps its bytes alone, a tenth of
 * that, and reads them again when somebody asks.
 */
#include "internal.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* ---- What is kept ------------------------------------------------------------------------------------------------- */

/* OpenSSL would keep the chain it has verified for as long as the connection lives. */
static int verify(X509_STORE_CTX *store, void *user) {
  (void)user;
  int answer = X509_verify_cert(store);
  X509_STORE_CTX_set0_verified_chain(store, NULL);
  return answer > 0;
}

void ctls_install_verification(ctls_context *c) { SSL_CTX_set_cert_verify_callback(c->ssl, verify, NULL); }

/* Takes the certificate, [3] of the session's members, out of an encoded session: the new length, 0 when there is
   none. */
static size_t without_certificate(uint8_t *session, size_t count) {
  const uint8_t *at = session, *end = session + count;
  long length;
  int tag, class;
  if (ASN1_get_object(&at, &length, &tag, &class, (long)count) & 0x80 || tag != V_ASN1_SEQUENCE) return 0;
  const uint8_t *members = at;
  while (at < end) {
    const uint8_t *member = at;
    if (ASN1_get_object(&at, &length, &tag, &class, end - at) & 0x80) return 0;
    at += length;
    if (class != V_ASN1_CONTEXT_SPECIFIC || tag != 3) continue;
    size_t before = (size_t)(member - members), after = (size_t)(end - at);
    int body = (int)(before + after);
    /* Never longer than what it replaces. */
    memmove(session + (ASN1_object_size(1, body, V_ASN1_SEQUENCE) - body), members, before);
    uint8_t *out = session;
    ASN1_put_object(&out, 1, body, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    memmove(out + before, at, after);
    return (size_t)(out - session) + (size_t)body;
  }
  return 0;
}

/* There is no call for it; but a session may be decoded into one that is there, and then has what the bytes say. No
   other connection shares this one: a server of ours has no cache, and tickets have been sent by now. */
static void drop_certificate(SSL *ssl) {
  SSL_SESSION *session = SSL_get_session(ssl);
  uint8_t *bytes = NULL;
  int count = i2d_SSL_SESSION(session, &bytes);
  if (count <= 0) return;
  size_t left = without_certificate(bytes, (size_t)count);
  const uint8_t *at = bytes;
  if (left > 0) d2i_SSL_SESSION(&session, &at, (long)left);
  OPENSSL_clear_free(bytes, (size_t)count);
}

void ctls_slim(ctls_stream *s) {
  X509 *certificate = s->context->is_server ? SSL_get0_peer_certificate(s->ssl) : NULL;
  if (!certificate || s->certificate) return;
  int count = i2d_X509(certificate, NULL);
  uint8_t *copy = count > 0 ? malloc((size_t)count) : NULL;
  if (copy) {
    uint8_t *end = copy;
    i2d_X509(certificate, &end);
    s->certificate = copy;
    s->certificate_count = (size_t)count;
    drop_certificate(s->ssl);
    /* Those between it and its authority, parsed as well. Empty, as for a client that sends none. */
    STACK_OF(X509) *others = SSL_get_peer_cert_chain(s->ssl);
    while (sk_X509_num(others) > 0) X509_free(sk_X509_pop(others));
  }
  ERR_clear_error();
}

/* ---- What can be asked ---------------------------------------------------------------------------------------------- */

ctls_certificate *ctls_stream_certificate(const ctls_stream *s) {
  if (!ctls_stream_is_ready(s)) return NULL;
  if (!s->certificate) return SSL_get1_peer_certificate(s->ssl);
  const uint8_t *at = s->certificate;
  ctls_certificate *certificate = d2i_X509(NULL, &at, (long)s->certificate_count);
  ERR_clear_error();
  return certificate;
}

void ctls_certificate_free(ctls_certificate *certificate) { X509_free(certificate); }

static size_t put(uint8_t *out, size_t room, const void *bytes, size_t count) {
  if (room > 0) memcpy(out, bytes, count < room ? count : room);
  return count;
}

static size_t put_text(uint8_t *out, size_t room, const char *text, size_t count) {
  return memchr(text, 0, count) ? 0 : put(out, room, text, count);
}

static size_t common_name(X509_NAME *name, uint8_t *out, size_t room) {
  int last = -1, next;
  while ((next = X509_NAME_get_index_by_NID(name, NID_commonName, last)) >= 0) last = next;
  if (last < 0) return 0;
  unsigned char *text = NULL;
  int count = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
  size_t result = count > 0 ? put_text(out, room, (const char *)text, (size_t)count) : 0;
  OPENSSL_free(text);
  return result;
}

static size_t subject(X509_NAME *name, uint8_t *out, size_t room) {
  char *text = X509_NAME_oneline(name, NULL, 0);
  size_t result = text ? put_text(out, room, text, strlen(text)) : 0;
  OPENSSL_free(text);
  return result;
}

/* Of RFC 2253 the name: UTF-8 as it is, control characters and separators escaped. */
static size_t printed(X509 *certificate, bool whole, uint8_t *out, size_t room) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (!bio) return 0;
  if (whole) {
    PEM_write_bio_X509(bio, certificate);
  } else {
    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  }
  char *text;
  long count = BIO_get_mem_data(bio, &text);
  size_t result = count > 0 ? put_text(out, room, text, (size_t)count) : 0;
  BIO_free(bio);
  return result;
}

static size_t der(X509 *certificate, uint8_t *out, size_t room) {
  uint8_t *bytes = NULL;
  int count = i2d_X509(certificate, &bytes);
  size_t result = count > 0 ? put(out, room, bytes, (size_t)count) : 0;
  OPENSSL_free(bytes);
  return result;
}

static size_t fingerprint(X509 *certificate, uint8_t *out, size_t room) {
  uint8_t digest[SHA256_DIGEST_LENGTH], text[2 * SHA256_DIGEST_LENGTH];
  unsigned count = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &count) != 1) return 0;
  for (unsigned i = 0; i < count; i++) {
    text[2 * i] = (uint8_t)"0123456789abcdef"[digest[i] >> 4];
    text[2 * i + 1] = (uint8_t)"0123456789abcdef"[digest[i] & 15];
  }
  return put(out, room, text, 2 * (size_t)count);
}

size_t ctls_certificate_get(ctls_certificate *certificate, int which, uint8_t *out, size_t room) {
  X509_NAME *name = X509_get_subject_name(certificate);
  size_t count = 0;
  switch (which) {
    case CTLS_NAME_COMMON: count = common_name(name, out, room); break;
    case CTLS_NAME_DN: count = printed(certificate, false, out, room); break;
    case CTLS_NAME_SUBJECT: count = subject(name, out, room); break;
    case CTLS_SHA256: count = fingerprint(certificate, out, room); break;
    case CTLS_DER: count = der(certificate, out, room); break;
    case CTLS_PEM: count = printed(certificate, true, out, room); break;
    default: break;
  }
  ERR_clear_error();
  return count;
}
