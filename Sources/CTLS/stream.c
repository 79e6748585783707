/* SPDX-License-Identifier: Apache-2.0
 * One end of a connection. Its BIO reads the bytes that are lent to `receive` and writes into the owner's `out`: no
 * buffer of its own lies between them and OpenSSL's records.
 */
#include "internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int lent_read(BIO *bio, char *out, int count) {
  ctls_stream *s = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (s->in_count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t n = (size_t)count < s->in_count ? (size_t)count : s->in_count;
  memcpy(out, s->in, n);
  s->in += n;
  /* What of a datagram does not fit is not the beginning of another one. */
  s->in_count = s->context->is_datagram ? 0 : s->in_count - n;
  return (int)n;
}

static int lent_write(BIO *bio, const char *bytes, int count) {
  ctls_stream *s = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  s->out(s->user, (const uint8_t *)bytes, (size_t)count);
  return count;
}

static long lent_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "martlet");
  if (!method) return;
  BIO_meth_set_read(method, lent_read);
  BIO_meth_set_write(method, lent_write);
  BIO_meth_set_ctrl(method, lent_ctrl);
}

ctls_stream *ctls_stream_new(ctls_context *c, ctls_out out, void *user) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_method);
  ctls_stream *s = calloc(1, sizeof *s);
  SSL *ssl = s && method ? SSL_new(c->ssl) : NULL;
  BIO *bio = ssl ? BIO_new(method) : NULL;
  if (!bio) {
    SSL_free(ssl);
    free(s);
    ERR_clear_error();
    return NULL;
  }
  *s = (ctls_stream){.context = ctls_context_retain(c), .ssl = ssl, .out = out, .user = user};
  BIO_set_data(bio, s);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  SSL_set_app_data(ssl, s);
  if (c->is_datagram) ctls_limit_datagrams(ssl);
  if (c->is_server) SSL_set_accept_state(ssl); else SSL_set_connect_state(ssl);
  return s;
}

void ctls_stream_free(ctls_stream *s) {
  if (!s) return;
  SSL_free(s->ssl);
  ctls_context_free(s->context);
  free(s->certificate);
  free(s->identity);
  free(s->failure_text);
  free(s);
}

/* ---- Clients ---------------------------------------------------------------------------------------------------- */

bool ctls_stream_expect(ctls_stream *s, const char *host) {
  X509_VERIFY_PARAM *rules = SSL_get0_param(s->ssl);
  /* An address is no server name: RFC 6066 section 3. */
  if (X509_VERIFY_PARAM_set1_ip_asc(rules, host) == 1) return true;
  ERR_clear_error();
  SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(s->ssl, host) == 1 && SSL_set_tlsext_host_name(s->ssl, host) == 1;
}

bool ctls_stream_resume(ctls_stream *s, const uint8_t *session, size_t count) {
  const uint8_t *at = session;
  SSL_SESSION *decoded = d2i_SSL_SESSION(NULL, &at, (long)count);
  bool done = decoded && SSL_set_session(s->ssl, decoded) == 1;
  SSL_SESSION_free(decoded);
  ERR_clear_error();
  return done;
}

size_t ctls_stream_session(ctls_stream *s, uint8_t *out, size_t room) {
  SSL_SESSION *session = SSL_get0_session(s->ssl);
  if (!session || !SSL_SESSION_is_resumable(session)) return 0;
  int count = i2d_SSL_SESSION(session, NULL);
  if (count <= 0) return 0;
  if (out && (size_t)count <= room) i2d_SSL_SESSION(session, &out);
  return (size_t)count;
}

bool ctls_stream_is_resumed(const ctls_stream *s) { return SSL_session_reused(s->ssl) == 1; }

/* ---- Bytes ------------------------------------------------------------------------------------------------------ */

/* What an answer of OpenSSL that is not a success means. */
int ctls_settle(ctls_stream *s, int answer) {
  switch (SSL_get_error(s->ssl, answer)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return CTLS_OPEN;
    case SSL_ERROR_ZERO_RETURN: return s->state = CTLS_ENDED;
    default: ctls_note_failure(s); return s->state = CTLS_FAILED;
  }
}

/* A TLS 1.2 ticket names the identity it was given to. Whoever's key is gone by now does not come in with it. */
static bool is_still_known(ctls_stream *s) {
  if (!s->context->is_server || !SSL_session_reused(s->ssl)) return true;
  const char *identity = SSL_get_psk_identity(s->ssl);
  if (!identity) return true;
  uint8_t key[CTLS_LONGEST_KEY];
  size_t count = ctls_find_key(s->ssl, (const uint8_t *)identity, strlen(identity), key, sizeof key);
  OPENSSL_cleanse(key, sizeof key);
  return count > 0;
}

int ctls_stream_begin(ctls_stream *s) {
  if (s->context->is_server || s->state != CTLS_OPEN) return s->state;
  ERR_clear_error();
  ctls_lend_buffers(s);
  int answer = SSL_do_handshake(s->ssl);
  int state = ctls_settle(s, answer);
  ctls_take_buffers(s);
  return state;
}

static int shake_hands(ctls_stream *s) {
  int answer = SSL_do_handshake(s->ssl);
  if (answer != 1) return ctls_settle(s, answer);
  if (is_still_known(s)) {
    ctls_slim(s);
    return CTLS_OPEN;
  }
  s->failure = CTLS_FAILURE_IDENTITY;
  s->failure_text = strdup("the identity of its ticket is not known any more");
  return s->state = CTLS_FAILED;
}

static int read_records(ctls_stream *s, uint8_t *plain, size_t room, size_t *written) {
  if (!SSL_is_init_finished(s->ssl)) {
    int state = shake_hands(s);
    if (state != CTLS_OPEN || !SSL_is_init_finished(s->ssl)) return state;
  }
  while (*written < room) {
    size_t n = 0;
    int answer = SSL_read_ex(s->ssl, plain + *written, room - *written, &n);
    if (answer != 1) return ctls_settle(s, answer);
    *written += n;
    if (s->context->is_datagram) break;
  }
  return CTLS_OPEN;
}

int ctls_stream_receive(ctls_stream *s, const uint8_t *bytes, size_t count, uint8_t *plain, size_t room,
                        size_t *written) {
  *written = 0;
  if (s->state != CTLS_OPEN) return s->state;
  if (count > 0) {
    s->in = bytes;
    s->in_count = count;
  }
  ERR_clear_error();
  ctls_lend_buffers(s);
  int state = read_records(s, plain, room, written);
  ctls_take_buffers(s);
  return state;
}

int ctls_stream_send(ctls_stream *s, const uint8_t *bytes, size_t count) {
  if (s->state == CTLS_FAILED) return CTLS_FAILED;
  if (count == 0) return s->state;
  ERR_clear_error();
  ctls_lend_buffers(s);
  size_t n;
  int answer = SSL_write_ex(s->ssl, bytes, count, &n);
  int state = answer == 1 ? s->state : ctls_settle(s, answer);
  ctls_take_buffers(s);
  return state;
}

void ctls_stream_finish(ctls_stream *s) {
  if (s->is_finished || s->state == CTLS_FAILED || !SSL_is_init_finished(s->ssl)) return;
  s->is_finished = true;
  ERR_clear_error();
  ctls_lend_buffers(s);
  SSL_shutdown(s->ssl);
  ctls_take_buffers(s);
  ERR_clear_error();
}

/* ---- What it is ------------------------------------------------------------------------------------------------- */

bool ctls_stream_is_ready(const ctls_stream *s) { return s->state != CTLS_FAILED && SSL_is_init_finished(s->ssl); }

const char *ctls_stream_version(const ctls_stream *s) { return SSL_get_version(s->ssl); }
const char *ctls_stream_cipher(const ctls_stream *s) { return SSL_get_cipher_name(s->ssl); }

size_t ctls_stream_protocol(const ctls_stream *s, const uint8_t **out) {
  unsigned count = 0;
  SSL_get0_alpn_selected(s->ssl, out, &count);
  return count;
}

const char *ctls_stream_identity(const ctls_stream *s) { return s->identity; }
