/* SPDX-License-Identifier: Apache-2.0
 * What DTLS has beyond TLS: cookies, retransmission, datagrams that fit the path. RFC 6347
 */
#include "internal.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/time.h>

/* What any path carries without pieces: IPv6 has 1280 at least, with its headers. */
enum { PATH = 1200 };

/* ---- Cookies (RFC 6347 section 4.2.1) ----------------------------------------------------------------------------- */

static bool cookie_of(SSL *ssl, unsigned char *out, unsigned *count) {
  ctls_stream *s = ctls_stream_of(ssl);
  ctls_context *c = s->context;
  return HMAC(EVP_sha256(), c->cookie_key, sizeof c->cookie_key, s->peer, s->peer_count, out, count) != NULL;
}

static int bake(SSL *ssl, unsigned char *cookie, unsigned *count) { return cookie_of(ssl, cookie, count); }

static int taste(SSL *ssl, const unsigned char *cookie, unsigned count) {
  unsigned char wanted[EVP_MAX_MD_SIZE];
  unsigned wanted_count = 0;
  return cookie_of(ssl, wanted, &wanted_count) && count == wanted_count && CRYPTO_memcmp(cookie, wanted, count) == 0;
}

bool ctls_install_cookies(ctls_context *c) {
  if (RAND_bytes(c->cookie_key, sizeof c->cookie_key) != 1) return false;
  SSL_CTX_set_cookie_generate_cb(c->ssl, bake);
  SSL_CTX_set_cookie_verify_cb(c->ssl, taste);
  SSL_CTX_set_options(c->ssl, SSL_OP_COOKIE_EXCHANGE);
  return true;
}

void ctls_limit_datagrams(SSL *ssl) { SSL_set_mtu(ssl, PATH); }

void ctls_lend_buffers(ctls_stream *s) {
  if (s->context->is_datagram) SSL_alloc_buffers(s->ssl);
}

/* Refused while something lies in them. */
void ctls_take_buffers(ctls_stream *s) {
  if (s->context->is_datagram) SSL_free_buffers(s->ssl);
}

/* ---- Streams ------------------------------------------------------------------------------------------------------ */

bool ctls_stream_listen(ctls_stream *s, const uint8_t *peer, size_t peer_count, const uint8_t *bytes, size_t count) {
  if (peer_count > sizeof s->peer || s->state != CTLS_OPEN) return false;
  memcpy(s->peer, peer, peer_count);
  s->peer_count = peer_count;
  s->in = bytes;
  s->in_count = count;
  BIO_ADDR *unused = BIO_ADDR_new();
  if (!unused) return false;
  ERR_clear_error();
  int answer = DTLSv1_listen(s->ssl, unused);
  ERR_clear_error();
  BIO_ADDR_free(unused);
  s->in_count = 0;
  return answer == 1;
}

int64_t ctls_stream_timeout(ctls_stream *s) {
  struct timeval left;
  if (s->state != CTLS_OPEN || DTLSv1_get_timeout(s->ssl, &left) != 1) return -1;
  /* Rounded up: a little early is not due. */
  return (int64_t)left.tv_sec * 1000 + (left.tv_usec + 999) / 1000;
}

int ctls_stream_expire(ctls_stream *s) {
  if (s->state != CTLS_OPEN) return s->state;
  ERR_clear_error();
  ctls_lend_buffers(s);
  int answer = (int)DTLSv1_handle_timeout(s->ssl);
  ctls_take_buffers(s);
  return answer < 0 ? ctls_settle(s, answer) : CTLS_OPEN;
}
