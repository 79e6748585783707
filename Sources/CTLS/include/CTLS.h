/* SPDX-License-Identifier: Apache-2.0
 * TLS over memory: what Martlet needs of the system's OpenSSL 3. No sockets here; bytes go in and out by calls.
 *
 * A context is filled by one thread and then only read, by any number of threads. A stream belongs to one thread at a
 * time. Functions that may fail to understand a file or a word answer false and put one clause without a full stop
 * into `why`.
 */
#ifndef CTLS_H
#define CTLS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ctls_context ctls_context;
typedef struct ctls_stream ctls_stream;

/* One clause for people. */
typedef struct ctls_why {
  char text[384];
} ctls_why;

enum { CTLS_TLS12 = 1, CTLS_TLS13 = 2 };

/* ---- Contexts ------------------------------------------------------------------------------------------------- */

/* NULL when the library cannot make one. Compression and renegotiation are off. */
ctls_context *ctls_context_new(bool is_server);
/* For DTLS 1.2, RFC 6347. Its streams are associations; each call of `ctls_out` is one datagram. */
ctls_context *ctls_context_new_datagram(bool is_server);
/* A context lives until its owner and the last of its streams have let go. */
void ctls_context_free(ctls_context *);

/* CTLS_TLS12, CTLS_TLS13 or both. For datagrams CTLS_TLS12 has to be among them. */
bool ctls_set_versions(ctls_context *, int versions, ctls_why *why);
/* Certificate (and its chain) and private key, PEM. */
bool ctls_set_certificate(ctls_context *, const char *chain_file, const char *key_file, ctls_why *why);
/* The authorities the peer's certificate must come from, PEM. A server also names them to its clients. */
bool ctls_set_authorities(ctls_context *, const char *file, ctls_why *why);
/* The authorities this machine trusts. */
bool ctls_set_system_authorities(ctls_context *, ctls_why *why);
/* Lists of revoked certificates, PEM; they are asked about the peer's own certificate. After the authorities. */
bool ctls_set_revoked(ctls_context *, const char *file, ctls_why *why);
/* Whether the peer is asked for a certificate, and whether it may have none. A client always gets the server's. */
void ctls_set_verify(ctls_context *, bool wanted, bool required);
/* As a client: takes any certificate. For tools that measure, and talk to a server they have started. */
void ctls_set_unverified(ctls_context *);
/* Names of TLS 1.2 cipher suites in OpenSSL's syntax, and of TLS 1.3 ones, each separated by colons; either may be
   empty for the library's own. */
bool ctls_set_ciphers(ctls_context *, const char *tls12, const char *tls13, ctls_why *why);
/* True for a name of a TLS 1.3 cipher suite. */
bool ctls_is_suite13(const char *name);
/* Diffie-Hellman parameters, PEM, for the DHE suites of TLS 1.2. */
bool ctls_set_dh(ctls_context *, const char *file, ctls_why *why);
void ctls_set_server_order(ctls_context *, bool on);
/* Whether clients get tickets to resume with; `scope` keeps the sessions of different doors apart. */
void ctls_set_resumption(ctls_context *, bool on, const char *scope);
/* Application protocols in the order of preference, each preceded by its length. A client offers them. A server takes
   the client's first that it has; a client without one in common is let in unless `required`. */
bool ctls_set_protocols(ctls_context *, const uint8_t *wire, size_t count, bool required);
/* A client that asks for `host` (exact, or *.rest) gets the certificate of `other`, which must not change any more. */
bool ctls_add_name(ctls_context *, const char *host, ctls_context *other);

/* Finds the key of an identity: its length, or 0 when there is no such identity. On the thread of the stream. */
typedef size_t (*ctls_psk_lookup)(void *user, const uint8_t *identity, size_t count, uint8_t *key, size_t room);
/* Clients may come with a key instead of a certificate. `release` is called with `user` when the context goes; `hint`
   helps TLS 1.2 clients choose their identity, NULL for none. */
bool ctls_set_psk_lookup(ctls_context *, ctls_psk_lookup lookup, void *user, void (*release)(void *user),
                         const char *hint, ctls_why *why);
/* As a client: offer this key. */
bool ctls_set_psk(ctls_context *, const char *identity, const uint8_t *key, size_t count);

/* The end of the certificate's validity, seconds since 1970; 0 without a certificate. */
int64_t ctls_not_after(const ctls_context *);
/* The subject of the certificate, RFC 2253. Returns its length, 0 without one; at most room - 1 bytes are written. */
size_t ctls_subject(const ctls_context *, char *out, size_t room);

/* ---- Streams -------------------------------------------------------------------------------------------------- */

/* Takes bytes for the peer. They are borrowed until it returns. */
typedef void (*ctls_out)(void *user, const uint8_t *bytes, size_t count);

/* NULL when there is no memory. */
ctls_stream *ctls_stream_new(ctls_context *, ctls_out out, void *user);
void ctls_stream_free(ctls_stream *);

/* As a client, before the first bytes: the server's name is sent and its certificate must be one for it. */
bool ctls_stream_expect(ctls_stream *, const char *host);
/* As a client: resume with what `ctls_stream_session` of an earlier stream wrote. */
bool ctls_stream_resume(ctls_stream *, const uint8_t *session, size_t count);
/* The session as bytes; its length, 0 when there is none. Nothing is written when it is longer than `room`. */
size_t ctls_stream_session(ctls_stream *, uint8_t *out, size_t room);
bool ctls_stream_is_resumed(const ctls_stream *);

enum { CTLS_LONGEST_PEER = 32, CTLS_LONGEST_DATAGRAM = 16384 };
/* Of a datagram context, before anything else: true when the datagram is a hello that proves, by our cookie, that
   `peer` (an address as bytes) receives what is sent there; the handshake goes on with `ctls_stream_receive` of no
   bytes. Otherwise nothing is kept, and the stream is as new. RFC 6347 section 4.2.1 */
bool ctls_stream_listen(ctls_stream *, const uint8_t *peer, size_t peer_count, const uint8_t *bytes, size_t count);
/* Milliseconds until `ctls_stream_expire` is due; -1: nothing waits for an answer. */
int64_t ctls_stream_timeout(ctls_stream *);
/* Sends the last flight of the handshake again, if it is due. */
int ctls_stream_expire(ctls_stream *);

enum {
  CTLS_OPEN,   /* more may come                                             */
  CTLS_ENDED,  /* the peer has said goodbye                                 */
  CTLS_FAILED  /* `ctls_stream_failure` says why; the peer has been told    */
};
/* The first step of a client. A server has nothing to say first. */
int ctls_stream_begin(ctls_stream *);
/* Takes bytes from the peer: borrowed, and used up unless plaintext was left over for want of room. Plaintext goes to
   `plain`; its length to `written`. Call again with no bytes while `room` was filled. Of a datagram context: one
   datagram in, and one record's plaintext out; call again with no bytes until nothing is written. */
int ctls_stream_receive(ctls_stream *, const uint8_t *bytes, size_t count, uint8_t *plain, size_t room,
                        size_t *written);
/* Encrypts. Only while the stream is ready. */
int ctls_stream_send(ctls_stream *, const uint8_t *bytes, size_t count);
/* Says goodbye, once; not before the handshake is over, and not after a failure. */
void ctls_stream_finish(ctls_stream *);

/* The handshake is over. */
bool ctls_stream_is_ready(const ctls_stream *);

/* Why a stream failed. */
enum {
  CTLS_FAILURE_OTHER,
  CTLS_FAILURE_NOT_TLS,        /* its bytes are of another protocol                          */
  CTLS_FAILURE_VERSION,        /* no version of TLS in common                                */
  CTLS_FAILURE_CIPHER,         /* no cipher suite in common                                  */
  CTLS_FAILURE_NO_CERTIFICATE, /* the peer has none                                          */
  CTLS_FAILURE_CERTIFICATE,    /* the peer's is not accepted                                 */
  CTLS_FAILURE_REFUSED,        /* the peer refused: an alert came                            */
  CTLS_FAILURE_IDENTITY,       /* its PSK identity is not known, or the key is another       */
  CTLS_FAILURE_PROTOCOL        /* no application protocol in common                          */
};
int ctls_stream_failure(const ctls_stream *);
/* What OpenSSL says about it, one clause. */
const char *ctls_stream_failure_text(const ctls_stream *);

/* "TLSv1.3", "TLS_AES_256_GCM_SHA384", the chosen application protocol or ""; for people and tests. */
const char *ctls_stream_version(const ctls_stream *);
const char *ctls_stream_cipher(const ctls_stream *);
size_t ctls_stream_protocol(const ctls_stream *, const uint8_t **out);

/* The certificate the peer has proven to have; NULL: none, or the handshake is not over. To be freed. */
typedef struct x509_st ctls_certificate;
ctls_certificate *ctls_stream_certificate(const ctls_stream *);
void ctls_certificate_free(ctls_certificate *);

enum {
  CTLS_NAME_COMMON,  /* device-1 : the last CN                            */
  CTLS_NAME_DN,      /* RFC 2253: CN=device-1,O=Acme                      */
  CTLS_NAME_SUBJECT, /* in the certificate's order: /O=Acme/CN=device-1   */
  CTLS_SHA256,       /* of the DER bytes, 64 hexadecimal digits           */
  CTLS_DER,
  CTLS_PEM
};
/* One of these: its length, 0 when there is no such name. Text is UTF-8 without NUL. At most `room` bytes are written. */
size_t ctls_certificate_get(ctls_certificate *, int which, uint8_t *out, size_t room);
/* The PSK identity the peer came with, or NULL. */
const char *ctls_stream_identity(const ctls_stream *);
#endif
