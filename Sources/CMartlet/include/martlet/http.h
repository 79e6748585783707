/* SPDX-License-Identifier: Apache-2.0
 * martlet/http.h - martlet.http/1: HTTP routes, event streams, static files and who may use them.
 *
 * The host owns the sockets (listener.api.NAME), reads and checks requests, asks who the user is, and keeps every
 * limit. A plugin registers routes; the host calls it on the control thread and takes its answer from any thread, at
 * once or later. All callbacks here are [main], so those of one plugin never run concurrently; a handler that has
 * slow work to do hands it to exec->blocking and answers from there.
 *
 * An answer is either whole (respond) or streamed (respond_begin, write..., end; or event... for server-sent events).
 * A request that nobody answers within its time limit gets 504 from the host, one whose plugin is unloaded 503; a
 * stream just ends. During `plugins reload` the new image answers what comes in; GET and HEAD requests the old one
 * still owed an answer are asked again of the new one.
 */
#ifndef MARTLET_HTTP_H
#define MARTLET_HTTP_H
#include "plugin.h"
#include "auth.h"
#include "begin.h"

#define MARTLET_EXT_HTTP "martlet.http/1"

/** One request. Answered, timed out or left by its client it is stale: MARTLET_E_STALE. 0 is "none". */
typedef uint64_t martlet_http_req;

/** A header, a path parameter, a query parameter. Passed in arrays, so it never grows. */
typedef struct martlet_http_field {
  martlet_bytes name, value;
} martlet_http_field;

enum {
  MARTLET_HTTP_AUTH_NONE = 0,                /**< everybody */
  MARTLET_HTTP_AUTH_BASIC = 1 << 0,          /**< a name and a password (RFC 7617) */
  MARTLET_HTTP_AUTH_BEARER = 1 << 1,         /**< a token (RFC 6750) */
  MARTLET_HTTP_AUTH_ANY = 3                  /**< either */
};

/** Limits of what a plugin may hand over in one call. */
enum { MARTLET_HTTP_MAX_BODY = 64 << 20, MARTLET_HTTP_MAX_WRITE = 16 << 20 };

/** A request as its handler sees it; everything is borrowed until the handler returns, but `id`. */
typedef struct martlet_http_request {
  uint32_t size;
  bool secure;                               /**< came in over TLS */
  martlet_http_req id;
  martlet_bytes method;                      /**< "GET" */
  martlet_bytes path;                        /**< as sent, still percent-encoded, without the query */
  martlet_bytes query;                       /**< as sent, without the '?' */
  martlet_bytes peer;                        /**< "192.0.2.7:51234", "[2001:db8::7]:51234" */
  martlet_bytes listener;                    /**< "management" */
  martlet_bytes user;                        /**< whom the authenticator named; empty on an open route */
  const martlet_http_field *MARTLET_OPT params;  /**< in the order of the pattern, decoded */
  size_t nparams;
  const martlet_http_field *MARTLET_OPT query_fields; /**< in the order of the query, decoded */
  size_t nquery_fields;
  const martlet_http_field *MARTLET_OPT headers; /**< names in lower case; Authorization is left out */
  size_t nheaders;
  martlet_bytes body;                        /**< whole; empty when the route has a `chunk` function */
} martlet_http_request;

/** [main] A request came in: complete, or up to its body when the route has a `chunk` function. */
typedef void (*martlet_http_fn)(void *MARTLET_OPT user, const martlet_http_request *MARTLET_NN);
/** [main] A piece of the body, at most 64 KiB; the last one may be empty. MARTLET_E_BUSY: taken, but no more until
 *  http->resume(); any other error ends the request with 400 unless it has been answered. */
typedef martlet_status (*martlet_http_chunk_fn)(void *MARTLET_OPT user, martlet_http_req, martlet_bytes, bool is_last);
/** [main] After write or event answered MARTLET_E_BUSY: there is room again. */
typedef void (*martlet_http_writable_fn)(void *MARTLET_OPT user, martlet_http_req);
/** [main] The request is over although the plugin did not end it: MARTLET_E_IO the client left, MARTLET_E_TIMEOUT the
 *  host answered 504 or the client stopped reading. Not called while the plugin is being stopped. */
typedef void (*martlet_http_gone_fn)(void *MARTLET_OPT user, martlet_http_req, martlet_status why);

/** A route. Of several that fit a path the more literal wins: per level a name before :param before *rest. */
typedef struct martlet_http_route {
  uint32_t size;
  uint32_t auth;                             /**< MARTLET_HTTP_AUTH_* */
  const char *MARTLET_NN method;             /**< "GET", "POST" ..., "*" for every one. GET serves HEAD as well. */
  const char *MARTLET_NN pattern;            /**< "/api/v2/nodes/:node/clients/" + "*rest"; *rest only as the last level */
  const char *MARTLET_OPT listener;          /**< NULL: "management". "dashboard,management"; "*" for every listener */
  martlet_http_fn MARTLET_NN handle;
  martlet_http_chunk_fn MARTLET_OPT chunk;   /**< present: the body is streamed in, and not limited unless max_body is */
  martlet_http_writable_fn MARTLET_OPT writable;
  martlet_http_gone_fn MARTLET_OPT gone;
  void *MARTLET_OPT user;
  uint64_t max_body;                         /**< bytes; beyond it 413. 0: the listener's max_body */
  uint32_t timeout_ms;                       /**< until the answer must have begun. 0: the listener's request_timeout */
  uint32_t max_requests;                     /**< open at once; beyond it 503. 0: 256 */
} martlet_http_route;

/** A folder served as files, GET and HEAD: ETag, Last-Modified, If-None-Match, If-Modified-Since, one Range, media
 *  types by file name; index.html for a folder. Nothing outside of the folder, and no name that begins with a dot. */
typedef struct martlet_http_files {
  uint32_t size;
  uint32_t auth;                             /**< MARTLET_HTTP_AUTH_* */
  const char *MARTLET_NN prefix;             /**< "/": the whole listener; "/static" */
  const char *MARTLET_NN folder;             /**< absolute, or relative to the broker's root folder */
  const char *MARTLET_OPT listener;          /**< as in martlet_http_route */
  const char *MARTLET_OPT cache_control;     /**< NULL: "no-cache", that is: ask each time, by ETag */
  const char *MARTLET_OPT fallback;          /**< file of the folder for paths that are none ("index.html"), or NULL: 404 */
} martlet_http_files;

/** One server-sent event. The host ends it with an empty line and splits data at line ends. */
typedef struct martlet_http_event {
  uint32_t size;
  uint32_t retry_ms;                         /**< 0: not sent */
  martlet_bytes name, id;                    /**< "event:", "id:"; empty: not sent */
  martlet_bytes data;
} martlet_http_event;

/** What a client presented for a route that asks for it. */
typedef struct martlet_http_credentials {
  uint32_t size;
  uint32_t scheme;                           /**< MARTLET_HTTP_AUTH_BASIC or MARTLET_HTTP_AUTH_BEARER */
  martlet_http_req id;                       /**< for auth_answer */
  martlet_bytes username, password;          /**< basic */
  martlet_bytes token;                       /**< bearer */
  martlet_bytes method, path, peer, listener;
} martlet_http_credentials;

typedef struct martlet_http_auth_result {
  uint32_t size;
  int32_t verdict;                           /**< MARTLET_ALLOW, MARTLET_DENY, MARTLET_IGNORE, MARTLET_ERROR (503) */
  martlet_bytes user;                        /**< empty: the user name of basic credentials. At most 256 bytes */
} martlet_http_auth_result;

/** [main] Returns the verdict, or MARTLET_PENDING and gives it with auth_answer within the route's time limit. *out is
 *  empty when it is called; `user` of it is copied. Compare secrets with http->same_secret. */
typedef int32_t (*martlet_http_auth_fn)(void *MARTLET_OPT user, const martlet_http_credentials *MARTLET_NN, martlet_http_auth_result *MARTLET_NN out);

typedef struct martlet_http_v1 {
  uint32_t size;
  /** [main] MARTLET_E_EXISTS when another plugin serves this method and pattern there. A listener that is not
   *  configured is no error: nobody reaches the route then. */
  martlet_status (*MARTLET_NN route)(const martlet_host *MARTLET_NN, const martlet_http_route *MARTLET_NN, martlet_token *MARTLET_OPT out);
  /** [main] */
  martlet_status (*MARTLET_NN files)(const martlet_host *MARTLET_NN, const martlet_http_files *MARTLET_NN, martlet_token *MARTLET_OPT out);
  /** [main] Join the chain that is asked about credentials, higher priority first. Where all ignore, or nobody joined,
   *  the answer is 401. An address that fails ten times within a minute gets 429 until the minute is over. */
  martlet_status (*MARTLET_NN authenticator)(const martlet_host *MARTLET_NN, int32_t priority, martlet_http_auth_fn MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [main] End a route, a folder or an authenticator; open requests of the route get 503. */
  martlet_status (*MARTLET_NN remove)(const martlet_host *MARTLET_NN, martlet_token);

  /** [any] The whole answer, once. Content-Length, Date and Connection are the host's; its content type is yours. */
  martlet_status (*MARTLET_NN respond)(const martlet_host *MARTLET_NN, martlet_http_req, int32_t status, const martlet_http_field *MARTLET_OPT headers, size_t nheaders, martlet_bytes body);
  /** [any] Begin an answer of unknown length. */
  martlet_status (*MARTLET_NN respond_begin)(const martlet_host *MARTLET_NN, martlet_http_req, int32_t status, const martlet_http_field *MARTLET_OPT headers, size_t nheaders);
  /** [any] A piece of a begun answer; the bytes are copied. MARTLET_E_BUSY: nothing was taken because 256 KiB wait for
   *  the client already; `writable` is called when there is room. */
  martlet_status (*MARTLET_NN write)(const martlet_host *MARTLET_NN, martlet_http_req, martlet_bytes);
  /** [any] The answer is complete. */
  martlet_status (*MARTLET_NN end)(const martlet_host *MARTLET_NN, martlet_http_req);
  /** [any] A server-sent event. The first one begins the answer (200, text/event-stream) unless respond_begin has; the
   *  host sends a comment each 15 s in which nothing else was sent. MARTLET_E_BUSY as with write. */
  martlet_status (*MARTLET_NN event)(const martlet_host *MARTLET_NN, martlet_http_req, const martlet_http_event *MARTLET_OPT);
  /** [any] After `chunk` answered MARTLET_E_BUSY: the next piece, please. */
  martlet_status (*MARTLET_NN resume)(const martlet_host *MARTLET_NN, martlet_http_req);
  /** [any] The verdict of an authenticator that answered MARTLET_PENDING, once. */
  martlet_status (*MARTLET_NN auth_answer)(const martlet_host *MARTLET_NN, martlet_http_req, const martlet_http_auth_result *MARTLET_NN);

  /** [any] The first field of this name, without regard to case; false and an empty *out when there is none. */
  bool (*MARTLET_NN find)(const martlet_http_field *MARTLET_OPT, size_t n, const char *MARTLET_NN name, martlet_bytes *MARTLET_NN out);
  /** [any] Whether both are equal, in a time that tells nothing of where they differ. */
  bool (*MARTLET_NN same_secret)(martlet_bytes, martlet_bytes);
} martlet_http_v1;

#include "end.h"
#endif
