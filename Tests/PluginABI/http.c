/* SPDX-License-Identifier: Apache-2.0
 * martlet.http/1: whole and streamed answers, late and double ones, bodies, events, files, credentials. */
#include "abi.h"

#ifndef AUTHENTICATE
#  define AUTHENTICATE 1
#endif
enum { HELD = 64 };

typedef struct {
  const martlet_host *h;
  const martlet_http_v1 *http;
  martlet_http_req held[HELD]; /* owed an answer */
  martlet_http_req streams[HELD];
  martlet_http_req asked; /* whose credentials are to be judged */
  martlet_http_req paused;
  size_t uploaded, chunks;
  uint64_t sum;
  int gone, timeouts, writable, busy;
  martlet_http_req flood;
  martlet_token route;
} me;

static void keep(martlet_http_req *list, martlet_http_req id) {
  for (int i = 0; i < HELD; i++)
    if (!list[i]) { list[i] = id; return; }
}

static void drop(martlet_http_req *list, martlet_http_req id) {
  for (int i = 0; i < HELD; i++)
    if (list[i] == id) list[i] = 0;
}

static martlet_status say(me *m, martlet_http_req id, int status, const char *words) {
  martlet_http_field type = {text("Content-Type"), text("text/plain; charset=utf-8")};
  return m->http->respond(m->h, id, status, &type, 1, text(words));
}

/* GET /hello/:name */
static void hello(void *u, const martlet_http_request *r) {
  me *m = u;
  char line[1024];
  martlet_bytes loud, agent;
  m->http->find(r->query_fields, r->nquery_fields, "loud", &loud);
  m->http->find(r->headers, r->nheaders, "X-Agent", &agent);
  snprintf(line, sizeof line, VERSION " hello %.*s%s agent=%.*s user=%.*s\n", (int)r->params[0].value.len,
           r->params[0].value.ptr, loud.len ? "!" : "", (int)agent.len, agent.ptr ? (const char *)agent.ptr : "",
           (int)r->user.len, r->user.ptr ? (const char *)r->user.ptr : "");
  if (say(m, r->id, 200, line) != MARTLET_OK) abort();
  if (say(m, r->id, 200, line) != MARTLET_E_STALE) abort();
}

/* GET /peer: the client's address. */
static void peer(void *u, const martlet_http_request *r) {
  me *m = u;
  m->http->respond(m->h, r->id, 200, NULL, 0, r->peer);
}

/* ANY /echo: the body comes back. */
static void echo(void *u, const martlet_http_request *r) {
  me *m = u;
  m->http->respond(m->h, r->id, 200, NULL, 0, r->body);
}

/* GET /late: answered by `http answer`. */
static void late(void *u, const martlet_http_request *r) { keep(((me *)u)->held, r->id); }

static void gone(void *u, martlet_http_req id, martlet_status why) {
  me *m = u;
  m->gone++;
  if (why == MARTLET_E_TIMEOUT) m->timeouts++;
  drop(m->held, id);
  drop(m->streams, id);
  if (m->http->end(m->h, id) != MARTLET_E_STALE) abort();
}

/* GET /parts: three pieces. */
static void parts(void *u, const martlet_http_request *r) {
  me *m = u;
  if (m->http->write(m->h, r->id, text("early")) != MARTLET_E_STATE) abort();
  m->http->respond_begin(m->h, r->id, 200, NULL, 0);
  for (int i = 0; i < 3; i++) m->http->write(m->h, r->id, text("part\n"));
  if (m->http->respond_begin(m->h, r->id, 200, NULL, 0) != MARTLET_E_STATE) abort();
  m->http->end(m->h, r->id);
  if (m->http->write(m->h, r->id, text("late")) != MARTLET_E_STALE) abort();
}

/* GET /flood/:megabytes: as fast as the client takes it. */
static size_t flooding;
static void pour(me *m) {
  static uint8_t block[65536];
  martlet_bytes b = {block, sizeof block};
  while (flooding) {
    martlet_status status = m->http->write(m->h, m->flood, b);
    if (status == MARTLET_E_BUSY) {
      m->busy++;
      return;
    }
    if (status != MARTLET_OK) return;
    flooding -= sizeof block;
  }
  m->http->end(m->h, m->flood);
}

static void flood(void *u, const martlet_http_request *r) {
  me *m = u;
  char digits[16] = {0};
  memcpy(digits, r->params[0].value.ptr, r->params[0].value.len < 15 ? r->params[0].value.len : 15);
  flooding = (size_t)atoi(digits) << 20;
  m->flood = r->id;
  m->http->respond_begin(m->h, r->id, 200, NULL, 0);
  pour(m);
}

static void writable(void *u, martlet_http_req id) {
  me *m = u;
  m->writable++;
  if (id == m->flood) pour(m);
}

/* GET /events: `http event WORDS` sends one to all. */
static void events(void *u, const martlet_http_request *r) {
  me *m = u;
  martlet_http_event hello = {sizeof hello, 3000, text("hello"), text("1"), text("first\nsecond")};
  if (m->http->event(m->h, r->id, &hello) != MARTLET_OK) abort();
  keep(m->streams, r->id);
}

/* POST /upload: counted as it comes; every 16th piece is taken late. */
static void upload(void *u, const martlet_http_request *r) {
  me *m = u;
  (void)r;
  m->uploaded = m->chunks = 0;
  m->sum = 0;
}

static void resume_later(void *u) {
  me *m = u;
  m->http->resume(m->h, m->paused);
}

static martlet_status chunk(void *u, martlet_http_req id, martlet_bytes piece, bool is_last) {
  me *m = u;
  m->uploaded += piece.len;
  for (size_t i = 0; i < piece.len; i++) m->sum = m->sum * 31 + piece.ptr[i];
  m->chunks++;
  if (is_last) {
    char line[64];
    snprintf(line, sizeof line, "%zu %llu\n", m->uploaded, (unsigned long long)m->sum);
    say(m, id, 200, line);
    return MARTLET_OK;
  }
  if (m->chunks % 16) return MARTLET_OK;
  m->paused = id;
  GET(m->h, exec, MARTLET_EXT_EXEC)->blocking(m->h, resume_later, m);
  return MARTLET_E_BUSY;
}

/* POST /bad: a header that would break the answer apart is refused, and so is a status that is none. */
static void bad(void *u, const martlet_http_request *r) {
  me *m = u;
  martlet_http_field evil = {text("X-A"), text("1\r\nSet-Cookie: b")}, name = {text("X A"), text("1")};
  if (m->http->respond(m->h, r->id, 200, &evil, 1, text("")) != MARTLET_E_INVAL) abort();
  if (m->http->respond(m->h, r->id, 200, &name, 1, text("")) != MARTLET_E_INVAL) abort();
  if (m->http->respond(m->h, r->id, 99, NULL, 0, text("")) != MARTLET_E_INVAL) abort();
  if (m->http->respond(m->h, r->id + 1000, 200, NULL, 0, text("")) != MARTLET_E_STALE) abort();
  m->http->respond(m->h, r->id, 204, NULL, 0, text(""));
}

/* Who is anna with the password secret, or has the token "token", comes in; "late" is judged by `http judge`. */
static int32_t judge(void *u, const martlet_http_credentials *c, martlet_http_auth_result *out) {
  me *m = u;
  if (c->scheme == MARTLET_HTTP_AUTH_BEARER) {
    out->user = text("robot");
    return m->http->same_secret(c->token, text("token")) ? MARTLET_ALLOW : MARTLET_DENY;
  }
  if (is(c->username, "late")) {
    m->asked = c->id;
    return MARTLET_PENDING;
  }
  if (is(c->username, "nobody")) return MARTLET_IGNORE;
  if (is(c->username, "broken")) return MARTLET_ERROR;
  bool good = is(c->username, "anna") && m->http->same_secret(c->password, text("secret"));
  return good ? MARTLET_ALLOW : MARTLET_DENY;
}

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc < 2) return MARTLET_E_INVAL;
  if (is(a[1], "answer")) {
    int answered = 0;
    for (int i = 0; i < HELD; i++) {
      if (!m->held[i]) continue;
      answered += say(m, m->held[i], 200, VERSION " late\n") == MARTLET_OK;
      if (say(m, m->held[i], 200, "twice\n") != MARTLET_E_STALE) abort();
      m->held[i] = 0;
    }
    out_number(out, "answered", answered);
  } else if (is(a[1], "event") && argc > 2) {
    int sent = 0;
    martlet_http_event event = {sizeof event, 0, text(""), text(""), a[2]};
    for (int i = 0; i < HELD; i++)
      if (m->streams[i]) sent += m->http->event(m->h, m->streams[i], &event) == MARTLET_OK;
    out_number(out, "sent", sent);
  } else if (is(a[1], "close")) {
    for (int i = 0; i < HELD; i++) {
      if (m->streams[i]) m->http->end(m->h, m->streams[i]);
      m->streams[i] = 0;
    }
  } else if (is(a[1], "judge")) {
    martlet_http_auth_result yes = {sizeof yes, MARTLET_ALLOW, text("")};
    out_number(out, "first", m->http->auth_answer(m->h, m->asked, &yes));
    out_number(out, "second", m->http->auth_answer(m->h, m->asked, &yes));
  } else if (is(a[1], "counts")) {
    int held = 0, streams = 0;
    for (int i = 0; i < HELD; i++) held += m->held[i] != 0, streams += m->streams[i] != 0;
    out_number(out, "held", held);
    out_number(out, "streams", streams);
    out_number(out, "gone", m->gone);
    out_number(out, "timeouts", m->timeouts);
    out_number(out, "busy", m->busy);
    out_number(out, "writable", m->writable);
  } else if (is(a[1], "remove")) {
    out_number(out, "removed", m->http->remove(m->h, m->route));
    out_number(out, "again", m->http->remove(m->h, m->route));
  } else {
    return MARTLET_E_INVAL;
  }
  return MARTLET_OK;
}

static martlet_status add(me *m, const char *method, const char *pattern, uint32_t auth, martlet_http_fn fn,
                          martlet_token *token) {
  martlet_http_route route = {sizeof route, auth, method, pattern, NULL, fn, NULL, writable, gone, m, 0, 0, 0};
  if (fn == upload) route.chunk = chunk, route.max_body = 64 << 20;
  if (strcmp(pattern, "/hurry") == 0) route.timeout_ms = 200;
  if (strcmp(pattern, "/few") == 0) route.max_requests = 2;
  return m->http->route(m->h, &route, token);
}

static martlet_status serve(me *m) {
  static const struct { const char *method, *pattern; uint32_t auth; martlet_http_fn fn; } routes[] = {
    {"GET", "/hello/:name", 0, hello}, {"*", "/echo", 0, echo}, {"GET", "/late", 0, late},
    {"GET", "/peer", 0, peer},
    {"POST", "/late", 0, late}, {"GET", "/hurry", 0, late}, {"GET", "/few", 0, late}, {"GET", "/parts", 0, parts},
    {"GET", "/flood/:megabytes", 0, flood}, {"GET", "/events", 0, events}, {"POST", "/upload", 0, upload},
    {"POST", "/bad", 0, bad}, {"GET", "/basic/:name", MARTLET_HTTP_AUTH_BASIC, hello},
    {"GET", "/bearer/:name", MARTLET_HTTP_AUTH_BEARER, hello}, {"GET", "/any/:name", MARTLET_HTTP_AUTH_ANY, hello},
    {"POST", "/secret", MARTLET_HTTP_AUTH_ANY, echo}};
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
    martlet_status status = add(m, routes[i].method, routes[i].pattern, routes[i].auth, routes[i].fn, &m->route);
    if (status != MARTLET_OK) return status;
  }
  return add(m, "GET", "/removable/:name", 0, hello, &m->route);
}

static martlet_status start(void *state) {
  me *m = state;
  m->http = GET(m->h, http, MARTLET_EXT_HTTP);
  martlet_status status = serve(m);
  if (status != MARTLET_OK) return status;
  if (add(m, "GET", "/hello/:other", 0, hello, NULL) != MARTLET_E_EXISTS) abort();
  if (add(m, "GET", "hello", 0, hello, NULL) != MARTLET_E_INVAL) abort();
  if (add(m, "GET", "/a/*rest/b", 0, hello, NULL) != MARTLET_E_INVAL) abort();
  if (add(m, "get", "/a", 0, hello, NULL) != MARTLET_E_INVAL) abort();
  if (AUTHENTICATE) m->http->authenticator(m->h, 0, judge, m, NULL);
#ifdef FOLDER
  martlet_http_files files = {sizeof files, 0, "/static", FOLDER, NULL, "public, max-age=60", NULL};
  status = m->http->files(m->h, &files, NULL);
  if (status != MARTLET_OK) return status;
#endif
  static const martlet_ctl_usage usage[] = {{"http counts", "Show the counts"}};
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, "http", usage, 1, command, m, NULL);
}

LIFE(start)
ENTRY(create)
