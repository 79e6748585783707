/* SPDX-License-Identifier: Apache-2.0
 * martlet.httpc/1 as commands; results are collected and printed by `httpc results`, one line each.
 *   client [KEY=VALUE ...]             name hosts open ttl idle ca cert key password proxy any=1
 *   send N METHOD URL [KEY=VALUE ...]  body size timeout connect max retries follow=1 repeat=1 client header from
 *   cancel TOKEN    close CLIENT       results       count
 *   auth URL   from now on every CONNECT with a user name asks GET URL/USERNAME: 200 allows, anything else denies
 */
#include "abi.h"
#include <pthread.h>

enum { RESULTS = 4096, LINE = 512 };

typedef struct {
  const martlet_host *h;
  const martlet_httpc_v1 *http;
  const martlet_exec_v1 *exec;
  const martlet_auth_v1 *auth;
  char auth_url[256];
  martlet_token auth_client;
  pthread_mutex_t lock;
  long called, lines, accepted, busy, refused;
  char line[RESULTS][LINE];
} me;

typedef struct {
  me *m;
  long count;
  martlet_token client;
  martlet_httpc_request request;
  martlet_httpc_header header;
  char text[1024];
  uint8_t *body;
} job;

static uint32_t sum(martlet_bytes b) {
  uint32_t s = 0;
  for (size_t i = 0; i < b.len; i++) s = s * 31 + b.ptr[i];
  return s;
}

static void on_response(void *u, const martlet_httpc_response *r) {
  me *m = u;
  char all[160] = "";
  for (size_t i = 0; i < r->nheaders; i++) {
    if (r->headers[i].name.len < 2 || (r->headers[i].name.ptr[0] | 32) != 'x') continue;
    size_t n = strlen(all);
    snprintf(all + n, sizeof all - n, "%.*s:%.*s;", (int)r->headers[i].name.len, r->headers[i].name.ptr,
             (int)r->headers[i].value.len, r->headers[i].value.ptr);
  }
  pthread_mutex_lock(&m->lock);
  m->called++;
  if (m->lines < RESULTS)
    snprintf(m->line[m->lines++], LINE, "status=%d failure=%d http=%d version=%d attempts=%u where=%d length=%zu sum=%u "
             "headers=%s body=%.*s error=%.*s", r->status, r->failure, r->http_status, r->http_version, r->attempts,
             m->exec->current(m->h), r->body.len, sum(r->body), all, r->body.len < 40 ? (int)r->body.len : 40,
             r->body.len ? (const char *)r->body.ptr : "", (int)r->error.len, r->error.len ? (const char *)r->error.ptr : "");
  pthread_mutex_unlock(&m->lock);
}

static void send(void *u) {
  job *j = u;
  for (long i = 0; i < j->count; i++) {
    martlet_status s = j->m->http->request(j->m->h, j->client, &j->request, on_response, j->m, NULL);
    pthread_mutex_lock(&j->m->lock);
    *(s == MARTLET_OK ? &j->m->accepted : s == MARTLET_E_BUSY ? &j->m->busy : &j->m->refused) += 1;
    pthread_mutex_unlock(&j->m->lock);
  }
  free(j->body);
  free(j);
}

/* KEY=VALUE: the value when the key is this one. */
static bool value(martlet_bytes argument, const char *key, martlet_bytes *out) {
  size_t n = strlen(key);
  if (argument.len <= n || memcmp(argument.ptr, key, n) != 0 || argument.ptr[n] != '=') return false;
  *out = (martlet_bytes){argument.ptr + n + 1, argument.len - n - 1};
  return true;
}
static uint32_t number(martlet_bytes b) {
  uint32_t n = 0;
  for (size_t i = 0; i < b.len && b.ptr[i] >= '0' && b.ptr[i] <= '9'; i++) n = n * 10 + (b.ptr[i] - '0');
  return n;
}

/* The arguments are borrowed and a task runs later. */
static martlet_bytes kept(job *j, size_t *used, martlet_bytes b) {
  if (*used + b.len > sizeof j->text) return (martlet_bytes){NULL, 0};
  memcpy(j->text + *used, b.ptr, b.len);
  martlet_bytes copy = {(uint8_t *)j->text + *used, b.len};
  *used += b.len;
  return copy;
}

static void option(job *j, size_t *used, martlet_bytes argument, int32_t *from) {
  martlet_httpc_request *r = &j->request;
  martlet_bytes v;
  if (value(argument, "body", &v)) r->body = kept(j, used, v);
  if (value(argument, "size", &v)) {
    r->body.len = number(v);
    r->body.ptr = j->body = malloc(r->body.len);
    for (size_t i = 0; i < r->body.len; i++) j->body[i] = (uint8_t)(i * 7);
  }
  if (value(argument, "timeout", &v)) r->timeout_ms = number(v);
  if (value(argument, "connect", &v)) r->connect_timeout_ms = number(v);
  if (value(argument, "max", &v)) r->max_response_bytes = number(v);
  if (value(argument, "retries", &v)) r->retries = number(v);
  if (value(argument, "follow", &v)) r->flags |= MARTLET_HTTPC_FOLLOW;
  if (value(argument, "repeat", &v)) r->flags |= MARTLET_HTTPC_MAY_REPEAT;
  if (value(argument, "client", &v)) j->client = number(v);
  if (value(argument, "from", &v)) *from = v.ptr[0] == 'p' ? MARTLET_ON_FOREIGN : (int32_t)number(v);
  if (value(argument, "header", &v)) {
    martlet_bytes copy = kept(j, used, v);
    const uint8_t *colon = memchr(copy.ptr, ':', copy.len);
    size_t n = colon ? (size_t)(colon - copy.ptr) : copy.len;
    j->header = (martlet_httpc_header){{copy.ptr, n}, {copy.ptr + n + 1, colon ? copy.len - n - 1 : 0}};
    r->headers = &j->header;
    r->nheaders = 1;
  }
}

static martlet_status start_send(me *m, const martlet_bytes *a, size_t argc) {
  job *j = calloc(1, sizeof *j);
  size_t used = 0;
  int32_t from = MARTLET_ON_MAIN;
  j->m = m;
  j->count = number(a[2]);
  j->request.size = sizeof j->request;
  j->request.method = kept(j, &used, a[3]);
  j->request.url = kept(j, &used, a[4]);
  for (size_t i = 5; i < argc; i++) option(j, &used, a[i], &from);
  if (from == MARTLET_ON_FOREIGN) return m->exec->blocking(m->h, send, j);
  if (from >= 0) return m->exec->on_loop(m->h, (uint32_t)from, send, j);
  long refused = m->refused;
  send(j);
  return m->refused > refused ? MARTLET_E_INVAL : MARTLET_OK; /* its sentence is the host's */
}

static martlet_status make_client(me *m, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  martlet_httpc_options o = {.size = sizeof o};
  martlet_token token = 0;
  martlet_bytes v;
  for (size_t i = 2; i < argc; i++) {
    if (value(a[i], "name", &v)) o.name = v;
    if (value(a[i], "hosts", &v)) o.max_host_connections = number(v);
    if (value(a[i], "open", &v)) o.max_open = number(v);
    if (value(a[i], "ttl", &v)) o.dns_ttl_s = number(v);
    if (value(a[i], "idle", &v)) o.idle_s = number(v);
    if (value(a[i], "ca", &v)) o.ca_file = v;
    if (value(a[i], "cert", &v)) o.certificate_file = v;
    if (value(a[i], "key", &v)) o.key_file = v;
    if (value(a[i], "password", &v)) o.key_password = v;
    if (value(a[i], "proxy", &v)) o.proxy = v;
    if (value(a[i], "any", &v)) o.flags |= MARTLET_HTTPC_ANY_CERTIFICATE;
  }
  martlet_status s = m->http->client(m->h, &o, &token);
  if (s == MARTLET_OK) out_number(out, "client", (long long)token);
  return s;
}

/* One request, whose token is wanted. */
static martlet_status one(me *m, const martlet_bytes *a, martlet_ctl_out *out) {
  martlet_httpc_request r = {.size = sizeof r, .method = a[2], .url = a[3]};
  martlet_token token = 0;
  martlet_status s = m->http->request(m->h, 0, &r, on_response, m, &token);
  if (s == MARTLET_OK) out_number(out, "token", (long long)token);
  return s;
}

static martlet_status bad(me *m, martlet_ctl_out *out) {
  martlet_httpc_request r = {.size = sizeof r, .url = text("http://127.0.0.1/")};
  martlet_httpc_header h = {text("X-A"), text("a\r\nX-Evil: 1")};
#define TRY(key, change) do { martlet_httpc_request q = r; change; \
    out_number(out, key, m->http->request(m->h, 0, &q, on_response, m, NULL)); } while (0)
  TRY("size", q.size = 8);
  TRY("scheme", q.url = text("ftp://127.0.0.1/"));
  TRY("space", q.url = text("http://127.0.0.1/a b"));
  TRY("host", q.url = text("http://"));
  TRY("method", q.method = text("GE T"));
  TRY("header", (q.headers = &h, q.nheaders = 1));
  TRY("null", q.body = ((martlet_bytes){NULL, 5}));
  TRY("flags", q.flags = 1u << 30);
  out_number(out, "client", m->http->request(m->h, 4711, &r, on_response, m, NULL));
  out_number(out, "fn", m->http->request(m->h, 0, &r, (martlet_httpc_fn)NULL, m, NULL));
  out_number(out, "cancel", m->http->cancel(m->h, 4711));
  out_number(out, "close", m->http->close(m->h, 4711));
  return MARTLET_OK;
}

/* ---- auth --------------------------------------------------------------------------------------------------- */

typedef struct { me *m; martlet_deferred answer; } waiting;

static void on_verdict(void *u, const martlet_httpc_response *r) {
  waiting *w = u;
  martlet_auth_result result = {.size = sizeof result};
  result.verdict = r->status == MARTLET_OK && r->http_status == 200 ? MARTLET_ALLOW : MARTLET_DENY;
  w->m->auth->answer(w->m->h, w->answer, &result);
  free(w);
}

static int32_t on_auth(void *u, const martlet_auth_req *request, martlet_auth_result *out) {
  me *m = u;
  char url[512];
  (void)out;
  if (m->auth_url[0] == 0 || !request->has_username) return MARTLET_IGNORE;
  int n = snprintf(url, sizeof url, "%s/%.*s", m->auth_url, (int)request->username.len, request->username.ptr);
  waiting *w = malloc(sizeof *w);
  *w = (waiting){m, m->auth->defer(request, 0)};
  martlet_httpc_request r = {.size = sizeof r, .url = {(const uint8_t *)url, (size_t)n}};
  if (w->answer != 0 && m->http->request(m->h, m->auth_client, &r, on_verdict, w, NULL) == MARTLET_OK) return MARTLET_PENDING;
  martlet_auth_result error = {.size = sizeof error, .verdict = MARTLET_ERROR};
  if (w->answer != 0) m->auth->answer(m->h, w->answer, &error);
  free(w);
  return MARTLET_PENDING;
}

static martlet_status set_auth(me *m, martlet_bytes url) {
  martlet_httpc_options o = {.size = sizeof o, .name = text("auth"), .max_host_connections = 64, .max_open = 8192};
  snprintf(m->auth_url, sizeof m->auth_url, "%.*s", (int)url.len, url.ptr);
  return m->auth_client ? MARTLET_OK : m->http->client(m->h, &o, &m->auth_client);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void results(me *m, martlet_ctl_out *out) {
  pthread_mutex_lock(&m->lock);
  for (long i = 0; i < m->lines; i++) out_line(out, m->line[i]);
  m->lines = 0;
  pthread_mutex_unlock(&m->lock);
}

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc >= 2 && is(a[1], "client")) return make_client(m, a, argc, out);
  if (argc >= 5 && is(a[1], "send")) return start_send(m, a, argc);
  if (argc == 4 && is(a[1], "one")) return one(m, a, out);
  if (argc == 3 && is(a[1], "cancel")) return m->http->cancel(m->h, number(a[2]));
  if (argc == 3 && is(a[1], "close")) return m->http->close(m->h, number(a[2]));
  if (argc == 3 && is(a[1], "auth")) return set_auth(m, a[2]);
  if (argc == 2 && is(a[1], "bad")) return bad(m, out);
  if (argc == 2 && is(a[1], "results")) return results(m, out), MARTLET_OK;
  if (argc != 2 || !is(a[1], "count")) return MARTLET_E_INVAL;
  pthread_mutex_lock(&m->lock);
  out_number(out, "called", m->called);
  out_number(out, "accepted", m->accepted);
  out_number(out, "busy", m->busy);
  out_number(out, "refused", m->refused);
  pthread_mutex_unlock(&m->lock);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  static const martlet_ctl_usage usage = {ID " send <Count> <Method> <Url>", "Make HTTP requests"};
  me *m = state;
  m->http = GET(m->h, httpc, MARTLET_EXT_HTTPC);
  m->exec = GET(m->h, exec, MARTLET_EXT_EXEC);
  m->auth = GET(m->h, auth, MARTLET_EXT_AUTH);
  if (!m->http) return MARTLET_E_UNSUPPORTED;
  pthread_mutex_init(&m->lock, NULL);
  martlet_status s = m->auth->add(m->h, 0, on_auth, m, NULL);
#ifdef EAGER
  if (!s) s = m->http->client(m->h, NULL, &m->auth_client);
#endif
#ifdef FAIL_LATE
  martlet_httpc_request r = {.size = sizeof r, .url = text("http://127.0.0.1:9/")};
  for (int i = 0; !s && i < 5; i++) s = m->http->request(m->h, 0, &r, on_response, m, NULL);
  fail(m->h, MARTLET_E_IO, "too late");
  return s ? s : MARTLET_E_IO;
#endif
  return s ? s : GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, &usage, 1, command, m, NULL);
}

LIFE(start)
ENTRY(create)
