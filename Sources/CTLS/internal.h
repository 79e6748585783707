/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTLS_INTERNAL_H
#define CTLS_INTERNAL_H
#include "CTLS.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

enum { CTLS_LONGEST_KEY = 64, CTLS_LONGEST_IDENTITY = 255 };

struct ctls_name {
  char *host;
  ctls_context *context;
};

struct ctls_context {
  atomic_int references;
  SSL_CTX *ssl;
  bool is_server;
  bool is_datagram;
  uint8_t cookie_key[32];
  bool requires_protocol;
  uint8_t *protocols;
  size_t protocol_count;
  struct ctls_name *names;
  size_t name_count;
  ctls_psk_lookup lookup;
  void *lookup_user;
  void (*lookup_release)(void *user);
  char *identity;
  uint8_t key[CTLS_LONGEST_KEY];
  size_t key_count;
};

struct ctls_stream {
  ctls_context *context;
  SSL *ssl;
  ctls_out out;
  void *user;
  const uint8_t *in;
  size_t in_count;
  uint8_t peer[CTLS_LONGEST_PEER];
  size_t peer_count;
  char *identity;
  /* Of a client, DER, from the end of the handshake on. */
  uint8_t *certificate;
  size_t certificate_count;
  int state;
  bool is_finished;
  bool identity_unknown;
  bool lacks_protocol;
  int failure;
  char *failure_text;
};

ctls_context *ctls_context_retain(ctls_context *);
void ctls_install_callbacks(ctls_context *);
void ctls_install_key_callbacks(ctls_context *);
bool ctls_install_cookies(ctls_context *);
size_t ctls_find_key(SSL *, const uint8_t *identity, size_t count, uint8_t *key, size_t room);
ctls_stream *ctls_stream_of(const SSL *);
void ctls_limit_datagrams(SSL *);
/* Around everything that receives or sends: memory for a record each way, only as long as it is needed. A stream lets go
   of it by itself (SSL_MODE_RELEASE_BUFFERS), an association would keep 33 KB. */
void ctls_lend_buffers(ctls_stream *);
void ctls_take_buffers(ctls_stream *);
/* The verification of a client's certificate without what it would keep. */
void ctls_install_verification(ctls_context *);
/* After the handshake: lets go of what only it needed. */
void ctls_slim(ctls_stream *);
/* What an answer of OpenSSL means for the stream. */
int ctls_settle(ctls_stream *, int answer);

/* Puts "what: what the library says" into why, takes all errors off the library's queue, and answers false. */
bool ctls_explain(ctls_why *why, const char *what);
/* Notes why the stream failed, from the library's queue. */
void ctls_note_failure(ctls_stream *);
#endif
