/* SPDX-License-Identifier: Apache-2.0
 * martlet/httpc.h - martlet.httpc/1: HTTP requests to other servers, answered by a callback.
 *
 * The host keeps connections alive, bounds how many there are and how much waits, ends what takes too long, looks names
 * up anew, and repeats a request only where that is safe. All of it happens on a thread of the host's own.
 */
#ifndef MARTLET_HTTPC_H
#define MARTLET_HTTPC_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_HTTPC "martlet.httpc/1"

enum {
  /** client: believe any certificate. For tests; the host logs a warning. */
  MARTLET_HTTPC_ANY_CERTIFICATE = 1 << 0,
  /** request: follow up to five redirects of GET and HEAD; never from https to http. Without it a 3xx is a response. */
  MARTLET_HTTPC_FOLLOW = 1 << 1,
  /** request: the server may receive this twice although its method is not idempotent (RFC 9110 section 9.2.2), as for a
   *  POST that only asks something. */
  MARTLET_HTTPC_MAY_REPEAT = 1 << 2
};

/** Why there is no whole response. */
enum {
  MARTLET_HTTPC_WHOLE = 0, /**< there is one, of whatever http_status              MARTLET_OK          */
  MARTLET_HTTPC_URL,       /**< the URL cannot be understood                       MARTLET_E_INVAL     */
  MARTLET_HTTPC_RESOLVE,   /**< the host's name has no address                     MARTLET_E_IO        */
  MARTLET_HTTPC_CONNECT,   /**< no connection                                      MARTLET_E_IO        */
  MARTLET_HTTPC_TLS,       /**< certificates, ciphers, handshake                   MARTLET_E_DENIED    */
  MARTLET_HTTPC_TIMEOUT,   /**< not within timeout_ms or connect_timeout_ms        MARTLET_E_TIMEOUT   */
  MARTLET_HTTPC_CLOSED,    /**< closed or reset before the response was whole      MARTLET_E_IO        */
  MARTLET_HTTPC_TOO_LARGE, /**< longer than max_response_bytes, or its head is     MARTLET_E_NOMEM     */
  MARTLET_HTTPC_PROTOCOL,  /**< no HTTP, or too many redirects                     MARTLET_E_IO        */
  MARTLET_HTTPC_INTERNAL   /**< out of memory, and what libcurl has no name for    MARTLET_E_NOMEM     */
};

typedef struct martlet_httpc_header {
  martlet_bytes name, value;
} martlet_httpc_header;

/** What a client's connections are made with. All text is copied; 0 and empty mean the default. */
typedef struct martlet_httpc_options {
  uint32_t size;
  uint32_t flags;               /**< MARTLET_HTTPC_ANY_CERTIFICATE                                               */
  martlet_bytes name;           /**< for `plugins show`; "default"                                               */
  uint32_t max_host_connections; /**< to one scheme, host and port: 16, at most 256                              */
  uint32_t max_open;            /**< requests waiting and under way; above it MARTLET_E_BUSY: 1024, at most 65536 */
  uint32_t dns_ttl_s;           /**< how long an address, and a connection to it, is used: 60, at most 60        */
  uint32_t idle_s;              /**< a connection idle for longer is not used again: 30                          */
  martlet_bytes ca_file;        /**< PEM; the system's authorities                                               */
  martlet_bytes certificate_file, key_file, key_password; /**< PEM, to show the server                           */
  martlet_bytes proxy;          /**< "http://proxy:3128"; none, whatever the broker's environment says           */
} martlet_httpc_options;

typedef struct martlet_httpc_request {
  uint32_t size;
  uint32_t flags;               /**< MARTLET_HTTPC_FOLLOW, MARTLET_HTTPC_MAY_REPEAT                              */
  martlet_bytes method;         /**< GET                                                                         */
  martlet_bytes url;            /**< http:// or https://, at most 8 KiB                                          */
  const martlet_httpc_header *MARTLET_OPT headers; /**< at most 64 KiB together; User-Agent is Martlet's unless given */
  size_t nheaders;
  martlet_bytes body;           /**< copied; at most 64 MiB, and 64 MiB for all open requests of a client        */
  uint32_t timeout_ms;          /**< from request() to the last byte, waiting and repetitions included: 10,000   */
  uint32_t connect_timeout_ms;  /**< 5,000                                                                       */
  uint32_t max_response_bytes;  /**< a longer body fails: 1 MiB, at most 64 MiB                                  */
  /** How often to try again, after a pause that doubles, when no byte of an answer has come: after a connection that
   *  was not made with any method; after one that was closed with an idempotent method or MARTLET_HTTPC_MAY_REPEAT.
   *  At most 10. (A connection kept alive that the server closes just then is replaced at once, under the same rule,
   *  without being counted here.) */
  uint32_t retries;
} martlet_httpc_request;

/** Borrowed until the callback returns. */
typedef struct martlet_httpc_response {
  uint32_t size;
  martlet_status status;        /**< MARTLET_OK: a whole response                                                */
  int32_t failure;              /**< MARTLET_HTTPC_WHOLE ... MARTLET_HTTPC_INTERNAL                              */
  int32_t http_status;          /**< 200; 0 when none came                                                       */
  int32_t http_version;         /**< 10, 11, 20                                                                  */
  uint32_t attempts;
  const martlet_httpc_header *MARTLET_OPT headers; /**< of the last response when redirects were followed        */
  size_t nheaders;
  martlet_bytes body;
  martlet_bytes error;          /**< one sentence for the log when status is not MARTLET_OK                      */
} martlet_httpc_response;

/** On the loop request() was called on; on the control thread when it was called anywhere else. Must not block. */
typedef void (*martlet_httpc_fn)(void *MARTLET_OPT user, const martlet_httpc_response *MARTLET_NN); /* [loop] or [main] */

typedef struct martlet_httpc_v1 {
  uint32_t size;
  /** [main] Connections of their own under limits of their own; at most 16 per plugin. The first one in the process
   *  opens libcurl: MARTLET_E_UNSUPPORTED, with the sentence set, where it is not installed. Better in start() than
   *  with the first request, which would wait for it. NULL options: the defaults. */
  martlet_status (*MARTLET_NN client)(const martlet_host *MARTLET_NN, const martlet_httpc_options *MARTLET_OPT, martlet_token *MARTLET_NN out);
  /** [main] Ends a client. Its open requests are cancelled. */
  martlet_status (*MARTLET_NN close)(const martlet_host *MARTLET_NN, martlet_token client);
  /** [any] Everything is copied. client 0: one with the defaults. MARTLET_E_BUSY: too many are open, fn will not be
   *  called. After MARTLET_OK fn is called exactly once, unless cancel() answers MARTLET_OK or the plugin stops first:
   *  a plugin that stops gets no more calls. The token is stored before fn can be called. */
  martlet_status (*MARTLET_NN request)(const martlet_host *MARTLET_NN, martlet_token client, const martlet_httpc_request *MARTLET_NN, martlet_httpc_fn MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [any] MARTLET_OK: fn is not called. MARTLET_E_STALE: it was called, or is being called. */
  martlet_status (*MARTLET_NN cancel)(const martlet_host *MARTLET_NN, martlet_token request);
} martlet_httpc_v1;

#include "end.h"
#endif
