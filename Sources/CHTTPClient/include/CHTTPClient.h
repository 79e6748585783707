/* SPDX-License-Identifier: Apache-2.0
 * libcurl behind a handful of functions. The library is opened at its first use and never closed: a broker whose
 * plugins make no HTTP requests does not need it, and a resolver thread of its own may outlive the request it was
 * started for.
 *
 * A pool and its transfers belong to one thread. None of the callbacks may call back into this header. */
#ifndef CHTTPCLIENT_H
#define CHTTPCLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#define CHC_OPT _Nullable
#else
#define CHC_OPT
#endif

/** Any thread. NULL when libcurl can be used, otherwise why not, as the end of a sentence; valid until this thread asks
 * again. */
const char *CHC_OPT chc_open(void);

/* ---- a pool: connections, names and TLS sessions that its transfers share --------------------------------- */

enum { CHC_IN = 1, CHC_OUT = 2 };

typedef struct chc_pool chc_pool;
typedef struct chc_transfer chc_transfer;

/** Strings are copied; NULL: none. */
typedef struct chc_pool_options {
  void *user;
  /** Watch fd for CHC_IN and CHC_OUT instead of what was asked before; 0: no more. Level-triggered. */
  void (*watch)(void *user, int fd, int events);
  /** Call chc_pool_timeout after so many milliseconds instead of what was asked before; -1: not at all. */
  void (*timer)(void *user, int64_t milliseconds);
  uint32_t host_connections;
  uint32_t dns_ttl_s;  /**< also how long a connection may be used, so that a moved service is found */
  uint32_t idle_s;     /**< a connection unused for longer is not used again */
  const char *CHC_OPT ca_file;
  const char *CHC_OPT certificate_file;
  const char *CHC_OPT key_file;
  const char *CHC_OPT key_password;
  const char *CHC_OPT proxy;
  const char *user_agent;
  bool accepts_any_certificate;
} chc_pool_options;

/** NULL: out of memory. */
chc_pool *CHC_OPT chc_pool_new(const chc_pool_options *options);
/** Every transfer must have ended. */
void chc_pool_free(chc_pool *pool);
/** The descriptor is ready, or broken. */
void chc_pool_ready(chc_pool *pool, int fd, int events, bool failed);
void chc_pool_timeout(chc_pool *pool);
/** The next transfer that is over, until NULL; each must be ended. */
chc_transfer *CHC_OPT chc_pool_finished(chc_pool *pool);

/* ---- a transfer: one request ---------------------------------------------------------------------------------- */

/** All memory but `headers` must last until the transfer has ended. */
typedef struct chc_request {
  void *user;
  const char *method;
  const char *url;
  /** `Name: value` lines, each terminated by NUL, the last followed by an empty one. */
  const char *headers;
  const uint8_t *CHC_OPT body;
  size_t body_length;
  uint32_t connect_timeout_ms;
  uint64_t max_body;
  bool follows_redirects;
  /** The connection stands and the request is about to be sent; called anew when libcurl sends it again. false: no. */
  bool (*about_to_send)(void *user);
  /** One line of the head, or of the trailers. false: give up. */
  bool (*header)(void *user, const uint8_t *line, size_t length);
  /** A part of the body. false: give up. */
  bool (*part)(void *user, const uint8_t *bytes, size_t length);
} chc_request;

enum {
  CHC_WHOLE = 0, /**< a complete response of whatever status */
  CHC_URL, CHC_RESOLVE, CHC_CONNECT, CHC_TLS, CHC_TIMEOUT, CHC_CLOSED, CHC_TOO_LARGE, CHC_PROTOCOL, CHC_REFUSED_BY_US,
  CHC_INTERNAL
};

typedef struct chc_outcome {
  int kind;
  int32_t status;  /**< 0 without a response */
  int32_t version; /**< 10, 11, 20, 30; 0 when unknown */
  uint32_t connects;
  /** libcurl's own words, valid until the transfer ends. */
  const char *text;
} chc_outcome;

/** NULL: out of memory. */
chc_transfer *CHC_OPT chc_transfer_start(chc_pool *pool, const chc_request *request);
/** Of a transfer that chc_pool_finished returned. */
chc_outcome chc_transfer_outcome(chc_transfer *transfer);
void *chc_transfer_user(chc_transfer *transfer);
/** Frees it, finished or not. */
void chc_transfer_end(chc_transfer *transfer);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
#endif
