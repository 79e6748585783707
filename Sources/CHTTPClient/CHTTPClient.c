/* SPDX-License-Identifier: Apache-2.0 */
#include "CHTTPClient.h"
#include "CURLLibrary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARE_HANDLES = 64, MAX_REDIRECTS = 5, CA_CACHE_S = 60, STREAMS = 100 };

struct chc_pool {
  CURLM *multi;
  CURLSH *share; /* TLS sessions; one thread, so no locks */
  chc_pool_options options;
  CURL *spare[SPARE_HANDLES];
  size_t spares;
};

struct chc_transfer {
  CURL *easy;
  chc_pool *pool;
  chc_request request;
  struct curl_slist *headers;
  CURLcode code;
  char error[CURL_ERROR_SIZE];
};

/* ---- the pool ---------------------------------------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *of_socket) {
  chc_pool *pool = user;
  (void)easy, (void)of_socket;
  int events = what == CURL_POLL_REMOVE ? 0 : (what & CURL_POLL_IN ? CHC_IN : 0) | (what & CURL_POLL_OUT ? CHC_OUT : 0);
  pool->options.watch(pool->options.user, fd, events);
  return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *user) {
  chc_pool *pool = user;
  (void)multi;
  pool->options.timer(pool->options.user, milliseconds);
  return 0;
}

static void copy_text(const char **text) {
  if (*text != NULL) *text = strdup(*text);
}

chc_pool *chc_pool_new(const chc_pool_options *options) {
  chc_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL) return NULL;
  pool->options = *options;
  pool->multi = chc_curl.multi_init();
  pool->share = chc_curl.share_init();
  if (pool->multi == NULL || pool->share == NULL) {
    if (pool->multi != NULL) chc_curl.multi_cleanup(pool->multi);
    if (pool->share != NULL) chc_curl.share_cleanup(pool->share);
    free(pool);
    return NULL;
  }
  copy_text(&pool->options.ca_file);
  copy_text(&pool->options.certificate_file);
  copy_text(&pool->options.key_file);
  copy_text(&pool->options.key_password);
  copy_text(&pool->options.proxy);
  copy_text(&pool->options.user_agent);
  chc_curl.share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  chc_curl.multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  chc_curl.multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
  chc_curl.multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  chc_curl.multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
  chc_curl.multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)options->host_connections);
  chc_curl.multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, 4 * (long)options->host_connections);
  chc_curl.multi_setopt(pool->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)STREAMS);
  return pool;
}

void chc_pool_free(chc_pool *pool) {
  for (size_t i = 0; i < pool->spares; i++) chc_curl.easy_cleanup(pool->spare[i]);
  chc_curl.multi_cleanup(pool->multi);
  chc_curl.share_cleanup(pool->share);
  free((void *)pool->options.ca_file);
  free((void *)pool->options.certificate_file);
  free((void *)pool->options.key_file);
  free((void *)pool->options.key_password);
  free((void *)pool->options.proxy);
  free((void *)pool->options.user_agent);
  free(pool);
}

void chc_pool_ready(chc_pool *pool, int fd, int events, bool failed) {
  int running, bits = (events & CHC_IN ? CURL_CSELECT_IN : 0) | (events & CHC_OUT ? CURL_CSELECT_OUT : 0) |
                      (failed ? CURL_CSELECT_ERR : 0);
  chc_curl.multi_socket_action(pool->multi, fd, bits, &running);
}

void chc_pool_timeout(chc_pool *pool) {
  int running;
  chc_curl.multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

chc_transfer *chc_pool_finished(chc_pool *pool) {
  CURLMsg *message;
  int left;
  while ((message = chc_curl.multi_info_read(pool->multi, &left)) != NULL) {
    char *transfer = NULL;
    if (message->msg != CURLMSG_DONE) continue;
    chc_curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    if (transfer == NULL) continue;
    ((chc_transfer *)transfer)->code = message->data.result;
    return (chc_transfer *)transfer;
  }
  return NULL;
}

/* ---- a transfer ------------------------------------------------------------------------------------------------- */

static int on_about_to_send(void *user, char *peer, char *local, int peer_port, int local_port) {
  chc_transfer *t = user;
  (void)peer, (void)local, (void)peer_port, (void)local_port;
  return t->request.about_to_send(t->request.user) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *user) {
  chc_transfer *t = user;
  size_t length = size * count;
  return t->request.header(t->request.user, (const uint8_t *)bytes, length) ? length : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
  chc_transfer *t = user;
  size_t length = size * count;
  if (length == 0) return 0;
  return t->request.part(t->request.user, (const uint8_t *)bytes, length) ? length : 0;
}

#define SET(option, value) chc_curl.easy_setopt(t->easy, option, value)

/* Which of libcurl's kinds of request this method is; the rest is only another word in the request line. */
static void set_method(chc_transfer *t) {
  const char *method = t->request.method;
  bool has_body = t->request.body_length > 0;
  if (strcmp(method, "HEAD") == 0 && !has_body) {
    SET(CURLOPT_NOBODY, 1L);
  } else if (has_body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request.body_length);
    SET(CURLOPT_POSTFIELDS, has_body ? (const char *)t->request.body : "");
    if (strcmp(method, "POST") != 0) SET(CURLOPT_CUSTOMREQUEST, method);
  } else {
    SET(CURLOPT_HTTPGET, 1L);
    if (strcmp(method, "GET") != 0) SET(CURLOPT_CUSTOMREQUEST, method);
  }
}

static bool is_tls(const char *url) { return strncasecmp(url, "https:", 6) == 0; }

static void set_connection(chc_transfer *t) {
  const chc_pool_options *o = &t->pool->options;
  SET(CURLOPT_SHARE, t->pool->share);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_QUICK_EXIT, 1L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)t->request.connect_timeout_ms);
  SET(CURLOPT_DNS_CACHE_TIMEOUT, (long)o->dns_ttl_s);
  SET(CURLOPT_MAXLIFETIME_CONN, (long)o->dns_ttl_s);
  SET(CURLOPT_MAXAGE_CONN, (long)o->idle_s);
  SET(CURLOPT_TCP_NODELAY, 1L);
  /* Not what http_proxy in the broker's environment happens to say. */
  SET(CURLOPT_PROXY, o->proxy != NULL ? o->proxy : "");
  bool tls = is_tls(t->request.url);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
  /* Whether a plain connection can carry several requests is known with its first answer only: nobody waits for
   * that. With TLS the handshake tells. */
  SET(CURLOPT_HTTP_VERSION, tls ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_PIPEWAIT, tls ? 1L : 0L);
}

static void set_tls(chc_transfer *t) {
  const chc_pool_options *o = &t->pool->options;
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_SSL_VERIFYPEER, o->accepts_any_certificate ? 0L : 1L);
  SET(CURLOPT_SSL_VERIFYHOST, o->accepts_any_certificate ? 0L : 2L);
  SET(CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_S);
  if (o->ca_file != NULL) {
    SET(CURLOPT_CAINFO, o->ca_file);
    SET(CURLOPT_CAPATH, NULL);
  }
  if (o->certificate_file != NULL) SET(CURLOPT_SSLCERT, o->certificate_file);
  if (o->key_file != NULL) SET(CURLOPT_SSLKEY, o->key_file);
  if (o->key_password != NULL) SET(CURLOPT_KEYPASSWD, o->key_password);
}

static bool set_headers(chc_transfer *t) {
  const char *line = t->request.headers;
  for (; *line != 0; line += strlen(line) + 1) {
    struct curl_slist *longer = chc_curl.slist_append(t->headers, line);
    if (longer == NULL) return false;
    t->headers = longer;
  }
  SET(CURLOPT_HTTPHEADER, t->headers);
  SET(CURLOPT_USERAGENT, t->pool->options.user_agent);
  return true;
}

static void set_callbacks(chc_transfer *t) {
  SET(CURLOPT_PRIVATE, t);
  SET(CURLOPT_ERRORBUFFER, t->error);
  SET(CURLOPT_PREREQFUNCTION, on_about_to_send);
  SET(CURLOPT_PREREQDATA, t);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, t);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, t);
}

chc_transfer *chc_transfer_start(chc_pool *pool, const chc_request *request) {
  chc_transfer *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->pool = pool;
  t->request = *request;
  t->easy = pool->spares > 0 ? pool->spare[--pool->spares] : chc_curl.easy_init();
  if (t->easy == NULL || !set_headers(t)) {
    if (t->easy != NULL) chc_curl.easy_cleanup(t->easy);
    chc_curl.slist_free_all(t->headers);
    free(t);
    return NULL;
  }
  set_callbacks(t);
  SET(CURLOPT_URL, request->url);
  set_method(t);
  set_connection(t);
  set_tls(t);
  SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->max_body);
  SET(CURLOPT_FOLLOWLOCATION, request->follows_redirects ? 1L : 0L);
  SET(CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
  if (chc_curl.multi_add_handle(pool->multi, t->easy) != CURLM_OK) {
    chc_transfer_end(t);
    return NULL;
  }
  return t;
}

static int kind_of(CURLcode code) {
  switch (code) {
  case CURLE_OK: return CHC_WHOLE;
  case CURLE_UNSUPPORTED_PROTOCOL: case CURLE_URL_MALFORMAT: return CHC_URL;
  case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: return CHC_RESOLVE;
  case CURLE_COULDNT_CONNECT: case CURLE_PROXY: case CURLE_INTERFACE_FAILED: return CHC_CONNECT;
  case CURLE_OPERATION_TIMEDOUT: return CHC_TIMEOUT;
  case CURLE_GOT_NOTHING: case CURLE_SEND_ERROR: case CURLE_RECV_ERROR: case CURLE_PARTIAL_FILE: case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM: case CURLE_SEND_FAIL_REWIND: case CURLE_AGAIN: return CHC_CLOSED;
  case CURLE_FILESIZE_EXCEEDED: case CURLE_WRITE_ERROR: return CHC_TOO_LARGE;
  case CURLE_WEIRD_SERVER_REPLY: case CURLE_TOO_MANY_REDIRECTS: case CURLE_BAD_CONTENT_ENCODING: return CHC_PROTOCOL;
  case CURLE_ABORTED_BY_CALLBACK: return CHC_REFUSED_BY_US;
  case CURLE_SSL_CONNECT_ERROR: case CURLE_PEER_FAILED_VERIFICATION: case CURLE_SSL_ENGINE_NOTFOUND:
  case CURLE_SSL_ENGINE_SETFAILED: case CURLE_SSL_CERTPROBLEM: case CURLE_SSL_CIPHER: case CURLE_USE_SSL_FAILED:
  case CURLE_SSL_ENGINE_INITFAILED: case CURLE_SSL_CACERT_BADFILE: case CURLE_SSL_SHUTDOWN_FAILED:
  case CURLE_SSL_CRL_BADFILE: case CURLE_SSL_ISSUER_ERROR: case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
  case CURLE_SSL_INVALIDCERTSTATUS: case CURLE_SSL_CLIENTCERT: return CHC_TLS;
  default: return CHC_INTERNAL;
  }
}

chc_outcome chc_transfer_outcome(chc_transfer *t) {
  long status = 0, version = 0, connects = 0;
  chc_curl.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
  chc_curl.easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
  chc_curl.easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
  static const int versions[] = {0, 10, 11, 20, 20, 20};
  return (chc_outcome){.kind = kind_of(t->code), .status = (int32_t)status, .connects = (uint32_t)connects,
                       .version = version >= 0 && version < 6 ? versions[version] : version == 30 ? 30 : 0,
                       .text = t->error[0] != 0 ? t->error : chc_curl.easy_strerror(t->code)};
}

void *chc_transfer_user(chc_transfer *t) { return t->request.user; }

void chc_transfer_end(chc_transfer *t) {
  chc_pool *pool = t->pool;
  chc_curl.multi_remove_handle(pool->multi, t->easy);
  chc_curl.slist_free_all(t->headers);
  if (pool->spares < SPARE_HANDLES) {
    chc_curl.easy_reset(t->easy);
    pool->spare[pool->spares++] = t->easy;
  } else {
    chc_curl.easy_cleanup(t->easy);
  }
  free(t);
}
